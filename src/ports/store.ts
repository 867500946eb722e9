import type { AppId, CanonicalKey, EntityName, JournalPosition, NativeId, NativeRef, ObjectId } from '../model/ids.ts'
import type { Conflict, HeldEntry, Link, Note, OpenLane, RecordState, Verdict } from '../model/record.ts'

export interface StoreInfo {
  readonly schemaVersion: number
  /** Made once per store; part of every op id and mark, so that two installations do not take each other's writes for echoes. */
  readonly instanceId: string
  /** Raised when the store is restored from a backup; then no open op id of before may be used again. */
  readonly generation: number
  /** Raised by every opening: the fencing number of this owner. A commit under an older epoch is refused. */
  readonly epoch: number
}

export interface LoadQuery {
  readonly records: readonly CanonicalKey[]
  /** Links of a native reference, for every entity that follows it. */
  readonly natives: readonly NativeRef[]
  /** Live links of a canonical record in one app (to encode a reference). */
  readonly canonicals: readonly { readonly key: CanonicalKey; readonly app: AppId }[]
  readonly matches: readonly { readonly entity: EntityName; readonly matchKey: string }[]
  /** Who shares a hint value: for each, at most `HINT_KEYS_MAX` records, in the order of their keys. */
  readonly hints?: readonly { readonly entity: EntityName; readonly hint: string }[]
}

export interface Loaded {
  readonly records: readonly RecordState[]
  readonly links: readonly Link[]
  readonly canonicalLinks: readonly Link[]
  readonly matches: readonly { readonly entity: EntityName; readonly matchKey: string; readonly key: CanonicalKey }[]
  readonly hints?: readonly { readonly entity: EntityName; readonly hint: string; readonly key: CanonicalKey }[]
}

/** One more than a hint value may be shared by: more need not be known. */
export const HINT_KEYS_MAX = 21

export interface RecordWrite {
  /** The new state, with `rev` = `expectRev` + 1. */
  readonly state: RecordState
  /** 0 for a new record. */
  readonly expectRev: number
  /** To be put before the record's verdicts; the store keeps the newest `VERDICTS_MAX`. */
  readonly verdicts: readonly Verdict[]
  /** All open lanes of the record, replacing those stored; null when they did not change. */
  readonly openLanes: readonly OpenLane[] | null
}

/** Rows are applied in the order given, each seeing those before it. `heldDone` comes before `held`: an entry in both stays held. */
export interface CommitBatch {
  readonly epoch: number
  readonly cursor: { readonly consumer: string; readonly position: JournalPosition } | null
  readonly records: readonly RecordWrite[]
  /** Inserted, or replacing the row of the same (app, object, native id, entity): a tombstone, its own record's, or that of `from`. */
  readonly links: readonly Link[]
  /** key null takes the match key away. */
  readonly matches: readonly {
    readonly entity: EntityName
    readonly matchKey: string
    readonly key: CanonicalKey | null
  }[]
  /** Hint values that records have come to have, or have no more. Any number of records may share one. */
  readonly hints?: readonly {
    readonly entity: EntityName
    readonly hint: string
    readonly key: CanonicalKey
    readonly isGone: boolean
  }[]
  readonly held: readonly HeldEntry[]
  readonly heldDone: readonly { readonly seq: JournalPosition; readonly entity: EntityName }[]
  readonly conflicts: readonly Conflict[]
  /** Each replaces the note of the same kind and id; a body of null takes it away. */
  readonly notes?: readonly Note[]
}

/**
 * The transactional store of everything but the journal.
 *
 * One engine writes; any number of readers may query. `commit` applies a whole batch or nothing, and resolves when it is on disk. It rejects with
 * SyncError `store.rev-conflict` (a record's rev is not `expectRev`: another owner wrote), `store.fenced` (a newer epoch exists), `store.link-taken`
 * (a unique link or match key belongs to another record), `store.full` or `store.failed` (handling retry); nothing of the batch is then visible. Reads see every
 * commit that resolved before they were called. A page of held entries or links never ends inside one seq or native record, which the next page
 * could not name a part of; so it may be a few rows longer than `max`.
 */
export interface Store extends AsyncDisposable {
  /** Opens for writing and raises the epoch. Refuses `store.version-unknown` when the schema is newer than this code. Call once, first. */
  open(): Promise<StoreInfo>
  load(query: LoadQuery): Promise<Loaded>
  commit(batch: CommitBatch): Promise<void>
  cursor(consumer: string): Promise<JournalPosition>

  /** Recovery, and what `status` lists: in (canonical key, app) order after the given lane; at most `max`. */
  openLanes(
    after: { readonly key: CanonicalKey; readonly app: AppId } | null,
    max: number,
  ): Promise<readonly OpenLane[]>
  held(after: JournalPosition, max: number): Promise<readonly HeldEntry[]>

  /** For people: the cross-reference in (app, object, native id) order, optionally of one app, entity or native id. */
  links(query: LinkQuery): Promise<readonly LinkRow[]>
  /** Newest first. */
  conflicts(query: {
    readonly key?: CanonicalKey
    readonly entity?: EntityName
    readonly before?: number
    readonly max: number
  }): Promise<readonly (Conflict & { readonly id: number })[]>
  /** The record's last verdicts, newest first. */
  verdicts(key: CanonicalKey): Promise<readonly Verdict[]>
  /** Notes of one kind in the order of their ids; at most `max`. */
  notes(kind: string, max: number): Promise<readonly Note[]>
  counts(): Promise<StoreCounts>
  close(): Promise<void>
}

/** The half of a store that asks and never writes: what other processes may use beside a running hub. */
export type StoreReader = Omit<Store, 'open' | 'commit'>

export interface LinkQuery {
  readonly app?: AppId
  readonly object?: ObjectId
  readonly entity?: EntityName
  readonly nativeId?: NativeId
  readonly key?: CanonicalKey
  readonly after?: NativeRef
  readonly max: number
}

export interface LinkRow extends Link {
  readonly latchClosed: boolean
}

export interface StoreCounts {
  readonly records: number
  readonly links: number
  readonly held: number
  readonly conflicts: number
  readonly openLanes: Readonly<Partial<Record<OpenLane['state'], number>>>
}
