import { DatabaseSync } from 'node:sqlite'

export type SqlValue = null | number | string | Uint8Array

/** One prepared statement. Rows are arrays in column order: on the hot path an object per row costs more than the row. */
export interface SqliteStatement {
  run(...values: readonly SqlValue[]): { readonly changes: number | bigint }
  get(...values: readonly SqlValue[]): readonly SqlValue[] | undefined
  all(...values: readonly SqlValue[]): readonly (readonly SqlValue[])[]
}

/** What we ask of a SQLite connection, so that a test can stand between us and the disk. Everything is synchronous. */
export interface SqliteDriver {
  exec(sql: string): void
  prepare(sql: string): SqliteStatement
  close(): void
}

export type OpenDriver = (path: string, options: { readonly readOnly: boolean }) => SqliteDriver

/** How long a statement waits for another connection's lock. Only a checkpoint or a backup tool holds one, for moments. */
const BUSY_TIMEOUT_MS = 2_000

/** The driver on Node's own SQLite. */
export const openNodeSqlite: OpenDriver = (path, { readOnly }) => {
  const database = new DatabaseSync(path, { readOnly, timeout: BUSY_TIMEOUT_MS })
  return {
    exec: (sql) => database.exec(sql),
    prepare: (sql) => {
      const statement = database.prepare(sql)
      statement.setReturnArrays(true)
      return statement as unknown as SqliteStatement
    },
    close: () => database.close(),
  }
}
