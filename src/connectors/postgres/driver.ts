import { SyncError } from '../../errors/index.ts'

/** The part of the package `pg` that is used, so that a user's own version of it fits. */

export interface PgResult {
  readonly rows: readonly (readonly (string | null)[])[]
  readonly rowCount: number | null
}

export interface PgQuery {
  readonly text: string
  /** A named statement is prepared once per session. */
  readonly name?: string
  readonly values?: readonly (string | null)[]
  readonly rowMode: 'array'
}

export interface PgConnection {
  on(event: string, listener: (message: never) => void): unknown
  removeAllListeners(event: string): unknown
  query(text: string): void
  sendCopyFromChunk(chunk: Buffer): void
  readonly stream: {
    readonly writable: boolean
    pause(): unknown
    resume(): unknown
    destroy(): unknown
    unref?(): unknown
  }
}

export interface PgClient {
  readonly connection: PgConnection
  readonly processID: number | null
  connect(): Promise<unknown>
  query(query: PgQuery | string): Promise<PgResult>
  end(): Promise<void>
  on(event: 'error', listener: (error: Error) => void): unknown
  on(event: 'notice', listener: (notice: { readonly message?: string }) => void): unknown
}

interface PgModule {
  readonly Client: new (config: Readonly<Record<string, unknown>>) => PgClient
}

let loaded: Promise<PgModule> | undefined

async function loadPg(): Promise<PgModule> {
  loaded ??= import('pg').then(
    (module) => ((module as { default?: unknown }).default ?? module) as PgModule,
    (cause: unknown) => {
      loaded = undefined
      throw new SyncError(
        'driver.missing',
        'the connector `postgres` needs the package `pg`, which is not installed here. Run: npm install pg',
        { cause },
      )
    },
  )
  return loaded
}

/** Values come as the server's own text; what they mean is decided by `values.ts` alone. */
const AS_TEXT = { getTypeParser: () => (text: string) => text }

/** So that the server spells every value in one way, whatever its configuration says. */
const SPELLING =
  "SET TimeZone TO 'UTC'; SET DateStyle TO 'ISO, YMD'; SET IntervalStyle TO 'iso_8601'; SET bytea_output TO 'hex'; SET extra_float_digits TO 1"

const CONNECT_TIMEOUT_MS = 10_000

export interface SessionOptions {
  readonly url: string
  readonly app: string
  readonly replication?: boolean
  readonly settings?: Readonly<Record<string, string | number>>
}

/** An open session, its settings made. Rejects with the driver's own error. */
export async function connect(options: SessionOptions): Promise<PgClient> {
  const { Client } = await loadPg()
  const client = new Client({
    connectionString: options.url,
    application_name: `latchwork ${options.app}`,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    types: AS_TEXT,
    ...(options.replication === true ? { replication: 'database' } : {}),
  })
  // A session that breaks while nothing is asked of it is noticed by its next query.
  client.on('error', () => {})
  await client.connect()
  const own = Object.entries(options.settings ?? {}).map(
    ([name, value]) => `SET ${name} TO ${quoteText(String(value))}`,
  )
  try {
    await client.query([SPELLING, ...own].join('; '))
  } catch (error) {
    client.connection.stream.destroy()
    throw error
  }
  return client
}

export const quoteName = (name: string): string => '"' + name.replaceAll('"', '""') + '"'
export const quoteText = (text: string): string =>
  (text.includes('\\') ? ' E' : '') + "'" + text.replaceAll("'", "''").replaceAll('\\', '\\\\') + "'"
