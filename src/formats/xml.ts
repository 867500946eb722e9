import { SyncError } from '../errors/index.ts'
import type { NativeData } from '../model/value.ts'
import {
  type Decoded,
  documentList,
  type Encoded,
  type Format,
  type FormatLimits,
  type Problem,
  singleDocument,
} from './format.ts'
import { checkName, newFields } from './plain.ts'
import { checkDocuments, checkType } from './refuse.ts'
import type { XmlMapping, XmlSpec } from './spec.ts'
import { createXmlReader } from './xml-data.ts'
import { parseXml, type XmlElement } from './xml-tree.ts'
import { NOT_XML, writeElement, XML_DECLARATION } from './xml-write.ts'

const TYPE = 'application/xml'

/** XML documents: the content of the root element as plain data. */
export function xmlFormat(spec: XmlSpec): Format {
  const reader = createXmlReader(spec)
  return {
    spec,
    contentType: TYPE,
    decode(bytes, headers, limits) {
      const type = headers['content-type']
      if (!isXmlType(type)) checkType(type, [TYPE, 'text/xml'])
      const root = parseXml(bytes, type, limits)
      checkRoot(root, spec)
      const content = reader.read(root)
      if (spec.root !== null) return documentsAt(content, spec.documents, limits)
      checkName(root.local)
      const data = newFields([])
      data[root.local] = content
      return {
        ...documentsAt(content, spec.documents, limits),
        data,
        ...(spec.documents === null ? { documents: [data] } : {}),
      }
    },
    encode: (value): Encoded => ({ contentType: TYPE, body: XML_DECLARATION + writeRoot(value, spec) }),
    fault: problemXml,
  }
}

const isXmlType = (type: string | undefined): boolean =>
  type !== undefined && /^(?:application|text)\/(?:[\w.-]+\+)?xml\s*(?:;|$)/i.test(type)

function checkRoot(root: XmlElement, spec: XmlSpec): void {
  if (spec.root !== null && root.local !== spec.root)
    throw shape(`its root element is ${root.local.slice(0, 100)}, not ${spec.root}`)
  if (spec.namespace !== null && root.uri !== spec.namespace)
    throw shape(`its root element is of the namespace ${JSON.stringify(root.uri.slice(0, 200))}, not ${spec.namespace}`)
}

/** The elements of the declared list as documents, or the one that the message is. */
export function documentsAt(content: NativeData, path: string | null, limits: FormatLimits): Decoded {
  if (path === null) return singleDocument(content)
  let found: NativeData | undefined = content
  for (const name of path.split('.')) {
    const isObject: boolean = typeof found === 'object' && found !== null && !Array.isArray(found)
    found = isObject ? (found as { readonly [name: string]: NativeData })[name] : undefined
  }
  if (!Array.isArray(found)) throw shape(`it has no list at \`${path}\``)
  const list = found as readonly NativeData[]
  checkDocuments(list.length, limits)
  return { ...documentList(list), data: content }
}

function writeRoot(value: NativeData, spec: XmlSpec): string {
  if (spec.root !== null) return writeElement(spec.root, value, spec)
  const names = typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.keys(value) : []
  if (names.length !== 1)
    throw new SyncError(
      'format.unwritable',
      'an XML document has one root element, so the value must be an object with one name, or the format must name its `root`.',
    )
  return writeElement(
    names[0] as string,
    (value as { readonly [name: string]: NativeData })[names[0] as string] as NativeData,
    spec,
  )
}

const PROBLEM: XmlMapping = {
  lists: [],
  types: {},
  namespace: 'urn:ietf:rfc:7807',
  localNames: [],
  prefixes: {},
  order: {},
  omit: [],
}

/** `application/problem+xml`, the XML form of RFC 7807 (and 9457), with its extension members. */
export function problemXml(problem: Problem): Encoded & { readonly status: number } {
  const { parts, ...members } = problem
  const data = { ...members, ...(parts === undefined ? {} : { parts: { i: parts.map((part) => ({ ...part })) } }) }
  return {
    status: problem.status,
    contentType: 'application/problem+xml',
    body: XML_DECLARATION + writeElement('problem', cleaned(data), PROBLEM),
  }
}

/** A message about a bad message quotes it, and what it quotes may not be XML. */
export function cleaned(data: NativeData): NativeData {
  if (typeof data === 'string') return data.toWellFormed().replace(NOT_XML, '\ufffd')
  if (Array.isArray(data)) return (data as readonly NativeData[]).map(cleaned)
  if (typeof data !== 'object' || data === null) return data
  return Object.fromEntries(Object.entries(data).map(([name, value]) => [name, cleaned(value as NativeData)]))
}

const shape = (why: string): SyncError =>
  new SyncError('intake.shape', `the XML is well-formed, but ${why}. Compare one real message with the format.`)
