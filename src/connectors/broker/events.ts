import { SyncError } from '../../errors/index.ts'
import type { MessageHeaders } from '../../formats/index.ts'
import { parseJson, parseMediaType, writeJson } from '../../formats/index.ts'
import type { NativeData, NativeRecord } from '../../model/value.ts'

/** CloudEvents 1.0, in the two forms in which brokers carry them. Pure. */

/** How a change is written: the record alone, or as an event whose attributes are headers (binary) or stand around it (structured). */
export type EventForm = 'plain' | 'binary' | 'structured'

export interface ChangeEvent {
  /** The same for every try of one write, so that receivers can tell. */
  readonly id: string
  readonly source: string
  readonly type: string
  /** The record's id. */
  readonly subject: string
  readonly timeMs: number
  /** Grows with every change of the record: the `sequence` extension, digits of one length, so that it is in order as text too. */
  readonly sequence: string
  readonly data: NativeRecord
}

export interface WrittenEvent {
  readonly contentType: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

const STRUCTURED = 'application/cloudevents+json'
/** The prefixes of attributes in headers: of AMQP (both spellings), NATS and HTTP, Kafka. MQTT has none: what comes by it is read so. */
const PREFIXES = ['cloudevents:', 'cloudevents_', 'ce-', 'ce_']

export function writeEvent(event: ChangeEvent, form: EventForm, prefix: string): WrittenEvent {
  const attributes = {
    specversion: '1.0',
    id: event.id,
    source: event.source,
    type: event.type,
    subject: event.subject,
    time: new Date(event.timeMs).toISOString(),
    sequence: event.sequence,
  }
  if (form === 'structured')
    return {
      contentType: STRUCTURED,
      headers: {},
      body: writeJson({ ...attributes, datacontenttype: 'application/json', data: event.data }),
    }
  const headers =
    form === 'plain'
      ? {}
      : Object.fromEntries(Object.entries(attributes).map(([name, value]) => [prefix + name, value]))
  return { contentType: 'application/json', headers, body: writeJson(event.data) }
}

export interface ReadEvent {
  readonly id: string | undefined
  readonly type: string | undefined
  readonly sequence: string | undefined
  readonly data: NativeData
}

/** The event that a message is; null when it is none. `decode` reads the data of one whose attributes are headers. Throws SyncError `intake.*`. */
export function readEvent(
  bytes: Uint8Array,
  headers: MessageHeaders,
  decode: () => NativeData,
  ownPrefix: string,
): ReadEvent | null {
  if (parseMediaType(headers['content-type'] ?? '')?.name === STRUCTURED) return readStructured(parseJson(bytes))
  const prefix = [...PREFIXES, ownPrefix].find((one) => headers[`${one.toLowerCase()}specversion`] !== undefined)
  if (prefix === undefined) return null
  checkVersion(headers[`${prefix}specversion`])
  const [source, id, type, sequence] = ['source', 'id', 'type', 'sequence'].map((name) => headers[prefix + name])
  return { id: idOf(source, id), type, sequence, data: decode() }
}

function readStructured(given: NativeData): ReadEvent {
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    throw new SyncError('intake.shape', 'the CloudEvent is not an object.')
  const { specversion, id, source, type, sequence, data = null } = given as Record<string, NativeData>
  checkVersion(specversion)
  return { id: idOf(source, id), type: textOr(type), sequence: textOr(sequence), data }
}

const textOr = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)

function checkVersion(version: unknown): void {
  if (version !== '1.0')
    throw new SyncError(
      'intake.shape',
      `the CloudEvent has the version ${String(version).slice(0, 20)}; 1.0 is read here.`,
    )
}

/** An id is one only together with its source. */
const idOf = (source: unknown, id: unknown): string | undefined =>
  typeof source === 'string' && typeof id === 'string' && id !== '' ? `${source}#${id}` : undefined
