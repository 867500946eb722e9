import { exactNumber } from './json-number.ts'

/**
 * V8 13.6 (Node 24) misreads keys that are written with escapes: where an object of the same shape has been read before, it compares the raw characters of the text with the
 * key of that object, so that after `{"stra\\u":1}` the key of `{"stra\u00dfe":1}` is read as `stra\u`. Anybody who may send us a message could so rename the fields of others. Texts
 * with such keys, which are rare, are therefore read here, key by key.
 */
export function parseEscaped(text: string): unknown {
  return new Reader(text).value()
}

/** May say so of a text without one, never the other way round. Asked only for texts that have a backslash at all. */
export function hasEscapedKey(text: string): boolean {
  let backslash = text.indexOf('\\')
  for (let colon = text.indexOf(':'); colon >= 0; colon = text.indexOf(':', colon + 1)) {
    let end = colon - 1
    while (isSpace(text.charCodeAt(end))) end--
    if (text.charCodeAt(end) !== 34) continue
    const open = text.lastIndexOf('"', end - 1)
    if (text.charCodeAt(open - 1) === 92) return true
    if (backslash < open) backslash = text.indexOf('\\', open)
    if (backslash < 0) return false
    if (backslash < end) return true
  }
  return false
}

const isSpace = (c: number): boolean => c === 32 || c === 10 || c === 13 || c === 9

const word = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y

/** Reads text that is known to be well-formed and not too deep. */
class Reader {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  value(): unknown {
    const mark = this.#next()
    if (mark === 34) return this.#string()
    if (mark === 123) return this.#object()
    if (mark === 91) return this.#array()
    word.lastIndex = this.#at
    const source = word.exec(this.#text)?.[0] as string
    this.#at += source.length
    return source === 'true' || source === 'false' || source === 'null'
      ? JSON.parse(source)
      : exactNumber(Number(source), source)
  }

  #object(): unknown {
    const object: Record<string, unknown> = {}
    this.#at++
    for (let mark = this.#next(); mark !== 125; mark = this.#next()) {
      if (mark === 44) {
        this.#at++
        this.#next()
      }
      const key = this.#string()
      this.#next()
      this.#at++
      const value = this.value()
      // Assignment to this name would change the prototype; as an own property it is found and refused.
      if (key === '__proto__') Object.defineProperty(object, key, { value, enumerable: true, configurable: true })
      else object[key] = value
    }
    this.#at++
    return object
  }

  #array(): unknown {
    const list: unknown[] = []
    this.#at++
    for (let mark = this.#next(); mark !== 93; mark = this.#next()) {
      if (mark === 44) this.#at++
      list.push(this.value())
    }
    this.#at++
    return list
  }

  /** A string by itself is read rightly. */
  #string(): string {
    const from = this.#at
    let end = this.#text.indexOf('"', from + 1)
    while (this.#isEscaped(end)) end = this.#text.indexOf('"', end + 1)
    this.#at = end + 1
    return JSON.parse(this.#text.slice(from, this.#at)) as string
  }

  #isEscaped(at: number): boolean {
    let before = at
    while (this.#text.charCodeAt(before - 1) === 92) before--
    return (at - before) % 2 === 1
  }

  #next(): number {
    while (isSpace(this.#text.charCodeAt(this.#at))) this.#at++
    return this.#text.charCodeAt(this.#at)
  }
}
