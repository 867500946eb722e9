import { isPlainObject, refuse, refuseUnknown } from '../../config/refuse.ts'
import { type FormatSpec, json } from '../../formats/index.ts'
import type { BrokerDoor, BrokerPlace } from './options.ts'

/** What people say of a door for messages, whatever broker brings them. */
export interface BrokerDoorOptions {
  /** `json()` unless given; `xml({ ... })`, `csv()`, `text()`, ..., or several, of which the content type chooses. */
  readonly format?: FormatSpec | readonly [FormatSpec, ...FormatSpec[]]
  /** What tells that two deliveries are the same message, where it is not the broker's own message id: `header('event-id')`, or a name in the body. */
  readonly deliveryId?: string | BrokerPlace
  /** Properties of the message beside those that the broker gives: headers, or places in the body. */
  readonly properties?: Readonly<Record<string, string | BrokerPlace>>
  /** Messages taken and not acknowledged yet (64): what a crash has delivered again at most. */
  readonly inFlightMax?: number
  /** Deliveries of one message before it is set aside unread (20). */
  readonly deliveriesMax?: number
  /** What becomes of a message that cannot be taken: kept as a parked run (`park`, unless given), or handed back for the broker's dead letters (`reject`). */
  readonly poison?: 'park' | 'reject'
}

export const DOOR_KEYS = [
  'format',
  'deliveryId',
  'properties',
  'inFlightMax',
  'deliveriesMax',
  'poison',
] as const satisfies readonly (keyof BrokerDoorOptions)[]

/** Enough to fill one commit of the journal; few enough to be taken again after a crash without anybody noticing. */
const IN_FLIGHT_MAX = 64
const DELIVERIES_MAX = 20

/** A header of the message, by its name. */
export const header = (name: string): BrokerPlace => {
  if (typeof name !== 'string' || name === '') refuse('header()', 'a name is needed', "Give one such as 'event-id'.")
  return { in: 'header', name: name.toLowerCase() }
}

export function readDoor(where: string, options: BrokerDoorOptions): BrokerDoor {
  const { format = json(), deliveryId, properties = {}, poison = 'park' } = options
  const formats = (Array.isArray(format) ? format : [format]) as readonly FormatSpec[]
  if (formats.length === 0 || formats.some((one) => !isPlainObject(one) || typeof one.kind !== 'string'))
    refuse(
      `${where}.format`,
      'this is not a format',
      'Give json(), xml({ ... }), soap({ ... }), form(), csv() or text().',
    )
  if (!isPlainObject(properties))
    refuse(`${where}.properties`, 'an object is needed', "Give { tenant: header('tenant') }.")
  if (poison !== 'park' && poison !== 'reject')
    refuseUnknown(`${where}.poison`, 'a choice here', String(poison), ['park', 'reject'])
  return {
    formats,
    deliveryId: deliveryId === undefined ? null : placeOf(`${where}.deliveryId`, deliveryId),
    properties: Object.fromEntries(
      Object.entries(properties).map(([key, place]) => [key, placeOf(`${where}.properties.${key}`, place)]),
    ),
    inFlightMax: count(`${where}.inFlightMax`, options.inFlightMax, IN_FLIGHT_MAX),
    deliveriesMax: count(`${where}.deliveriesMax`, options.deliveriesMax, DELIVERIES_MAX),
    poison,
  }
}

export function placeOf(where: string, given: unknown): BrokerPlace {
  if (typeof given === 'string') return { in: 'body', path: given }
  if (isPlainObject(given) && given.in === 'header' && typeof given.name === 'string')
    return { in: 'header', name: given.name.toLowerCase() }
  if (isPlainObject(given) && given.in === 'body' && typeof given.path === 'string')
    return { in: 'body', path: given.path }
  refuse(where, 'this is not a place in a message', "Give header('event-id'), or the name of a field of the body.")
}

/** 65,535 is what the field of AMQP 0-9-1 holds. */
function count(where: string, given: unknown, otherwise: number): number {
  if (given === undefined) return otherwise
  if (!Number.isSafeInteger(given) || (given as number) < 1 || (given as number) > 65_535)
    refuse(where, `${String(given)} is not a whole number from 1 to 65,535`, 'Give one.')
  return given as number
}

/** A url, or the environment variable that holds it. */
export function checkUrl(where: string, url: unknown): void {
  if (!(typeof url === 'string' && url !== '') && !(isPlainObject(url) && typeof url.env === 'string'))
    refuse(where, 'a url is needed', "Give it, or env('NAME') for what stands in the environment.")
}
