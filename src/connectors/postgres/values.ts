import type { Value } from '../../model/value.ts'

/**
 * Between PostgreSQL's own text of a value and ours, exactly: no float for numeric, no lost microsecond, no integer above 2^53 through a JavaScript number. What has no
 * kind of its own (json, ranges, networks, enums, ...) stays the server's text.
 *
 * Sessions run with TimeZone UTC, DateStyle ISO and bytea_output hex, so that the text is always spelled alike.
 */

export type ReadText = (text: string) => Value

const OID = {
  bool: 16,
  bytea: 17,
  int8: 20,
  int2: 21,
  int4: 23,
  oid: 26,
  float4: 700,
  float8: 701,
  timestamp: 1114,
  timestamptz: 1184,
} as const

/** Arrays of built-in types, by the array's oid: what their elements are. */
const ELEMENT_OF: Readonly<Record<number, number>> = {
  1000: OID.bool,
  1001: OID.bytea,
  1005: OID.int2,
  1007: OID.int4,
  1016: OID.int8,
  1028: OID.oid,
  1021: OID.float4,
  1022: OID.float8,
  1115: OID.timestamp,
  1185: OID.timestamptz,
}

const same: ReadText = (text) => text

function readInteger(text: string): Value {
  if (text.length < 16) return Number(text)
  const number = Number(text)
  return Number.isSafeInteger(number) ? number : BigInt(text)
}

/** NaN and the infinities have no place in JSON, so they stay text. */
function readFloat(text: string): Value {
  const number = Number(text)
  return Number.isFinite(number) ? number : text
}

const INSTANT = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?\+00$/
const LOCAL_TIME = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?$/

/** `2026-11-25 18:30:13.123456+00` is `2026-11-25T18:30:13.123456Z`; infinity and years before Christ stay as they are spelled. */
const readInstant: ReadText = (text) => (INSTANT.test(text) ? text.replace(' ', 'T').replace('+00', 'Z') : text)
const readLocalTime: ReadText = (text) => (LOCAL_TIME.test(text) ? text.replace(' ', 'T') : text)
const readBytes: ReadText = (text) =>
  text.startsWith('\\x') ? Buffer.from(text.slice(2), 'hex').toString('base64') : text

const READERS: Readonly<Record<number, ReadText>> = {
  [OID.bool]: (text) => text === 't',
  [OID.bytea]: readBytes,
  [OID.int8]: readInteger,
  [OID.int2]: Number,
  [OID.int4]: Number,
  [OID.oid]: Number,
  [OID.float4]: readFloat,
  [OID.float8]: readFloat,
  [OID.timestamp]: readLocalTime,
  [OID.timestamptz]: readInstant,
}

/** What a column's type needs to be known as: the type itself below any domain, and what an array's elements are. */
export interface TypeFacts {
  readonly baseOid: number
  /** Not 0 for an array. */
  readonly elementOid: number
}

export function readerOf(type: TypeFacts): ReadText {
  const element = type.elementOid === 0 ? ELEMENT_OF[type.baseOid] : type.elementOid
  if (element === undefined) return READERS[type.baseOid] ?? same
  const readElement = READERS[element] ?? same
  return (text) => readArray(text, readElement)
}

/** An array literal as a list, nested for several dimensions. One whose bounds do not start at 1 has no equal here and stays text. */
export function readArray(text: string, readElement: ReadText): Value {
  if (!text.startsWith('{')) return text
  let at = 0
  const list = (): Value[] => {
    const items: Value[] = []
    at++
    while (at < text.length) {
      const char = text[at]
      if (char === '}') {
        at++
        return items
      }
      if (char === ',') at++
      else if (char === '{') items.push(list())
      else if (char === '"') items.push(readElement(quoted()))
      else items.push(plain())
    }
    return items
  }
  const quoted = (): string => {
    let value = ''
    at++
    while (at < text.length && text[at] !== '"') {
      if (text[at] === '\\') at++
      value += text[at++]
    }
    at++
    return value
  }
  const plain = (): Value => {
    const start = at
    while (at < text.length && text[at] !== ',' && text[at] !== '}') at++
    const value = text.slice(start, at)
    return value === 'NULL' ? null : readElement(value)
  }
  return list()
}

/** The text that PostgreSQL reads a value of ours from; null is NULL. `isBytes` because base64 is not how it spells bytes. */
export function writeText(value: Value, isBytes: boolean): string | null {
  if (value === null) return null
  if (typeof value === 'string') return isBytes ? '\\x' + Buffer.from(value, 'base64').toString('hex') : value
  if (typeof value === 'boolean') return value ? 't' : 'f'
  if (typeof value === 'object') return writeArray(value, isBytes)
  return String(value)
}

export function writeArray(items: readonly Value[], isBytes = false): string {
  let text = '{'
  for (let i = 0; i < items.length; i++) {
    if (i > 0) text += ','
    const item = items[i] as Value
    if (item === null) text += 'NULL'
    else if (typeof item === 'object') text += writeArray(item, isBytes)
    else text += quoteElement(writeText(item, isBytes) as string)
  }
  return text + '}'
}

/** Whether values of this type are base64 text here. */
export const isBytesType = (type: TypeFacts): boolean =>
  type.baseOid === OID.bytea || type.elementOid === OID.bytea || ELEMENT_OF[type.baseOid] === OID.bytea

/** Texts as one array literal, for a parameter of type text[]. Hot path of every batch. */
export function textArray(items: readonly (string | null)[]): string {
  let text = '{'
  for (let i = 0; i < items.length; i++) {
    if (i > 0) text += ','
    const item = items[i]
    text += item === null || item === undefined ? 'NULL' : quoteElement(item)
  }
  return text + '}'
}

function quoteElement(text: string): string {
  if (text.indexOf('"') < 0 && text.indexOf('\\') < 0) return '"' + text + '"'
  return '"' + text.replace(/["\\]/g, '\\$&') + '"'
}
