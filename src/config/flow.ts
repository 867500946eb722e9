import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { AmqpListenOptions } from '../connectors/amqp/options.ts'
import type { Amqp1ListenOptions } from '../connectors/amqp1/options.ts'
import type { HttpListenOptions } from '../connectors/http/options.ts'
import type { KafkaListenOptions } from '../connectors/kafka/options.ts'
import type { MqttListenOptions } from '../connectors/mqtt/options.ts'
import type { NatsListenOptions } from '../connectors/nats/options.ts'
import type { DoubtVerdict, FlowLimits, FlowRetries, RecordCalls, RunLog } from '../model/flow.ts'
import type { RunId } from '../model/ids.ts'
import type { NativeData } from '../model/value.ts'
import type { BindingSpec } from './app.ts'
import { checkCanonicalName, checkKeys, isPlainObject, refuse } from './refuse.ts'

declare const row: unique symbol

/** A door for messages, as plain data; what its connector's listener is made from. */
export type ListenDefinition =
  | { readonly kind: 'http'; readonly options: HttpListenOptions }
  | { readonly kind: 'amqp'; readonly options: AmqpListenOptions }
  | { readonly kind: 'amqp1'; readonly options: Amqp1ListenOptions }
  | { readonly kind: 'nats'; readonly options: NatsListenOptions }
  | { readonly kind: 'mqtt'; readonly options: MqttListenOptions }
  | { readonly kind: 'kafka'; readonly options: KafkaListenOptions }

/** Every subscriber of a subject gets each message, unless they are of one group; all other doors are one flow's alone. */
export const isShared = ({ kind, options }: ListenDefinition): boolean =>
  kind === 'nats' && options.kind === 'subject' && options.group === null

/** What a door is called in lists and messages, and what must be one flow's alone. */
export function doorName({ kind, options }: ListenDefinition): string {
  switch (kind) {
    case 'http':
      return `${options.method} ${options.path}`
    case 'amqp':
      return `amqp ${options.queue}`
    case 'amqp1':
      return `amqp1 ${options.address}`
    case 'kafka':
      return `kafka ${options.topic}/${options.group}`
    case 'mqtt':
      return `mqtt ${options.topic}`
    case 'nats':
      return `nats ${options.kind === 'stream' ? `${options.stream}/${options.consumer}` : options.subject}`
  }
}

/** One object of an application, to be read and written by flows. `Row` is what its records look like. */
export interface ObjectHandle<Row = NativeRecordLike> {
  readonly spec: BindingSpec
  readonly [row]?: Row
}

type NativeRecordLike = Readonly<Record<string, NativeData>>

// biome-ignore lint/suspicious/noExplicitAny: any record type will do; each is read from its own handle.
export type AppObjects = Readonly<Record<string, ObjectHandle<any>>>

type OutputOf<S> = S extends StandardSchemaV1<unknown, infer O> ? O : NativeData
type PropertiesOf<S> = S extends StandardSchemaV1<unknown, infer O> ? O : Readonly<Record<string, string>>
type RowOf<H> = H extends ObjectHandle<infer Row> ? Row : never

/** What a flow is given for one message. */
export interface FlowContext<I, P, A> {
  readonly message: {
    /** The decoded body, as the `input` schema gives it. */
    readonly body: OutputOf<I>
    /** Query and path parameters and declared headers, or what an execution was given; text, as it came. */
    readonly properties: Readonly<Record<string, string>>
    /** The door: `http POST /orders`, `execution`, `flow order-intake`. */
    readonly origin: string
    /** The sender's id of the delivery. */
    readonly deliveryId: string | undefined
    readonly receivedAtMs: number
  }
  /** The properties as the `properties` schema gives them. */
  readonly properties: PropertiesOf<P>
  /** The objects named in `apps`. */
  readonly apps: { readonly [K in keyof A]: RecordCalls<RowOf<A[K]>> }
  /** The run's id; null for a caller who waits, whose run leaves no row. */
  readonly id: RunId | null
  /** From 1. */
  readonly attempt: number
  /** Aborted when the time is up, the caller has gone, or the hub stops. */
  readonly signal: AbortSignal
  readonly log: RunLog
  /** Hands what an application's record is like now to the fold, as if the application had told it. Resolves when it is durable. */
  readonly sync: (
    entity: { readonly name: string },
    image: { readonly app: string; readonly id: string; readonly record: NativeRecordLike },
  ) => Promise<void>
  /** Starts a flow; resolves with the run's id when the message is durable, or with null when an earlier attempt of this run has started it. */
  readonly start: (
    flow: { readonly name: string },
    given?: { readonly properties?: Readonly<Record<string, string>>; readonly body?: unknown },
  ) => Promise<RunId | null>
}

/** With an output schema every path must return what it takes; without one anything that is data, or nothing. */
type Returned<O> = O extends StandardSchemaV1<infer In> ? In | Promise<In> : unknown

/** What a lightweight message names is read before the run, and is then the body. */
export interface FetchOptions {
  // biome-ignore lint/suspicious/noExplicitAny: the record is checked by `input`.
  readonly from: ObjectHandle<any>
  /** Where the id stands: a name in the body (dotted), or a property (`property('id')`). */
  readonly id: string | { readonly property: string }
  /** refuse: the message is refused (or the run parked). null: the run gets null as its body, a deletion. */
  readonly missing?: 'refuse' | 'null'
  /** The same record is asked for once within this time, however many messages name it. */
  readonly everyMs?: number
}

export interface FlowOptions<I, P, O, A> {
  /** Its doors: `post('/path')` of an http connector, a queue of a broker. Without one it is started by the Execute API and by other flows only. */
  readonly listen?: ListenDefinition | readonly ListenDefinition[]
  /** A Standard Schema (zod, ...) of the body. What does not fit is refused before anything runs. */
  readonly input?: I
  /** The same of the properties, which are text. */
  readonly properties?: P
  /** With it the caller waits for what `run` returns (request/reply). Without it the message is acknowledged as soon as it is durable, and runs afterwards. */
  readonly output?: O
  /** Objects of applications that the run may read and write. */
  readonly apps?: A
  readonly run: (context: FlowContext<I, P, A>) => Returned<O>
  /** Runs at once (16). */
  readonly concurrency?: number
  /** Messages that wait for a free place (256 callers; 10,000 messages that are durable); beyond it 503 with Retry-After. */
  readonly queueMax?: number
  /** How long a caller may wait for a place (5 s). */
  readonly queueTimeoutMs?: number
  /** How long one attempt may take (30 s). */
  readonly timeoutMs?: number
  /** What a message must be for the flow to want it, by a name that `latchwork messages` shows. What does not pass is acknowledged, and nothing is done. */
  readonly filters?: Readonly<Record<string, (message: FlowMessage) => boolean>>
  /** Messages of one key run one after another, in the order in which they came: the name of a field of the body, a property, or a function of the message. */
  readonly key?: string | { readonly property: string } | ((message: FlowMessage) => string)
  /** With a key: whether later messages of the key wait while one of them is parked (hold, unless given). */
  readonly whenParked?: 'hold' | 'go-on'
  readonly retries?: Partial<FlowRetries>
  /** What an attempt that began and whose end is not known means: tried again (unless given), set aside for a person, or what a function finds out. */
  readonly inDoubt?:
    | 'rerun'
    | 'park'
    | ((context: FlowContext<undefined, undefined, A>) => DoubtVerdict | Promise<DoubtVerdict>)
  readonly fetch?: FetchOptions
  /** Names in the body (dotted; `*` for every element) and of properties that are never shown. */
  readonly redact?: readonly string[]
}

export interface FlowMessage {
  readonly body: NativeData
  readonly properties: Readonly<Record<string, string>>
}

/** A flow as it was declared. `Input` and `Output` are for the types alone. */
export interface FlowDefinition<Name extends string = string> {
  readonly kind: 'flow'
  readonly name: Name
  // biome-ignore lint/suspicious/noExplicitAny: the types of one flow end at its own call; here it is one of many.
  readonly options: FlowOptions<any, any, any, any>
}

export const FLOW_KEYS = [
  'listen',
  'input',
  'properties',
  'output',
  'apps',
  'run',
  'filters',
  'concurrency',
  'queueMax',
  'queueTimeoutMs',
  'timeoutMs',
  'key',
  'whenParked',
  'retries',
  'inDoubt',
  'fetch',
  'redact',
] as const satisfies readonly (keyof FlowOptions<unknown, unknown, unknown, unknown>)[]

export type FlowLimitNames = keyof FlowLimits

/** Does something when a message arrives. The compiler proves that a flow with an `output` returns one on every path. */
export function flow<
  const Name extends string,
  I extends StandardSchemaV1 | undefined = undefined,
  P extends StandardSchemaV1 | undefined = undefined,
  O extends StandardSchemaV1 | undefined = undefined,
  const A extends AppObjects = Record<never, never>,
>(name: Name, options: FlowOptions<I, P, O, A>): FlowDefinition<Name> {
  checkCanonicalName('flow()', name)
  checkKeys(`flow ${name}`, options, FLOW_KEYS)
  if (typeof options.run !== 'function')
    refuse(`flow ${name}`, 'it has no run', 'Give run: async ({ message }) => { ... }.')
  if (options.apps !== undefined && !isPlainObject(options.apps))
    refuse(`flow ${name}.apps`, 'an object is needed', "Give { orders: orders.object('/orders', { id: 'id' }) }.")
  return { kind: 'flow', name, options }
}

/** A place in the properties of a message. */
export const property = (name: string): { readonly property: string } => ({ property: name })
