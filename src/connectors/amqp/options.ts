import type { AppId } from '../../model/ids.ts'
import type { BrokerDoor, BrokerFeed, BrokerTopic, MessagesObject } from '../broker/options.ts'

/** Text, or the environment variable that holds it; text alone once the config is resolved. */
export type ConfigText = string | { readonly env: string; readonly fallback?: string }

/** A queue as the hub wants it. */
export interface AmqpQueue {
  readonly queue: string
  /** The kind of queue that the hub declares, durable; null: the queue must be there. */
  readonly declare: 'quorum' | 'classic' | null
  readonly arguments: Readonly<Record<string, string | number | boolean>>
  readonly bind: readonly AmqpBinding[]
}

export interface AmqpBinding {
  readonly exchange: string
  readonly key: string
  /** The kind of exchange that the hub declares, durable; null: the exchange must be there. */
  readonly type: 'topic' | 'direct' | 'fanout' | 'headers' | null
}

/** A door of a flow: one queue. */
export interface AmqpListenOptions extends BrokerDoor, AmqpQueue {
  readonly url: ConfigText
}

export type AmqpObject = MessagesObject<AmqpQueue & BrokerFeed, BrokerTopic & AmqpExchange>

export interface AmqpExchange {
  readonly exchange: string
  /** The kind of exchange that the hub declares, durable; null: the exchange must be there. */
  readonly exchangeType: AmqpBinding['type']
  /** `{kind}` is created, updated or deleted, `{id}` the record's id. */
  readonly key: string
  /** A change that no queue takes is refused, instead of taken as published to nobody. */
  readonly mandatory: boolean
}

/** An application that is reached by messages alone. */
export interface AmqpAppOptions {
  readonly app: AppId
  readonly url: ConfigText
  readonly bodyBytesMax: number
  readonly objects: readonly AmqpObject[]
}
