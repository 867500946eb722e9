import { type Value, valuesEqual } from '../model/value.ts'

/** Two changes of one value taken together, where a difference can be named: what each side added to a number, or did to a set. */

/**
 * `current + (incoming - base)` for integers and decimal text, exactly; undefined where one of them is no number. The result of decimals has as many digits after
 * the point as the longest of them.
 */
export function addDifference(base: Value, incoming: Value, current: Value): Value | undefined {
  const numbers = [scaled(base), scaled(incoming), scaled(current)]
  const digits = Math.max(...numbers.map((one) => one?.digits ?? 0))
  const [from, to, now] = numbers.map((one) =>
    one === undefined ? undefined : one.units * 10n ** BigInt(digits - one.digits),
  )
  if (from === undefined || to === undefined || now === undefined) return undefined
  const sum = now + to - from
  return typeof current === 'string' ? decimalText(sum, digits) : integer(sum)
}

interface Scaled {
  readonly units: bigint
  readonly digits: number
}

function scaled(value: Value): Scaled | undefined {
  if (typeof value === 'bigint') return { units: value, digits: 0 }
  if (typeof value === 'number') return Number.isSafeInteger(value) ? { units: BigInt(value), digits: 0 } : undefined
  const match = typeof value === 'string' ? /^([+-]?)(\d+)(?:\.(\d+))?$/.exec(value) : null
  if (match === null) return undefined
  const [, sign, whole = '0', fraction = ''] = match
  const units = BigInt(whole + fraction)
  return { units: sign === '-' ? -units : units, digits: fraction.length }
}

const integer = (sum: bigint): Value => (Number.isSafeInteger(Number(sum)) ? Number(sum) : sum)

function decimalText(sum: bigint, digits: number): string {
  const sign = sum < 0n ? '-' : ''
  const text = String(sum < 0n ? -sum : sum).padStart(digits + 1, '0')
  return digits === 0 ? sign + text : `${sign}${text.slice(0, -digits)}.${text.slice(-digits)}`
}

/**
 * The current list with what the incoming side added since `base`, and without what it took out. Without a base nothing was taken out. Undefined where one of them
 * is no list. The order is that of the current list, then of the additions.
 */
export function addAndRemove(base: Value | undefined, incoming: Value, current: Value): Value | undefined {
  if (!isList(incoming) || !isList(current) || (base !== undefined && !isList(base))) return undefined
  const before = base ?? []
  const removed = before.filter((item) => !holds(incoming, item))
  const merged: Value[] = []
  for (const item of [
    ...current.filter((one) => !holds(removed, one)),
    ...incoming.filter((one) => !holds(before, one)),
  ])
    if (!holds(merged, item)) merged.push(item)
  return merged
}

/** Whether two lists hold the same, in whatever order and however often. */
export function sameSet(a: Value | undefined, b: Value | undefined): boolean {
  return isList(a) && isList(b) && a.every((item) => holds(b, item)) && b.every((item) => holds(a, item))
}

const isList = (value: Value | undefined): value is readonly Value[] => Array.isArray(value)
const holds = (list: readonly Value[], item: Value): boolean => list.some((one) => valuesEqual(one, item))
