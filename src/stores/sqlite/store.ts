import { existsSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { SyncError } from '../../errors/index.ts'
import { systemRandom } from '../../lib/system-clock.ts'
import type { AppId, CanonicalKey, JournalPosition } from '../../model/ids.ts'
import type { Random } from '../../ports/clock.ts'
import type { CommitBatch, LinkQuery, LoadQuery, Store, StoreInfo } from '../../ports/store.ts'
import { newInstanceId } from '../instance-id.ts'
import { batchToRows, type CommitRows, writeRows } from './commit.ts'
import { type OpenDriver, openNodeSqlite, type SqliteDriver } from './driver.ts'
import { toPortError } from './errors.ts'
import { acquireLock, type FileLock } from './lock.ts'
import { migrate, readMeta, requireKnown, schemaVersion, writeMeta } from './migrations.ts'
import { SqliteReader } from './reader.ts'
import { STORE_MIGRATIONS, STORE_PRAGMAS } from './schema.ts'
import { Statements } from './statements.ts'
import { WriterThread } from './writer-thread.ts'

export interface SqliteStoreOptions {
  /** The state file. Its folder is made when it is missing; `<path>.lock` beside it says which process has it. */
  readonly path: string
  /** For the instance id of a new store. */
  readonly random?: Random
  readonly openDriver?: OpenDriver
  /** Commits of at least this many records are written by a thread of their own; 0: all. With an `openDriver` of the caller's all are written here. */
  readonly threadFromRecords?: number
}

/**
 * A small commit is done here, because two changes of thread take longer than it does (and a single change is never delayed); from this size on it takes more than a
 * millisecond or two, in which the event loop could have answered requests.
 */
const THREAD_FROM_RECORDS = 8

interface Opened {
  readonly lock: FileLock
  readonly sql: Statements
  readonly reader: SqliteReader
  readonly info: StoreInfo
}

/**
 * The store in one SQLite file: one row per record, commits durable when they resolve. Reads are done at once, on this thread, and see
 * every commit that has resolved; large commits are written by a thread of their own (docs/decisions/0013). One process at a time; others may read the file (`openSqliteReader`, or sqlite3).
 */
export class SqliteStore implements Store {
  readonly #options: SqliteStoreOptions
  #opened: Opened | null = null
  #thread: WriterThread<CommitRows, void> | null = null
  /** Settles when every commit that was asked for is done; null when none is under way. */
  #last: Promise<void> | null = null

  constructor(options: SqliteStoreOptions) {
    this.#options = options
  }

  async open(): Promise<StoreInfo> {
    const { path, openDriver = openNodeSqlite, random = systemRandom, threadFromRecords } = this.#options
    if (this.#opened !== null) throw new SyncError('store.in-use', `${path} is already open here`, { place: { path } })
    let lock: FileLock | undefined
    try {
      mkdirSync(dirname(path), { recursive: true })
      lock = acquireLock(path, openDriver)
      const database = openDriver(path, { readOnly: false })
      database.exec(STORE_PRAGMAS)
      const schemaVersion = migrate(database, STORE_MIGRATIONS, 'store', path)
      const sql = new Statements(database)
      const info = { schemaVersion, ...sql.transaction(() => enter(database, random)) }
      this.#opened = { lock, sql, reader: new SqliteReader(sql, path), info }
      if (threadFromRecords === 0) await this.#startThread()
      return info
    } catch (error) {
      lock?.release()
      throw toPortError('store', path, error)
    }
  }

  /** Commits are written one after the other, in the order of the calls, whichever thread writes them. */
  async commit(batch: CommitBatch): Promise<void> {
    this.#get()
    const rows = batchToRows(batch)
    const before = this.#last
    if (before === null && !this.#isLarge(rows)) return this.#commitHere(rows)
    const done = (before ?? Promise.resolve()).then(() => this.#write(rows))
    const settled = done.catch(() => {})
    this.#last = settled
    try {
      await done
    } finally {
      if (this.#last === settled) this.#last = null
    }
  }

  #isLarge(rows: CommitRows): boolean {
    const { openDriver, threadFromRecords = THREAD_FROM_RECORDS } = this.#options
    return openDriver === undefined && rows.records.length >= threadFromRecords
  }

  /** A thread that is still starting, or has ended, takes nothing: then it is done here. */
  #write(rows: CommitRows): void | Promise<void> {
    if (!this.#isLarge(rows)) return this.#commitHere(rows)
    if (this.#thread === null || this.#thread.hasEnded) this.#startThread()
    return this.#thread?.isReady === true ? this.#thread.write(this.#options.path, rows) : this.#commitHere(rows)
  }

  #startThread(): Promise<void> {
    this.#thread = new WriterThread('store')
    return this.#thread.ready
  }

  #commitHere(rows: CommitRows): void {
    const { sql } = this.#get()
    try {
      sql.transaction(() => writeRows(sql, rows))
    } catch (error) {
      throw toPortError('store', this.#options.path, error)
    }
  }

  async load(query: LoadQuery): ReturnType<Store['load']> {
    return this.#get().reader.load(query)
  }

  async cursor(consumer: string): ReturnType<Store['cursor']> {
    return this.#get().reader.cursor(consumer)
  }

  async openLanes(
    after: { readonly key: CanonicalKey; readonly app: AppId } | null,
    max: number,
  ): ReturnType<Store['openLanes']> {
    return this.#get().reader.openLanes(after, max)
  }

  async held(after: JournalPosition, max: number): ReturnType<Store['held']> {
    return this.#get().reader.held(after, max)
  }

  async links(query: LinkQuery): ReturnType<Store['links']> {
    return this.#get().reader.links(query)
  }

  async conflicts(query: Parameters<Store['conflicts']>[0]): ReturnType<Store['conflicts']> {
    return this.#get().reader.conflicts(query)
  }

  async verdicts(key: CanonicalKey): ReturnType<Store['verdicts']> {
    return this.#get().reader.verdicts(key)
  }

  async notes(kind: string, max: number): ReturnType<Store['notes']> {
    return this.#get().reader.notes(kind, max)
  }

  async counts(): ReturnType<Store['counts']> {
    return this.#get().reader.counts()
  }

  async close(): Promise<void> {
    const opened = this.#opened
    await this.#last
    this.#opened = null
    await this.#thread?.close()
    this.#thread = null
    await opened?.reader.close()
    opened?.lock.release()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #get(): Opened {
    if (this.#opened !== null) return this.#opened
    const { path } = this.#options
    throw new SyncError('store.failed', `the store ${path} is not open`, { place: { path } })
  }
}

/** Moves a state file to the newest schema, or with `check` only says what would be done. A hub does the same when it starts. */
export function migrateSqlite(
  path: string,
  { check = false, openDriver = openNodeSqlite }: { readonly check?: boolean; readonly openDriver?: OpenDriver } = {},
): {
  readonly place: string
  readonly from: number
  readonly to: number
  readonly steps: readonly { readonly version: number; readonly what: string }[]
} {
  if (!existsSync(path))
    throw new SyncError('store.failed', `${path} does not exist; start the hub once, or name its data folder`, {
      place: { path },
    })
  const lock = check ? undefined : acquireLock(path, openDriver)
  try {
    const database = openDriver(path, { readOnly: check })
    const from = schemaVersion(database)
    requireKnown(from, STORE_MIGRATIONS, 'store', path)
    if (!check) migrate(database, STORE_MIGRATIONS, 'store', path)
    database.close()
    const steps = STORE_MIGRATIONS.slice(from).map((_, i) => ({
      version: from + i + 1,
      what: `schema version ${from + i + 1}`,
    }))
    return { place: path, from, to: STORE_MIGRATIONS.length, steps }
  } catch (error) {
    throw toPortError('store', path, error)
  } finally {
    lock?.release()
  }
}

/** To be called once after the file was put back from a backup, before the hub starts: op ids made since the backup are not used again. */
export function markRestored(path: string, openDriver: OpenDriver = openNodeSqlite): void {
  const lock = acquireLock(path, openDriver)
  try {
    const database = openDriver(path, { readOnly: false })
    migrate(database, STORE_MIGRATIONS, 'store', path)
    writeMeta(database, 'generation', Number(readMeta(database, 'generation') ?? 1) + 1)
    database.close()
  } catch (error) {
    throw toPortError('store', path, error)
  } finally {
    lock.release()
  }
}

/** Takes the store over: a new epoch, and for a new store its identity. */
function enter(database: SqliteDriver, random: Random): Omit<StoreInfo, 'schemaVersion'> {
  const instanceId = readMeta(database, 'instance_id') ?? newInstanceId(random)
  const generation = Number(readMeta(database, 'generation') ?? 1)
  const epoch = Number(readMeta(database, 'epoch') ?? 0) + 1
  writeMeta(database, 'instance_id', instanceId)
  writeMeta(database, 'generation', generation)
  writeMeta(database, 'epoch', epoch)
  return { instanceId: String(instanceId), generation, epoch }
}
