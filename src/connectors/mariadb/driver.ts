import { SyncError } from '../../errors/index.ts'
import type { AppId } from '../../model/ids.ts'

/** What we ask of mysql2, and nothing more of it. */
export interface MysqlConnection {
  query(options: {
    readonly sql: string
    readonly values?: readonly unknown[]
    readonly rowsAsArray: true
    readonly typeCast: (field: MysqlField) => unknown
  }): Promise<[unknown, unknown]>
  /** The statement as it is sent. */
  format(sql: string, values: readonly unknown[]): string
  end(): Promise<void>
  destroy(): void
  on(event: 'error', listener: (error: unknown) => void): unknown
}

export interface MysqlField {
  readonly type: string
  string(): string | null
}

export interface MysqlDriver {
  createConnection(options: Readonly<Record<string, unknown>>): Promise<MysqlConnection>
}

/** The driver, loaded when an application needs it. */
export async function loadMysql(app: AppId): Promise<MysqlDriver> {
  try {
    return (await import('mysql2/promise')) as unknown as MysqlDriver
  } catch (cause) {
    throw new SyncError('driver.missing', `${app} needs the package mysql2: npm install mysql2@3`, {
      place: { app },
      cause,
    })
  }
}

export interface ConnectionOptions {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
}

/** Reads `mysql://user:password@host:port/database`; `mariadb://` is the same. */
export function connectionOptionsOf(app: AppId, text: string): ConnectionOptions {
  const url = URL.parse(text)
  if (url === null || !/^(?:mysql|mariadb):$/.test(url.protocol) || url.pathname.length < 2)
    throw new SyncError('config.invalid', `the url of ${app} is not mysql://user:password@host:port/database.`, {
      place: { app },
    })
  return {
    host: url.hostname === '' ? '127.0.0.1' : url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? 3306 : Number(url.port),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database: decodeURIComponent(url.pathname.slice(1)),
  }
}

/** Text as the server writes it: the driver's own conversions lose digits. Bytes come as latin1 text, which loses nothing; the dialect knows which columns hold them. */
export const exactly = (field: MysqlField): string | null => field.string()
