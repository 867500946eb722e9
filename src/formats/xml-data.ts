import { SyncError } from '../errors/index.ts'
import type { NativeData } from '../model/value.ts'
import { exactNumber } from './json-number.ts'
import { checkName, type FieldsBeingRead, newFields } from './plain.ts'
import type { XmlMapping } from './spec.ts'
import { NAMESPACES, type XmlAttribute, type XmlElement } from './xml-tree.ts'

/** Where the text of an element stands that has attributes, too. */
export const TEXT_NAME = '#text'
/** What the name of an attribute begins with in plain data. */
export const ATTRIBUTE_MARK = '@'

/** Reads trees by one mapping; what does not depend on the message is worked out once. */
export interface XmlReader {
  /** The content of the element as plain data: text for one without elements and attributes, null for `xsi:nil`, otherwise an object. */
  read(element: XmlElement): NativeData
}

export function createXmlReader(mapping: XmlMapping): XmlReader {
  const lists = new Set(mapping.lists)
  const omit = new Set(mapping.omit)
  const localNames = new Set(mapping.localNames)
  const listsInside = new Map<string, string[]>()
  for (const path of mapping.lists) {
    const dot = path.lastIndexOf('.')
    const around = dot < 0 ? '' : path.slice(0, dot)
    listsInside.set(around, [...(listsInside.get(around) ?? []), path.slice(dot + 1)])
  }
  const prefixByUri = new Map(Object.entries(mapping.prefixes).map(([prefix, uri]) => [uri, prefix]))

  const nameOf = (local: string, uri: string, isAttribute: boolean): string => {
    const prefix = prefixByUri.get(uri)
    if (prefix !== undefined) return `${prefix}:${local}`
    if (uri === NAMESPACES.xml) return `xml:${local}`
    if (uri === '' || uri === mapping.namespace || localNames.has(uri) || (mapping.namespace === null && !isAttribute))
      return local
    return `{${uri}}${local}`
  }

  const read = (element: XmlElement, path: string): NativeData => {
    if (isNil(element)) return null
    const inside = listsInside.get(path)
    const attributes = element.attributes.filter((attribute) => attribute.uri !== NAMESPACES.xsi)
    const isEmpty = element.children.length === 0 && attributes.length === 0
    if (isEmpty && (inside === undefined || element.text.trim() !== '')) return typed(element.text, path)
    const fields = newFields(inside ?? [])
    for (const attribute of attributes) addAttribute(fields, attribute, path)
    if (element.children.length === 0) {
      if (element.text !== '' && inside === undefined) fields[TEXT_NAME] = typed(element.text, path)
      return fields
    }
    if (element.text.trim() !== '')
      throw shape(
        `the element ${path === '' ? element.local : path} has text between its elements, which plain data cannot hold`,
      )
    addChildren(fields, element, path)
    return fields
  }

  const addAttribute = (fields: FieldsBeingRead, { local, uri, value }: XmlAttribute, path: string): void => {
    const name = ATTRIBUTE_MARK + nameOf(local, uri, true)
    const at = path === '' ? name : `${path}.${name}`
    if (!omit.has(at)) fields[name] = typed(value, at)
  }

  const addChildren = (fields: FieldsBeingRead, element: XmlElement, path: string): void => {
    const uriByName = new Map<string, string>()
    const repeated = new Map<string, NativeData[]>()
    for (const child of element.children) {
      const name = nameOf(child.local, child.uri, false)
      const at = path === '' ? name : `${path}.${name}`
      if (omit.has(at)) continue
      checkName(name)
      const uri = uriByName.get(name)
      if (uri === undefined) uriByName.set(name, child.uri)
      else if (uri !== child.uri)
        throw new SyncError(
          'intake.forbidden',
          `the elements ${at} of the namespaces ${JSON.stringify(uri)} and ${JSON.stringify(child.uri)} would be one field. Nothing was stored; name one of them in \`prefixes\` of the format.`,
        )
      const value = read(child, at)
      if (lists.has(at)) (fields[name] as NativeData[]).push(value)
      else if (uri === undefined) fields[name] = value
      else {
        // Repeated without being declared: a list, so that nothing is lost. Whoever expects one value is told by the mapping.
        let list = repeated.get(name)
        if (list === undefined) {
          list = [fields[name] as NativeData]
          repeated.set(name, list)
          fields[name] = list
        }
        list.push(value)
      }
    }
  }

  const typed = (text: string, path: string): NativeData => {
    const type = Object.hasOwn(mapping.types, path) ? mapping.types[path] : undefined
    return type === undefined ? text : typedText(text.trim(), type, path)
  }
  return { read: (element) => read(element, '') }
}

const isNil = (element: XmlElement): boolean =>
  element.attributes.some(
    ({ uri, local, value }) => uri === NAMESPACES.xsi && local === 'nil' && /^\s*(?:true|1)\s*$/.test(value),
  )

function typedText(text: string, type: 'number' | 'boolean', path: string): NativeData {
  if (type === 'boolean') {
    if (text === 'true' || text === '1') return true
    if (text === 'false' || text === '0') return false
    throw shape(`${path} is ${JSON.stringify(text.slice(0, 60))}, which is not a boolean`)
  }
  if (!/^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,4})?$/.test(text))
    throw shape(`${path} is ${JSON.stringify(text.slice(0, 60))}, which is not a number`)
  const source = text
    .replace(/^\+/, '')
    .replace(/^(-?)0+(?=\d)/, '$1')
    .replace(/^(-?)\./, '$10.')
    .replace(/\.(?=$|[eE])/, '')
  return exactNumber(Number(source), source)
}

const shape = (why: string): SyncError =>
  new SyncError('intake.shape', `the XML is well-formed, but ${why}. Compare one real message with the format.`)
