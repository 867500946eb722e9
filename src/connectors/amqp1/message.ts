import { writeJson } from '../../formats/index.ts'
import type { NativeData } from '../../model/value.ts'
import type { RheaLibrary, RheaMessage } from './driver.ts'

/** Messages of AMQP 1.0 as bytes and text, as JMS clients write them: text is a value, bytes are data, maps and streams are values that become JSON. Pure. */

const [DATA, SEQUENCE] = [0x75, 0x76]

interface Section {
  readonly typecode: number
  readonly content: unknown
  readonly multiple?: boolean
}

/** How its sender writes: who sends bytes is answered with bytes. */
export const isBytes = ({ body }: RheaMessage): boolean => sectionOf(body)?.typecode === DATA

export function bodyOf(body: unknown): Uint8Array {
  const section = sectionOf(body)
  if (section?.typecode === DATA)
    return Buffer.concat((section.multiple === true ? section.content : [section.content]) as Uint8Array[])
  if (section?.typecode === SEQUENCE)
    return Buffer.from(
      writeJson(dataOf(section.multiple === true ? (section.content as unknown[]).flat() : section.content)),
    )
  if (body === undefined || body === null) return new Uint8Array()
  if (body instanceof Uint8Array) return body
  return Buffer.from(typeof body === 'string' ? body : writeJson(dataOf(body)))
}

function sectionOf(body: unknown): Section | null {
  if (typeof body !== 'object' || body === null || !('typecode' in body) || !('content' in body)) return null
  return typeof body.typecode === 'number' && typeof Object.getPrototypeOf(body).described === 'function'
    ? (body as Section)
    : null
}

function dataOf(value: unknown): NativeData {
  if (typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value)
  if (value instanceof Date) return value.toISOString()
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  if (Array.isArray(value)) return value.map(dataOf)
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, dataOf(one)]))
  return null
}

/** Application properties that have a text form; names in lower case. */
export function textsOf(properties: Readonly<Record<string, unknown>> = {}): Record<string, string> {
  const texts: Record<string, string> = Object.create(null)
  for (const [name, value] of Object.entries(properties)) {
    const text = textOf(value)
    if (text !== undefined) texts[name.toLowerCase()] = text
  }
  return texts
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (value instanceof Date) return value.toISOString()
  // A long beyond what a number holds exactly.
  if (value instanceof Uint8Array && value.length === 8) return Buffer.from(value).readBigInt64BE().toString()
  return undefined
}

const UUID_BYTES = 16

/** An id as text: text as it is, numbers by their digits, a UUID in its usual form, other bytes in hexadecimal digits. */
export function idText(id: unknown): string | undefined {
  if (typeof id === 'string') return id
  if (typeof id === 'number') return String(id)
  if (!(id instanceof Uint8Array)) return undefined
  const digits = Buffer.from(id).toString('hex')
  return id.length === UUID_BYTES ? digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-') : digits
}

/** Whether the driver writes an id of bytes as a UUID, as which it came. */
export const isUuid = (id: unknown): boolean => id instanceof Uint8Array && id.length === UUID_BYTES

/** What JMS clients call a message of bytes, and one of text. */
const [JMS_TYPE, JMS_BYTES, JMS_TEXT] = ['x-opt-jms-msg-type', 3, 5]

/** A body as JMS clients read it. */
export const jmsBody = (
  { types, message }: RheaLibrary,
  body: string,
  inBytes: boolean,
): Readonly<Record<string, unknown>> => ({
  message_annotations: { [JMS_TYPE]: types.wrap_byte(inBytes ? JMS_BYTES : JMS_TEXT) },
  body: inBytes ? message.data_section(Buffer.from(body)) : body,
})
