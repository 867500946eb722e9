import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { SyncError } from '../../errors/index.ts'
import type { JournalEntry } from '../../model/change.ts'
import {
  type AppId,
  asFeedPosition,
  asJournalPosition,
  type FeedPosition,
  type FlowName,
  type JournalPosition,
} from '../../model/ids.ts'
import type { Journal, JournalAppend } from '../../ports/journal.ts'
import { type OpenDriver, openNodeSqlite } from './driver.ts'
import { toPortError } from './errors.ts'
import { type EntryRow, entryToRow, type FeedRow } from './journal-rows.ts'
import { acquireLock, type FileLock } from './lock.ts'
import { type FileSync, systemFileSync } from './log-sync.ts'
import { Segment } from './segment.ts'

export interface SqliteJournalOptions {
  /** Holds `journal-<first seq>.db` files and `journal.lock`. Made when it is missing. */
  readonly folder: string
  /** A new file is begun when the newest is as large as this (default 1 GiB) or its first entry as old as this (default a day). */
  readonly segmentBytesMax?: number
  readonly segmentMs?: number
  readonly openDriver?: OpenDriver
  /** Transactions of at least this many entries wait for the disk off the event loop; 0: all. With an `openDriver` of the caller's SQLite itself waits for it. */
  readonly syncFromEntries?: number
  readonly fileSync?: FileSync
}

const SEGMENT_BYTES_MAX = 1024 ** 3
const SEGMENT_MS = 86_400_000
/** The file's size is asked of the disk after this many bytes of bodies: often enough to be near the limit. */
const SIZE_CHECK_BYTES = 1024 ** 2

/** As in the store: a single entry is never delayed. More at once is load: then the event loop has better to do than to wait, and what comes meanwhile shares the next transaction. */
const SYNC_FROM_ENTRIES = 4

interface Waiting {
  readonly rows: readonly EntryRow[]
  readonly feeds: readonly FeedRow[]
  readonly resolve: (positions: readonly (JournalPosition | null)[]) => void
  readonly reject: (error: SyncError) => void
}

/**
 * The journal in SQLite files, one per day or GiB, so that the old is dropped by deleting a file. Appends made in one turn of the event
 * loop share one transaction and one fsync. A dedup key is looked up in every file that still exists: in the newest by its unique index, in the
 * same transaction as the append; in closed ones, which cannot change, behind a filter.
 */
export class SqliteJournal implements Journal {
  readonly #options: Required<SqliteJournalOptions>
  readonly #lock: FileLock
  /** In order; never empty, and the last is the one that is written. */
  readonly #segments: Segment[]
  readonly #feeds: Map<string, FeedRow>
  #queue: Waiting[] = []
  #flush: Promise<void> | null = null
  #closed = false
  #uncheckedBytes = 0

  /** Opens or makes the journal in the folder; refuses `store.in-use` while another process has it. */
  static async open(options: SqliteJournalOptions): Promise<SqliteJournal> {
    return new SqliteJournal({
      segmentBytesMax: SEGMENT_BYTES_MAX,
      segmentMs: SEGMENT_MS,
      openDriver: openNodeSqlite,
      syncFromEntries: SYNC_FROM_ENTRIES,
      fileSync: systemFileSync,
      ...options,
    })
  }

  private constructor(options: Required<SqliteJournalOptions>) {
    const { folder, openDriver } = options
    this.#options = options
    let lock: FileLock | undefined
    try {
      mkdirSync(folder, { recursive: true })
      lock = acquireLock(join(folder, 'journal'), openDriver)
      this.#segments = openSegments(options)
      if (!this.#active.isReady) this.#active.begin([])
      this.#feeds = new Map(this.#active.feeds().map((row) => [feedKey(row.app, row.feed), row]))
      this.#lock = lock
    } catch (error) {
      lock?.release()
      throw toPortError('journal', folder, error)
    }
  }

  async append(batch: JournalAppend): Promise<readonly (JournalPosition | null)[]> {
    this.#requireOpen()
    const rows = batch.entries.map(entryToRow)
    const { promise, resolve, reject } = Promise.withResolvers<readonly (JournalPosition | null)[]>()
    this.#queue.push({ rows, feeds: batch.feeds ?? [], resolve, reject })
    this.#flush ??= this.#flushQueue()
    return promise
  }

  async read(after: JournalPosition, max: number, flow?: FlowName): Promise<readonly JournalEntry[]> {
    this.#requireOpen()
    return this.#guard(() => {
      const entries: JournalEntry[] = []
      for (const segment of this.#segments) {
        if (entries.length >= max) break
        if (segment.lastSeq > after) entries.push(...segment.read(after, max - entries.length, flow))
      }
      return entries
    })
  }

  last(): JournalPosition {
    return asJournalPosition(this.#active.lastSeq)
  }

  async feed(app: AppId, feed: string): Promise<FeedPosition | null> {
    const row = this.#feeds.get(feedKey(app, feed))
    return row === undefined ? null : asFeedPosition(row.position)
  }

  async drop(through: JournalPosition, beforeMs: number): Promise<number> {
    this.#requireOpen()
    return this.#guard(() => {
      let dropped = 0
      while (this.#segments.length > 1) {
        const oldest = this.#segments[0] as Segment
        if (oldest.lastSeq > through || oldest.maxAtMs > beforeMs) break
        this.#segments.shift()
        oldest.remove()
        dropped += oldest.lastSeq - oldest.firstSeq + 1
      }
      return dropped
    })
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#flush
    for (const segment of this.#segments) await segment.settle()
    for (const segment of this.#segments) segment.close()
    this.#lock.release()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  get #active(): Segment {
    return this.#segments.at(-1) as Segment
  }

  /** Writes what waits, group after group; each takes what has come until the turn of the event loop in which it begins. */
  async #flushQueue(): Promise<void> {
    while (this.#queue.length > 0) {
      await new Promise<void>((resolve) => setImmediate(resolve))
      const queue = this.#queue
      this.#queue = []
      try {
        this.#rollIfDue(queue)
        const positions = await this.#write(queue)
        for (const [i, waiting] of queue.entries()) waiting.resolve(positions[i] ?? [])
      } catch (error) {
        const refusal = toPortError('journal', this.#active.path, error)
        for (const waiting of queue) waiting.reject(refusal)
      }
    }
    this.#flush = null
  }

  /** One transaction for all who wait. What is kept in memory changes only when it is committed. */
  async #write(queue: readonly Waiting[]): Promise<readonly (readonly (JournalPosition | null)[])[]> {
    const active = this.#active
    const closed = this.#closedSegments()
    const fresh: EntryRow[] = []
    const isKnown = (row: EntryRow): boolean =>
      row.dedupKey !== null && closed.some((segment) => segment.has(row, row.dedupKey as string))
    const taken = queue.map(({ rows }) => rows.map((row) => !isKnown(row) && fresh.push(row) > 0))
    const maxAtMs = active.boundFor(fresh.reduce((newest, { atMs }) => Math.max(newest, atMs), 0))
    const areNew = active.append({
      firstSeq: active.lastSeq + 1,
      entries: fresh.map(({ columns }) => columns),
      feeds: queue.flatMap(({ feeds }) => feeds),
      maxAtMs,
    })
    const syncing = active.sync(fresh.length >= this.#options.syncFromEntries)
    if (syncing !== undefined) await syncing
    let last = active.lastSeq
    let next = 0
    const positions = taken.map((rows) =>
      rows.map((isTaken) => (isTaken && areNew[next++] === true ? asJournalPosition(++last) : null)),
    )
    active.committed(last, fresh[areNew.indexOf(true)]?.atMs, maxAtMs)
    for (const { feeds } of queue) for (const row of feeds) this.#feeds.set(feedKey(row.app, row.feed), row)
    for (const { body } of fresh) this.#uncheckedBytes += body.length
    return positions
  }

  /** Closed segments, the filter of one of them a step nearer to whole. */
  #closedSegments(): readonly Segment[] {
    const closed = this.#segments.slice(0, -1)
    for (const segment of closed) if (!segment.buildFilterStep()) break
    return closed
  }

  #rollIfDue(queue: readonly Waiting[]): void {
    const active = this.#active
    if (active.firstAtMs === undefined) return
    const atMs = queue.find(({ rows }) => rows.length > 0)?.rows[0]?.atMs ?? active.firstAtMs
    if (atMs - active.firstAtMs < this.#options.segmentMs && !this.#isFull(active)) return
    const next = active.lastSeq + 1
    const segment = new Segment(segmentPath(this.#options.folder, next), next, this.#options)
    try {
      segment.begin(this.#feeds.values())
    } catch (error) {
      segment.remove()
      throw error
    }
    this.#segments.push(segment)
    active.seal()
  }

  #isFull(active: Segment): boolean {
    const { segmentBytesMax } = this.#options
    if (this.#uncheckedBytes < Math.min(SIZE_CHECK_BYTES, segmentBytesMax)) return false
    this.#uncheckedBytes = 0
    return active.bytes() >= segmentBytesMax
  }

  #requireOpen(): void {
    if (!this.#closed) return
    const { folder } = this.#options
    throw new SyncError('journal.failed', `the journal in ${folder} is closed`, { place: { folder } })
  }

  #guard<T>(run: () => T): T {
    try {
      return run()
    } catch (error) {
      throw toPortError('journal', this.#options.folder, error)
    }
  }
}

const segmentPath = (folder: string, firstSeq: number): string =>
  join(folder, `journal-${String(firstSeq).padStart(12, '0')}.db`)

/**
 * All segments in order; a first empty one in an empty folder. A newest one whose making was cut short holds nothing and is removed; it is
 * made again when it is due. Refuses a folder from which a file between two others is missing.
 */
function openSegments(options: Required<SqliteJournalOptions>): Segment[] {
  const { folder } = options
  const firstSeqs = readdirSync(folder)
    .map((name) => Number(/^journal-(\d+)\.db$/.exec(name)?.[1]))
    .filter(Number.isSafeInteger)
    .sort((a, b) => a - b)
  if (firstSeqs.length === 0) firstSeqs.push(1)
  const segments: Segment[] = []
  for (const firstSeq of firstSeqs) {
    const segment = new Segment(segmentPath(folder, firstSeq), firstSeq, options)
    if (!segment.isReady && segments.length > 0 && firstSeq === firstSeqs.at(-1)) {
      segment.remove()
      break
    }
    const before = segments.at(-1)?.lastSeq ?? firstSeq - 1
    if (before !== firstSeq - 1) {
      throw new SyncError(
        'journal.failed',
        `${segment.path} starts at ${firstSeq}, but the file before it ends at ${before}: entries are missing; put the file back`,
        { place: { path: segment.path } },
      )
    }
    segments.push(segment)
  }
  return segments
}

const feedKey = (app: string, feed: string): string => app + '\u0000' + feed
