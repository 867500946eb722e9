import { statSync } from 'node:fs'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import type { Clock } from '../../ports/clock.ts'
import {
  type CallLimits,
  type SqlDatabase,
  SqlFailure,
  type SqlParam,
  type SqlResult,
  type SqlSession,
} from '../tables/sql.ts'
import { sqliteDialect } from './dialect.ts'
import { isBusy, sqliteFailure } from './errors.ts'

/** The pause before a lock is asked for again. Never inside SQLite's own waiting, which would hold the whole hub. */
const BUSY_PAUSE_MS = 5
/** A lock that is held longer than this is left to the engine, which tries again with growing pauses. */
const LOCK_WAIT_MS = 500
/** Statements that are kept prepared; batches of different sizes make different ones. */
const STATEMENTS_MAX = 200

export interface SqliteDatabaseOptions {
  readonly path: string
  readonly pollMs: number
  readonly clock: Clock
  /** The file is not the one that it was: nothing that was known of it holds. */
  readonly onReplaced: () => void
}

interface OpenFile {
  readonly reader: Connection
  readonly writer: Connection
  readonly file: string
}

/** A SQLite file that belongs to another program. Two connections: one that reads and notices commits, one that writes. */
export class SqliteDatabase implements SqlDatabase {
  readonly dialect = sqliteDialect
  readonly #options: SqliteDatabaseOptions
  #open: OpenFile | null = null
  #version: unknown
  #schema: unknown
  #closed = false
  /** One transaction of a connection at a time: both are used by callers that know nothing of each other. */
  #reading: Promise<unknown> = Promise.resolve()
  #writing: Promise<unknown> = Promise.resolve()

  constructor(options: SqliteDatabaseOptions) {
    this.#options = options
  }

  read<T>(work: (session: SqlSession) => Promise<T>, limits: CallLimits): Promise<T> {
    const result = this.#reading.then(() => this.#transaction('begin', (open) => open.reader, work, limits))
    this.#reading = result.catch(() => undefined)
    return result
  }

  write<T>(work: (session: SqlSession) => Promise<T>, limits: CallLimits): Promise<T> {
    const result = this.#writing.then(() => this.#transaction('begin immediate', (open) => open.writer, work, limits))
    this.#writing = result.catch(() => undefined)
    return result
  }

  /** Tries again while another connection has the lock; each attempt is a whole transaction within one turn of the event loop. */
  async #transaction<T>(
    begin: string,
    which: (open: OpenFile) => Connection,
    work: (session: SqlSession) => Promise<T>,
    { untilMs, signal }: CallLimits,
  ): Promise<T> {
    const { clock } = this.#options
    const lockUntilMs = Math.min(untilMs, clock.monotonicMs() + LOCK_WAIT_MS)
    for (;;) {
      if (signal.aborted) throw new SqlFailure('unavailable', 'the hub is stopping')
      try {
        return await attempt(which(this.#opened()), begin, work)
      } catch (error) {
        if (!isBusy(error) && !(error instanceof SqlFailure && isBusy(error.cause))) throw sqliteFailure(error)
        if (clock.monotonicMs() + BUSY_PAUSE_MS >= lockUntilMs) throw sqliteFailure(error)
        await pause(clock, BUSY_PAUSE_MS, signal)
      }
    }
  }

  /** Looks again and again whether another connection has committed; what our own writer commits counts too. */
  async changed(maxMs: number, signal: AbortSignal): Promise<boolean> {
    const { clock, pollMs } = this.#options
    const untilMs = clock.monotonicMs() + maxMs
    while (!signal.aborted && clock.monotonicMs() < untilMs) {
      await pause(clock, Math.max(1, Math.min(pollMs, untilMs - clock.monotonicMs())), signal)
      if (this.#isChanged()) return true
    }
    return false
  }

  #isChanged(): boolean {
    const { reader } = this.#opened()
    const schema = reader.value('pragma schema_version')
    // A trigger or table may have gone: what is known of them is looked at again.
    if (this.#schema !== undefined && schema !== this.#schema) this.#options.onReplaced()
    this.#schema = schema
    const version = reader.value('pragma data_version')
    if (version === this.#version) return false
    this.#version = version
    return true
  }

  /** The open file, opened anew where another file has taken its place. */
  #opened(): OpenFile {
    if (this.#closed) throw new SqlFailure('unavailable', 'the connection is closed')
    const file = fileId(this.#options.path)
    if (this.#open !== null && this.#open.file === file) return this.#open
    const before = this.#open
    this.#release()
    if (before !== null) {
      this.#options.onReplaced()
      if (file !== undefined) throw new SqlFailure('unavailable', `another file stands at ${this.#options.path}`)
    }
    if (file === undefined) throw new SqlFailure('unreachable', `there is no file ${this.#options.path}`)
    const reader = new Connection(this.#options.path)
    try {
      this.#open = { reader, writer: new Connection(this.#options.path), file }
    } catch (error) {
      reader.close()
      throw sqliteFailure(error)
    }
    this.#version = undefined
    this.#schema = undefined
    return this.#open
  }

  #release(): void {
    this.#open?.reader.close()
    this.#open?.writer.close()
    this.#open = null
  }

  async close(): Promise<void> {
    if (this.#closed) return
    await Promise.all([this.#reading, this.#writing])
    this.#closed = true
    this.#release()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** Which file stands at the path: its device and number. */
function fileId(path: string): string | undefined {
  const stat = statSync(path, { throwIfNoEntry: false })
  return stat === undefined ? undefined : `${stat.dev}:${stat.ino}`
}

async function attempt<T>(
  connection: Connection,
  begin: string,
  work: (session: SqlSession) => Promise<T>,
): Promise<T> {
  connection.exec(begin)
  let result: T
  try {
    result = await work(connection)
    connection.exec('commit')
  } catch (error) {
    // A commit that was refused (a reader holds the file) has changed nothing: the transaction is still open.
    connection.rollback()
    throw error
  }
  return result
}

class Connection implements SqlSession {
  readonly #database: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()

  constructor(path: string) {
    // `mode=rw`: a file that is not there is an error, not a new and empty database.
    this.#database = new DatabaseSync(`${pathToFileURL(path).href}?mode=rw`, { timeout: 0 })
  }

  async run(sql: string, params: readonly SqlParam[] = []): Promise<SqlResult> {
    try {
      const rows = this.#prepared(sql).all(...(params as (null | number | bigint | string | Uint8Array)[]))
      return { rows: rows as unknown as SqlResult['rows'], changes: 0 }
    } catch (error) {
      throw sqliteFailure(error)
    }
  }

  value(sql: string): unknown {
    return (this.#prepared(sql).get() as unknown as readonly unknown[] | undefined)?.[0]
  }

  exec(sql: string): void {
    this.#database.exec(sql)
  }

  rollback(): void {
    if (this.#database.isTransaction) this.#database.exec('rollback')
  }

  #prepared(sql: string): StatementSync {
    const known = this.#statements.get(sql)
    if (known !== undefined) return known
    const statement = this.#database.prepare(sql)
    statement.setReadBigInts(true)
    statement.setReturnArrays(true)
    if (this.#statements.size >= STATEMENTS_MAX) this.#statements.clear()
    this.#statements.set(sql, statement)
    return statement
  }

  close(): void {
    this.#statements.clear()
    if (this.#database.isOpen) this.#database.close()
  }
}

function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  if (signal.aborted) resolve()
  const timer = clock.timer(ms, done)
  signal.addEventListener('abort', done, { once: true })
  function done(): void {
    timer.cancel()
    signal.removeEventListener('abort', done)
    resolve()
  }
  return promise
}
