import type { ErrorCode, SyncError } from '../errors/index.ts'
import type { AppId, FlowName, JournalPosition, ObjectId, RunId } from './ids.ts'
import type { NativeData, NativeRecord } from './value.ts'

/** What reached a flow, from whichever door: plain data, so that it can be journalled and carried by a wire. */
export interface Message {
  /** The door: `http POST /orders`, `amqp orders`, `execution`, `flow order-intake`. */
  readonly origin: string
  /** The sender's id of this delivery; the same id seen again is acknowledged and not run again. */
  readonly deliveryId?: string
  /** Query and path parameters, declared headers, or what an execution was given. Text, as it came. */
  readonly properties: Readonly<Record<string, string>>
  /** The decoded body; null when there is none. */
  readonly body: NativeData
  /** Where a broker's sender wants the reply, in the words of its listener; an HTTP caller waits on its connection instead. */
  readonly replyTo?: string
  readonly correlationId?: string
  /** Its door could not hand it to the flow: its run begins parked, with this reason. */
  readonly setAside?: SetAside
}

/** A message that nobody waits for and that cannot be taken as it is. It is kept whole, so that it can be run once its flow, or its door, is corrected. */
export interface SetAside {
  readonly code: ErrorCode
  readonly reason: string
  /** What could not be decoded, as it came; null where the body could be. It is decoded again when the run is released. */
  readonly raw: RawMessage | null
}

export interface RawMessage {
  readonly base64: string
  readonly headers: Readonly<Record<string, string>>
}

/**
 * queued: waits behind an earlier run of its order key. running: an attempt is under way, and that is on the disk. retry: a failed attempt is
 * repeated at `notBeforeMs`. doubt: an attempt began and its end is not known. parked: waits for a person. done, cancelled: over.
 */
export type RunState = 'queued' | 'running' | 'retry' | 'doubt' | 'parked' | 'done' | 'cancelled'

export interface RunEvent {
  readonly atMs: number
  readonly what:
    | 'received'
    | 'queued'
    | 'started'
    | 'done'
    | 'failed'
    | 'parked'
    | 'doubt'
    | 'released'
    | 'cancelled'
    | 'resolved'
  /** Why, for a person. */
  readonly text?: string
}

/** One message and what has come of it: a row. */
export interface Run {
  readonly id: RunId
  /** The position of its message in the journal. */
  readonly seq: JournalPosition
  readonly flow: FlowName
  /** Runs of one order key go one after another, in the order of the journal; null: they need not. */
  readonly orderKey: string | null
  readonly state: RunState
  readonly attempts: number
  /** Not tried before this time (ms since 1970). */
  readonly notBeforeMs: number
  readonly receivedAtMs: number
  readonly endedAtMs: number | null
  /** Why the last attempt failed, or why it waits. */
  readonly code: string | null
  readonly reason: string | null
  /** What the run returned, encoded by its output schema where it has one; null for nothing. */
  readonly result: NativeData
  /** Copied out of the journal as soon as the run may outlive it there; null while it can be read from there, and when it is over. */
  readonly message: Message | null
  /** Oldest first, at most `TIMELINE_MAX`. */
  readonly timeline: readonly RunEvent[]
}

export const isOver = (state: RunState): boolean => state === 'done' || state === 'cancelled'

/** The beginning of a run and its last events: enough to see a story, bounded however often it was tried. */
export const TIMELINE_MAX = 24

/** How a listener's request is answered. reply: the caller waits for the value. later: it is acknowledged once the message is durable. */
export type FlowKind = 'reply' | 'later'

export interface FlowLimits {
  /** Runs at once. */
  readonly concurrency: number
  /** Messages that wait for a free place; beyond it callers are told to come back. */
  readonly queueMax: number
  /** How long a caller may wait for a place. */
  readonly queueTimeoutMs: number
  /** How long one attempt may take. */
  readonly timeoutMs: number
}

export interface FlowRetries {
  /** Attempts in all before the run is parked. */
  readonly attemptsMax: number
  readonly firstMs: number
  readonly maxMs: number
}

/** A value that a schema takes, or why it does not. */
export type Checked = { readonly value: unknown } | { readonly issues: readonly string[] }

/** Checks a value; null where there is no schema. Answers at once where the schema does. */
export type Check = (value: unknown) => Checked | Promise<Checked>

/** What an attempt of unknown end means: it is tried again, a person decides, or the flow's own resolver does. */
export type InDoubt = 'rerun' | 'park' | ((context: RunContext) => DoubtVerdict | Promise<DoubtVerdict>)
export type DoubtVerdict = 'done' | 'rerun' | 'park'

/** A lightweight message names a record only: it is read before the run, and is then the body. */
export interface FetchModel {
  readonly app: AppId
  readonly object: ObjectId
  /** The id of the record that a message names; undefined when it names none. */
  readonly idOf: (message: Message) => string | undefined
  /** A record that is not there: the run is not made, or is made with a null body (a delete). */
  readonly missing: 'refuse' | 'null'
  readonly everyMs: number
}

/** A flow as the runtime holds it, compiled from the config. All but `run` and a resolver is pure. */
export interface FlowModel {
  readonly name: FlowName
  readonly kind: FlowKind
  readonly limits: FlowLimits
  readonly retries: FlowRetries
  readonly input: Check | null
  readonly properties: Check | null
  readonly output: Check | null
  /** By name, what a message must be for the flow to want it. */
  readonly filters: readonly (readonly [name: string, passes: (message: Message) => boolean])[]
  readonly orderKeyOf: ((message: Message) => string) | null
  /** With an order key: whether later runs of the key wait while one of them is parked. */
  readonly whenParked: 'hold' | 'go-on'
  readonly inDoubt: InDoubt
  readonly fetch: FetchModel | null
  readonly run: (context: RunContext) => unknown
  /** Applications' objects that the run may call, by the name that the flow gives them. */
  readonly apps: Readonly<Record<string, { readonly app: AppId; readonly object: ObjectId }>>
  /** Paths of the body, and names of properties, that are never shown. */
  readonly redact: readonly string[]
}

/** Records of one object of an application, as a run reads and writes them. Rejects with SyncError. */
export interface RecordCalls<Row = NativeRecord> {
  /** null when the application does not have it. */
  read(id: string): Promise<Row | null>
  /** Resolves with the id that the application gave it, and the record where the reply carries it. */
  create(record: Partial<Row>): Promise<{ readonly id: string; readonly record: Row | null }>
  /** Changes the fields given. */
  update(id: string, patch: Partial<Row>): Promise<{ readonly record: Row | null }>
  /** Resolves also when it was gone already. */
  delete(id: string): Promise<void>
}

export interface RunLog {
  info(text: string, data?: Readonly<Record<string, unknown>>): void
  warn(text: string, data?: Readonly<Record<string, unknown>>): void
}

/** What `run` is given. The typed form is in the config. */
export interface RunContext {
  readonly message: {
    readonly body: unknown
    readonly properties: Readonly<Record<string, string>>
    readonly origin: string
    readonly deliveryId: string | undefined
    readonly receivedAtMs: number
  }
  readonly properties: unknown
  readonly apps: Readonly<Record<string, RecordCalls>>
  /** The run's id; null for a caller who waits, whose run leaves no row. */
  readonly id: RunId | null
  /** From 1. */
  readonly attempt: number
  readonly flow: FlowName
  /** Aborted when the time is up, the caller has gone, or the hub stops. */
  readonly signal: AbortSignal
  readonly log: RunLog
  /** Hands what an application's record is like now to the fold, as if the application had told it. Resolves when it is durable. */
  readonly sync: (
    entity: { readonly name: string },
    image: { readonly app: string; readonly id: string; readonly record: NativeRecord },
  ) => Promise<void>
  /** Starts a flow; resolves with the run's id when the message is durable, or with null when an earlier attempt of this run has started it. */
  readonly start: (
    flow: { readonly name: string },
    given: { readonly properties?: Readonly<Record<string, string>>; readonly body?: unknown },
  ) => Promise<RunId | null>
}

/** How an attempt ended. */
export type Attempt =
  | { readonly ended: 'done'; readonly result: NativeData }
  | { readonly ended: 'failed'; readonly error: SyncError }
  /** No end is known: the time was up, or the process died. */
  | { readonly ended: 'unknown'; readonly error: SyncError }
