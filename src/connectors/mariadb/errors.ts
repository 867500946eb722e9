import { SyncError } from '../../errors/index.ts'
import { SqlFailure, type SqlFailureKind } from '../tables/sql.ts'

/** The one table from the server's error numbers, and the driver's codes, to what they mean. */
const KINDS: Readonly<Record<string, SqlFailureKind>> = {
  1020: 'contention', // the row changed since it was read
  1021: 'unavailable', // disk full
  1040: 'unavailable', // too many connections
  1044: 'denied',
  1045: 'denied', // wrong user or password
  1046: 'schema', // no database named
  1048: 'rejected', // not null
  1049: 'schema', // no such database
  1053: 'lost', // the server is shutting down
  1054: 'schema', // no such column
  1062: 'duplicate',
  1077: 'lost',
  1114: 'unavailable', // table full
  1118: 'too-large',
  1129: 'unavailable', // host blocked
  1142: 'denied',
  1143: 'denied',
  1146: 'schema', // no such table
  1153: 'too-large', // packet larger than max_allowed_packet
  1169: 'duplicate',
  1203: 'unavailable',
  1205: 'contention', // lock wait timeout
  1213: 'contention', // deadlock
  1216: 'reference',
  1217: 'reference',
  1226: 'unavailable', // a limit of the account
  1227: 'denied',
  1264: 'rejected', // out of range
  1265: 'rejected', // data truncated
  1290: 'read-only',
  1292: 'rejected', // incorrect value
  1364: 'rejected', // no default
  1366: 'rejected', // incorrect value for the column's character set or type
  1370: 'denied',
  1406: 'too-large', // data too long
  1419: 'denied', // triggers with a binary log need log_bin_trust_function_creators
  1451: 'reference',
  1452: 'reference',
  1586: 'duplicate',
  1644: 'rejected', // SIGNAL of a trigger
  1698: 'denied',
  1792: 'read-only',
  1836: 'read-only',
  1927: 'lost', // killed
  1969: 'timeout', // max_statement_time
  3024: 'timeout', // max_execution_time
  3819: 'rejected', // check constraint (MySQL)
  4025: 'rejected', // check constraint
  4151: 'denied', // account locked
  ECONNREFUSED: 'unreachable',
  ECONNRESET: 'lost',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  ENOENT: 'unreachable',
  ENOTFOUND: 'unreachable',
  EPIPE: 'lost',
  ETIMEDOUT: 'unreachable', // connecting took too long
  PROTOCOL_CONNECTION_LOST: 'lost',
}

/** An error of the server or its driver, judged by its number or code. What is neither stays what it is. */
export function mariadbFailure(error: unknown, options: { readonly mayBeApplied?: boolean } = {}): unknown {
  if (error instanceof SqlFailure || SyncError.is(error)) return error
  if (typeof error !== 'object' || error === null) return error
  const { errno, code, sqlMessage, message } = error as {
    errno?: unknown
    code?: unknown
    sqlMessage?: unknown
    message?: unknown
  }
  if (errno === undefined && code === undefined) return error
  const kind = KINDS[String(errno)] ?? KINDS[String(code)] ?? 'failed'
  const words = String(sqlMessage ?? message ?? code)
  return new SqlFailure(kind, `MariaDB says: ${words} (${String(errno ?? code)})`, { cause: error, ...options })
}
