import { SyncError } from '../../errors/index.ts'
import {
  type Column,
  type Dialect,
  SqlFailure,
  type SqlFailureKind,
  type SqlParam,
  type SqlSession,
  type TableShape,
} from '../tables/sql.ts'

/** PostgreSQL's words and values for the code that all databases share. The driver passes text through; it is made exact here, by the column's type. */
export const postgresDialect: Dialect = {
  name: 'postgres',
  quote,
  forUpdate: ' for update',
  earlier: (ms) => `cast(? as timestamptz) - interval '${ms} milliseconds'`,
  describe,
  select: (from) => from,
  read: readValue,
  write: writeValue,
}

export function quote(name: string): string {
  return '"' + name.replaceAll('"', '""') + '"'
}

async function describe(session: SqlSession, table: string): Promise<TableShape | null> {
  const { rows } = await session.run(
    `select a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attgenerated <> '' or a.attidentity = 'a' from pg_attribute a join pg_class c on c.oid = a.attrelid where c.relname = ? and c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped order by a.attnum`,
    [table],
  )
  if (rows.length === 0) return null
  const columns = rows.map(([name, type, notNull, generated]) => ({
    name: String(name),
    type: String(type),
    nullable: notNull !== 't',
    generated: generated === 't',
  }))
  const indexes = await session.run(
    `select i.indexrelid, a.attname, a.attnotnull and i.indpred is null and i.indexprs is null and i.indimmediate from pg_index i join pg_class c on c.oid = i.indrelid join lateral unnest(i.indkey) with ordinality k(num, place) on true join pg_attribute a on a.attrelid = c.oid and a.attnum = k.num where c.relname = ? and c.relnamespace = current_schema()::regnamespace and i.indisunique and k.place <= i.indnkeyatts order by i.indisprimary desc, i.indexrelid, k.place`,
    [table],
  )
  const keys = [...Map.groupBy(indexes.rows, ([index]) => String(index)).values()]
    .filter((parts) => parts.every(([, , notNull]) => notNull === 't'))
    .map((parts) => parts.map(([, column]) => String(column)))
  return { columns, keys, unique: new Set(indexes.rows.map(([, column]) => String(column))) }
}

const INTEGER = /^(?:smallint|integer|bigint)$/

function readValue(value: unknown, column: Column): unknown {
  if (value === null || value === undefined) return null
  const text = String(value)
  const { type } = column
  if (type === 'boolean') return text === 't'
  if (INTEGER.test(type)) return Number.isSafeInteger(Number(text)) ? Number(text) : BigInt(text)
  if (type === 'real' || type === 'double precision') return Number.isFinite(Number(text)) ? Number(text) : text
  if (type === 'bytea') return Buffer.from(text.slice(2), 'hex').toString('base64')
  if (/^timestamp.*with time zone$/.test(type)) return text.replace(' ', 'T').replace(/\+00$/, 'Z')
  if (type.startsWith('timestamp')) return text.replace(' ', 'T')
  return text
}

function writeValue(value: unknown, column: Column): SqlParam {
  if (value === null || value === undefined) return null
  if (typeof value === 'boolean' || typeof value === 'number' || typeof value === 'bigint') return value
  if (typeof value !== 'string') throw new SqlFailure('rejected', `${column.name} cannot hold a list or an object`)
  if (value.includes('\u0000') && column.type !== 'bytea')
    throw new SqlFailure(
      'rejected',
      `${column.name} cannot hold the character U+0000, which PostgreSQL keeps in no text`,
    )
  return column.type === 'bytea' ? Buffer.from(value, 'base64') : value
}

/** The one table from SQLSTATE (five characters, or its class of two) and the driver's codes to what they mean. */
const KINDS: Readonly<Record<string, SqlFailureKind>> = {
  '08': 'lost',
  '22': 'rejected',
  '22001': 'too-large',
  '23': 'rejected',
  '23503': 'reference',
  '23505': 'duplicate',
  '23P01': 'duplicate',
  '25006': 'read-only',
  '28': 'denied',
  '3D000': 'schema',
  '3F000': 'schema',
  '40001': 'contention',
  '40P01': 'contention',
  '42501': 'denied',
  '428C9': 'schema',
  '42703': 'schema',
  '42P01': 'schema',
  '44': 'rejected',
  '53': 'unavailable',
  '54': 'too-large',
  '55P03': 'contention',
  '57014': 'timeout',
  '57P01': 'lost',
  '57P02': 'lost',
  '57P03': 'unreachable',
  '58': 'unavailable',
  '0A000': 'rejected',
  P0001: 'rejected',
  XX: 'rejected',
  ECONNREFUSED: 'unreachable',
  ECONNRESET: 'lost',
  ENOTFOUND: 'unreachable',
  EHOSTUNREACH: 'unreachable',
  EPIPE: 'lost',
  ETIMEDOUT: 'unreachable',
}

export function postgresFailure(error: unknown): unknown {
  if (error instanceof SqlFailure || SyncError.is(error)) return error
  if (!(error instanceof Error)) return error
  const { code } = error as { code?: unknown }
  // The driver has no code for a connection that ended under it.
  if (code === undefined) return new SqlFailure('lost', error.message, { cause: error })
  const kind = KINDS[String(code)] ?? KINDS[String(code).slice(0, 2)] ?? 'failed'
  return new SqlFailure(kind, `PostgreSQL says: ${error.message} (${String(code)})`, { cause: error })
}
