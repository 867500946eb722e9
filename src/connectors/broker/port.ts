import type { SyncError } from '../../errors/index.ts'

/**
 * What the listener, the source and the target of every broker ask of it: one file per broker does this and nothing else. A session is one connection with one
 * subscription; it is never mended. When it ends, what was taken and not acknowledged comes again in the next one.
 */
export interface BrokerDriver {
  /**
   * Connects and begins to consume. Resolves once the broker has agreed; rejects with SyncError `broker.*` or `driver.missing`, and leaves nothing open then.
   * `take` is called for every message, in the broker's order, and must not throw.
   */
  open(take: (message: BrokerMessage) => void): Promise<BrokerSession>
}

export interface BrokerSession {
  /** Resolves with the reason when the connection, or the right to consume, is gone. */
  readonly ended: Promise<SyncError>
  /** Publishes the reply to `request`; resolves when the broker has it. Rejects with SyncError `broker.unroutable` or `broker.unconfirmed`. */
  reply(message: OutgoingMessage, request: BrokerMessage): Promise<void>
  /** Keeps a message that cannot be taken where people find it at the broker, with the reason; resolves when it is kept. It may be acknowledged then. */
  park(message: BrokerMessage, reason: SyncError): Promise<void>
  /** Takes nothing more; what was taken can still be acknowledged. */
  pause(): Promise<void>
  /** Ends the session; idempotent, never rejects. */
  close(): Promise<void>
}

/** A message as it came. */
export interface BrokerMessage {
  readonly body: Uint8Array
  readonly contentType: string | undefined
  /** Names in lower case; only those that have a text form. */
  readonly headers: Readonly<Record<string, string>>
  /** Where it came from, by the broker's own words (`routingKey`, `subject`, `topic`): properties of the message. */
  readonly facts: Readonly<Record<string, string>>
  /** What tells that two deliveries are the same message: set by its publisher, or a place in the broker's own log; undefined when there is nothing. */
  readonly id: string | undefined
  readonly correlationId: string | undefined
  readonly replyTo: string | undefined
  /** Which delivery this is, from 1; null when it was delivered before and the broker does not count. */
  readonly deliveries: number | null
  /** The broker keeps it until it is acknowledged. What nobody keeps is refused when more of it comes than can be taken. */
  readonly isKept: boolean
  /** When it was published, as far as somebody says so. */
  readonly timeMs: number | undefined
  /** It is durable here: the broker may forget it. Does nothing once the session has ended, or the message was rejected. */
  ack(): void
  /** It will never be taken: for the broker's dead letters, where it has them. Does nothing once the session has ended. */
  reject(): void
}

export interface OutgoingMessage {
  /** Queue, exchange and routing key, subject or topic, in the words of the driver. */
  readonly address: string
  readonly body: string
  readonly contentType: string
  readonly headers: Readonly<Record<string, string>>
  readonly id: string | undefined
  readonly correlationId: string | undefined
}
