import { isUtf8 } from 'node:buffer'
import { SyncError } from '../errors/index.ts'
import type { NativeData } from '../model/value.ts'
import { type Decoded, documentList, type Encoded, type Format, type FormatLimits, singleDocument } from './format.ts'
import { hasEscapedKey, parseEscaped } from './json-escaped.ts'
import { exactNumber } from './json-number.ts'
import { countKeys, findFlaw, keysIn } from './json-scan.ts'
import { checkDocuments, checkType, problemJson } from './refuse.ts'

/** Deeper nesting than any record has; below it, no recursive code of ours can run out of stack. */
export const JSON_DEPTH_MAX = 256

/** A number that a double might not hold: 16 digits or more (a point may stand among them), or an exponent. May match inside a string, which only costs time. */
const riskyNumber = /(?:^|[:,[\s])-?\d(?:[\d.]{15}|[\d.]*[eE])/

type Reviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown

/** What is JSON by its name; a sender that names no type at all is taken at its word. Another charset than UTF-8 would be read wrongly. */
const jsonType = /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i
const foreignCharset = /;\s*charset\s*=\s*(?!"?(?:utf-?8|us-ascii)\b)/i

export const jsonFormat: Format = {
  spec: { kind: 'json' },
  contentType: 'application/json',
  decode(bytes, headers, limits): Decoded {
    const type = headers['content-type']
    if (type !== undefined && type !== 'application/json' && (!jsonType.test(type) || foreignCharset.test(type)))
      checkType(type, ['application/json'], 'in UTF-8')
    const text = utf8Text(bytes)
    const isRisky = riskyNumber.test(text)
    const data = parseStrict(text, isRisky)
    if (Array.isArray(data)) return jsonDocuments(data, limits)
    return !isRisky && isPlain(text) ? { ...singleDocument(data), text } : singleDocument(data)
  },
  encode: (value): Encoded => ({ contentType: 'application/json', body: writeJson(value) }),
  fault: problemJson,
}

function jsonDocuments(data: readonly NativeData[], limits: FormatLimits): Decoded {
  checkDocuments(data.length, limits)
  return documentList(data)
}

/** Whether, but for its numbers, any reader makes of it what is made of it here: no escape, nothing that looks like our own tag. */
const isPlain = (text: string): boolean => !text.includes('\\') && !text.includes('$int64"')

/**
 * Strict JSON (RFC 8259) from raw bytes, without losing a digit: integers beyond 2^53 become bigint, other numbers that a double cannot hold stay the text
 * that was sent. Refuses what is not UTF-8, half surrogates (no store can keep them), nesting beyond `JSON_DEPTH_MAX`, and what two readers may understand differently: a
 * key that one object has twice, and the keys by which programs are tricked (`__proto__`, `constructor.prototype`). A UTF-8 byte order mark is skipped, as the RFC permits. Throws
 * `intake.malformed` with the offset, or `intake.forbidden`. Hot path: one native parse and a count unless the text holds something rare.
 */
export function parseJson(bytes: Uint8Array): NativeData {
  return parseStrict(utf8Text(bytes))
}

function parseStrict(text: string, isRisky?: boolean): NativeData {
  const data = parseJsonText(text, false, isRisky)
  if (countKeys(text) !== keysIn(data)) checkDuplicates(text)
  return data
}

/**
 * As `parseJson`, for what an application answers: of duplicate keys the last one counts, and keys named `__proto__` are left out. An answer
 * cannot be sent again corrected, so what can be read of it is.
 */
export function parseJsonReply(bytes: Uint8Array): NativeData {
  return parseJsonText(utf8Text(bytes), true)
}

function utf8Text(bytes: Uint8Array): string {
  if (!isUtf8(bytes)) throw malformed('it is not UTF-8; send it as UTF-8')
  const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const marked = buffer.length >= 3 && buffer[0] === 0xef && buffer[1] === 0xbb && buffer[2] === 0xbf
  return buffer.toString('utf8', marked ? 3 : 0)
}

function checkDuplicates(text: string): void {
  const flaw = findFlaw(text)
  if (flaw?.flaw === 'duplicate') throw duplicateKey(text, flaw)
}

const duplicateKey = (text: string, { key, at }: { readonly key: string; readonly at: number }): SyncError =>
  forbidden(`the key ${JSON.stringify(key.slice(0, 100))} stands twice in one object at ${placeOf(text, at)}`)

function parseJsonText(text: string, isReply = false, isRisky = riskyNumber.test(text)): NativeData {
  if (opensMoreThan(text, JSON_DEPTH_MAX)) checkDepth(text)
  let data: unknown
  try {
    data = isRisky ? JSON.parse(text, keepExact as (key: string, value: unknown) => unknown) : JSON.parse(text)
  } catch (error) {
    const flaw = findFlaw(text)
    if (flaw?.flaw === 'duplicate') throw duplicateKey(text, flaw)
    throw malformed(`it breaks off or goes wrong at ${placeOf(text, flaw?.at ?? text.length)}`, error)
  }
  if (text.includes('\\') && hasEscapedKey(text)) data = parseEscaped(text)
  if (text.includes('__proto__') || text.includes('\\u') || text.includes('prototype')) cleanse(data, isReply)
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

/** Refuses half surrogates and the keys by which programs are tricked. Recursion is bounded by `JSON_DEPTH_MAX`. */
function cleanse(data: unknown, isReply: boolean): void {
  if (typeof data === 'string') {
    if (!data.isWellFormed()) throw malformed('a string in it holds half of a surrogate pair')
  } else if (Array.isArray(data)) {
    for (const item of data) cleanse(item, isReply)
  } else if (typeof data === 'object' && data !== null) {
    const record = data as Record<string, unknown>
    if (isReply) Reflect.deleteProperty(record, '__proto__')
    else checkKeys(record)
    for (const key of Object.keys(record)) {
      cleanse(key, isReply)
      cleanse(record[key], isReply)
    }
  }
}

function checkKeys(record: Record<string, unknown>): void {
  if (Object.hasOwn(record, '__proto__')) throw forbidden('it has the key `__proto__`')
  const inner = Object.hasOwn(record, 'constructor') ? record.constructor : undefined
  if (typeof inner === 'object' && inner !== null && Object.hasOwn(inner, 'prototype'))
    throw forbidden('it has the keys `constructor` and in it `prototype`')
}

const forbidden = (why: string): SyncError =>
  new SyncError('intake.forbidden', `the JSON is refused: ${why}. Nothing was stored; send it again without that.`)

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
