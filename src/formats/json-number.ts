/** Integers longer than this stay text: no application counts that far, and a BigInt of a million digits takes seconds to read. */
const INTEGER_DIGITS_MAX = 40

/** The number, or its digits as bigint or text where a double does not hold it. */
export function exactNumber(value: number, source: string): number | bigint | string {
  if (Number.isSafeInteger(value)) return digitsOf(source) === digitsOf(String(value)) ? value : source
  if (/^-?\d+$/.test(source)) return source.length <= INTEGER_DIGITS_MAX ? BigInt(source) : source
  if (!Number.isFinite(value) || Number.isInteger(value)) return source
  return digitsOf(source) === digitsOf(String(value)) ? value : source
}

/** A number's significant digits and magnitude in one spelling, so that `1.50`, `15e-1` and 1.5 compare equal. */
function digitsOf(text: string): string {
  const match = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text)
  if (match === null) return text
  const fraction = match[3] ?? ''
  const all = (match[2] ?? '') + fraction
  let start = 0
  while (start < all.length && all.charCodeAt(start) === 48) start++
  let end = all.length
  while (end > start && all.charCodeAt(end - 1) === 48) end--
  if (start === end) return '0'
  return `${match[1]}${all.slice(start, end)}e${Number(match[4] ?? 0) - fraction.length + all.length - end}`
}
