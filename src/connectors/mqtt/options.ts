import type { AppId } from '../../model/ids.ts'
import type { BrokerDoor, BrokerFeed, BrokerTopic, MessagesObject } from '../broker/options.ts'

/** Text, or the environment variable that holds it; text alone once the config is resolved. */
export type ConfigText = string | { readonly env: string; readonly fallback?: string }

/** A door of a flow: one subscription of MQTT 5. */
export interface MqttListenOptions extends BrokerDoor {
  readonly url: ConfigText
  /** The session that the broker keeps while the hub is away. */
  readonly clientId: string
  readonly topic: string
  /** Subscribers of one group get each message once; null: each gets all. */
  readonly group: string | null
  readonly qos: 0 | 1 | 2
  /** How long the broker keeps the session, and what comes for it, while the hub is away. */
  readonly sessionExpiryS: number
}

/** Records that topics tell of. */
export interface MqttFeed extends BrokerFeed, Omit<MqttListenOptions, 'url'> {
  /** The topic where what is no record is published; null: it is refused, and the broker drops it. */
  readonly parked: string | null
}

export interface MqttTopic extends BrokerTopic {
  /** `{kind}` is created, updated or deleted, `{id}` the record's id. */
  readonly topic: string
  readonly qos: 1 | 2
  /** The broker keeps the last message of each topic for who subscribes later. */
  readonly retain: boolean
}

export type MqttObject = MessagesObject<MqttFeed, MqttTopic>

/** An application that is reached by messages alone. */
export interface MqttAppOptions {
  readonly app: AppId
  readonly url: ConfigText
  readonly clientId: string
  readonly bodyBytesMax: number
  readonly objects: readonly MqttObject[]
}
