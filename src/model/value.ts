/**
 * Values that are persisted, and the flat shape in which they pass between stages. A value is typed by its entity's schema; here is
 * only what all kinds share: exact equality, and a text form that loses nothing (see `encodeValues`).
 */

/**
 * text, bool, int64 (number when safe, otherwise bigint), and as text in one canonical spelling: decimal, instant (ISO 8601, UTC),
 * date, bytes (base64); list. null is a value. Which of them a text is, the entity's schema knows.
 */
export type Value = null | boolean | number | bigint | string | readonly Value[]

/**
 * Names a value inside a document: a field (`email`), a part element's presence (`lines[3]`, value true or false), or a field of
 * a part element (`lines[3].qty`). Keys of elements are escaped, see `partPath`.
 */
export type Path = string

/** A canonical document, flat. An absent path is "not known"; null is a value. */
export type Fields = Readonly<Record<Path, Value>>
/** An application's own values, flat, exactly as it stores them. An absent path is "not sent", never null. */
export type Image = Readonly<Record<Path, Value>>

/** A record as its application sends or takes it: nested plain data with null-prototype or ordinary objects. */
export type NativeRecord = { readonly [name: string]: NativeData }
export type NativeData = Value | NativeRecord | readonly NativeData[]

const escapes: Readonly<Record<string, string>> = { '%': '%25', '[': '%5B', ']': '%5D', '.': '%2E' }

/** The path of a part element, its key escaped so that any text can be a key. */
export const partPath = (part: string, key: string): Path =>
  part + '[' + (/[%[\].]/.test(key) ? key.replace(/[%[\].]/g, (c) => escapes[c] ?? c) : key) + ']'

/** Splits `lines[3].qty` into its element path, part, key and field; undefined for a plain field. `field` is '' for the presence. */
export function splitPartPath(
  path: Path,
): { readonly element: Path; readonly part: string; readonly key: string; readonly field: string } | undefined {
  const open = path.indexOf('[')
  if (open < 0) return undefined
  const close = path.indexOf(']', open)
  const raw = path.slice(open + 1, close)
  return {
    element: path.slice(0, close + 1),
    part: path.slice(0, open),
    key: raw.includes('%') ? decodeURIComponent(raw) : raw,
    field: path.slice(close + 2),
  }
}

/** Exact equality of two values; undefined (not known) equals only undefined. -0 equals 0. */
export function valuesEqual(a: Value | undefined, b: Value | undefined): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) {
    if (typeof a === 'bigint') return Number.isInteger(b) && a === BigInt(b as number)
    if (typeof b === 'bigint') return Number.isInteger(a) && b === BigInt(a as number)
    return Number.isNaN(a) && Number.isNaN(b)
  }
  return a.length === b.length && a.every((x, i) => valuesEqual(x, b[i]))
}

/**
 * Equality up to what stores commonly normalise: letter case, surrounding and repeated space, Unicode form, and the spelling of a number.
 * Only ever used to attribute (is this a rendition of our own write?), never to drop.
 */
export function valuesEquivalent(a: Value | undefined, b: Value | undefined): boolean {
  if (valuesEqual(a, b)) return true
  if (a === undefined || b === undefined) return false
  if ((a === '' && b === null) || (a === null && b === '')) return true
  if (typeof a === 'string' && typeof b === 'string' && normalText(a) === normalText(b)) return true
  const left = numeric(a)
  const right = numeric(b)
  return left !== undefined && left === right
}

/** A text this short is too likely to be a word of its own to be taken for a longer one cut off. */
const CUT_OFF_LENGTH_MIN = 8

/**
 * Whether `found` may be how a store keeps `written`: equivalent, cut off at a length, or rounded to fewer decimals. Like equivalence it only attributes.
 */
export function mayBeRenditionOf(written: Value | undefined, found: Value | undefined): boolean {
  if (valuesEquivalent(written, found)) return true
  if (written === undefined || found === undefined || written === null || found === null) return false
  const exact = numeric(written)
  const kept = numeric(found)
  if (exact !== undefined && kept !== undefined) {
    // As it is spelled: 52.30 is nobody's 52.28 to fewer decimals.
    const decimals = decimalsOf(typeof found === 'string' ? found : kept)
    return decimals < decimalsOf(exact) && Math.abs(Number(exact) - Number(kept)) < 10 ** -decimals
  }
  if (typeof written !== 'string' || typeof found !== 'string') return false
  const text = normalText(found)
  return text.length >= CUT_OFF_LENGTH_MIN && normalText(written).startsWith(text)
}

const decimalsOf = (digits: string): number => (digits.includes('.') ? digits.length - digits.indexOf('.') - 1 : 0)

const normalText = (text: string): string => text.normalize('NFKC').trim().replace(/\s+/g, ' ').toLowerCase()

/** A number's canonical spelling (`12.50` and 12.5 are both `12.5`), or undefined when the value is not a number. */
function numeric(value: Value): string | undefined {
  if (typeof value === 'number' || typeof value === 'bigint') return normalDecimal(String(value))
  return typeof value === 'string' && /^[+-]?\d+(\.\d+)?$/.test(value) ? normalDecimal(value) : undefined
}

function normalDecimal(text: string): string {
  const match = /^([+-]?)0*(\d+)(?:\.(\d*?)0*)?$/.exec(text)
  if (match === null) return text
  const digits = match[3] ? `${match[2]}.${match[3]}` : (match[2] ?? '0')
  return match[1] === '-' && digits !== '0' ? '-' + digits : digits
}

/**
 * JSON text of any plain data that holds values; an integer beyond 2^53 is tagged, and what an application sent that looks like the tag is
 * escaped. Plain JSON.stringify is tried first, because such integers are rare and a replacer is several times slower.
 */
export function encodeData(data: unknown): string {
  try {
    const text = JSON.stringify(data)
    return text?.includes('$int64"') ? JSON.stringify(data, tagInt64) : text
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    return JSON.stringify(data, tagInt64)
  }
}

/** The inverse of `encodeData`. */
export function decodeData(text: string): unknown {
  return text.includes('$int64"') ? JSON.parse(text, reviveInt64) : JSON.parse(text)
}

function tagInt64(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return { $int64: String(value) }
  return renameKeys(value, /^\$+int64$/, (key) => '$' + key)
}

function reviveInt64(_key: string, value: unknown): unknown {
  const tagged = typeof value === 'object' && value !== null && '$int64' in value && typeof value.$int64 === 'string'
  return tagged ? BigInt(value.$int64 as string) : renameKeys(value, /^\$\$+int64$/, (key) => key.slice(1))
}

function renameKeys(value: unknown, pattern: RegExp, rename: (key: string) => string): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  if (!Object.keys(value).some((key) => pattern.test(key))) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [pattern.test(key) ? rename(key) : key, member]),
  )
}
