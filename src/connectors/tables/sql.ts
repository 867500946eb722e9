/**
 * What the code that is common to all databases asks of one: text with `?` for values, rows as arrays in column order. Each connector gives it on its own driver and
 * judges errors by the database's own codes, never by their words.
 */

export type SqlParam = null | boolean | number | bigint | string | Uint8Array

/** A row in column order, values as the driver gives them; `Dialect.read` makes them values of ours. */
export type SqlRow = readonly unknown[]

export interface SqlResult {
  readonly rows: readonly SqlRow[]
  /** Rows that a statement changed. */
  readonly changes: number
}

/** One transaction. Statements run one after the other. */
export interface SqlSession {
  run(sql: string, params?: readonly SqlParam[]): Promise<SqlResult>
}

export interface CallLimits {
  /** By the monotonic clock: when the call is given up. */
  readonly untilMs: number
  readonly signal: AbortSignal
}

/**
 * A database as the shared code holds it. Both kinds of transaction reject with `SqlFailure` or SyncError; `mayBeApplied` is set only where the commit was sent and its
 * answer did not come.
 */
export interface SqlDatabase extends AsyncDisposable {
  readonly dialect: Dialect
  /** One consistent snapshot for all statements of `work`. */
  read<T>(work: (session: SqlSession) => Promise<T>, limits: CallLimits): Promise<T>
  /** All or nothing. What can be tried again without asking anybody (a lock held by another, a deadlock) is, until the deadline; so `work` may run more than once. */
  write<T>(work: (session: SqlSession) => Promise<T>, limits: CallLimits): Promise<T>
  /** Resolves when something may have been committed since the last call, after `maxMs`, or when aborted; false where certainly nothing was. */
  changed(maxMs: number, signal: AbortSignal): Promise<boolean>
  close(): Promise<void>
}

/** A column as the database describes it. */
export interface Column {
  readonly name: string
  /** The declared type in lower case, with its arguments: `decimal(10,2)`. */
  readonly type: string
  readonly nullable: boolean
  readonly generated: boolean
}

export interface TableShape {
  readonly columns: readonly Column[]
  /** Sets of columns that are unique; the primary key first. Columns of a key that may be null are not among them. */
  readonly keys: readonly (readonly string[])[]
  /** The columns of all unique indexes, also of those over columns that may be null. */
  readonly unique: ReadonlySet<string>
}

/** Where databases differ in words. */
export interface Dialect {
  readonly name: 'sqlite' | 'mariadb' | 'postgres'
  quote(name: string): string
  /** Appended to a select of rows that are about to be written. */
  readonly forUpdate: string
  /** A time that is given as a parameter, `ms` earlier. */
  earlier(ms: number): string
  /** The shape of a table; null when it is not there (or may not be seen). */
  describe(session: SqlSession, table: string): Promise<TableShape | null>
  /** How a column is read so that nothing is lost: the column, or an expression on it. `from` is its quoted, qualified name. */
  select(from: string, column: Column): string
  /** A driver's value as a value of ours: exact, or `Unreadable` where there is none. */
  read(value: unknown, column: Column): unknown
  /** A native value as the driver takes it. Throws SqlFailure `rejected` where the column cannot hold it. */
  write(value: unknown, column: Column): SqlParam
}

/**
 * What a database's error means. unreachable: no connection, nothing was applied. unavailable: cannot now (a full disk, too many connections), rolled back. contention: a lock, a deadlock, rolled back. denied: credentials
 * or privileges. duplicate, reference, rejected: a unique key, a foreign key, anything else about the content. too-large: a row or packet limit. read-only: a replica, or a file that may not be written.
 * schema: a table or column is not there. timeout: our own deadline, or the server's. lost: the connection broke. failed: anything else.
 */
export type SqlFailureKind =
  | 'unreachable'
  | 'unavailable'
  | 'contention'
  | 'denied'
  | 'duplicate'
  | 'reference'
  | 'rejected'
  | 'too-large'
  | 'read-only'
  | 'schema'
  | 'timeout'
  | 'lost'
  | 'failed'

/** An error of a database, judged. Never leaves a connector: it becomes an outcome, a read's result or a SyncError. */
export class SqlFailure extends Error {
  override readonly name = 'SqlFailure'
  readonly kind: SqlFailureKind
  /** The commit was sent and its answer did not come. */
  readonly mayBeApplied: boolean

  constructor(kind: SqlFailureKind, message: string, options: { cause?: unknown; mayBeApplied?: boolean } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.kind = kind
    this.mayBeApplied = options.mayBeApplied ?? false
  }
}

/** `?, ?, ?` */
export const marks = (count: number): string => Array.from({ length: count }, () => '?').join(', ')
