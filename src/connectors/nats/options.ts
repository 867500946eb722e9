import type { AppId } from '../../model/ids.ts'
import type { BrokerDoor, BrokerFeed, BrokerTopic, MessagesObject } from '../broker/options.ts'

/** Text, or the environment variable that holds it; text alone once the config is resolved. */
export type ConfigText = string | { readonly env: string; readonly fallback?: string }

/** A door on a durable consumer of a stream. */
export interface NatsStream extends BrokerDoor {
  readonly kind: 'stream'
  readonly url: ConfigText
  readonly stream: string
  /** The durable consumer; the hub makes it when it is missing. */
  readonly consumer: string
  /** Which subjects of the stream; null: all. */
  readonly filter: string | null
  /** Subjects of a stream that the hub makes when it is missing; null: the stream must be there. */
  readonly declare: readonly string[] | null
  /** The server delivers again what was not acknowledged for so long. */
  readonly ackWaitMs: number
}

/** A door on a subject, without a stream behind it: nothing keeps a message that nobody takes. */
export interface NatsSubject extends BrokerDoor {
  readonly kind: 'subject'
  readonly url: ConfigText
  readonly subject: string
  /** Subscribers of one queue group get each message once. */
  readonly group: string | null
}

export type NatsListenOptions = NatsStream | NatsSubject

/** Records that a stream tells of. */
export interface NatsFeed extends BrokerFeed, Omit<NatsStream, 'url'> {
  /** The subject, of a stream, where what is no record is published; null: it is terminated. */
  readonly parked: string | null
}

export interface NatsTopic extends BrokerTopic {
  /** `{kind}` is created, updated or deleted, `{id}` the record's id. */
  readonly subject: string
}

export type NatsObject = MessagesObject<NatsFeed, NatsTopic>

/** An application that is reached by messages alone. */
export interface NatsAppOptions {
  readonly app: AppId
  readonly url: ConfigText
  readonly bodyBytesMax: number
  readonly objects: readonly NatsObject[]
}
