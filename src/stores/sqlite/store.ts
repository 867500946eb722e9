import { existsSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { SyncError } from '../../errors/index.ts'
import { systemRandom } from '../../lib/system-clock.ts'
import type { AppId, CanonicalKey, JournalPosition } from '../../model/ids.ts'
import type { Random } from '../../ports/clock.ts'
import type { CommitBatch, LinkQuery, LoadQuery, Store, StoreInfo } from '../../ports/store.ts'
import { newInstanceId } from '../instance-id.ts'
import { commitBatch } from './commit.ts'
import { type OpenDriver, openNodeSqlite, type SqliteDriver } from './driver.ts'
import { toPortError } from './errors.ts'
import { acquireLock, type FileLock } from './lock.ts'
import { migrate, readMeta, requireKnown, schemaVersion, writeMeta } from './migrations.ts'
import { SqliteReader } from './reader.ts'
import { STORE_MIGRATIONS } from './schema.ts'
import { Statements } from './statements.ts'

export interface SqliteStoreOptions {
  /** The state file. Its folder is made when it is missing; `<path>.lock` beside it says which process has it. */
  readonly path: string
  /** For the instance id of a new store. */
  readonly random?: Random
  readonly openDriver?: OpenDriver
}

/**
 * FULL: a commit that resolved is on the disk. The log is checkpointed every 4,000 pages (16 MB) instead of every 1,000, because pages
 * that are written again meanwhile are then copied once, and not more seldom, because a log that is still growing costs a slower fsync than one that is overwritten; after a burst it is cut back to 64 MB. The cache is what a bounded set of hot
 * index pages needs; the rest is the operating system's cache, which is not ours to hold.
 */
const PRAGMAS = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  PRAGMA wal_autocheckpoint = 4000;
  PRAGMA journal_size_limit = 67108864;
  PRAGMA cache_size = -32000;
`

interface Opened {
  readonly lock: FileLock
  readonly sql: Statements
  readonly reader: SqliteReader
  readonly info: StoreInfo
}

/**
 * The store in one SQLite file: one row per record, commits durable when they resolve. Every call runs to its end before it returns its
 * promise, so a read sees every commit made before it. One process at a time; others may read the file (`openSqliteReader`, or sqlite3).
 */
export class SqliteStore implements Store {
  readonly #options: SqliteStoreOptions
  #opened: Opened | null = null

  constructor(options: SqliteStoreOptions) {
    this.#options = options
  }

  async open(): Promise<StoreInfo> {
    const { path, openDriver = openNodeSqlite, random = systemRandom } = this.#options
    if (this.#opened !== null) throw new SyncError('store.in-use', `${path} is already open here`, { place: { path } })
    let lock: FileLock | undefined
    try {
      mkdirSync(dirname(path), { recursive: true })
      lock = acquireLock(path, openDriver)
      const database = openDriver(path, { readOnly: false })
      database.exec(PRAGMAS)
      const schemaVersion = migrate(database, STORE_MIGRATIONS, 'store', path)
      const sql = new Statements(database)
      const info = { schemaVersion, ...sql.transaction(() => enter(database, random)) }
      this.#opened = { lock, sql, reader: new SqliteReader(sql, path), info }
      return info
    } catch (error) {
      lock?.release()
      throw toPortError('store', path, error)
    }
  }

  async commit(batch: CommitBatch): Promise<void> {
    const { sql } = this.#get()
    try {
      sql.transaction(() => commitBatch(sql, batch))
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
    this.#opened = null
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
