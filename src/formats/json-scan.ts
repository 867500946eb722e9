/** What a slow, exact look at JSON text found: where it stops being JSON, or a key that one object has twice. */
export type JsonFlaw =
  | { readonly flaw: 'broken'; readonly at: number }
  | { readonly flaw: 'duplicate'; readonly at: number; readonly key: string }

type Expect = 'value' | 'value-or-end' | 'key' | 'key-or-end' | 'colon' | 'comma' | 'end'

const word = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y
const CURLY = 123

/**
 * The first flaw of the text, or null. Not on the hot path: V8's parser has read the text already, and this is asked only why it refused, or whether keys that seem to
 * be missing from what it made were there twice.
 */
export function findFlaw(text: string): JsonFlaw | null {
  // For each open container its keys so far; null for an array.
  const open: (Set<string> | null)[] = []
  let expect: Expect = 'value'
  let at = 0
  for (;;) {
    at = skipSpace(text, at)
    const mark = text.charCodeAt(at)
    const takesValue: boolean = expect === 'value' || expect === 'value-or-end'
    const takesKey: boolean = expect === 'key' || expect === 'key-or-end'
    if (mark === 34 && (takesValue || takesKey)) {
      const end = stringEnd(text, at)
      if (end.broken) return { flaw: 'broken', at: end.at }
      if (takesKey) {
        const key = keyOf(text, at, end.at)
        const keys = open.at(-1)
        if (keys?.has(key)) return { flaw: 'duplicate', at, key }
        keys?.add(key)
      }
      at = end.at
      expect = takesKey ? 'colon' : afterValue(open)
    } else if ((mark === CURLY || mark === 91) && takesValue) {
      open.push(mark === CURLY ? new Set() : null)
      expect = mark === CURLY ? 'key-or-end' : 'value-or-end'
      at++
    } else if (closes(mark, expect, open)) {
      open.pop()
      expect = afterValue(open)
      at++
    } else if ((mark === 58 && expect === 'colon') || (mark === 44 && expect === 'comma')) {
      expect = mark === 44 && open.at(-1) !== null ? 'key' : 'value'
      at++
    } else {
      word.lastIndex = at
      if (!takesValue || !word.test(text)) return expect === 'end' && at >= text.length ? null : { flaw: 'broken', at }
      at = word.lastIndex
      expect = afterValue(open)
    }
  }
}

/**
 * How many keys the text has, if that can be said cheaply: before the colon after a key stands its closing quote, and inside a string that cannot be unless the quote is escaped.
 * So this is never too small; undefined where space stands before a colon, which may be either.
 */
export function countKeys(text: string): number | undefined {
  let count = 0
  for (let at = text.indexOf(':'); at >= 0; at = text.indexOf(':', at + 1)) {
    const before = text.charCodeAt(at - 1)
    if (before === 34) count++
    else if (before === 32 || (before <= 13 && before >= 9)) return undefined
  }
  return count
}

/** The keys of all objects in plain data. */
export function keysIn(data: unknown): number {
  if (typeof data !== 'object' || data === null) return 0
  let count = 0
  if (Array.isArray(data)) {
    for (const item of data) if (typeof item === 'object' && item !== null) count += keysIn(item)
    return count
  }
  for (const key in data) {
    count++
    const value = (data as Record<string, unknown>)[key]
    if (typeof value === 'object' && value !== null) count += keysIn(value)
  }
  return count
}

function closes(mark: number, expect: Expect, open: readonly (Set<string> | null)[]): boolean {
  if (open.length === 0 || (expect !== 'comma' && expect !== 'key-or-end' && expect !== 'value-or-end')) return false
  return open.at(-1) === null ? mark === 93 : mark === 125
}

function skipSpace(text: string, from: number): number {
  let at = from
  for (;;) {
    const c = text.charCodeAt(at)
    if (c !== 32 && c !== 10 && c !== 13 && c !== 9) return at
    at++
  }
}

function keyOf(text: string, from: number, to: number): string {
  const raw = text.slice(from + 1, to - 1)
  return raw.includes('\\') ? (JSON.parse(text.slice(from, to)) as string) : raw
}

const afterValue = (open: readonly unknown[]): Expect => (open.length === 0 ? 'end' : 'comma')

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
