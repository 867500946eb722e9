import { SaxesParser, type SaxesTagNS } from 'saxes'
import { SyncError } from '../errors/index.ts'
import { decodeText } from './charset.ts'
import type { FormatLimits } from './format.ts'
import { charsetIn, checkBytes } from './refuse.ts'

/** An element as it was sent: nothing guessed, not a character of its text changed. */
export interface XmlElement {
  readonly local: string
  /** Namespace; '' for none. */
  readonly uri: string
  readonly attributes: readonly XmlAttribute[]
  readonly children: readonly XmlElement[]
  /** All character data directly inside it; '' for none. */
  readonly text: string
}

export interface XmlAttribute {
  readonly local: string
  readonly uri: string
  readonly value: string
}

/** Deeper nesting than any document has. The parser's time grows with the square of the depth, and our own recursion must not run out of stack. */
export const XML_DEPTH_MAX = 256
/** More attributes than any element has; a flood of them is an attack on whoever compares each with each. */
const ATTRIBUTES_MAX = 512
/** The same for all of a document together: each costs ten times its bytes. */
const ATTRIBUTES_IN_ALL_MAX = 10_000
/** Elements cost more than their bytes do, and deep ones more than flat ones: this many are read in some tens of milliseconds, for which the event loop stands still. */
const ELEMENTS_MAX = 15_000
/** XML takes some 25 ns a byte to read, so that this holds the event loop for less than 50 ms. */
export const XML_BYTES_MAX = 1_048_576

export const NAMESPACES = {
  xsi: 'http://www.w3.org/2001/XMLSchema-instance',
  xmlns: 'http://www.w3.org/2000/xmlns/',
  xml: 'http://www.w3.org/XML/1998/namespace',
  xinclude: 'http://www.w3.org/2001/XInclude',
} as const

/**
 * Well-formed XML 1.0 with namespaces, as a tree. A document type declaration is refused before anything of it is used, so there are no entities but the five of XML itself;
 * nothing is ever fetched. Depth, elements, attributes and bytes are bounded.
 */
export function parseXml(bytes: Uint8Array, contentType: string | undefined, limits: FormatLimits): XmlElement {
  checkBytes(bytes, { ...limits, bytesMax: Math.min(limits.bytesMax, XML_BYTES_MAX) })
  const text = xmlText(bytes, charsetIn(contentType))
  const builder = new TreeBuilder()
  return builder.build(text)
}

interface ElementBeingRead {
  local: string
  uri: string
  attributes: XmlAttribute[]
  children: ElementBeingRead[]
  text: string
}

const NO_ATTRIBUTES: XmlAttribute[] = []

class TreeBuilder {
  readonly #open: ElementBeingRead[] = []
  readonly #parser = new SaxesParser({ xmlns: true, position: true })
  #root: ElementBeingRead | null = null
  #elements = 0
  #attributes = 0
  #attributesInAll = 0

  build(text: string): XmlElement {
    const parser = this.#parser
    parser.on('error', (error) => {
      throw malformed(error.message.replace(/\.?$/, ''), error)
    })
    parser.on('doctype', () => {
      throw forbidden('it has a document type declaration (DOCTYPE), which could define entities')
    })
    parser.on('opentagstart', () => {
      this.#attributes = 0
      if (this.#open.length >= XML_DEPTH_MAX) throw malformed(`it is nested deeper than ${XML_DEPTH_MAX}`)
      if (++this.#elements > ELEMENTS_MAX)
        throw new SyncError(
          'intake.too-large',
          `the XML has more than ${ELEMENTS_MAX} elements; let the sender send less at once.`,
        )
    })
    parser.on('attribute', () => {
      if (++this.#attributes > ATTRIBUTES_MAX) throw malformed(`an element has more than ${ATTRIBUTES_MAX} attributes`)
      if (++this.#attributesInAll > ATTRIBUTES_IN_ALL_MAX)
        throw new SyncError(
          'intake.too-large',
          `the XML has more than ${ATTRIBUTES_IN_ALL_MAX} attributes; let the sender send less at once.`,
        )
    })
    parser.on('opentag', (tag) => this.#enter(tag as SaxesTagNS))
    parser.on('closetag', () => this.#open.pop())
    parser.on('text', (piece) => this.#add(piece))
    parser.on('cdata', (piece) => this.#add(piece))
    parser.write(text).close()
    if (this.#root === null) throw malformed('it has no root element')
    return this.#root
  }

  #enter(tag: SaxesTagNS): void {
    if (tag.uri === NAMESPACES.xinclude) throw forbidden('it includes another document (XInclude)')
    const element: ElementBeingRead = {
      local: tag.local,
      uri: tag.uri,
      attributes: this.#attributes === 0 ? NO_ATTRIBUTES : attributesOf(tag),
      children: [],
      text: '',
    }
    const around = this.#open.at(-1)
    if (around === undefined) this.#root = element
    else around.children.push(element)
    this.#open.push(element)
  }

  #add(piece: string): void {
    const element = this.#open.at(-1)
    if (element !== undefined) element.text += piece
  }
}

function attributesOf(tag: SaxesTagNS): XmlAttribute[] {
  const attributes: XmlAttribute[] = []
  for (const { local, uri, prefix, value } of Object.values(tag.attributes)) {
    if (uri !== NAMESPACES.xmlns && prefix !== 'xmlns' && !(prefix === '' && local === 'xmlns'))
      attributes.push({ local, uri, value })
  }
  return attributes
}

/**
 * The text of the document. The transport's charset and the document's own declaration must not contradict each other where they would be read differently
 * (RFC 7303 lets the first win, many readers let the second).
 */
function xmlText(bytes: Uint8Array, declared: string | undefined): string {
  const inside = declaredInside(bytes)
  const text = decodeText(bytes, declared ?? inside)
  const says = /^<\?xml[^>]{0,200}?\sencoding\s*=\s*["']([^"'>]{1,40})["']/.exec(text)?.[1]?.toLowerCase()
  if (
    declared !== undefined &&
    says !== undefined &&
    !sameCharset(declared.toLowerCase(), says) &&
    hasBeyondAscii(text)
  )
    throw malformed(`it is sent as ${declared.slice(0, 40)}, but its declaration says ${says}`)
  return text
}

/** The encoding that the XML declaration names, or that its zero bytes show where there is no byte order mark. */
function declaredInside(bytes: Uint8Array): string | undefined {
  if (bytes[0] === 0 && bytes[1] === 0x3c) return 'utf-16be'
  if (bytes[0] === 0x3c && bytes[1] === 0) return 'utf-16le'
  const start = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 256)).toString('latin1')
  const name = /^(?:\u00ef\u00bb\u00bf)?<\?xml[^>]{0,200}?\sencoding\s*=\s*["']([^"'>]{1,40})["']/.exec(start)?.[1]
  return name
}

const sameCharset = (a: string, b: string): boolean => a === b || (a.startsWith('utf-16') && b.startsWith('utf-16'))

function hasBeyondAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 127) return true
  return false
}

const malformed = (why: string, cause?: unknown): SyncError =>
  new SyncError('intake.malformed', `the body is not well-formed XML: ${why}. Nothing was stored.`, { cause })

const forbidden = (why: string): SyncError =>
  new SyncError('intake.forbidden', `the XML is refused: ${why}. Nothing was stored; send it again without that.`)
