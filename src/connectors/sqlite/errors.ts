import { SqlFailure, type SqlFailureKind } from '../tables/sql.ts'

/** The one table from SQLite's result codes (primary, or extended where it says more) to what they mean. */
const KINDS: Readonly<Record<number, SqlFailureKind>> = {
  5: 'unavailable', // BUSY: another connection writes
  6: 'unavailable', // LOCKED
  7: 'unavailable', // NOMEM
  8: 'read-only', // READONLY
  10: 'failed', // IOERR
  11: 'failed', // CORRUPT
  13: 'unavailable', // FULL
  14: 'unreachable', // CANTOPEN
  15: 'unavailable', // PROTOCOL: the WAL lock is contended
  17: 'unavailable', // SCHEMA: it changed under the statement
  18: 'too-large', // TOOBIG
  19: 'rejected', // CONSTRAINT: check, not null, a trigger's RAISE(ABORT)
  20: 'rejected', // MISMATCH: a text where an integer key is
  23: 'denied', // AUTH
  26: 'failed', // NOTADB
  787: 'reference', // CONSTRAINT_FOREIGNKEY
  1555: 'duplicate', // CONSTRAINT_PRIMARYKEY
  2067: 'duplicate', // CONSTRAINT_UNIQUE
  2579: 'duplicate', // CONSTRAINT_ROWID
}

export const BUSY = 5
export const LOCKED = 6

/** The extended result code of an error; undefined when it is not SQLite's. */
export function resultCode(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('errcode' in error)) return undefined
  return typeof error.errcode === 'number' ? error.errcode : undefined
}

export function isBusy(error: unknown): boolean {
  const code = resultCode(error)
  return code !== undefined && ((code & 0xff) === BUSY || (code & 0xff) === LOCKED)
}

/** An error of SQLite, judged by its code. What is not SQLite's stays what it is. */
export function sqliteFailure(error: unknown, options: { mayBeApplied?: boolean } = {}): unknown {
  if (error instanceof SqlFailure) return error
  const code = resultCode(error)
  if (code === undefined) return error
  const kind = KINDS[code] ?? KINDS[code & 0xff] ?? 'failed'
  const message = error instanceof Error ? error.message : String(error)
  return new SqlFailure(kind, `SQLite says: ${message} (${code})`, { cause: error, ...options })
}
