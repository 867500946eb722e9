import { compileFormat, FORMAT_LIMITS, type Format, type MessageHeaders, parseMediaType } from '../../formats/index.ts'
import type { NativeData } from '../../model/value.ts'
import type { BrokerDoor, BrokerPlace } from './options.ts'
import type { BrokerMessage } from './port.ts'

/** Ids longer than this are no ids; they would be kept for days. */
const ID_CHARS_MAX = 1_000

/** Reads messages as a door declares them. Pure. */
export interface MessageReader {
  /** Throws SyncError `intake.*`. */
  decode(bytes: Uint8Array, headers: MessageHeaders): NativeData
  /** The format in which the sender of such headers is answered. */
  formatOf(headers: MessageHeaders): Format
  properties(message: Pick<BrokerMessage, 'headers' | 'facts'>, body: NativeData): Record<string, string>
  deliveryId(message: Pick<BrokerMessage, 'headers' | 'id'>, body: NativeData): string | undefined
}

export function createReader(door: BrokerDoor, bytesMax: number): MessageReader {
  const formats = door.formats.map(compileFormat)
  const places = Object.entries(door.properties)
  const limits = { ...FORMAT_LIMITS, bytesMax: Math.min(bytesMax, FORMAT_LIMITS.bytesMax) }
  const formatOf = (headers: MessageHeaders): Format => {
    const name = formats.length === 1 ? undefined : parseMediaType(headers['content-type'] ?? '')?.name
    return (
      formats.find((format) => parseMediaType(format.contentType)?.name === name) ??
      formats.find((format) => name?.endsWith(`+${format.spec.kind}`)) ??
      (formats[0] as Format)
    )
  }
  return {
    formatOf,
    decode: (bytes, headers) => (bytes.length === 0 ? null : formatOf(headers).decode(bytes, headers, limits).data),
    properties: (message, body) => {
      const properties: Record<string, string> = { ...message.facts }
      for (const [name, place] of places) {
        const text = textAt(place, message.headers, body)
        if (text !== undefined) properties[name] = text
      }
      return properties
    },
    deliveryId: ({ headers, id }, body) => {
      const text = door.deliveryId === null ? id : textAt(door.deliveryId, headers, body)
      return text === undefined || text === '' || text.length > ID_CHARS_MAX ? undefined : text
    },
  }
}

/** What stands at a place, as text; undefined when there is nothing that has a text form. */
export function textAt(
  place: BrokerPlace,
  headers: Readonly<Record<string, string>>,
  body: NativeData,
): string | undefined {
  if (place.in === 'header') return Object.hasOwn(headers, place.name) ? headers[place.name] : undefined
  let value: unknown = body
  for (const step of place.path === '' ? [] : place.path.split('.'))
    value =
      typeof value === 'object' && value !== null && !Array.isArray(value) && Object.hasOwn(value, step)
        ? (value as Record<string, unknown>)[step]
        : undefined
  return typeof value === 'string'
    ? value
    : typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean'
      ? String(value)
      : undefined
}

/** What a message says of itself, for a format: its headers with its content type among them. */
export const headersOf = ({ headers, contentType }: Pick<BrokerMessage, 'headers' | 'contentType'>): MessageHeaders =>
  contentType === undefined ? headers : { ...headers, 'content-type': contentType }
