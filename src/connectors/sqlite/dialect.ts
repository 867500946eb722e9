import type { Column, Dialect, SqlParam, SqlSession, TableShape } from '../tables/sql.ts'
import { SqlFailure } from '../tables/sql.ts'

/** SQLite's words and values. Integers are bigint on the way in and out of the driver, so that none goes through a float. */
export const sqliteDialect: Dialect = {
  name: 'sqlite',
  quote,
  forUpdate: '',
  earlier: (ms) => `strftime('%Y-%m-%d %H:%M:%f', ?, '-${ms / 1000} seconds')`,
  describe,
  select: (from) => from,
  read: readValue,
  write: writeValue,
}

export function quote(name: string): string {
  return '"' + name.replaceAll('"', '""') + '"'
}

/** A text in SQL, for the few places that take no parameter. */
export const literal = (text: string): string => "'" + text.replaceAll("'", "''") + "'"

async function describe(session: SqlSession, table: string): Promise<TableShape | null> {
  const info = await session.run(`select name, type, "notnull", pk, hidden from pragma_table_xinfo(${literal(table)})`)
  if (info.rows.length === 0) return null
  const exact = await session.run(`select 1 from sqlite_schema where type = 'table' and name = ?`, [table])
  if (exact.rows.length === 0) return null
  const columns = info.rows.map(([name, type, notNull, pk, hidden]) => ({
    name: String(name),
    type: String(type).toLowerCase(),
    nullable: notNull !== 1n && pk === 0n,
    generated: hidden === 2n || hidden === 3n,
  }))
  const primary = info.rows
    .filter(([, , , pk]) => pk !== 0n)
    .sort(([, , , a], [, , , b]) => Number(a as bigint) - Number(b as bigint))
    .map(([name]) => String(name))
  const unique = await session.run(
    `select l.partial or count(i.name) < count(*), group_concat(i.name, char(0)) from pragma_index_list(${literal(table)}) l, pragma_index_info(l.name) i where l."unique" = 1 group by l.name`,
  )
  const nullable = new Set(columns.filter((column) => column.nullable).map((column) => column.name))
  const indexes = unique.rows.map(([partial, names]) => ({
    isWhole: partial === 0n,
    names: String(names).split('\u0000'),
  }))
  const keys = indexes
    .filter(({ isWhole, names }) => isWhole && names.every((name) => !nullable.has(name)))
    .map(({ names }) => names)
  return {
    columns,
    keys: primary.length === 0 ? keys : [primary, ...keys],
    unique: new Set(indexes.flatMap(({ names }) => names)),
  }
}

const isBytes = (type: string): boolean => type.includes('blob') || type.includes('binary')
const isBoolean = (type: string): boolean => type.startsWith('bool')

/** What SQLite keeps, as a value of ours: integers exact, bytes as base64. */
function readValue(value: unknown, column: Column): unknown {
  if (typeof value === 'bigint') {
    if (isBoolean(column.type) && (value === 0n || value === 1n)) return value === 1n
    return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value
  }
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  // JSON has no infinity; as an object it cannot be folded, so that the record is set aside with its reason and nothing is made up.
  if (typeof value === 'number' && !Number.isFinite(value)) return { unreadable: String(value) }
  return value
}

function writeValue(value: unknown, column: Column): SqlParam {
  if (value === null || value === undefined) return null
  if (typeof value === 'boolean') return value ? 1n : 0n
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value
  if (typeof value === 'bigint') {
    if (BigInt.asIntN(64, value) !== value)
      throw new SqlFailure('rejected', `${column.name} cannot hold ${value}: SQLite keeps integers of 64 bits`)
    return value
  }
  if (typeof value === 'string') return isBytes(column.type) ? Buffer.from(value, 'base64') : value
  throw new SqlFailure('rejected', `${column.name} cannot hold a list or an object`)
}
