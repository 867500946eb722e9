import { statSync, unlinkSync } from 'node:fs'
import type { JournalEntry } from '../../model/change.ts'
import { asJournalPosition, type FlowName, type JournalPosition } from '../../model/ids.ts'
import { decodeData } from '../../model/value.ts'
import { Checkpointer } from './checkpointer.ts'
import { DedupFilter } from './dedup-filter.ts'
import { type OpenDriver, openNodeSqlite, type SqlValue } from './driver.ts'
import { type AppendRows, type EntryRow, type FeedRow, writeEntries, writeFeed } from './journal-rows.ts'
import { type FileSync, LogSync } from './log-sync.ts'
import { migrate, readMeta, writeMeta } from './migrations.ts'
import { JOURNAL_MIGRATIONS, SEGMENT_PRAGMAS, SYNC_OURSELVES } from './schema.ts'
import { Statements } from './statements.ts'

/** Keys put into the filter of a closed segment per step: one or two milliseconds, so that nothing else waits for it. */
const FILTER_STEP_KEYS = 2_000

/** The type is looked at in the row, so that what is not a message is passed over without its body being read. */
const READ_MESSAGES = `
  SELECT seq, shard, at_ms, mapping_version, body FROM entries
  WHERE seq > ? AND type = 'message' AND object_id = ? ORDER BY seq LIMIT ?`

/** One file of the journal: entries from `firstSeq` on, without gaps, and where the feeds stand. */
export class Segment {
  readonly path: string
  readonly firstSeq: number
  lastSeq: number
  /** When its first entry came; undefined while it is empty. */
  firstAtMs: number | undefined
  readonly sql: Statements
  /** null where SQLite itself waits for the disk. */
  readonly #log: LogSync | null
  readonly #checkpointer: Checkpointer | null
  /** At least the newest time in it, kept in the file in steps of a minute, so that nobody has to read a GiB to know it. */
  #maxAtMs: number
  #filter: DedupFilter | null
  #building: { readonly filter: DedupFilter; seq: number } | null = null

  constructor(
    path: string,
    firstSeq: number,
    { openDriver, fileSync }: { readonly openDriver: OpenDriver; readonly fileSync: FileSync },
  ) {
    this.path = path
    this.firstSeq = firstSeq
    const database = openDriver(path, { readOnly: false })
    database.exec(SEGMENT_PRAGMAS)
    migrate(database, JOURNAL_MIGRATIONS, 'journal', path)
    this.sql = new Statements(database)
    this.#log = openDriver === openNodeSqlite ? new LogSync('journal', path, fileSync) : null
    if (this.#log !== null) database.exec(SYNC_OURSELVES)
    this.#checkpointer = this.#log === null ? null : new Checkpointer(path, database)
    const last = this.sql.of('SELECT seq FROM entries ORDER BY seq DESC LIMIT 1').get()?.[0]
    this.lastSeq = (last as number | undefined) ?? firstSeq - 1
    const first = this.sql.of('SELECT at_ms FROM entries ORDER BY seq LIMIT 1').get()?.[0]
    this.firstAtMs = first as number | undefined
    this.#maxAtMs = Number(readMeta(database, 'max_at_ms') ?? 0)
    const filter = readMeta(database, 'dedup_filter')
    this.#filter = filter instanceof Uint8Array ? new DedupFilter(filter) : null
  }

  get maxAtMs(): number {
    return this.#maxAtMs
  }

  /** False for a file whose making was cut short by a crash. */
  get isReady(): boolean {
    return readMeta(this.sql.database, 'ready') === 1
  }

  /** Finishes the making of a segment: it starts with the feed positions of the one before, in one transaction. */
  begin(feeds: Iterable<FeedRow>): void {
    this.sql.transaction(() => {
      for (const feed of feeds) writeFeed(this.sql, feed)
      writeMeta(this.sql.database, 'ready', 1)
    })
    this.sync(false)
  }

  feeds(): readonly FeedRow[] {
    const rows = this.sql.of('SELECT app_id, feed, position FROM feeds').all()
    return rows.map((row) => ({ app: row[0] as string, feed: row[1] as string, position: row[2] as string }))
  }

  /** Writes in one transaction; which of the entries are new. They are durable after `sync`. */
  append(rows: AppendRows): readonly boolean[] {
    this.#log?.requireSound()
    const areNew = this.sql.transaction(() => writeEntries(this.sql, rows))
    this.#checkpointer?.committed(rows.entries.length)
    return areNew
  }

  /** Brings what was appended onto the disk: later, or at once and then undefined. */
  sync(later: boolean): Promise<void> | undefined {
    if (later) return this.#log?.later()
    this.#log?.now()
    return undefined
  }

  /** What `maxAtMs` becomes with an entry of this time; null when it stays. */
  boundFor(atMs: number): number | null {
    return atMs <= this.#maxAtMs ? null : (Math.floor(atMs / 60_000) + 1) * 60_000
  }

  committed(lastSeq: number, firstAtMs: number | undefined, maxAtMs: number | null): void {
    this.lastSeq = lastSeq
    this.firstAtMs ??= firstAtMs
    if (maxAtMs !== null) this.#maxAtMs = maxAtMs
  }

  read(after: JournalPosition, max: number, flow?: FlowName): readonly JournalEntry[] {
    if (flow !== undefined) return this.sql.of(READ_MESSAGES).all(after, flow, max).map(rowToEntry)
    return this.sql
      .of('SELECT seq, shard, at_ms, mapping_version, body FROM entries WHERE seq > ? ORDER BY seq LIMIT ?')
      .all(after, max)
      .map(rowToEntry)
  }

  /** Of a closed segment: whether it holds this dedup key. */
  has({ app, object }: EntryRow, dedupKey: string): boolean {
    if (this.#filter?.mayHave(filterKey(dedupKey, app, object)) === false) return false
    return (
      this.sql
        .of('SELECT 1 FROM entries WHERE dedup_key = ? AND app_id = ? AND object_id = ?')
        .get(dedupKey, app, object) !== undefined
    )
  }

  /** One step towards the filter of a closed segment; until it is whole, the index is asked. True when there is nothing left to do. */
  buildFilterStep(): boolean {
    if (this.#filter !== null) return true
    const building = (this.#building ??= {
      filter: DedupFilter.forKeys(this.lastSeq - this.firstSeq + 1),
      seq: this.firstSeq - 1,
    })
    const rows = this.sql
      .of('SELECT seq, dedup_key, app_id, object_id FROM entries WHERE seq > ? ORDER BY seq LIMIT ?')
      .all(building.seq, FILTER_STEP_KEYS)
    for (const row of rows) {
      if (row[1] !== null) building.filter.add(filterKey(row[1] as string, row[2] as string, row[3] as string))
      building.seq = row[0] as number
    }
    if (rows.length === FILTER_STEP_KEYS) return false
    writeMeta(this.sql.database, 'dedup_filter', building.filter.bytes)
    this.#filter = building.filter
    this.#building = null
    return true
  }

  /** No more entries will come: the log goes into the file, which is then whole by itself. */
  seal(): void {
    void this.#checkpointer?.close()
    this.sql.database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  }

  /** The size of the file now, with its log. */
  bytes(): number {
    return [this.path, this.path + '-wal'].reduce((sum, file) => {
      return sum + (statSync(file, { throwIfNoEntry: false })?.size ?? 0)
    }, 0)
  }

  /** Lets the thread of its checkpoints end, if it has one. */
  async settle(): Promise<void> {
    await this.#checkpointer?.close()
  }

  close(): void {
    this.#log?.close()
    this.sql.database.close()
  }

  /** Deletes the file. Its log goes first: a log without its file is harmless, a file without its log is not. */
  remove(): void {
    this.close()
    for (const file of [this.path + '-wal', this.path + '-shm', this.path]) {
      if (statSync(file, { throwIfNoEntry: false }) !== undefined) unlinkSync(file)
    }
  }
}

const filterKey = (dedupKey: string, app: string, object: string): string =>
  dedupKey + '\u0000' + app + '\u0000' + object

const rowToEntry = (row: readonly SqlValue[]): JournalEntry => ({
  seq: asJournalPosition(row[0] as number),
  shard: row[1] as number,
  atMs: row[2] as number,
  mappingVersion: row[3] as number,
  input: decodeData(row[4] as string) as JournalEntry['input'],
})
