import type { ListenDefinition } from '../../config/flow.ts'
import { checkKeys, isPlainObject, refuse } from '../../config/refuse.ts'
import { type FormatSpec, json } from '../../formats/index.ts'
import type { PlaceOptions } from './config-webhook.ts'
import type { HttpListenOptions, HttpPlace, HttpVerify } from './options.ts'

export interface ListenOptions {
  /** How the sender proves who it is. Without it only this machine is answered; `unverified()` answers everybody. */
  readonly verify?: HttpVerify
  /** The sender's id of a delivery, so that one sent again is not run again. */
  readonly deliveryId?: PlaceOptions
  /** Properties of the message beside those of query and path: headers, or places in the body. */
  readonly properties?: Readonly<Record<string, PlaceOptions>>
  /** Status of the acknowledgement of a flow without an output (202), sent once the message is durable. */
  readonly ackStatus?: 200 | 202 | 204
  /** `json()` unless given; `xml({ ... })`, `soap({ ... })`, `form()`, `csv()`, ..., or several, of which content type and Accept choose. */
  readonly format?: FormatSpec | readonly [FormatSpec, ...FormatSpec[]]
}

const LISTEN_KEYS = [
  'verify',
  'deliveryId',
  'properties',
  'ackStatus',
  'format',
] as const satisfies readonly (keyof ListenOptions)[]

const door =
  (method: HttpListenOptions['method'], name: string) =>
  (path: string, options: ListenOptions = {}): ListenDefinition => {
    const where = `${name}(${JSON.stringify(path)})`
    if (typeof path !== 'string' || !/^(?:\/(?::[A-Za-z_]\w*|[^/:?#\s][^/?#\s]*))+$/.test(path))
      refuse(where, 'this is not a path', "Give one such as '/orders' or '/orders/:id'.")
    if (/^\/(?:api|healthz|readyz|metrics|openapi\.json)(?:\/|$)/.test(path))
      refuse(where, "the hub's own API is there", 'Give another path.')
    checkKeys(where, options, LISTEN_KEYS)
    const { verify, deliveryId, properties = {}, ackStatus = 202, format = json() } = options
    if (verify !== undefined && !isPlainObject(verify))
      refuse(`${where}.verify`, 'this is not a proof', 'Give hmac({ ... }), basic(...), bearer(...) or unverified().')
    if (![200, 202, 204].includes(ackStatus))
      refuse(`${where}.ackStatus`, `${ackStatus} does not acknowledge`, 'Give 200, 202 or 204.')
    if (!isPlainObject(properties))
      refuse(`${where}.properties`, 'an object is needed', "Give { tenant: header('x-tenant') }.")
    const formats = (Array.isArray(format) ? format : [format]) as readonly [FormatSpec, ...FormatSpec[]]
    if (formats.length === 0 || formats.some((one) => !isPlainObject(one) || typeof one.kind !== 'string'))
      refuse(
        `${where}.format`,
        'this is not a format',
        'Give json(), xml({ ... }), soap({ ... }), form(), csv() or text().',
      )
    return {
      kind: 'http',
      options: {
        method,
        path,
        verify: verify ?? null,
        deliveryId: deliveryId === undefined ? null : placeOf(`${where}.deliveryId`, deliveryId),
        properties: Object.fromEntries(
          Object.entries(properties).map(([key, place]) => [key, placeOf(`${where}.properties.${key}`, place)]),
        ),
        ackStatus,
        formats,
      },
    }
  }

function placeOf(where: string, given: PlaceOptions): HttpPlace {
  if (typeof given === 'string') return { in: 'body', path: given }
  if (isPlainObject(given) && typeof given.in === 'string') return given
  refuse(where, 'this is not a place in a request', "Give header('X-Event-Id'), or the name of a field of the body.")
}

/** A door for messages to a flow: requests of one method on one path of the hub. */
export const get = door('GET', 'get')
export const post = door('POST', 'post')
export const put = door('PUT', 'put')
export const patch = door('PATCH', 'patch')
export const del = door('DELETE', 'del')
