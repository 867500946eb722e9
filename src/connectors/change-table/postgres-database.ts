import { SyncError } from '../../errors/index.ts'
import type { AppId } from '../../model/ids.ts'
import type { Source, Target } from '../../ports/app.ts'
import type { Clock } from '../../ports/clock.ts'
import type { TableUse } from '../tables/options.ts'
import { PooledSession, pollPause, SessionPool, untilUncontended } from '../tables/session-pool.ts'
import type { CallLimits, SqlDatabase, SqlParam, SqlResult, SqlSession } from '../tables/sql.ts'
import { createChangeTableApp } from './app.ts'
import { postgresDdl } from './postgres-ddl.ts'
import { postgresDialect, postgresFailure } from './postgres-dialect.ts'

/** PostgreSQL followed by triggers: for databases whose logical replication may not be used. */

export interface PostgresTriggersOptions {
  readonly app: AppId
  readonly url: string
  readonly schema: string
  readonly prefix: string
  readonly pollMs: number
  readonly connectionsMax: number
  readonly lockTimeoutMs: number
  readonly statementTimeoutMs: number
  readonly tables: readonly TableUse[]
}

/** Both directions; what `postgres({ changes: 'triggers' })` is made of. */
export function createPostgresTriggers(
  options: PostgresTriggersOptions,
  { clock }: { readonly clock: Clock },
): { readonly source: Source; readonly target: Target } {
  return createChangeTableApp({
    app: options.app,
    dialect: postgresDialect,
    ddl: postgresDdl,
    prefix: options.prefix,
    uses: options.tables,
    clock,
    open: (onReplaced) => new PostgresDatabase(options, clock, onReplaced),
  })
}

/** What we ask of pg, and nothing more of it. */
interface Client {
  connect(): Promise<unknown>
  query(query: {
    readonly text: string
    readonly values: readonly unknown[]
    readonly rowMode: 'array'
  }): Promise<{ readonly rows: readonly (readonly unknown[])[]; readonly rowCount: number | null }>
  end(): Promise<void>
  on(event: 'error', listener: (error: unknown) => void): unknown
  readonly connection?: { readonly stream?: { destroy(): void } }
}

const CONNECT_TIMEOUT_MS = 5_000

class PostgresDatabase implements SqlDatabase {
  readonly dialect = postgresDialect
  readonly #options: PostgresTriggersOptions
  readonly #clock: Clock
  readonly #pool: SessionPool<Session>

  constructor(options: PostgresTriggersOptions, clock: Clock, onReplaced: () => void) {
    this.#options = options
    this.#clock = clock
    const max = options.connectionsMax
    this.#pool = new SessionPool({ clock, max, onReplaced, open: () => this.#connect() })
  }

  read<T>(work: (session: SqlSession) => Promise<T>, limits: CallLimits): Promise<T> {
    return this.#in('begin isolation level repeatable read read only', work, limits)
  }

  write<T>(work: (session: SqlSession) => Promise<T>, limits: CallLimits): Promise<T> {
    return untilUncontended(this.#clock, limits, () => this.#in('begin isolation level read committed', work, limits))
  }

  #in<T>(begin: string, work: (session: SqlSession) => Promise<T>, limits: CallLimits): Promise<T> {
    return this.#pool.use(limits, async (session) => {
      await session.begin(begin)
      const result = await work(session)
      await session.commit()
      return result
    })
  }

  changed(maxMs: number, signal: AbortSignal): Promise<boolean> {
    return pollPause(this.#clock, Math.min(this.#options.pollMs, maxMs), signal)
  }

  async #connect(): Promise<Session> {
    const { app, url, schema, lockTimeoutMs, statementTimeoutMs } = this.#options
    const client = await newClient(app, url)
    const session = new Session(client)
    await client.connect().catch((error: unknown) => {
      throw postgresFailure(error)
    })
    // Text is spelled alike in every session, and names are looked up in one schema.
    await session.run(
      `select set_config('search_path', ?, false), set_config('timezone', 'UTC', false), set_config('datestyle', 'ISO', false), set_config('bytea_output', 'hex', false), set_config('lock_timeout', ?, false), set_config('statement_timeout', ?, false)`,
      [postgresDialect.quote(schema), `${lockTimeoutMs}ms`, `${statementTimeoutMs}ms`],
    )
    return session
  }

  close(): Promise<void> {
    return this.#pool.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

class Session extends PooledSession {
  readonly #client: Client

  constructor(client: Client) {
    super()
    this.#client = client
    client.on('error', () => {
      this.isBroken = true
    })
  }

  protected async send(sql: string, params: readonly SqlParam[]): Promise<SqlResult> {
    let n = 0
    const text = params.length === 0 ? sql : sql.replaceAll('?', () => `$${++n}`)
    const values = params.map((value) => (value === null || value instanceof Uint8Array ? value : String(value)))
    try {
      const { rows, rowCount } = await this.#client.query({ text, values, rowMode: 'array' })
      return { rows, changes: rowCount ?? 0 }
    } catch (error) {
      throw postgresFailure(error)
    }
  }

  protected cut(): void {
    this.#client.connection?.stream?.destroy()
    this.#client.end().catch(() => undefined)
  }

  protected async leave(): Promise<void> {
    await this.#client.end().catch(() => undefined)
  }
}

async function newClient(app: AppId, url: string): Promise<Client> {
  try {
    const { default: pg } = await import('pg')
    const types = { getTypeParser: () => (text: unknown) => text }
    return new pg.Client({
      connectionString: url,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      application_name: 'latchwork',
      types: types as never,
    }) as unknown as Client
  } catch (cause) {
    throw new SyncError('driver.missing', `${app} needs the package pg: npm install pg@8`, { place: { app }, cause })
  }
}
