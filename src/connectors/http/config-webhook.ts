import { checkKeys, isPlainObject, refuse } from '../../config/refuse.ts'
import type { FormatSpec } from '../../formats/index.ts'
import { checkHeader } from './config-checks.ts'
import type { ConfigText, HttpPlace, HttpRule, HttpVerify, HttpWebhook } from './options.ts'

/** Paths of the hub on which applications tell of changes. */

/** A place in a notification: `header('X-Event-Id')`, or a dotted name in the body. */
export const header = (name: string): HttpPlace => {
  checkHeader('header()', name)
  return { in: 'header', name: name.toLowerCase() }
}

export type PlaceOptions = string | HttpPlace

/** A parameter of the query of the URL that the sender calls. */
export const query = (name: string): HttpPlace => ({ in: 'query', name })

/** A `:name` segment of the path that the sender calls. */
export const param = (name: string): HttpPlace => ({ in: 'path', name })

/** The notification is answered when these applications (all others, unless given) have what it told: with their ids and states, or after the time with 202 and a request id. */
export function afterDelivery(options: { readonly apps?: readonly string[]; readonly timeoutMs?: number } = {}): {
  readonly apps: readonly string[] | null
  readonly timeoutMs: number
} {
  checkKeys('afterDelivery()', options, ['apps', 'timeoutMs'])
  const { apps = null, timeoutMs = DELIVERY_MS } = options
  if (!Number.isSafeInteger(timeoutMs) || timeoutMs < 1 || timeoutMs > DELIVERY_MAX_MS)
    refuse(
      'afterDelivery().timeoutMs',
      `${String(timeoutMs)} is not from 1 to ${DELIVERY_MAX_MS}`,
      'Give milliseconds.',
    )
  return { apps, timeoutMs }
}

/** Senders give up after 15 to 30 s. */
const DELIVERY_MS = 10_000
const DELIVERY_MAX_MS = 25_000

const placeOf = (given: PlaceOptions): HttpPlace => (typeof given === 'string' ? { in: 'body', path: given } : given)

export interface WebhookOptions {
  /** How the sender proves who it is. `unverified()` says that it does not. */
  readonly verify: HttpVerify
  /** Where the record stands in the body (dotted); the body itself unless given. A list there holds several records. */
  readonly record?: string
  /** The body names the record only; it is then read from the application. */
  readonly idOnly?: boolean
  /** The sender's id of a delivery, so that one sent again is not handled again. */
  readonly deliveryId?: PlaceOptions
  /** How a deletion is told: the place, and what stands there then (a text, several, or true). */
  readonly deleted?: { readonly at: PlaceOptions; readonly equals: string | boolean | readonly (string | boolean)[] }
  /** Where the id of the record stands, when the notification holds nothing else: `query('id')`, `param('id')`, `header('X-Id')`, or a name in the body. Implies `idOnly`. */
  readonly id?: PlaceOptions
  /** `afterDelivery({ ... })`: the sender waits for the delivery. Without it, it is acknowledged as soon as the notification is durable. */
  readonly reply?: ReturnType<typeof afterDelivery>
  /** Status of the acknowledgement, which is sent once the notification is durable. */
  readonly ackStatus?: 200 | 202 | 204
  /** How the body is written: `xml({ ... })`, `soap({ ... })`, `form()`, `multipart()`, `csv()`, `text()`; JSON unless given. */
  readonly format?: FormatSpec
  /** Where the list of elements stands, each of which has the record at `record` beside an id of its own; '' when the body is the list. */
  readonly list?: string
  /** What must stand in the message, or it is refused: the sender's account, for example. */
  readonly expect?: readonly { readonly at: PlaceOptions; readonly equals: ConfigText }[]
  /** Messages that are acknowledged and not looked at further: pings, events of other kinds. Without `equals`: whenever there is something. */
  readonly ignore?: readonly RuleOptions[]
  /** The sender makes sure that it reaches us by a question: answered at once with the text that stands at `answer`. */
  readonly challenge?: { readonly when?: RuleOptions; readonly answer: PlaceOptions }
}

/** A place, and what stands there (a text, several, true or false). */
export interface RuleOptions {
  readonly at: PlaceOptions
  readonly equals?: string | boolean | readonly (string | boolean)[]
}

const WEBHOOK_KEYS = [
  'verify',
  'record',
  'idOnly',
  'deliveryId',
  'deleted',
  'ackStatus',
  'format',
  'list',
  'expect',
  'ignore',
  'challenge',
  'id',
  'reply',
] as const satisfies readonly (keyof WebhookOptions)[]

/** A path of the hub on which the application tells of changes. */
export function webhook(path: string, options: WebhookOptions): HttpWebhook {
  const where = `webhook(${JSON.stringify(path)})`
  if (typeof path !== 'string' || !/^\/[^?#\s]+$/.test(path))
    refuse(where, 'this is not a path', "Give one such as '/hooks/customers'.")
  checkKeys(where, options, WEBHOOK_KEYS)
  const { verify, record, idOnly, deliveryId, deleted, ackStatus, format, list, expect, ignore, challenge } = options
  const { id, reply } = options
  if (!isPlainObject(verify))
    refuse(where, 'it does not say how the sender proves who it is', 'Give verify: hmac({ ... }), or unverified().')
  if (deleted !== undefined) checkKeys(`${where}.deleted`, deleted, ['at', 'equals'])
  if (format !== undefined && (!isPlainObject(format) || typeof format.kind !== 'string'))
    refuse(
      `${where}.format`,
      'this is not a format',
      'Give json(), xml({ ... }), soap({ ... }), form(), multipart(), csv() or text().',
    )
  if (format?.kind === 'soap' && ackStatus !== undefined && ackStatus !== 200)
    refuse(`${where}.ackStatus`, 'SOAP is answered with an envelope, and so with 200', 'Leave it out.')
  if (ackStatus !== undefined && ![200, 202, 204].includes(ackStatus))
    refuse(where, `${ackStatus} does not acknowledge`, 'Give 200, 202 or 204.')
  return {
    path,
    verify,
    record: record ?? '',
    idOnly: idOnly ?? id !== undefined,
    deliveryId: deliveryId === undefined ? null : placeOf(deliveryId),
    deleted:
      deleted === undefined
        ? null
        : { place: placeOf(deleted.at), equals: ([] as (string | boolean)[]).concat(deleted.equals) },
    ackStatus: ackStatus ?? 202,
    ...(format === undefined ? {} : { format }),
    ...(list === undefined ? {} : { list }),
    ...(id === undefined ? {} : { id: placeOf(id) }),
    ...(reply === undefined ? {} : { reply }),
    ...(expect === undefined ? {} : { expect: expect.map(({ at, equals }) => ({ place: placeOf(at), equals })) }),
    ...(ignore === undefined ? {} : { ignore: ignore.map(ruleOf) }),
    ...(challenge === undefined
      ? {}
      : {
          challenge: {
            when: challenge.when === undefined ? null : ruleOf(challenge.when),
            answer: placeOf(challenge.answer),
          },
        }),
  }
}

const ruleOf = ({ at, equals }: RuleOptions): HttpRule => ({
  place: placeOf(at),
  equals: equals === undefined ? null : ([] as (string | boolean)[]).concat(equals),
})
