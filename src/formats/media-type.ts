/** A content type in its parts: name and parameter names in lower case, quotes undone. */
export interface MediaType {
  readonly name: string
  readonly parameters: Readonly<Record<string, string>>
}

const token = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y
const quoted = /"((?:[^"\\]|\\.)*)"/y
/** Longer ones come from nobody honest, and they would be looked through for every message. */
const HEADER_CHARS_MAX = 1024

/** undefined when it is not a media type (RFC 9110, 8.3.1). */
export function parseMediaType(text: string): MediaType | undefined {
  if (text.length > HEADER_CHARS_MAX) return undefined
  const semicolon = text.indexOf(';')
  const name = (semicolon < 0 ? text : text.slice(0, semicolon)).trim().toLowerCase()
  if (!/^[!#$%&'*+.^_`|~0-9a-z-]+\/[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name)) return undefined
  const parameters: Record<string, string> = Object.create(null)
  let at = semicolon < 0 ? text.length : semicolon
  while (at < text.length) {
    if (text[at] === ' ' || text[at] === '\t' || text[at] === ';') {
      at++
      continue
    }
    const key = matchAt(token, text, at)
    if (key === null || text[at + key[0].length] !== '=') return undefined
    at += key[0].length + 1
    const value = matchAt(quoted, text, at) ?? matchAt(token, text, at)
    if (value === null) return undefined
    at += value[0].length
    const known = key[0].toLowerCase()
    // Two boundaries or two charsets would be read differently by different readers.
    if (parameters[known] !== undefined) return undefined
    parameters[known] = value[1] === undefined ? value[0] : value[1].replace(/\\(.)/g, '$1')
  }
  return { name, parameters }
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at
  return pattern.exec(text)
}

/** The range of an Accept header that fits best decides; among equals the one offered first. undefined: nothing offered is acceptable. */
export function negotiate<T extends { readonly contentType: string }>(
  accept: string | undefined,
  offered: readonly T[],
): T | undefined {
  if (accept === undefined || accept.trim() === '') return offered[0]
  const ranges = accept.slice(0, HEADER_CHARS_MAX).split(',').map(rangeOf)
  let best: T | undefined
  let bestQuality = 0
  for (const candidate of offered) {
    const name = candidate.contentType.replace(/;.*/, '').trim().toLowerCase()
    let quality = 0
    let precision = -1
    for (const range of ranges) {
      if (range === undefined || range.precision <= precision || !fits(range.name, name)) continue
      precision = range.precision
      quality = range.quality
    }
    if (quality > bestQuality) {
      best = candidate
      bestQuality = quality
    }
  }
  return best
}

function rangeOf(
  text: string,
): { readonly name: string; readonly precision: number; readonly quality: number } | undefined {
  const [name = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase())
  if (!name.includes('/')) return undefined
  const weight = parameters.find((part) => part.startsWith('q='))
  const quality = weight === undefined ? 1 : Number(weight.slice(2))
  if (!(quality >= 0 && quality <= 1)) return undefined
  return { name, quality, precision: name === '*/*' ? 0 : name.endsWith('/*') ? 1 : 2 }
}

function fits(range: string, name: string): boolean {
  if (range === '*/*') return true
  return range.endsWith('/*') ? name.startsWith(range.slice(0, -1)) : range === name
}
