import type { AppId } from '../../model/ids.ts'
import type { BrokerDoor, BrokerFeed, BrokerTopic, MessagesObject } from '../broker/options.ts'

/** Text, or the environment variable that holds it; text alone once the config is resolved. */
export type ConfigText = string | { readonly env: string; readonly fallback?: string }

/** A door of a flow: one address, which the broker reads as a queue. */
export interface Amqp1ListenOptions extends BrokerDoor {
  readonly url: ConfigText
  readonly address: string
}

/** Records that an address tells of. */
export interface Amqp1Feed extends BrokerFeed {
  readonly address: string
  /** Where what is no record is sent; null: it is rejected. */
  readonly parked: string | null
}

export interface Amqp1Topic extends BrokerTopic {
  /** `{kind}` is created, updated or deleted, `{id}` the record's id. */
  readonly address: string
  /** As what the body is sent: a text message of JMS, or one of bytes. */
  readonly body: 'text' | 'bytes'
}

export type Amqp1Object = MessagesObject<Amqp1Feed, Amqp1Topic>

/** An application that is reached by messages alone. */
export interface Amqp1AppOptions {
  readonly app: AppId
  readonly url: ConfigText
  readonly bodyBytesMax: number
  readonly objects: readonly Amqp1Object[]
}
