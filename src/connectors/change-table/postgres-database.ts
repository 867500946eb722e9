import { SyncError } from '../../errors/index.ts'
import type { AppId } from '../../model/ids.ts'
import type { Source, Target } from '../../ports/app.ts'
import type { Clock } from '../../ports/clock.ts'
import type { TableUse } from '../tables/options.ts'
import {
  type CallLimits,
  type SqlDatabase,
  SqlFailure,
  type SqlParam,
  type SqlResult,
  type SqlSession,
} from '../tables/sql.ts'
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
const CONTENTION_TRIES = 4
const CONTENTION_PAUSE_MS = 20

class PostgresDatabase implements SqlDatabase {
  readonly dialect = postgresDialect
  readonly #options: PostgresTriggersOptions
  readonly #clock: Clock
  readonly #onReplaced: () => void
  readonly #idle: Session[] = []
  readonly #waiting: (() => void)[] = []
  #open = 0
  #closed = false

  constructor(options: PostgresTriggersOptions, clock: Clock, onReplaced: () => void) {
    this.#options = options
    this.#clock = clock
    this.#onReplaced = onReplaced
  }

  read<T>(work: (session: SqlSession) => Promise<T>, limits: CallLimits): Promise<T> {
    return this.#call(limits, 'begin isolation level repeatable read read only', work)
  }

  async write<T>(work: (session: SqlSession) => Promise<T>, limits: CallLimits): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#call(limits, 'begin isolation level read committed', work)
      } catch (error) {
        const again = error instanceof SqlFailure && error.kind === 'contention' && tries < CONTENTION_TRIES
        const pauseMs = CONTENTION_PAUSE_MS * tries
        if (!again || this.#clock.monotonicMs() + pauseMs >= limits.untilMs) throw error
        await new Promise<void>((resolve) => this.#clock.timer(pauseMs, resolve))
      }
    }
  }

  changed(maxMs: number, signal: AbortSignal): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const done = (): void => {
      timer.cancel()
      signal.removeEventListener('abort', done)
      resolve(!signal.aborted)
    }
    const timer = this.#clock.timer(Math.min(this.#options.pollMs, maxMs), done)
    signal.addEventListener('abort', done, { once: true })
    if (signal.aborted) done()
    return promise
  }

  async #call<T>(limits: CallLimits, begin: string, work: (session: SqlSession) => Promise<T>): Promise<T> {
    const { untilMs, signal } = limits
    if (signal.aborted || this.#closed) throw new SqlFailure('unavailable', 'the hub is stopping')
    let session: Session | undefined
    const gaveUp = Promise.withResolvers<never>()
    gaveUp.promise.catch(() => undefined)
    const giveUp = (kind: 'timeout' | 'unavailable', why: string): void => {
      const mayBeApplied = session?.isCommitting ?? false
      session?.destroy()
      gaveUp.reject(new SqlFailure(kind, why, { mayBeApplied }))
    }
    const timer = this.#clock.timer(Math.max(0, untilMs - this.#clock.monotonicMs()), () =>
      giveUp('timeout', 'no answer within the time allowed'),
    )
    const onAbort = (): void => giveUp('unavailable', 'the hub is stopping')
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      session = await Promise.race([this.#acquire(), gaveUp.promise])
      const taken = session
      return await Promise.race([transaction(taken, begin, work), gaveUp.promise])
    } catch (error) {
      if (error instanceof SqlFailure && (error.kind === 'lost' || error.kind === 'unreachable')) this.#onReplaced()
      throw error
    } finally {
      timer.cancel()
      signal.removeEventListener('abort', onAbort)
      if (session !== undefined) await this.#release(session)
    }
  }

  async #acquire(): Promise<Session> {
    for (;;) {
      const idle = this.#idle.pop()
      if (idle !== undefined && !idle.isBroken) return idle
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

  async #release(session: Session): Promise<void> {
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

async function transaction<T>(session: Session, begin: string, work: (session: SqlSession) => Promise<T>): Promise<T> {
  await session.run(begin)
  let result: T
  try {
    result = await work(session)
  } catch (error) {
    await session.run('rollback').catch(() => session.destroy())
    throw error
  }
  await session.commit()
  return result
}

class Session implements SqlSession {
  readonly #client: Client
  isBroken = false
  isCommitting = false

  constructor(client: Client) {
    this.#client = client
    client.on('error', () => {
      this.isBroken = true
    })
  }

  async run(sql: string, params: readonly SqlParam[] = []): Promise<SqlResult> {
    let n = 0
    const text = params.length === 0 ? sql : sql.replaceAll('?', () => `$${++n}`)
    const values = params.map((value) => (value === null || value instanceof Uint8Array ? value : String(value)))
    try {
      const { rows, rowCount } = await this.#client.query({ text, values, rowMode: 'array' })
      return { rows, changes: rowCount ?? 0 }
    } catch (error) {
      const failure = postgresFailure(error)
      if (failure instanceof SqlFailure && (failure.kind === 'lost' || failure.kind === 'unreachable'))
        this.isBroken = true
      throw failure
    }
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

  destroy(): void {
    this.isBroken = true
    this.#client.connection?.stream?.destroy()
    this.#client.end().catch(() => undefined)
  }

  async end(): Promise<void> {
    this.isBroken = true
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
