import type { AppId } from '../../model/ids.ts'
import type { Clock } from '../../ports/clock.ts'
import {
  type CallLimits,
  type SqlDatabase,
  SqlFailure,
  type SqlParam,
  type SqlResult,
  type SqlRow,
  type SqlSession,
} from '../tables/sql.ts'
import { mariadbDialect } from './dialect.ts'
import { type ConnectionOptions, exactly, loadMysql, type MysqlConnection } from './driver.ts'
import { mariadbFailure } from './errors.ts'

export interface MariadbDatabaseOptions {
  readonly app: AppId
  readonly connection: ConnectionOptions
  readonly connectionsMax: number
  readonly lockTimeoutMs: number
  readonly statementTimeoutMs: number
  readonly pollMs: number
  /**
   * read committed: each statement sees what is committed, which a change table's versions need. repeatable read: locking reads keep others from adding rows to what was read, which
   * writes that are compared by their values need.
   */
  readonly isolation: 'read committed' | 'repeatable read'
  readonly clock: Clock
  /** A connection broke: the server may be another one from now on. */
  readonly onReplaced: () => void
}

const CONNECT_TIMEOUT_MS = 5_000
/** For the lock on a table's definition, which a trigger needs: whoever waits for it makes everybody else wait. */
const LOCK_WAIT_S = 5
/** A deadlock is resolved by the next try, nearly always; what is not is left to the engine's pauses. */
const CONTENTION_TRIES = 4
const CONTENTION_PAUSE_MS = 20

/** A MariaDB database that belongs to another program. */
export class MariadbDatabase implements SqlDatabase {
  readonly dialect = mariadbDialect
  readonly #options: MariadbDatabaseOptions
  readonly #idle: Session[] = []
  readonly #waiting: (() => void)[] = []
  #open = 0
  #closed = false

  constructor(options: MariadbDatabaseOptions) {
    this.#options = options
  }

  read<T>(work: (session: SqlSession) => Promise<T>, limits: CallLimits): Promise<T> {
    return this.#call(limits, async (session) => {
      await session.run('start transaction with consistent snapshot, read only')
      const result = await work(session)
      await session.run('commit')
      return result
    })
  }

  async write<T>(work: (session: SqlSession) => Promise<T>, limits: CallLimits): Promise<T> {
    return (await this.writeAnd(work, limits)).result
  }

  /** As `write`, and the transaction's own GTID where the server writes a log. */
  async writeAnd<T>(
    work: (session: SqlSession) => Promise<T>,
    limits: CallLimits,
  ): Promise<{ readonly result: T; readonly gtid: string }> {
    const { clock, isolation } = this.#options
    for (let tries = 1; ; tries++) {
      try {
        return await this.#call(limits, async (session) => {
          await session.run(`set transaction isolation level ${isolation}`)
          await session.run('start transaction')
          const result = await work(session)
          await session.commit()
          const { rows } = await session.run('select @@last_gtid').catch(() => ({ rows: [['']] }))
          return { result, gtid: String(rows[0]?.[0] ?? '') }
        })
      } catch (error) {
        const again = error instanceof SqlFailure && error.kind === 'contention' && tries < CONTENTION_TRIES
        if (!again || clock.monotonicMs() + CONTENTION_PAUSE_MS * tries >= limits.untilMs) throw error
        await new Promise<void>((resolve) => clock.timer(CONTENTION_PAUSE_MS * tries, resolve))
      }
    }
  }

  changed(maxMs: number, signal: AbortSignal): Promise<boolean> {
    const { clock, pollMs } = this.#options
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const done = (): void => {
      timer.cancel()
      signal.removeEventListener('abort', done)
      resolve(!signal.aborted)
    }
    const timer = clock.timer(Math.min(pollMs, maxMs), done)
    signal.addEventListener('abort', done, { once: true })
    if (signal.aborted) done()
    return promise
  }

  /** A connection that was idle may have been cut without our knowing; then nothing was done on it, and another is taken. */
  async #call<T>(limits: CallLimits, work: (session: Session) => Promise<T>): Promise<T> {
    for (;;) {
      let wasIdle = false
      try {
        return await this.#once(limits, (session) => {
          wasIdle = session.isReused
          return work(session)
        })
      } catch (error) {
        const again = wasIdle && error instanceof SqlFailure && error.kind === 'lost' && !error.mayBeApplied
        if (!again) throw error
      }
    }
  }

  /** Runs on one connection; whatever goes wrong leaves it clean or gone. */
  async #once<T>({ untilMs, signal }: CallLimits, work: (session: Session) => Promise<T>): Promise<T> {
    if (signal.aborted || this.#closed) throw new SqlFailure('unavailable', 'the hub is stopping')
    const { clock } = this.#options
    let session: Session | undefined
    const gaveUp = Promise.withResolvers<never>()
    const giveUp = (kind: 'timeout' | 'unavailable', why: string): void => {
      const mayBeApplied = session?.isCommitting ?? false
      session?.destroy()
      gaveUp.reject(new SqlFailure(kind, why, { mayBeApplied }))
    }
    const timer = clock.timer(Math.max(0, untilMs - clock.monotonicMs()), () =>
      giveUp('timeout', 'no answer within the time allowed'),
    )
    const onAbort = (): void => giveUp('unavailable', 'the hub is stopping')
    signal.addEventListener('abort', onAbort, { once: true })
    gaveUp.promise.catch(() => undefined)
    try {
      session = await Promise.race([this.#acquire(), gaveUp.promise])
      return await Promise.race([work(session), gaveUp.promise])
    } catch (error) {
      const failure = mariadbFailure(error)
      if (failure instanceof SqlFailure && (failure.kind === 'lost' || failure.kind === 'unreachable'))
        this.#options.onReplaced()
      throw failure
    } finally {
      timer.cancel()
      signal.removeEventListener('abort', onAbort)
      if (session !== undefined) await this.#release(session)
    }
  }

  async #acquire(): Promise<Session> {
    for (;;) {
      const idle = this.#idle.pop()
      if (idle !== undefined && !idle.isBroken) {
        idle.isReused = true
        return idle
      }
      if (idle !== undefined) {
        this.#open--
        continue
      }
      if (this.#open < this.#options.connectionsMax) break
      await new Promise<void>((resolve) => void this.#waiting.push(resolve))
    }
    this.#open++
    try {
      return await this.#connect()
    } catch (error) {
      this.#open--
      this.#waiting.shift()?.()
      throw error
    }
  }

  async #connect(): Promise<Session> {
    const { app, connection, lockTimeoutMs, statementTimeoutMs } = this.#options
    const mysql = await loadMysql(app)
    const raw = await mysql.createConnection({
      ...connection,
      charset: 'utf8mb4',
      connectTimeout: CONNECT_TIMEOUT_MS,
      multipleStatements: false,
    })
    const session = new Session(raw)
    // Strict, whatever the server's default: a value that does not fit is refused and never cut. The escapes of the driver rely on this mode too.
    await session.run("set session sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00'")
    await session.run(
      `set session innodb_lock_wait_timeout = ${Math.max(1, Math.ceil(lockTimeoutMs / 1000))}, lock_wait_timeout = ${LOCK_WAIT_S}, autocommit = 1`,
    )
    await session
      .run(`set session max_statement_time = ${statementTimeoutMs / 1000}`)
      .catch(() => undefined /* MySQL has no such limit for writes */)
    const { rows } = await session.run('select @@max_allowed_packet')
    session.statementBytesMax = Number(rows[0]?.[0])
    return session
  }

  async #release(session: Session): Promise<void> {
    if (!session.isBroken && !this.#closed) await session.rollback()
    if (session.isBroken || this.#closed) {
      session.destroy()
      this.#open--
    } else this.#idle.push(session)
    this.#waiting.shift()?.()
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await Promise.all(this.#idle.splice(0).map((session) => session.end()))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** Of a packet, with room to spare. */
const HEADER_BYTES = 64
/** A character of text is four bytes of UTF-8 at most, or two when it is escaped; a byte is two digits. */
const CHAR_BYTES_MAX = 4

class Session implements SqlSession {
  readonly #connection: MysqlConnection
  isBroken = false
  isReused = false
  isCommitting = false
  /** What the server takes at once. One that is longer ends the connection, often before the server has said why. */
  statementBytesMax = Number.POSITIVE_INFINITY
  #inTransaction = false

  constructor(connection: MysqlConnection) {
    this.#connection = connection
    connection.on('error', () => {
      this.isBroken = true
    })
  }

  async run(sql: string, params: readonly SqlParam[] = []): Promise<SqlResult> {
    this.#checkSize(sql, params)
    if (sql.startsWith('start transaction')) this.#inTransaction = true
    try {
      const [result] = await this.#connection.query({ sql, values: params, rowsAsArray: true, typeCast: exactly })
      if (sql === 'commit') this.#inTransaction = false
      if (Array.isArray(result)) return { rows: result as SqlRow[], changes: 0 }
      return { rows: [], changes: (result as { affectedRows?: number }).affectedRows ?? 0 }
    } catch (error) {
      const failure = mariadbFailure(error, { mayBeApplied: false })
      if (failure instanceof SqlFailure && (failure.kind === 'lost' || failure.kind === 'unreachable'))
        this.isBroken = true
      throw failure
    }
  }

  #checkSize(sql: string, params: readonly SqlParam[]): void {
    let atMost = sql.length + HEADER_BYTES
    for (const param of params)
      atMost += (typeof param === 'string' || param instanceof Uint8Array ? param.length : 0) * CHAR_BYTES_MAX
    if (atMost < this.statementBytesMax) return
    const bytes = Buffer.byteLength(this.#connection.format(sql, params)) + HEADER_BYTES
    if (bytes > this.statementBytesMax)
      throw new SqlFailure(
        'too-large',
        `the statement has ${bytes} bytes, and the server takes ${this.statementBytesMax} (max_allowed_packet)`,
      )
  }

  /** From here on nobody can say that nothing was applied, unless the server itself says so. */
  async commit(): Promise<void> {
    this.isCommitting = true
    try {
      await this.run('commit')
    } catch (error) {
      const lost = error instanceof SqlFailure && (error.kind === 'lost' || error.kind === 'failed')
      throw lost ? new SqlFailure(error.kind, error.message, { cause: error, mayBeApplied: true }) : error
    } finally {
      this.isCommitting = false
    }
  }

  async rollback(): Promise<void> {
    if (!this.#inTransaction) return
    this.#inTransaction = false
    await this.run('rollback').catch(() => {
      this.isBroken = true
    })
  }

  destroy(): void {
    this.isBroken = true
    this.#connection.destroy()
  }

  async end(): Promise<void> {
    this.isBroken = true
    await this.#connection.end().catch(() => this.#connection.destroy())
  }
}
