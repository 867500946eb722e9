/** Exact arithmetic on decimal text: never through a float. */

/** `12.5` with scale 2 is 1250n; undefined when the text is no decimal or has more digits than the scale holds. */
export function decimalToUnits(text: string, scale: number): bigint | undefined {
  const match = /^([+-]?)(\d+)(?:\.(\d+))?$/.exec(text)
  if (match === null) return undefined
  const fraction = match[3] ?? ''
  if (fraction.length > scale && /[1-9]/.test(fraction.slice(scale))) return undefined
  const units = BigInt((match[2] ?? '0') + fraction.slice(0, scale).padEnd(scale, '0'))
  return match[1] === '-' ? -units : units
}

/** 1250n with scale 2 is `12.50`: all digits of the scale, no leading zeros, no minus before zero. */
export function unitsToDecimal(units: bigint | number, scale: number): string {
  const negative = units < 0
  const digits = String(negative ? -units : units).padStart(scale + 1, '0')
  const whole = digits.slice(0, digits.length - scale)
  const sign = negative ? '-' : ''
  return scale === 0 ? sign + whole : `${sign}${whole}.${digits.slice(digits.length - scale)}`
}

/** The canonical spelling of a decimal (`+07.5` is `7.50` at scale 2); undefined when it is none. */
export function spellDecimal(text: string, scale: number): string | undefined {
  if (isSpelled(text, scale)) return text
  const units = decimalToUnits(text, scale)
  return units === undefined ? undefined : unitsToDecimal(units, scale)
}

/** Hot path: most values are in their canonical spelling already, and need no arithmetic to say so. */
function isSpelled(text: string, scale: number): boolean {
  const point = text.length - scale - 1
  if (scale === 0 || point < 1 || text.charCodeAt(point) !== 46 || text.charCodeAt(0) < 48) return false
  if (text.charCodeAt(0) === 48 && point > 1) return false
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (i !== point && (code < 48 || code > 57)) return false
  }
  return true
}
