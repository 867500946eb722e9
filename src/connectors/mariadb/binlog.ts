import { SyncError } from '../../errors/index.ts'
import type { AppId, Token } from '../../model/ids.ts'
import type { Clock } from '../../ports/clock.ts'
import { type Names, namesOf } from '../change-table/ddl.ts'
import { planTables, type TablePlans } from '../tables/plan.ts'
import { type CallLimits, SqlFailure, type SqlSession } from '../tables/sql.ts'
import { type BinlogPosition, endToken } from './binlog-position.ts'
import { BinlogStream, type Gtid, parseGtid } from './binlog-stream.ts'
import type { MariadbDatabase } from './database.ts'
import { opsTable } from './ddl.ts'
import { mariadbDialect } from './dialect.ts'
import type { ConnectionOptions } from './driver.ts'
import type { MariadbAppOptions } from './options.ts'

export interface ReadyBinlog {
  readonly plans: TablePlans
  readonly names: Names
  /** Where the log ended when it was looked at. */
  readonly end: readonly Gtid[]
}

export interface BinlogOptions extends Pick<MariadbAppOptions, 'app' | 'prefix' | 'tables' | 'serverId'> {
  readonly connection: ConnectionOptions
  readonly database: MariadbDatabase
  readonly clock: Clock
}

/** What has to be set, and to what, for the log to hold whole rows. */
const SETTINGS: readonly { readonly name: string; readonly is: (value: string) => boolean; readonly wanted: string }[] =
  [
    { name: 'log_bin', is: (value) => value === '1' || value === 'ON', wanted: 'log_bin (a name for the log)' },
    { name: 'binlog_format', is: (value) => value === 'ROW', wanted: 'binlog_format = ROW' },
    { name: 'binlog_row_image', is: (value) => value === 'FULL', wanted: 'binlog_row_image = FULL' },
  ]

const LOOK_AGAIN_MS = 10_000
/** A call waits this long for the feed's first read, which comes at once after every start. */
const COMPARE_WAIT_MS = 2_000
const COMPARE_LOOK_MS = 20

/** The log of one server as an application's feed: checked, compared with what was read from it, and streamed. */
export class Binlog {
  readonly #options: BinlogOptions
  #ready: Promise<ReadyBinlog> | null = null
  #current: ReadyBinlog | null = null
  #isCompared = false
  #isListed = false
  /** Where it was read to when it was last compared; undefined before the first time. */
  #known: BinlogPosition | null | undefined
  #frozen: SyncError | null = null
  /** The stream that goes on now, which knows where recent transactions ended. */
  streaming: BinlogStream | null = null

  constructor(options: BinlogOptions) {
    this.#options = options
  }

  get current(): ReadyBinlog {
    if (this.#current === null) throw new SyncError('internal.bug', `${this.#app}: the log is not ready`)
    return this.#current
  }

  get #app(): AppId {
    return this.#options.app
  }

  stream(): BinlogStream {
    const { app, connection, serverId, clock } = this.#options
    const { plans, names } = this.current
    const tables = [...plans.values()].flatMap((plan) => [plan.use.table, ...plan.parts.map((part) => part.use.table)])
    return new BinlogStream({ app, connection, serverId, clock, tables: [...tables, names.ops] })
  }

  /** The server may be another one from now on. */
  reset(): void {
    this.#ready = null
    this.#isCompared = false
  }

  async ready(limits: CallLimits): Promise<ReadyBinlog> {
    this.#ready ??= this.#setUp(limits)
    try {
      return await this.#ready
    } catch (error) {
      this.#ready = null
      throw error
    }
  }

  async #setUp(limits: CallLimits): Promise<ReadyBinlog> {
    const { database, tables, prefix } = this.#options
    const names = namesOf(prefix)
    const ready = await database.write(async (session) => {
      await this.#checkSettings(session)
      const plans = await planTables(this.#app, mariadbDialect, session, tables)
      const { rows } = await session.run('select @@gtid_binlog_pos')
      const end = String(rows[0]?.[0])
        .split(',')
        .flatMap((text) => parseGtid(text) ?? [])
      await session.run(opsTable(names)).catch((error: unknown) => {
        throw error instanceof SqlFailure && error.kind === 'denied' ? this.denied(error) : error
      })
      return { plans, names, end }
    }, limits)
    this.#current = ready
    return ready
  }

  async #checkSettings(session: SqlSession): Promise<void> {
    const { rows } = await session.run(`select ${SETTINGS.map(({ name }) => `@@global.${name}`).join(', ')}`)
    const wrong = SETTINGS.filter(({ is }, i) => !is(String(rows[0]?.[i])))
    if (wrong.length > 0)
      throw new SyncError(
        'database.log-off',
        `${this.#app}: the server's log does not hold whole rows. Set ${wrong.map(({ wanted }) => wanted).join(', ')} in its configuration and restart it; or give mariadb({ changes: 'triggers' }), which needs no log.`,
        { place: { app: this.#app }, retryAfterMs: LOOK_AGAIN_MS },
      )
  }

  denied(failure: SqlFailure): SyncError {
    const { connection, prefix } = this.#options
    const user = `'${connection.user}'@'%'`
    return new SyncError(
      'database.privileges',
      `${this.#app}: ${failure.message}. To read the log: grant replication slave, binlog monitor on *.* to ${user}; for its own table: grant create, select, insert, delete on ${connection.database}.${prefix}_ops to ${user}. Or give mariadb({ changes: 'triggers' }).`,
      { place: { app: this.#app }, cause: failure, retryAfterMs: LOOK_AGAIN_MS },
    )
  }

  /** Whether the server's log goes on from where it was read to: one that was put back from a backup has smaller numbers. */
  async compare(known: BinlogPosition | null, limits: CallLimits): Promise<void> {
    this.#known = known
    if (this.#isCompared) return
    const { database } = this.#options
    const end = await database.read(async (session) => {
      const { rows } = await session.run('select @@gtid_binlog_pos')
      return String(rows[0]?.[0])
        .split(',')
        .flatMap((text) => parseGtid(text) ?? [])
    }, limits)
    const ahead = (known?.done ?? []).find(({ domain, seq }) => {
      const there = end.find((gtid) => gtid.domain === domain)
      return there === undefined || BigInt(there.seq) < BigInt(seq)
    })
    this.#frozen = ahead === undefined ? null : this.#rewound(ahead)
    if (this.#frozen !== null) throw this.#frozen
    this.#isCompared = true
  }

  #rewound({ domain, seq }: Gtid): SyncError {
    return new SyncError(
      'source.server-changed',
      `${this.#app}: this is another server than the one that was read so far, or it was put back to an earlier state: transaction ${seq} of domain ${domain} was read from it, and its log does not reach that. Nothing is read or written there until you decide: put the right one back, or start with a new data folder to take this one as it is.`,
      { place: { app: this.#app }, retryAfterMs: LOOK_AGAIN_MS },
    )
  }

  /** As `ready`, once the feed has compared the server with what was read from it before. */
  async usable(limits: CallLimits): Promise<ReadyBinlog> {
    const ready = await this.ready(limits)
    const { clock } = this.#options
    const untilMs = Math.min(limits.untilMs, clock.monotonicMs() + COMPARE_WAIT_MS)
    for (;;) {
      if (this.#frozen !== null) throw this.#frozen
      if (this.#isCompared) return ready
      if (this.#isListed && this.#known === undefined) return ready
      if (this.#known !== undefined) {
        await this.compare(this.#known, limits)
        return ready
      }
      if (clock.monotonicMs() >= untilMs || limits.signal.aborted)
        throw new SqlFailure('unavailable', 'its log has not been read yet, so it is not known to be the right server')
      await new Promise<void>((resolve) => clock.timer(COMPARE_LOOK_MS, resolve))
    }
  }

  /** For a list of all records: a process that only compares applications never reads the log, and takes the server for what it is. */
  async listable(limits: CallLimits): Promise<ReadyBinlog> {
    if (this.#frozen !== null) throw this.#frozen
    this.#isListed = true
    return this.ready(limits)
  }

  /** The version of everything that this snapshot holds: the last transaction in it. */
  async snapshotToken(session: SqlSession): Promise<Token> {
    const { rows } = await session.run("show status like 'binlog_snapshot_%'")
    const status = new Map(rows.map(([name, value]) => [String(name).toLowerCase(), String(value)]))
    const file = status.get('binlog_snapshot_file') ?? ''
    const position = status.get('binlog_snapshot_position') ?? ''
    const known = this.streaming?.numberAt(file, position)
    if (known !== undefined) return endToken(known)
    const found = await session.run('select binlog_gtid_pos(?, ?)', [file, BigInt(position)])
    const gtid = parseGtid(String(found.rows[0]?.[0] ?? '').split(',')[0] ?? '')
    return endToken(gtid?.seq ?? '0')
  }
}
