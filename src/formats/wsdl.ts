import { plainSchema, propertiesOf } from './schema.ts'
import type { JsonSchema, SoapSpec } from './spec.ts'
import { ATTRIBUTE_MARK, TEXT_NAME } from './xml-data.ts'
import { XML_DECLARATION } from './xml-write.ts'

/** A schema that refers to itself ends here as anyType. */
const TYPE_DEPTH_MAX = 16

/**
 * WSDL 1.1, document/literal wrapped, with a binding and port for each version of SOAP that is taken: what a client generator needs to call a listener or
 * flow of this format at `url`.
 */
export function wsdlOf(spec: SoapSpec, url: string): string {
  const namespace = spec.namespace ?? `urn:latchwork:${spec.request}`
  const action = spec.action ?? ''
  const address = attribute(url)
  const ns = attribute(namespace)
  const qualified = spec.namespace === null ? 'unqualified' : 'qualified'
  const types = `<xsd:schema targetNamespace="${ns}" elementFormDefault="${qualified}">${topElement(spec.request, spec.requestSchema)}${topElement(spec.reply, spec.replySchema ?? ackSchema(spec))}</xsd:schema>`
  const message = (name: string): string =>
    `<wsdl:message name="${name}Message"><wsdl:part name="parameters" element="tns:${name}"/></wsdl:message>`
  const bindings = spec.versions.map((version) => {
    const prefix = version === '1.1' ? 'soap' : 'soap12'
    const name = `${spec.request}Soap${version === '1.1' ? '11' : '12'}`
    const body = `<${prefix}:body use="literal"/>`
    return {
      binding: `<wsdl:binding name="${name}" type="tns:${spec.request}PortType"><${prefix}:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/><wsdl:operation name="${spec.request}"><${prefix}:operation soapAction="${attribute(action)}" style="document"/><wsdl:input>${body}</wsdl:input><wsdl:output>${body}</wsdl:output></wsdl:operation></wsdl:binding>`,
      port: `<wsdl:port name="${name}" binding="tns:${name}"><${prefix}:address location="${address}"/></wsdl:port>`,
    }
  })
  return `${XML_DECLARATION}<wsdl:definitions name="${spec.request}Service" targetNamespace="${ns}" xmlns:tns="${ns}" xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:soap12="http://schemas.xmlsoap.org/wsdl/soap12/" xmlns:xsd="http://www.w3.org/2001/XMLSchema"><wsdl:types>${types}</wsdl:types>${message(spec.request)}${message(spec.reply)}<wsdl:portType name="${spec.request}PortType"><wsdl:operation name="${spec.request}"><wsdl:input message="tns:${spec.request}Message"/><wsdl:output message="tns:${spec.reply}Message"/></wsdl:operation></wsdl:portType>${bindings.map(({ binding }) => binding).join('')}<wsdl:service name="${spec.request}Service">${bindings.map(({ port }) => port).join('')}</wsdl:service></wsdl:definitions>`
}

const ackSchema = ({ ack }: SoapSpec): JsonSchema =>
  typeof ack === 'string'
    ? { type: 'string' }
    : { type: 'object', properties: Object.fromEntries(Object.keys(ack).map((name) => [name, { type: 'string' }])) }

const topElement = (name: string, schema: JsonSchema | null): string =>
  `<xsd:element name="${name}"${typed(schema ?? {}, schema ?? {}, 0, '')}</xsd:element>`

/** The rest of an element's tag and its type: a reference to a built-in type, or an anonymous one inside. */
function typed(schema: JsonSchema, root: JsonSchema, depth: number, attributes: string): string {
  const { schema: plain, isNullable } = plainSchema(schema, root)
  const nillable = isNullable ? ' nillable="true"' : ''
  if (plain.type === 'object' && depth < TYPE_DEPTH_MAX && Object.keys(propertiesOf(plain)).length > 0)
    return `${attributes}${nillable}>${complexType(plain, root, depth)}`
  if (Array.isArray(plain.enum) && plain.enum.every((value) => typeof value === 'string')) {
    const values = plain.enum.map((value) => `<xsd:enumeration value="${attribute(value as string)}"/>`).join('')
    return `${attributes}${nillable}><xsd:simpleType><xsd:restriction base="xsd:string">${values}</xsd:restriction></xsd:simpleType>`
  }
  return `${attributes}${nillable} type="xsd:${builtIn(plain)}">`
}

function complexType(schema: JsonSchema, root: JsonSchema, depth: number): string {
  const properties = propertiesOf(schema)
  const required = (schema.required ?? []) as readonly string[]
  const names = Object.keys(properties)
  const attributes = names
    .filter((name) => name.startsWith(ATTRIBUTE_MARK))
    .map((name) => {
      const use = required.includes(name) ? ' use="required"' : ''
      const type = builtIn(plainSchema(properties[name] as JsonSchema, root).schema)
      return `<xsd:attribute name="${attribute(name.slice(1))}" type="xsd:${type}"${use}/>`
    })
    .join('')
  const text = properties[TEXT_NAME]
  if (text !== undefined) {
    const type = builtIn(plainSchema(text, root).schema)
    return `<xsd:complexType><xsd:simpleContent><xsd:extension base="xsd:${type}">${attributes}</xsd:extension></xsd:simpleContent></xsd:complexType>`
  }
  const elements = names
    .filter((name) => !name.startsWith(ATTRIBUTE_MARK))
    .map((name) => childElement(name, properties[name] as JsonSchema, required.includes(name), root, depth))
    .join('')
  return `<xsd:complexType><xsd:sequence>${elements}</xsd:sequence>${attributes}</xsd:complexType>`
}

function childElement(name: string, schema: JsonSchema, isRequired: boolean, root: JsonSchema, depth: number): string {
  const { schema: plain } = plainSchema(schema, root)
  const isList = plain.type === 'array'
  const occurs = isList ? ' minOccurs="0" maxOccurs="unbounded"' : isRequired ? '' : ' minOccurs="0"'
  const inner = isList ? ((plain.items ?? {}) as JsonSchema) : schema
  return `<xsd:element name="${attribute(name)}"${typed(inner, root, depth + 1, occurs)}</xsd:element>`
}

/** Text stays text: a date or an email address is a string that the schema itself checks, with a better message than a client would give. */
function builtIn(schema: JsonSchema): string {
  switch (schema.type) {
    case 'string':
      return 'string'
    case 'integer':
      return 'integer'
    case 'number':
      return 'decimal'
    case 'boolean':
      return 'boolean'
    default:
      return 'anyType'
  }
}

const attribute = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
