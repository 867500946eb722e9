import type { AppId } from '../../model/ids.ts'
import type { BrokerDoor, BrokerFeed, BrokerTopic, MessagesObject } from '../broker/options.ts'

/** Text, or the environment variable that holds it; text alone once the config is resolved. */
export type ConfigText = string | { readonly env: string; readonly fallback?: string }

/** How the brokers are reached. */
export interface KafkaPlace {
  readonly url: ConfigText
  readonly clientId: string
  readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'
}

/** A topic, as the members of a group share it. */
export interface KafkaSubscription {
  readonly topic: string
  readonly group: string
}

/** A door of a flow: one topic. */
export interface KafkaListenOptions extends BrokerDoor, KafkaPlace, KafkaSubscription {}

/** Records that a topic tells of. */
export interface KafkaFeed extends BrokerFeed, KafkaSubscription {
  /** The topic where what is no record is published; null: it is passed over, and stands in its own topic alone. */
  readonly parked: string | null
}

export interface KafkaTopic extends BrokerTopic {
  /** `{kind}` is created, updated or deleted. The key of a message is the record's id. */
  readonly topic: string
}

export type KafkaObject = MessagesObject<KafkaFeed, KafkaTopic>

/** An application that is reached by messages alone. */
export interface KafkaAppOptions extends KafkaPlace {
  readonly app: AppId
  readonly bodyBytesMax: number
  readonly objects: readonly KafkaObject[]
}

export type ResolvedPlace = KafkaPlace & { readonly url: string }
