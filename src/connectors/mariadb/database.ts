import { SyncError } from '../../errors/index.ts'
import type { AppId } from '../../model/ids.ts'
import type { Clock } from '../../ports/clock.ts'
import { PooledSession, pollPause, SessionPool, untilUncontended } from '../tables/session-pool.ts'
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
/** A MariaDB database that belongs to another program. */
export class MariadbDatabase implements SqlDatabase {
  readonly dialect = mariadbDialect
  readonly #options: MariadbDatabaseOptions
  readonly #pool: SessionPool<Session>

  constructor(options: MariadbDatabaseOptions) {
    this.#options = options
    const { clock, connectionsMax: max, onReplaced } = options
    this.#pool = new SessionPool({ clock, max, onReplaced, open: () => this.#connect() })
  }

  read<T>(work: (session: SqlSession) => Promise<T>, limits: CallLimits): Promise<T> {
    return this.#pool.use(limits, async (session) => {
      await session.begin('start transaction with consistent snapshot, read only')
      const result = await work(session)
      await session.commit()
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
    return untilUncontended(clock, limits, () =>
      this.#pool.use(limits, async (session) => {
        await session.run(`set transaction isolation level ${isolation}`)
        await session.begin('start transaction')
        const result = await work(session)
        await session.commit()
        const { rows } = await session.run('select @@last_gtid').catch(() => ({ rows: [['']] }))
        return { result, gtid: String(rows[0]?.[0] ?? '') }
      }),
    )
  }

  changed(maxMs: number, signal: AbortSignal): Promise<boolean> {
    return pollPause(this.#options.clock, Math.min(this.#options.pollMs, maxMs), signal)
  }

  async #connect(): Promise<Session> {
    const { app, connection, lockTimeoutMs, statementTimeoutMs } = this.#options
    const mysql = await loadMysql(app)
    const raw = await mysql
      .createConnection({
        ...connection,
        charset: 'utf8mb4',
        connectTimeout: CONNECT_TIMEOUT_MS,
        multipleStatements: false,
      })
      .catch((error: unknown) => {
        throw mariadbFailure(error)
      })
    const session = new Session(raw)
    await checkServer(app, session)
    // Strict, whatever the server's default: a value that does not fit is refused and never cut. The escapes of the driver rely on this mode too.
    await session.run("set session sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00'")
    await session.run(
      `set session innodb_lock_wait_timeout = ${Math.max(1, Math.ceil(lockTimeoutMs / 1000))}, lock_wait_timeout = ${LOCK_WAIT_S}, autocommit = 1`,
    )
    await session
      .run(`set session max_statement_time = ${statementTimeoutMs / 1000}`)
      .catch(() => undefined /* MySQL has no such limit for writes */)
    return session
  }

  close(): Promise<void> {
    return this.#pool.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** Another kind of server would fail at the first write: MySQL returns no new ids, and names its transactions otherwise. */
async function checkServer(app: AppId, session: Session): Promise<void> {
  const { rows } = await session.run('select version(), @@max_allowed_packet')
  const version = String(rows[0]?.[0])
  session.statementBytesMax = Number(rows[0]?.[1])
  const [, major = '0', minor = '0'] = /^(\d+)\.(\d+)/.exec(version) ?? []
  const isKnown = /mariadb/i.test(version) && Number(major) * 100 + Number(minor) >= OLDEST
  if (isKnown) return
  session.destroy()
  throw new SyncError(
    'database.unsupported',
    `${app}: the server is version ${version}, and this connector is for MariaDB 10.5 or later. MySQL is not supported: no server of it was there to try the connector on.`,
    { place: { app }, retryAfterMs: LOOK_AGAIN_MS },
  )
}

const OLDEST = 10_05
const LOOK_AGAIN_MS = 10_000

/** Of a packet, with room to spare. */
const HEADER_BYTES = 64
/** A character of text is four bytes of UTF-8 at most, or two when it is escaped; a byte is two digits. */
const CHAR_BYTES_MAX = 4

class Session extends PooledSession {
  readonly #connection: MysqlConnection
  /** What the server takes at once. One that is longer ends the connection, often before the server has said why. */
  statementBytesMax = Number.POSITIVE_INFINITY

  constructor(connection: MysqlConnection) {
    super()
    this.#connection = connection
    connection.on('error', () => {
      this.isBroken = true
    })
  }

  protected async send(sql: string, params: readonly SqlParam[]): Promise<SqlResult> {
    this.#checkSize(sql, params)
    try {
      const [result] = await this.#connection.query({ sql, values: params, rowsAsArray: true, typeCast: exactly })
      if (Array.isArray(result)) return { rows: result as SqlRow[], changes: 0 }
      return { rows: [], changes: (result as { affectedRows?: number }).affectedRows ?? 0 }
    } catch (error) {
      throw mariadbFailure(error)
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

  protected cut(): void {
    this.#connection.destroy()
  }

  protected async leave(): Promise<void> {
    await this.#connection.end().catch(() => this.#connection.destroy())
  }
}
