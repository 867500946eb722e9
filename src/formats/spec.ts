/** Formats as plain data: what a config declares, what an agent's wire can carry, what `compileFormat` makes a `Format` of. */
export type FormatSpec = JsonSpec | XmlSpec | SoapSpec | FormSpec | MultipartSpec | CsvSpec | TextSpec

export interface JsonSpec {
  readonly kind: 'json'
}

/** How elements become plain data and back. Paths are dotted element names below the root element, without indexes. */
export interface XmlMapping {
  /** Elements that may be repeated: always a list, also when there is one, and an empty one when the element around them is empty. */
  readonly lists: readonly string[]
  /** What the text of an element or attribute (`line.@no`) is; it stays text where nothing is said, so that `007` stays `007`. */
  readonly types: Readonly<Record<string, 'number' | 'boolean'>>
  /** The default namespace of elements written, and the only one that elements read may have without a prefix; null: any is taken, and names are compared without it. */
  readonly namespace: string | null
  /** Namespaces whose elements stand under their local names too, beside `namespace`. */
  readonly localNames: readonly string[]
  /** Further namespaces by the prefix under which their elements and attributes stand in the data (`c:name`), whatever prefix the sender uses. */
  readonly prefixes: Readonly<Record<string, string>>
  /** Names in the order in which they must be written, by path of the element around them ('' is the root); what is not named comes after, as it stands in the data. */
  readonly order: Readonly<Record<string, readonly string[]>>
  /** Elements that are never read into the data: secrets that a sender puts into every message. */
  readonly omit: readonly string[]
}

export interface XmlSpec extends XmlMapping {
  readonly kind: 'xml'
  /** Name of the root element; another one is refused. null: any is taken, and the data is `{ <its name>: <its content> }`. */
  readonly root: string | null
  /** The list whose elements are documents of their own (dotted, one of `lists`); null: the message is one document. */
  readonly documents: string | null
}

export interface SoapSpec extends XmlMapping {
  readonly kind: 'soap'
  /** The list whose elements are documents of their own; null: the message is one document. */
  readonly documents: string | null
  /** Versions that are taken, the first one is written where nobody asked. */
  readonly versions: readonly ('1.1' | '1.2')[]
  /** Name of the element inside the body of a request; another one is refused. */
  readonly request: string
  /** Name of the element inside the body of a reply. */
  readonly reply: string
  /** The action of a request; a request with another one is refused. null: any is taken, also none. */
  readonly action: string | null
  /** Header blocks that are understood, as `{namespace}name`; any other that says mustUnderstand is refused. */
  readonly understood: readonly string[]
  /** What is answered when a message is acknowledged and there is no value to answer: the content of the reply element. */
  readonly ack: string | { readonly [name: string]: string }
  /** JSON schemas of request and reply, for the WSDL; null: there is none. */
  readonly requestSchema: JsonSchema | null
  readonly replySchema: JsonSchema | null
}

/** A JSON schema as plain data; of it, what has a counterpart in XML is used. */
export type JsonSchema = { readonly [keyword: string]: unknown }

export interface FormSpec {
  readonly kind: 'form'
  /** Fields that may be given several times and are always a list. A field that is repeated without standing here is refused. */
  readonly lists: readonly string[]
}

export interface MultipartSpec {
  readonly kind: 'multipart'
  readonly lists: readonly string[]
}

export interface CsvSpec {
  readonly kind: 'csv'
  readonly delimiter: string
  /** true: the first row names the fields. A list names them where the sender sends no header row. */
  readonly header: true | readonly string[]
}

export interface TextSpec {
  readonly kind: 'text'
  /** The field that takes the text. */
  readonly field: string
}
