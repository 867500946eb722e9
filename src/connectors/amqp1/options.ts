import type { BrokerDoor } from '../broker/options.ts'

/** Text, or the environment variable that holds it; text alone once the config is resolved. */
export type ConfigText = string | { readonly env: string; readonly fallback?: string }

/** A door of a flow: one address, which the broker reads as a queue. */
export interface Amqp1ListenOptions extends BrokerDoor {
  readonly url: ConfigText
  readonly address: string
}
