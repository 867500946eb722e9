import { SyncError } from '../../errors/index.ts'
import { isConnectionLost, toPortError } from './errors.ts'

/** What we call of the package `pg`; anything of this shape may be handed in. */
export interface PgClient {
  connect(): Promise<unknown>
  query(query: PgQuery | string): Promise<{ readonly rows: unknown[]; readonly rowCount?: number | null }>
  end(): Promise<void>
  on(event: 'error' | 'end', listener: (error?: Error) => void): unknown
}

export interface PgQuery {
  /** Prepared once per connection under this name. */
  readonly name?: string
  readonly text: string
  readonly values?: readonly unknown[]
  readonly rowMode?: 'array'
  readonly types?: { getTypeParser(): (text: string) => unknown }
}

export interface PgModule {
  readonly Client: new (options: Readonly<Record<string, unknown>>) => PgClient
}

export type Row = readonly (string | null)[]

/** All values stay text: numbers beyond 2^53 and times must not pass through a parser that loses of them. */
const AS_TEXT = { getTypeParser: () => (text: string) => text }

/** A silent server is given up on after this long, so that a hub does not hang on a half-open connection. */
const CONNECT_MS = 10_000
/** Longer than any honest batch; a commit that waits for a lock for so long has a zombie before it. */
const STATEMENT_MS = 60_000

export async function loadPg(): Promise<PgModule> {
  try {
    const module = (await import('pg')) as { default?: PgModule } & Partial<PgModule>
    return (module.default ?? module) as PgModule
  } catch (error) {
    throw new SyncError(
      'config.driver-missing',
      'PostgreSQL as the store needs the package `pg`, which is not installed. Run `npm install pg`.',
      { place: { package: 'pg' }, cause: error },
    )
  }
}

export interface ConnectionOptions {
  /** `postgres://user:password@host:port/database?...` */
  readonly url: string
  readonly applicationName: string
  readonly pg?: PgModule
}

/** The server and database of a URL, without its user and password: for messages. */
export function placeOf(url: string): string {
  try {
    const { host, pathname } = new URL(url)
    return host + pathname
  } catch {
    return 'the PostgreSQL store'
  }
}

/**
 * One connection that is made again after it broke. Queries run one after the other in the order of their calls. `onConnect` runs first on each new connection, before
 * any query of others.
 */
export class Connection {
  readonly #options: ConnectionOptions
  readonly #onConnect: (connection: Connected) => Promise<void>
  #connected: Promise<Connected> | null = null
  #closed = false

  constructor(options: ConnectionOptions, onConnect: (connection: Connected) => Promise<void> = async () => {}) {
    this.#options = options
    this.#onConnect = onConnect
  }

  async rows(text: string, values: readonly unknown[] = [], name?: string): Promise<readonly Row[]> {
    const connected = await this.#get()
    return connected.rows(text, values, name)
  }

  /** Opens the connection now, after `close` too, and says why where that is not possible. */
  async open(): Promise<void> {
    this.#closed = false
    await this.#get()
  }

  async close(): Promise<void> {
    this.#closed = true
    const connected = this.#connected
    this.#connected = null
    await (await connected?.catch(() => undefined))?.end()
  }

  #get(): Promise<Connected> {
    if (this.#closed) return Promise.reject(new Error('the connection is closed'))
    this.#connected ??= this.#connect()
    return this.#connected
  }

  #connect(): Promise<Connected> {
    const { url, applicationName } = this.#options
    let mine: Promise<Connected> | null = null
    const forget = () => {
      if (this.#connected === mine) this.#connected = null
    }
    const attempt = async (): Promise<Connected> => {
      const pg = this.#options.pg ?? (await loadPg())
      const client = new pg.Client({
        connectionString: url,
        application_name: applicationName,
        keepAlive: true,
        connectionTimeoutMillis: CONNECT_MS,
        statement_timeout: STATEMENT_MS,
      })
      client.on('error', forget)
      client.on('end', forget)
      const connected = new Connected(client, forget)
      try {
        await client.connect()
        await this.#onConnect(connected)
        return connected
      } catch (error) {
        forget()
        await connected.end()
        throw error
      }
    }
    mine = attempt()
    mine.catch(forget)
    return mine
  }
}

export class Connected {
  readonly #client: PgClient
  readonly #forget: () => void

  constructor(client: PgClient, forget: () => void) {
    this.#client = client
    this.#forget = forget
  }

  async rows(text: string, values: readonly unknown[] = [], name?: string): Promise<readonly Row[]> {
    try {
      const query: PgQuery = { text, values, rowMode: 'array', types: AS_TEXT, ...(name === undefined ? {} : { name }) }
      const { rows } = await this.#client.query(query)
      return rows as Row[]
    } catch (error) {
      if (isConnectionLost(error)) this.#forget()
      throw error
    }
  }

  /** Several statements without parameters, as one implicit transaction. */
  async script(text: string): Promise<void> {
    await this.#client.query(text)
  }

  async end(): Promise<void> {
    await this.#client.end().catch(() => {})
  }
}

/** A name that stands unquoted in SQL; everything else is refused rather than quoted, because it is in every statement. */
export function schemaName(schema: string): string {
  if (/^[a-z_][a-z0-9_]{0,62}$/.test(schema)) return schema
  throw toPortError(
    'store',
    schema,
    new SyncError(
      'config.invalid',
      `schema ${JSON.stringify(schema)} of the store: use lower-case letters, digits and underscores`,
    ),
  )
}
