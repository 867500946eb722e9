import { existsSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { SyncError } from '../../errors/index.ts'
import { systemRandom } from '../../lib/system-clock.ts'
import type { AppId, CanonicalKey, JournalPosition } from '../../model/ids.ts'
import type { Random } from '../../ports/clock.ts'
import type { CommitBatch, LinkQuery, LoadQuery, Store, StoreInfo } from '../../ports/store.ts'
import { newInstanceId } from '../instance-id.ts'
import { Checkpointer } from './checkpointer.ts'
import { batchToRows, type CommitRows, writeRows } from './commit.ts'
import { type OpenDriver, openNodeSqlite, type SqliteDriver } from './driver.ts'
import { toPortError } from './errors.ts'
import { acquireLock, type FileLock } from './lock.ts'
import { type FileSync, LogSync, systemFileSync } from './log-sync.ts'
import { migrate, readMeta, requireKnown, schemaVersion, writeMeta } from './migrations.ts'
import { SqliteReader } from './reader.ts'
import { STORE_MIGRATIONS, STORE_PRAGMAS, SYNC_OURSELVES } from './schema.ts'
import { Statements } from './statements.ts'

export interface SqliteStoreOptions {
  /** The state file. Its folder is made when it is missing; `<path>.lock` beside it says which process has it. */
  readonly path: string
  /** For the instance id of a new store. */
  readonly random?: Random
  readonly openDriver?: OpenDriver
  /** Commits of at least this many records wait for the disk off the event loop; 0: all. With an `openDriver` of the caller's SQLite itself waits for it. */
  readonly syncFromRecords?: number
  readonly fileSync?: FileSync
}

/** A smaller commit waits for the disk here, because the way to another thread and back takes longer, and a single change is never delayed. */
const SYNC_FROM_RECORDS = 4

interface Opened {
  readonly lock: FileLock
  readonly sql: Statements
  readonly reader: SqliteReader
  /** null where SQLite itself waits for the disk. */
  readonly log: LogSync | null
  readonly checkpointer: Checkpointer | null
  readonly info: StoreInfo
}

/**
 * The store in one SQLite file: one row per record, commits durable when they resolve. Reads are done at once, on this thread, and see
 * every commit that has resolved; for larger ones the disk is waited for off the event loop (docs/decisions/0013). One process at a time; others may read the file (`openSqliteReader`, or sqlite3).
 */
export class SqliteStore implements Store {
  readonly #options: SqliteStoreOptions
  #opened: Opened | null = null
  /** Settles when every commit that was asked for is done; null when none is under way. */
  #last: Promise<void> | null = null

  constructor(options: SqliteStoreOptions) {
    this.#options = options
  }

  async open(): Promise<StoreInfo> {
    const { path, openDriver = openNodeSqlite, random = systemRandom, fileSync = systemFileSync } = this.#options
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
      const log = openDriver === openNodeSqlite ? new LogSync('store', path, fileSync) : null
      if (log !== null) database.exec(SYNC_OURSELVES)
      const checkpointer = log === null ? null : new Checkpointer(path, database)
      this.#opened = { lock, sql, reader: new SqliteReader(sql, path), log, checkpointer, info }
      return info
    } catch (error) {
      lock?.release()
      throw toPortError('store', path, error)
    }
  }

  /** Commits are written one after the other, in the order of the calls. */
  async commit(batch: CommitBatch): Promise<void> {
    this.#get()
    const rows = batchToRows(batch)
    const done = this.#last === null ? this.#write(rows) : this.#last.then(() => this.#write(rows))
    if (done === undefined) return
    const settled = done.catch(() => {})
    this.#last = settled
    try {
      await done
    } finally {
      if (this.#last === settled) this.#last = null
    }
  }

  /** Undefined when it is durable already. */
  #write(rows: CommitRows): Promise<void> | undefined {
    const { sql, log, checkpointer } = this.#get()
    try {
      log?.requireSound()
      sql.transaction(() => writeRows(sql, rows))
      checkpointer?.committed(rows.records.length)
      if (log === null) return undefined
      if (rows.records.length >= (this.#options.syncFromRecords ?? SYNC_FROM_RECORDS)) return log.later()
      log.now()
      return undefined
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
    await opened?.checkpointer?.close()
    opened?.log?.close()
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
