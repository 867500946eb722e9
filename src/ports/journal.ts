import type { Input, JournalEntry } from '../model/change.ts'
import type { AppId, FeedPosition, FlowName, JournalPosition } from '../model/ids.ts'

export interface NewEntry {
  readonly shard: number
  readonly atMs: number
  readonly mappingVersion: number
  readonly input: Input
  /** The provider's delivery id within its app and object, or (feed, position, index) as text. Never a hash of the payload. */
  readonly dedupKey: string | null
  /** Of a message: the JSON text of its body, where it is at hand and `decodeData` of it gives the body. */
  readonly bodyText?: string
}

export interface JournalAppend {
  readonly entries: readonly NewEntry[]
  /** Where feeds were read to, durable together with the entries that were read. */
  readonly feeds?: readonly { readonly app: AppId; readonly feed: string; readonly position: FeedPosition }[]
}

/**
 * The durable, ordered log of every input of the decision.
 *
 * The intake and the engine append; the engine reads, after a restart or when it fell behind. Calls may overlap: appends made before the
 * previous one is durable share one commit (group commit), and are ordered as called. `append` resolves when the entries are on disk and would survive
 * a power cut; until then nothing may be acknowledged. It rejects with SyncError `journal.full` or `journal.failed` (handling retry), and then
 * none of its entries is in the journal. Append-only: no entry is ever changed; old ones are dropped whole files at a time.
 */
export interface Journal extends AsyncDisposable {
  /** Positions in the order given; null for an entry whose dedup key is already in the journal (it is acknowledged, not repeated). */
  append(batch: JournalAppend): Promise<readonly (JournalPosition | null)[]>
  /** Entries with seq > after, in order, at most `max`; with `flow`, only the messages to that flow. Empty when there are none yet. */
  read(after: JournalPosition, max: number, flow?: FlowName): Promise<readonly JournalEntry[]>
  /** The last position that is durable; 0 for an empty journal. */
  last(): JournalPosition
  feed(app: AppId, feed: string): Promise<FeedPosition | null>
  /** Drops whole segments in which every entry is at or before `through` and older than `beforeMs`. Returns how many entries went. */
  drop(through: JournalPosition, beforeMs: number): Promise<number>
  /** Waits for what was appended, then lets go of everything. Idempotent. */
  close(): Promise<void>
}
