import type { FormatSpec } from '../../formats/index.ts'

/** Where something stands in a message. */
export type BrokerPlace =
  | { readonly in: 'header'; readonly name: string }
  | { readonly in: 'body'; readonly path: string }

/** What a door for messages is, whatever broker brings them. Plain data. */
export interface BrokerDoor {
  /** The first is read where a message says nothing of its type. */
  readonly formats: readonly FormatSpec[]
  /** What tells that two deliveries are the same message; null: the broker's own message id. */
  readonly deliveryId: BrokerPlace | null
  readonly properties: Readonly<Record<string, BrokerPlace>>
  /** Messages that are taken and not acknowledged: what a crash has delivered again at most, and what memory holds. */
  readonly inFlightMax: number
  /** Deliveries of one message before it is set aside unread. */
  readonly deliveriesMax: number
  /** What becomes of a message that cannot be taken: kept here as a parked run, or handed back for the broker's dead letters. */
  readonly poison: 'park' | 'reject'
}
