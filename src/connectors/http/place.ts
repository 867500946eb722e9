import type { RawRequest } from '../../ports/app.ts'
import type { HttpPlace } from './options.ts'

/** Reads one place of plain data; undefined when it is not there. */
export type Read = (data: unknown) => unknown

/** A dotted path, split once. Only own properties count, so that `constructor.prototype` finds nothing. '' is the data itself. */
export function compilePath(path: string): Read {
  if (path === '') return (data) => data
  const steps = path.split('.')
  if (steps.length === 1) return (data) => ownValue(data, path)
  return (data) => {
    let value = data
    for (const step of steps) value = ownValue(value, step)
    return value
  }
}

const ownValue = (data: unknown, name: string): unknown =>
  typeof data === 'object' && data !== null && !Array.isArray(data) && Object.hasOwn(data, name)
    ? (data as Record<string, unknown>)[name]
    : undefined

/**
 * A place in a push. `fromEnvelope` says whether it was found outside the element, and so holds for all elements of an array. `isElementFirst`: what the element itself says
 * goes before what stands around it.
 */
export function compilePlace(
  place: HttpPlace,
  isElementFirst = false,
): (
  request: RawRequest,
  body: unknown,
  element: unknown,
) => { readonly value: unknown; readonly fromEnvelope: boolean } {
  if (place.in === 'header') {
    const name = place.name.toLowerCase()
    return (request) => ({ value: request.headers[name], fromEnvelope: true })
  }
  if (place.in === 'query') {
    return (request) => ({ value: new URLSearchParams(request.query).get(place.name) ?? undefined, fromEnvelope: true })
  }
  if (place.in === 'path') return (request) => ({ value: request.params?.[place.name], fromEnvelope: true })
  const read = compilePath(place.path)
  return (_request, body, element) => {
    const own = isElementFirst && element !== body ? read(element) : undefined
    if (own !== undefined) return { value: own, fromEnvelope: false }
    const value = read(body)
    if (value !== undefined || element === body) return { value, fromEnvelope: element !== body }
    return { value: read(element), fromEnvelope: false }
  }
}

/** An id as text: text as it is, an integer by its digits; undefined for what cannot be an id. */
export function idText(value: unknown, idType: 'text' | 'number'): string | undefined {
  const text = typeof value === 'string' ? value : isNumeric(value) ? String(value) : undefined
  if (text === undefined || text.length === 0 || text.length > NATIVE_ID_CHARS_MAX || text.includes('\u0000'))
    return undefined
  return idType === 'number' && !/^-?\d+$/.test(text) ? undefined : text
}

const isNumeric = (value: unknown): boolean =>
  typeof value === 'bigint' || (typeof value === 'number' && Number.isFinite(value))

/** No application has longer ids, and the cross-reference keeps every one of them in an index. */
export const NATIVE_ID_CHARS_MAX = 512

/** A version as text; undefined when there is none. An ordered one that does not look ordered is not one. */
export function tokenText(value: unknown, ordered: boolean): string | undefined {
  const text = typeof value === 'string' ? value : isNumeric(value) ? String(value) : undefined
  if (text === undefined || text === '' || text.length > TOKEN_CHARS_MAX) return undefined
  return ordered && !/^\d+(?:\.\d+)*$/.test(text) ? undefined : text
}

const TOKEN_CHARS_MAX = 256

/** The text inside an entity tag: `W/"7"` and `"7"` are both `7`. */
export function etagText(header: string): string {
  const from = header.startsWith('W/') ? 2 : 0
  const quoted = header.length >= from + 2 && header.charCodeAt(from) === 34 && header.endsWith('"')
  return quoted ? header.slice(from + 1, -1) : header.slice(from)
}

const isoTime = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?(Z|[+-]\d{2}:?\d{2})?$/

/** A time as ms since 1970: ISO text (UTC where no offset is written), or unix seconds or ms. Untrusted; undefined when it cannot be read. */
export function timeMs(value: unknown): number | undefined {
  if (typeof value === 'number') return value > 0 ? unixMs(value) : undefined
  if (typeof value !== 'string') return undefined
  if (/^\d{9,16}(?:\.\d+)?$/.test(value)) return unixMs(Number(value))
  const match = isoTime.exec(value)
  if (match === null) return undefined
  const ms = Date.parse(match[1] === undefined && value.length > 10 ? value.replace(' ', 'T') + 'Z' : value)
  return Number.isNaN(ms) ? undefined : ms
}

/** 10^11 seconds are the year 5138, 10^11 ms are 1973: what is larger was given in ms. */
export const unixMs = (n: number): number => Math.round(n > 1e11 ? n : n * 1000)
