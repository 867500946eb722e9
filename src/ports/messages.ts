import type { AppId, FlowName, JournalPosition, ObjectId, RunId } from '../model/ids.ts'
import type { NativeData } from '../model/value.ts'

/** What became of a message at the door, and afterwards. */
export type MessageVerdict =
  /** Durable: it is folded or run afterwards. */
  | 'accepted'
  /** A caller got its reply. */
  | 'replied'
  /** Its delivery id was seen before; acknowledged, nothing done. */
  | 'duplicate'
  /** A write of ours came back, in a version that was known: acknowledged, nothing done. `reason` says of which. */
  | 'echo'
  /** A filter of its flow wants nothing of it; acknowledged, nothing done. `reason` is the filter's name. */
  | 'filtered'
  /** Its flow cannot take it and nobody waits for it: kept whole as a parked run. */
  | 'set-aside'
  /** Not taken: the sender was told so. */
  | 'refused'
  /** A caller's flow failed. */
  | 'failed'

/** One thing that was found out about a message after it had come. For a notification the verdicts of the fold, for a run its states. */
export interface LaterVerdict {
  readonly atMs: number
  readonly verdict: string
  readonly text: string
}

export interface NewMessage {
  readonly atMs: number
  /** The door: `http POST /orders`, `webhook warehouse /hooks/clients`, `execution`. */
  readonly origin: string
  readonly flow: FlowName | null
  readonly app: AppId | null
  readonly deliveryId: string | null
  readonly verdict: MessageVerdict
  readonly code: string | null
  readonly reason: string | null
  readonly run: RunId | null
  /** Journal positions of what it told; a notification may tell of several records. */
  readonly seqs: readonly JournalPosition[]
  /** Native ids that it told of, for the search. */
  readonly nativeIds: readonly string[]
  readonly properties: Readonly<Record<string, string>>
  readonly bytes: number
  /** JSON text with what is declared secret taken out; null where none is kept. */
  readonly payload: string | null
  /** The payload was too long and is cut, so that it cannot be sent again from here. */
  readonly isCut: boolean
  /** What is declared secret was in it and is gone, so that it cannot be sent again from here. */
  readonly isRedacted: boolean
  readonly tookMs: number
}

/** A message of a broker that tells of no record, so that the journal has nothing of it. */
export interface StrayMessage {
  readonly app: AppId
  readonly object: ObjectId
  /** set-aside: it is kept at the broker, in a place for such messages. refused: it was handed back, and the broker does with it what it does. */
  readonly verdict: 'set-aside' | 'refused'
  readonly code: string
  readonly reason: string
  readonly deliveryId: string | null
  /** Where it came from, by the broker's own words. */
  readonly properties: Readonly<Record<string, string>>
  readonly body: NativeData
}

export interface MessageRow extends NewMessage {
  readonly id: number
  readonly later: readonly LaterVerdict[]
}

export interface MessageQuery {
  readonly flow?: FlowName
  readonly app?: AppId
  readonly verdict?: string
  /** In the payload, the delivery id, a native id, a property or a reason. */
  readonly text?: string
  readonly sinceMs?: number
  readonly before?: number
  readonly max: number
}

/**
 * What arrived, for people to look at. Not the truth of anything: the journal and the runs are. So it is written behind, in batches, and a crash may
 * lose its last moment; but what it has, it has whole.
 */
export interface MessageLog extends AsyncDisposable {
  open(): Promise<void>
  /** Adds rows and later verdicts in one go; `ids` are the rows', in order. */
  write(
    rows: readonly NewMessage[],
    later: readonly (LaterVerdict & { readonly id: number })[],
  ): Promise<readonly number[]>
  /** Newest first. `verdict` also finds a later one. */
  list(query: MessageQuery): Promise<readonly MessageRow[]>
  get(id: number): Promise<MessageRow | null>
  /** Removes rows older than `beforeMs`, and the oldest beyond `rowsMax`; about `max` at once, never the newest. How many; 0 when there is nothing left to remove. */
  prune(beforeMs: number, rowsMax: number, max: number): Promise<number>
  close(): Promise<void>
}
