import { SyncError } from '../errors/index.ts'
import type {
  CsvSpec,
  FormSpec,
  JsonSchema,
  JsonSpec,
  MultipartSpec,
  SoapSpec,
  TextSpec,
  XmlMapping,
  XmlSpec,
} from './spec.ts'

/** How people declare formats in a config: everything left out gets the value that loses nothing. */

export interface XmlMappingOptions {
  /** Paths of elements that may be repeated: always a list, also when there is one. */
  readonly lists?: readonly string[]
  /** What the text of an element or attribute (`line.@no`) is; text unless said. */
  readonly types?: Readonly<Record<string, 'number' | 'boolean'>>
  readonly namespace?: string
  /** Namespaces whose elements stand under their local names too, beside `namespace`. */
  readonly localNames?: readonly string[]
  /** Further namespaces by the prefix that they have in the data. */
  readonly prefixes?: Readonly<Record<string, string>>
  /** Names in the order in which they must be written, by path ('' is the root). */
  readonly order?: Readonly<Record<string, readonly string[]>>
  /** Paths of elements that are never read into the data. */
  readonly omit?: readonly string[]
  /** The list whose elements are documents of their own: `'order'` for `<orders><order/><order/></orders>`. It is one of `lists` by itself. */
  readonly documents?: string
}

export interface XmlOptions extends XmlMappingOptions {
  /** Name of the root element. Without it any is taken, and the data is `{ <its name>: <its content> }`. */
  readonly root?: string
}

export interface SoapOptions extends XmlMappingOptions {
  /** Name of the element inside the body of a request. */
  readonly request: string
  /** Name of the element inside the body of a reply; `<request>Response` unless given. */
  readonly reply?: string
  /** The action that a request must have; any unless given. */
  readonly action?: string
  readonly versions?: readonly ('1.1' | '1.2')[]
  /** Header blocks that may say mustUnderstand, as `{namespace}name`. */
  readonly understood?: readonly string[]
  /** What the reply element holds when a message is only acknowledged. */
  readonly ack?: SoapSpec['ack']
  /** JSON schemas (`z.toJSONSchema(...)`): they make the WSDL at `?wsdl`, and say what is a list, a number, a boolean, and in which order it is written. */
  readonly requestSchema?: JsonSchema
  readonly replySchema?: JsonSchema
}

export interface FormOptions {
  /** Fields that may be given several times and are always a list. */
  readonly lists?: readonly string[]
}

export interface CsvOptions {
  readonly delimiter?: string
  /** The names of the columns, where the sender sends no row with them. */
  readonly columns?: readonly string[]
}

export const json = (): JsonSpec => ({ kind: 'json' })

export function xml(options: XmlOptions = {}): XmlSpec {
  checkOptions('xml()', options, ['root', 'documents', ...MAPPING_OPTIONS])
  return {
    kind: 'xml',
    root: options.root ?? null,
    documents: options.documents ?? null,
    ...mappingOf('xml()', options),
  }
}

export function soap(options: SoapOptions): SoapSpec {
  checkOptions('soap()', options, [...SOAP_OPTIONS, ...MAPPING_OPTIONS])
  const { request, versions = ['1.1', '1.2'] } = options
  checkXmlName('soap().request', request)
  if (options.reply !== undefined) checkXmlName('soap().reply', options.reply)
  if (versions.length === 0 || versions.some((version) => version !== '1.1' && version !== '1.2'))
    throw invalid('soap().versions', "it names other versions than '1.1' and '1.2', or none")
  return {
    kind: 'soap',
    documents: options.documents ?? null,
    versions,
    request,
    reply: options.reply ?? `${request}Response`,
    action: options.action ?? null,
    understood: options.understood ?? [],
    ack: options.ack ?? '',
    requestSchema: options.requestSchema ?? null,
    replySchema: options.replySchema ?? null,
    ...mappingOf('soap()', options),
  }
}

export function form(options: FormOptions = {}): FormSpec {
  checkOptions('form()', options, ['lists'])
  return { kind: 'form', lists: options.lists ?? [] }
}

export function multipart(options: FormOptions = {}): MultipartSpec {
  checkOptions('multipart()', options, ['lists'])
  return { kind: 'multipart', lists: options.lists ?? [] }
}

export function csv(options: CsvOptions = {}): CsvSpec {
  checkOptions('csv()', options, ['delimiter', 'columns'])
  const { delimiter = ',', columns } = options
  if (!/^[^"\r\n]$/u.test(delimiter) || delimiter.length !== 1)
    throw invalid('csv().delimiter', `${JSON.stringify(delimiter)} is not one character that can stand between fields`)
  if (columns !== undefined && (columns.length === 0 || new Set(columns).size !== columns.length))
    throw invalid('csv().columns', 'it names no column, or one twice')
  return { kind: 'csv', delimiter, header: columns ?? true }
}

/** Plain text, in one field (`text` unless named). */
export const text = (field = 'text'): TextSpec => ({ kind: 'text', field })

const SOAP_OPTIONS = [
  'documents',
  'request',
  'reply',
  'action',
  'versions',
  'understood',
  'ack',
  'requestSchema',
  'replySchema',
]
const MAPPING_OPTIONS = ['lists', 'types', 'namespace', 'localNames', 'prefixes', 'order', 'omit'] as const

function mappingOf(where: string, options: XmlMappingOptions): XmlMapping {
  for (const [path, type] of Object.entries(options.types ?? {}))
    if (type !== 'number' && type !== 'boolean')
      throw invalid(
        `${where}.types`,
        `the type of ${path} is ${JSON.stringify(type)}; 'number' and 'boolean' are known`,
      )
  for (const prefix of Object.keys(options.prefixes ?? {})) {
    checkXmlName(`${where}.prefixes`, prefix)
    if (/^xml/i.test(prefix) || prefix === 'xsi' || prefix === 'soap')
      throw invalid(`${where}.prefixes`, `the prefix ${prefix} is taken by XML or SOAP itself`)
  }
  return {
    lists: [...(options.lists ?? []), ...(options.documents === undefined ? [] : [options.documents])],
    types: options.types ?? {},
    namespace: options.namespace ?? null,
    localNames: options.localNames ?? [],
    prefixes: options.prefixes ?? {},
    order: options.order ?? {},
    omit: options.omit ?? [],
  }
}

function checkXmlName(where: string, name: unknown): void {
  if (typeof name === 'string' && /^[\p{L}_][\p{L}\p{N}_.-]*$/u.test(name)) return
  throw invalid(where, `${JSON.stringify(name)} cannot be the name of an XML element`)
}

function checkOptions(where: string, options: object, known: readonly string[]): void {
  for (const key of Object.keys(options))
    if (!known.includes(key))
      throw new SyncError('config.unknown-key', `${where}: '${key}' is not an option; there are ${known.join(', ')}.`)
}

const invalid = (where: string, why: string): SyncError => new SyncError('config.invalid', `${where}: ${why}.`)
