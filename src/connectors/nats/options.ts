import type { BrokerDoor } from '../broker/options.ts'

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
