import type { Column } from '../tables/sql.ts'
import { readValue } from './dialect.ts'

/** What the log's decoder gives, as the same value that a read of the column gives: text first, then the one way from text to value. */
export function loggedValue(value: unknown, column: Column): unknown {
  if (value === null || value === undefined) return null
  const { type } = column
  if (value instanceof Uint8Array) {
    // A column of text without a character set that the decoder knows is text in UTF-8 all the same.
    return readValue(Buffer.from(value).toString(isText(type) ? 'utf8' : 'latin1'), column)
  }
  if (typeof value === 'object') return { unreadable: type }
  if (type.startsWith('bit')) return readValue(bitsText(value, type), column)
  if (typeof value === 'number' && /^(?:float|double|real)\b/.test(type)) return value
  if (type.startsWith('year')) return Number(value)
  return readValue(String(value), column)
}

const isText = (type: string): boolean => /^(?:var)?char|text|^json|^enum|^set/.test(type)

/** The decoder gives bits as a number; `readValue` takes them as the bytes that the server sends. */
function bitsText(value: unknown, type: string): string {
  const length = Number(/\((\d+)\)/.exec(type)?.[1] ?? 1)
  const hex = BigInt(value as number | string)
    .toString(16)
    .padStart(Math.ceil(length / 8) * 2, '0')
  return Buffer.from(hex, 'hex').toString('latin1')
}
