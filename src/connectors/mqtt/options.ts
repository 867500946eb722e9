import type { BrokerDoor } from '../broker/options.ts'

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
