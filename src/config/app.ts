import type { AmqpAppOptions } from '../connectors/amqp/options.ts'
import type { Amqp1AppOptions } from '../connectors/amqp1/options.ts'
import type { HttpAppOptions } from '../connectors/http/options.ts'
import type { KafkaAppOptions } from '../connectors/kafka/options.ts'
import type { MariadbAppOptions } from '../connectors/mariadb/options.ts'
import type { MqttAppOptions } from '../connectors/mqtt/options.ts'
import type { NatsAppOptions } from '../connectors/nats/options.ts'
import type { PostgresAppOptions } from '../connectors/postgres/options.ts'
import type { SqliteAppOptions } from '../connectors/sqlite/options.ts'
import type { Capabilities } from '../model/capabilities.ts'
import type { AppId, ObjectId } from '../model/ids.ts'
import type { MappingOptions } from './mapping.ts'

/** An application as plain data: what its connector's runtime is made from. Secrets are still names of environment variables. */
export type AppDefinition =
  | { readonly kind: 'http'; readonly options: HttpAppOptions }
  | { readonly kind: 'postgres'; readonly options: PostgresAppOptions }
  | { readonly kind: 'mariadb'; readonly options: MariadbAppOptions }
  | { readonly kind: 'sqlite'; readonly options: SqliteAppOptions }
  | { readonly kind: 'amqp'; readonly options: AmqpAppOptions }
  | { readonly kind: 'amqp1'; readonly options: Amqp1AppOptions }
  | { readonly kind: 'nats'; readonly options: NatsAppOptions }
  | { readonly kind: 'mqtt'; readonly options: MqttAppOptions }
  | { readonly kind: 'kafka'; readonly options: KafkaAppOptions }

/** Bounds of the hub. Each has a default that suits one process on a small machine. */
export interface HubLimits {
  /** Longest body of a notification. */
  readonly bodyBytesMax: number
  /** Notifications that are journalled and not yet decided; above it senders are told to come back. */
  readonly backlogMax: number
  /** How long a record waits for one that it refers to before it is shown as parked. It is taken up all the same when that arrives. */
  readonly referenceDeadlineMs: number
}

export const LIMITS: HubLimits = {
  bodyBytesMax: 1_048_576,
  backlogMax: 100_000,
  referenceDeadlineMs: 300_000,
}

/** What a connector's builder (`http(...)`) gives: the application without its name, which `defineHub` knows. */
export interface AppHandle {
  readonly connector: AppConnector
}

export interface AppConnector {
  readonly kind: AppDefinition['kind']
  describe(app: AppId, bindings: readonly BindingSpec[], limits: HubLimits): AppDescription
}

/** What a connector says of itself once its name and its bindings are known. Throws SyncError `config.*`. */
export interface AppDescription {
  readonly definition: AppDefinition
  readonly capabilities: ReadonlyMap<ObjectId, Capabilities>
  /** Paths that must be this application's alone, for example of webhooks. */
  readonly listens: readonly string[]
}

/** One object of an application bound to one entity, before any names are known. */
export interface BindingSpec {
  readonly connector: AppConnector
  readonly object: ObjectId
  /** The schema of the application's records, or a row type without one. */
  readonly row: unknown
  readonly mapping: MappingOptions
  /** What the connector itself needs, as it was given. */
  readonly native: unknown
}
