import { SyncError } from '../errors/index.ts'
import type { NativeData, NativeRecord } from '../model/value.ts'
import { isScalar, textOf } from './plain.ts'
import type { XmlMapping } from './spec.ts'
import { ATTRIBUTE_MARK, TEXT_NAME } from './xml-data.ts'
import { NAMESPACES, XML_DEPTH_MAX } from './xml-tree.ts'

export const XML_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'

/** One element with the data as its content, ready to stand alone or inside an envelope: it declares the namespaces that it uses. */
export function writeElement(name: string, data: NativeData, mapping: XmlMapping): string {
  const writer = new XmlWriter(mapping)
  return writer.root(name, data)
}

class XmlWriter {
  readonly #mapping: XmlMapping
  #usesNil = false

  constructor(mapping: XmlMapping) {
    this.#mapping = mapping
  }

  root(name: string, data: NativeData): string {
    const content = this.#content(data, '', name, 1)
    const { namespace, prefixes } = this.#mapping
    let declared = namespace === null ? '' : ` xmlns="${escapeAttribute(namespace, name)}"`
    for (const [prefix, uri] of Object.entries(prefixes)) declared += ` xmlns:${prefix}="${escapeAttribute(uri, name)}"`
    if (this.#usesNil) declared += ` xmlns:xsi="${NAMESPACES.xsi}"`
    return element(this.#nameFor(name, name), declared + content.attributes, content.inner)
  }

  #content(
    data: NativeData,
    path: string,
    name: string,
    depth: number,
  ): { readonly attributes: string; readonly inner: string } {
    if (depth > XML_DEPTH_MAX) throw unwritable(`${path} is nested deeper than ${XML_DEPTH_MAX}`)
    if (data === null) {
      this.#usesNil = true
      return { attributes: ' xsi:nil="true"', inner: '' }
    }
    if (isScalar(data)) return { attributes: '', inner: escapeText(textOf(data), path || name) }
    if (Array.isArray(data)) throw unwritable(`${path || name} is a list of lists, or a list where one value belongs`)
    return this.#fields(data as NativeRecord, path, depth)
  }

  #fields(record: NativeRecord, path: string, depth: number): { readonly attributes: string; readonly inner: string } {
    let attributes = ''
    let inner = ''
    for (const key of this.#ordered(Object.keys(record), path)) {
      const value = record[key] as NativeData
      const at = path === '' ? key : `${path}.${key}`
      if (key === TEXT_NAME) inner += escapeText(scalarText(value, at), at)
      else if (key.startsWith(ATTRIBUTE_MARK)) {
        if (value !== null)
          attributes += ` ${this.#nameFor(key.slice(1), at)}="${escapeAttribute(scalarText(value, at), at)}"`
      } else {
        const name = this.#nameFor(key, at)
        for (const one of Array.isArray(value) ? (value as readonly NativeData[]) : [value]) {
          const content = this.#content(one, at, name, depth + 1)
          inner += element(name, content.attributes, content.inner)
        }
      }
    }
    return { attributes, inner }
  }

  #ordered(keys: readonly string[], path: string): readonly string[] {
    const order = this.#mapping.order[path]
    if (order === undefined) return keys
    return [...order.filter((key) => keys.includes(key)), ...keys.filter((key) => !order.includes(key))]
  }

  #nameFor(key: string, at: string): string {
    if (!/^[\p{L}_][\p{L}\p{N}_.-]*(?::[\p{L}_][\p{L}\p{N}_.-]*)?$/u.test(key))
      throw unwritable(`${at} cannot be the name of an element or attribute`)
    const colon = key.indexOf(':')
    const prefix = colon < 0 ? undefined : key.slice(0, colon)
    if (prefix !== undefined && prefix !== 'xml' && !Object.hasOwn(this.#mapping.prefixes, prefix))
      throw unwritable(`${at} has the prefix ${prefix}, which \`prefixes\` of the format does not name`)
    return key
  }
}

const element = (name: string, attributes: string, inner: string): string =>
  inner === '' ? `<${name}${attributes}/>` : `<${name}${attributes}>${inner}</${name}>`

function scalarText(value: NativeData, at: string): string {
  if (isScalar(value)) return textOf(value)
  throw unwritable(`${at} is an attribute or text and cannot hold a record`)
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: exactly the characters that XML 1.0 does not have.
export const NOT_XML = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g

function checkCharacters(text: string, at: string): void {
  if (text.search(NOT_XML) >= 0) throw unwritable(`${at} holds a control character, which XML does not have`)
  if (!text.isWellFormed()) throw unwritable(`${at} holds half of a surrogate pair`)
}

/** A carriage return is written as a reference, because every reader makes a line feed of a bare one. */
export function escapeText(text: string, at: string): string {
  checkCharacters(text, at)
  return /[&<>\r]/.test(text) ? text.replace(/[&<>\r]/g, (c) => escapes[c] as string) : text
}

function escapeAttribute(text: string, at: string): string {
  checkCharacters(text, at)
  return /[&<>"\t\n\r]/.test(text) ? text.replace(/[&<>"\t\n\r]/g, (c) => escapes[c] as string) : text
}

const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\t': '&#9;',
  '\n': '&#10;',
  '\r': '&#13;',
}

const unwritable = (why: string): SyncError =>
  new SyncError('format.unwritable', `the value cannot be written as XML: ${why}.`)
