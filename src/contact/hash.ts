import { encodeData, type Value } from '../model/value.ts'

/**
 * Two 32-bit halves of a hash. Strong enough that two of a million records are not mixed up by chance (1 in 10^7), not made against somebody who wants them to be: what it finds
 * equal was told by applications that are trusted with the data itself.
 */
export interface Hash {
  hi: number
  lo: number
}

/** Hashes text into `into`. HOT PATH: no allocation. */
export function hashText(text: string, into: Hash): void {
  let a = 0xdeadbeef
  let b = 0x41c6ce57
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    a = Math.imul(a ^ unit, 2654435761)
    b = Math.imul(b ^ unit, 1597334677)
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909)
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909)
  into.hi = a >>> 0
  into.lo = b >>> 0
}

/** One text for each value, equal exactly where `valuesEqual` says so: 5 and 5n, 0 and -0 are one; '5' is another. */
export function valueText(value: Value): string {
  switch (typeof value) {
    case 'string':
      return 's' + value
    case 'number':
      return value === 0 ? 'n0' : 'n' + value
    case 'bigint':
      return 'n' + value
    case 'boolean':
      return value ? 't' : 'f'
    default:
      return value === null ? '-' : 'l' + encodeData(value.map((item) => valueText(item as Value)))
  }
}
