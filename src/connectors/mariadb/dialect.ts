import type { Column, Dialect, SqlParam, SqlSession, TableShape } from '../tables/sql.ts'
import { SqlFailure } from '../tables/sql.ts'

/** MariaDB's words and values. The driver passes text through as the server writes it; it is made exact here, by the column's declared type. */
export const mariadbDialect: Dialect = {
  name: 'mariadb',
  quote,
  forUpdate: ' for update',
  earlier: (ms) => `date_sub(cast(? as datetime(6)), interval ${ms * 1000} microsecond)`,
  describe,
  // A float of 32 bits is written with six digits unless it is asked for as one of 64.
  select: (from, { type }) => (type.startsWith('float') ? `(${from} + 0e0)` : from),
  read: readValue,
  write: writeValue,
}

export function quote(name: string): string {
  return '`' + name.replaceAll('`', '``') + '`'
}

async function describe(session: SqlSession, table: string): Promise<TableShape | null> {
  const { rows } = await session.run(
    `select column_name, column_type, is_nullable, coalesce(generation_expression, '') from information_schema.columns where table_schema = database() and table_name = ? order by ordinal_position`,
    [table],
  )
  if (rows.length === 0) return null
  const columns = rows.map(([name, type, nullable, generated]) => ({
    name: String(name),
    type: String(type).toLowerCase(),
    nullable: nullable === 'YES',
    generated: String(generated) !== '',
  }))
  const indexes = await session.run(
    `select index_name, column_name, nullable, coalesce(sub_part, '') from information_schema.statistics where table_schema = database() and table_name = ? and non_unique = 0 order by index_name = 'PRIMARY' desc, index_name, seq_in_index`,
    [table],
  )
  const keys = [...Map.groupBy(indexes.rows, ([name]) => String(name)).values()]
    .filter((parts) => parts.every(([, , nullable, prefix]) => nullable !== 'YES' && String(prefix) === ''))
    .map((parts) => parts.map(([, column]) => String(column)))
  return { columns, keys, unique: new Set(indexes.rows.map(([, column]) => String(column))) }
}

const INTEGER = /^(?:tiny|small|medium|big)?int\b|^year\b/
const FLOAT = /^(?:float|double|real)\b/
const BYTES = /^(?:tiny|medium|long)?blob\b|^(?:var)?binary\b/

/** Told by the server in an encoding of its own, which nothing else reads. */
const GEOMETRY = /^(?:point|linestring|polygon|geometry(?:collection)?|multi(?:point|linestring|polygon))\b/

/** One bit, and the type that people and their tools use as a boolean. */
const isBoolean = (type: string): boolean => type === 'bit(1)' || type.startsWith('tinyint(1)')

/** What the server says, as a value of ours. Text that has no other exact form (decimals, dates, json, enums, sets) stays text. */
export function readValue(value: unknown, column: Column): unknown {
  if (value === null || value === undefined) return null
  const text = String(value)
  const { type } = column
  if (GEOMETRY.test(type)) return { unreadable: type }
  if (type.startsWith('bit')) return readBits(Buffer.from(text, 'latin1'), type)
  if (BYTES.test(type)) return Buffer.from(text, 'latin1').toString('base64')
  if (isBoolean(type) && (text === '0' || text === '1')) return text === '1'
  if (INTEGER.test(type)) return integerOf(text)
  if (FLOAT.test(type)) return Number(text)
  if (type.startsWith('timestamp')) return instantOf(text)
  if (type.startsWith('datetime')) return text.replace(' ', 'T')
  return text
}

function integerOf(text: string): number | bigint {
  const number = Number(text)
  return Number.isSafeInteger(number) ? number : BigInt(text)
}

/** Sessions run in UTC, so a time stamp is an instant. */
const instantOf = (text: string): string =>
  /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/.test(text) ? text.replace(' ', 'T') + 'Z' : text

function readBits(bytes: Uint8Array, type: string): boolean | number | bigint {
  let bits = 0n
  for (const byte of bytes) bits = (bits << 8n) | BigInt(byte)
  if (type === 'bit(1)') return bits === 1n
  return bits <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(bits) : bits
}

function writeValue(value: unknown, column: Column): SqlParam {
  if (value === null || value === undefined) return null
  const { type, name } = column
  if (GEOMETRY.test(type))
    throw new SqlFailure('rejected', `${name} is a ${type}, which no value of a record stands for`)
  if (typeof value === 'boolean') return value ? 1 : 0
  if (typeof value === 'number') {
    if (Number.isFinite(value)) return value
    throw new SqlFailure('rejected', `${name} cannot hold ${value}`)
  }
  if (typeof value === 'bigint') return value
  if (typeof value !== 'string') throw new SqlFailure('rejected', `${name} cannot hold a list or an object`)
  if (BYTES.test(type)) return Buffer.from(value, 'base64')
  if (type.startsWith('timestamp') || type.startsWith('datetime')) return value.replace('T', ' ').replace(/Z$/, '')
  return value
}
