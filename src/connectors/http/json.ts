import { isUtf8 } from 'node:buffer'
import { SyncError } from '../../errors/index.ts'
import type { NativeData } from '../../model/value.ts'

/** Deeper nesting than any record has; below it, no recursive code of ours can run out of stack. */
export const JSON_DEPTH_MAX = 256
/** Integers longer than this stay text: no application counts that far, and a BigInt of a million digits takes seconds to read. */
const INTEGER_DIGITS_MAX = 40

/** A number that a double might not hold: 16 digits or more (a point may stand among them), or an exponent. May match inside a string, which only costs time. */
const riskyNumber = /(?:^|[:,[\s])-?\d(?:[\d.]{15}|[\d.]*[eE])/

type Reviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown

/**
 * Strict JSON (RFC 8259) from raw bytes, without losing a digit: integers beyond 2^53 become bigint, other numbers that a double cannot hold stay the text
 * that was sent. Refuses what is not UTF-8, half surrogates (no store can keep them) and nesting beyond `JSON_DEPTH_MAX`. A UTF-8 byte order mark is
 * skipped, as the RFC permits. Keys named `__proto__` are left out. Of duplicate keys the last one counts, which is JSON.parse's habit: finding
 * them would need a parser of our own. Throws `intake.malformed` with the offset. Hot path: one native parse unless the text holds something rare.
 */
export function parseJson(bytes: Uint8Array): NativeData {
  if (!isUtf8(bytes)) throw malformed('it is not UTF-8; send it as UTF-8')
  const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const marked = buffer.length >= 3 && buffer[0] === 0xef && buffer[1] === 0xbb && buffer[2] === 0xbf
  return parseJsonText(buffer.toString('utf8', marked ? 3 : 0))
}

function parseJsonText(text: string): NativeData {
  if (opensMoreThan(text, JSON_DEPTH_MAX)) checkDepth(text)
  let data: unknown
  try {
    data = riskyNumber.test(text)
      ? JSON.parse(text, keepExact as (key: string, value: unknown) => unknown)
      : JSON.parse(text)
  } catch (error) {
    throw malformed(`it breaks off or goes wrong at ${placeOf(text, errorOffset(text))}`, error)
  }
  if (text.includes('__proto__') || text.includes('\\u')) cleanse(data)
  return data as NativeData
}

/** JSON text in which a bigint is written as the number that it is. */
export function writeJson(data: unknown): string {
  try {
    return JSON.stringify(data)
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    return JSON.stringify(data, (_key, value) => (typeof value === 'bigint' ? rawJson(String(value)) : value))
  }
}

const rawJson = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON

const keepExact: Reviver = (_key, value, context) =>
  typeof value === 'number' && context.source !== undefined ? exactNumber(value, context.source) : value

function exactNumber(value: number, source: string): number | bigint | string {
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

function opensMoreThan(text: string, max: number): boolean {
  let count = 0
  for (let at = text.indexOf('{'); at >= 0; at = text.indexOf('{', at + 1)) if (++count > max) return true
  for (let at = text.indexOf('['); at >= 0; at = text.indexOf('[', at + 1)) if (++count > max) return true
  return false
}

function checkDepth(text: string): void {
  let depth = 0
  let inString = false
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (inString) {
      if (c === 92) i++
      else if (c === 34) inString = false
    } else if (c === 34) inString = true
    else if (c === 123 || c === 91) {
      if (++depth > JSON_DEPTH_MAX) throw malformed(`it is nested deeper than ${JSON_DEPTH_MAX} at ${placeOf(text, i)}`)
    } else if (c === 125 || c === 93) depth--
  }
}

/** Takes `__proto__` keys out and refuses half surrogates. Recursion is bounded by `JSON_DEPTH_MAX`. */
function cleanse(data: unknown): void {
  if (typeof data === 'string') {
    if (!data.isWellFormed()) throw malformed('a string in it holds half of a surrogate pair')
  } else if (Array.isArray(data)) {
    for (const item of data) cleanse(item)
  } else if (typeof data === 'object' && data !== null) {
    const record = data as Record<string, unknown>
    if (Object.hasOwn(record, '__proto__')) Reflect.deleteProperty(record, '__proto__')
    for (const key of Object.keys(record)) {
      cleanse(key)
      cleanse(record[key])
    }
  }
}

const malformed = (why: string, cause?: unknown): SyncError =>
  new SyncError(
    'intake.malformed',
    `the body is not well-formed JSON: ${why}. Nothing was stored; send it again corrected.`,
    {
      cause,
    },
  )

function placeOf(text: string, offset: number): string {
  const before = text.slice(0, offset)
  const line = before.split('\n').length
  return `offset ${offset} (line ${line}, column ${offset - before.lastIndexOf('\n')})`
}

const word = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y

type Expect = 'value' | 'value-or-end' | 'key' | 'key-or-end' | 'colon' | 'comma' | 'end'

/** Where the text stops being JSON. Only for the message of a refusal: V8 names the offset in some of its errors and not in others. */
function errorOffset(text: string): number {
  const open: string[] = []
  let expect: Expect = 'value'
  let at = 0
  for (;;) {
    while (' \t\n\r'.includes(text.charAt(at)) && at < text.length) at++
    const mark = text.charAt(at)
    const takesValue: boolean = expect === 'value' || expect === 'value-or-end'
    const takesKey: boolean = expect === 'key' || expect === 'key-or-end'
    const closes = expect === 'comma' || expect === 'key-or-end' || expect === 'value-or-end'
    if (mark === '"' && (takesValue || takesKey)) {
      const end = stringEnd(text, at)
      if (end.broken) return end.at
      at = end.at
      expect = takesKey ? 'colon' : afterValue(open)
    } else if ((mark === '{' || mark === '[') && takesValue) {
      open.push(mark)
      expect = mark === '{' ? 'key-or-end' : 'value-or-end'
      at++
    } else if ((mark === '}' || mark === ']') && closes && open.at(-1) === (mark === '}' ? '{' : '[')) {
      open.pop()
      expect = afterValue(open)
      at++
    } else if ((mark === ':' && expect === 'colon') || (mark === ',' && expect === 'comma')) {
      expect = mark === ',' && open.at(-1) === '{' ? 'key' : 'value'
      at++
    } else {
      word.lastIndex = at
      if (!takesValue || !word.test(text)) return at
      at = word.lastIndex
      expect = afterValue(open)
    }
  }
}

const afterValue = (open: readonly string[]): Expect => (open.length === 0 ? 'end' : 'comma')

/** The offset behind the string that starts at `from`, or of what breaks it. */
function stringEnd(text: string, from: number): { readonly at: number; readonly broken: boolean } {
  for (let at = from + 1; at < text.length; at++) {
    const c = text.charCodeAt(at)
    if (c === 34) return { at: at + 1, broken: false }
    if (c < 32) return { at, broken: true }
    if (c !== 92) continue
    const escaped = /^\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/.exec(text.slice(at, at + 6))
    if (escaped === null) return { at, broken: true }
    at += escaped[0].length - 1
  }
  return { at: text.length, broken: true }
}
