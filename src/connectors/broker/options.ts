import type { FormatSpec } from '../../formats/index.ts'
import type { ObjectId } from '../../model/ids.ts'

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

/** Where records of an application are told of: one subscription. */
export interface BrokerFeed extends BrokerDoor {
  /** Where the record stands in the message (dotted); '' is the message itself. Of a CloudEvent: in its data. */
  readonly record: string
  /** A message in which this stands tells of a deletion; a CloudEvent whose type ends with `.deleted` always does. */
  readonly deleted: { readonly at: BrokerPlace; readonly equals: string } | null
}

/** Where changes are published. */
export interface BrokerTopic {
  readonly form: 'plain' | 'binary' | 'structured'
  /** The `source` of CloudEvents. */
  readonly source: string
  /** `<type>.created`, `.updated` and `.deleted` are the types of CloudEvents. */
  readonly type: string
}

/** One kind of records that an application tells of, or is told of, by messages. */
export interface BrokerObject {
  readonly object: ObjectId
  /** The field with the id. The hub gives a record that it creates its own key for an id. */
  readonly id: string
  /** The field with the version of what is told; null: the `sequence` of CloudEvents. */
  readonly version: string | null
  readonly updatedAt: string | null
}

/** One kind of records that an application tells of by a subscription, or is told of. */
export interface MessagesObject<C extends BrokerFeed, P extends BrokerTopic> extends BrokerObject {
  readonly consume: C | null
  readonly publish: P | null
}
