import type { Run, RunState } from '../model/flow.ts'
import type { FlowName, JournalPosition, RunId } from '../model/ids.ts'

export interface RunCommit {
  readonly epoch: number
  /** Up to where each flow has taken its messages: all of them have a row, or are over and need none. */
  readonly cursors: readonly { readonly flow: FlowName; readonly position: JournalPosition }[]
  /** Whole rows, inserted or replaced. A row is named once. */
  readonly runs: readonly Run[]
}

export interface RunQuery {
  readonly flow?: FlowName
  readonly state?: RunState
  /** Only runs before this one. */
  readonly before?: RunId
  readonly max: number
}

export type RunCounts = Readonly<Record<string, Readonly<Partial<Record<RunState, number>>>>>

/**
 * The runs of flows, and how far each flow has read the journal.
 *
 * One process writes; any number may query. `commit` applies all of a batch or nothing, and resolves when it is on the disk; then runs start, callers are told,
 * and the journal may be dropped up to the cursors. It rejects with SyncError `store.fenced` (a newer process has opened the store; handling stop), `store.full` or
 * `store.failed` (handling retry); nothing of the batch is then visible. Reads see every commit that resolved before they were called.
 */
export interface RunStore extends AsyncDisposable {
  /** Opens for writing and raises the epoch. Refuses `store.version-unknown` when the schema is newer than this code. Call once, first. */
  open(): Promise<{ readonly epoch: number }>
  commit(batch: RunCommit): Promise<void>
  /** 0 for a flow that has never committed one. */
  cursor(flow: FlowName): Promise<JournalPosition>
  /** Rows by id; those that are not there are left out. */
  runs(ids: readonly RunId[]): Promise<readonly Run[]>
  /** Recovery: runs of the flow that are not over, in the order of the journal after `after`, at most `max`. */
  unfinished(flow: FlowName, after: JournalPosition, max: number): Promise<readonly Run[]>
  /** Newest first. */
  list(query: RunQuery): Promise<readonly Run[]>
  /** How many rows by flow and state. */
  counts(): Promise<RunCounts>
  /** Removes rows that are over since before `beforeMs`, the oldest first, at most `max`. Returns how many went. */
  prune(beforeMs: number, max: number): Promise<number>
  close(): Promise<void>
}
