import { SyncError } from '../errors/index.ts'
import type { FormatLimits, MessageHeaders } from './format.ts'
import { parseMediaType } from './media-type.ts'
import { parseXml, type XmlElement } from './xml-tree.ts'
import { escapeText, XML_DECLARATION } from './xml-write.ts'

export type SoapVersion = '1.1' | '1.2'

export const ENVELOPE_URI: Readonly<Record<SoapVersion, string>> = {
  '1.1': 'http://schemas.xmlsoap.org/soap/envelope/',
  '1.2': 'http://www.w3.org/2003/05/soap-envelope',
}

export const SOAP_TYPE: Readonly<Record<SoapVersion, string>> = {
  '1.1': 'text/xml',
  '1.2': 'application/soap+xml',
}

export interface Envelope {
  readonly version: SoapVersion
  readonly headers: readonly XmlElement[]
  readonly body: readonly XmlElement[]
}

/** The version that a message claims by its content type; undefined when it does not. */
export function versionOfType(type: string | undefined): SoapVersion | undefined {
  const name = type === undefined ? undefined : parseMediaType(type)?.name
  return name === SOAP_TYPE['1.2'] ? '1.2' : name === SOAP_TYPE['1.1'] ? '1.1' : undefined
}

/** Reads an envelope of one of the versions. Whatever the envelope may not hold is refused, so that no two readers can take different parts of it for the message. */
export function readEnvelope(
  bytes: Uint8Array,
  headers: MessageHeaders,
  versions: readonly SoapVersion[],
  limits: FormatLimits,
  isReply = false,
): Envelope {
  const type = headers['content-type']
  // Of a reply only the envelope counts: services that name the wrong type cannot be asked to answer again.
  const claimed = isReply ? undefined : versionOfType(type)
  if (type !== undefined && claimed === undefined && !isReply)
    throw new SyncError(
      'intake.unsupported-type',
      `the message has the content type ${type.slice(0, 100)}; SOAP 1.1 is sent as text/xml, SOAP 1.2 as application/soap+xml.`,
    )
  const root = parseXml(bytes, type, limits)
  if (root.local !== 'Envelope') throw shape(`its root element is ${root.local.slice(0, 100)}, not an Envelope`)
  const version = root.uri === ENVELOPE_URI['1.1'] ? '1.1' : root.uri === ENVELOPE_URI['1.2'] ? '1.2' : undefined
  if (version === undefined || !versions.includes(version))
    throw new SyncError(
      'intake.soap-version',
      `the envelope is ${version === undefined ? `of the namespace ${JSON.stringify(root.uri.slice(0, 100))}` : `SOAP ${version}`}; this listener takes SOAP ${versions.join(' and ')}.`,
    )
  if (claimed !== undefined && claimed !== version)
    throw new SyncError(
      'intake.unsupported-type',
      `the envelope is SOAP ${version}, but it is sent as ${SOAP_TYPE[claimed]}; SOAP ${version} is sent as ${SOAP_TYPE[version]}.`,
    )
  return { version, ...partsOf(root, version) }
}

function partsOf(root: XmlElement, version: SoapVersion): Pick<Envelope, 'headers' | 'body'> {
  const uri = ENVELOPE_URI[version]
  const [first, ...rest] = root.children
  const hasHeader = first?.local === 'Header' && first.uri === uri
  const [body, ...more] = hasHeader ? rest : root.children
  if (body?.local !== 'Body' || body.uri !== uri) throw shape('it has no Body where one belongs')
  if (more.length > 0 || root.text.trim() !== '') throw shape('it holds more than a Header and one Body')
  return { headers: hasHeader ? first.children : [], body: body.children }
}

const NEXT: ReadonlySet<string> = new Set([
  '',
  'http://schemas.xmlsoap.org/soap/actor/next',
  'http://www.w3.org/2003/05/soap-envelope/role/next',
  'http://www.w3.org/2003/05/soap-envelope/role/ultimateReceiver',
])

/** Refuses header blocks that are meant for us, must be understood and are not. `understood` has them as `{namespace}name`. */
export function checkHeaders(envelope: Envelope, understood: readonly string[]): void {
  const uri = ENVELOPE_URI[envelope.version]
  for (const block of envelope.headers) {
    const attribute = (name: string): string =>
      block.attributes.find((candidate) => candidate.local === name && candidate.uri === uri)?.value.trim() ?? ''
    const must = attribute('mustUnderstand')
    if (must !== '' && must !== '0' && must !== '1' && must !== 'true' && must !== 'false')
      throw shape(`the header block ${block.local.slice(0, 100)} has a mustUnderstand that is neither true nor false`)
    if (must !== '1' && must !== 'true') continue
    if (!NEXT.has(attribute(envelope.version === '1.1' ? 'actor' : 'role'))) continue
    const name = `{${block.uri}}${block.local}`
    if (understood.includes(name)) continue
    throw new SyncError(
      'intake.must-understand',
      `the message says that its header block ${name.slice(0, 200)} must be understood, and this listener does not. Name it in \`understood\` of the format where it may be ignored.`,
    )
  }
}

/** The action that the message says: the SOAPAction header of 1.1 without its quotes, the parameter of the content type of 1.2; undefined for none. */
export function actionOf(headers: MessageHeaders, version: SoapVersion): string | undefined {
  if (version === '1.2') {
    const type = headers['content-type']
    return type === undefined ? undefined : parseMediaType(type)?.parameters.action
  }
  const text = headers.soapaction?.trim()
  if (text === undefined) return undefined
  return text.length >= 2 && text.startsWith('"') && text.endsWith('"') ? text.slice(1, -1) : text
}

/** An envelope around header blocks and a body that are XML already. */
export function envelopeText(version: SoapVersion, body: string, headers = ''): string {
  const header = headers === '' ? '' : `<soap:Header>${headers}</soap:Header>`
  return `${XML_DECLARATION}<soap:Envelope xmlns:soap="${ENVELOPE_URI[version]}">${header}<soap:Body>${body}</soap:Body></soap:Envelope>`
}

export const soapContentType = (version: SoapVersion, action?: string): string =>
  `${SOAP_TYPE[version]}; charset=utf-8${version === '1.2' && action !== undefined ? `; action="${action}"` : ''}`

export const xmlText = (text: string): string => escapeText(text, 'text')

export const shape = (why: string): SyncError =>
  new SyncError('intake.shape', `the message is well-formed XML, but ${why}. Compare one real message with the format.`)
