import { SyncError } from '../errors/index.ts'
import type { NativeData } from '../model/value.ts'
import type { Encoded, Format, FormatLimits, MessageHeaders } from './format.ts'
import { withSchema } from './schema.ts'
import {
  actionOf,
  checkHeaders,
  envelopeText,
  readEnvelope,
  type SoapVersion,
  shape,
  soapContentType,
  versionOfType,
  xmlText,
} from './soap-envelope.ts'
import { type ReceivedFault, readFault, soapFault } from './soap-fault.ts'
import type { SoapSpec } from './spec.ts'
import { documentsAt } from './xml.ts'
import { createXmlReader } from './xml-data.ts'
import type { XmlElement } from './xml-tree.ts'
import { writeElement } from './xml-write.ts'

/** SOAP 1.1 and 1.2, document style: the content of the one element in the body as plain data. */
export function soapFormat(spec: SoapSpec): Format {
  const request = withSchema(spec, spec.requestSchema)
  const reply = withSchema(spec, spec.replySchema)
  const reader = createXmlReader(request)
  const first = spec.versions[0] ?? '1.1'
  return {
    spec,
    contentType: soapContentType(first),
    decode(bytes, headers, limits) {
      const envelope = readEnvelope(bytes, headers, spec.versions, limits)
      checkHeaders(envelope, spec.understood)
      checkAction(spec.action, actionOf(headers, envelope.version), envelope.version)
      return documentsAt(reader.read(onlyElement(envelope.body, spec.request, spec)), spec.documents, limits)
    },
    encode: (value, headers): Encoded => {
      const version = answerVersion(headers, first, spec.versions)
      return {
        contentType: soapContentType(version),
        body: envelopeText(version, writeElement(spec.reply, value, reply)),
      }
    },
    fault: (problem, headers) => soapFault(problem, headers, spec.versions),
  }
}

/** What acknowledges a message where there is no value to answer. */
export const soapAck = (spec: SoapSpec): NativeData => spec.ack as NativeData

function answerVersion(
  headers: MessageHeaders | undefined,
  first: SoapVersion,
  taken: readonly SoapVersion[],
): SoapVersion {
  const claimed = versionOfType(headers?.['content-type'])
  return claimed !== undefined && taken.includes(claimed) ? claimed : first
}

/** SOAP 1.1 wants the header, 1.2 lets a sender leave the action out. */
function checkAction(wanted: string | null, given: string | undefined, version: SoapVersion): void {
  if (wanted === null || given === wanted || (given === undefined && version === '1.2')) return
  const said =
    given === undefined ? 'has no SOAPAction header' : `has the action ${JSON.stringify(given.slice(0, 200))}`
  throw new SyncError('intake.soap-action', `the request ${said}; this listener takes ${JSON.stringify(wanted)}.`)
}

function onlyElement(body: readonly XmlElement[], name: string, spec: Pick<SoapSpec, 'namespace'>): XmlElement {
  const [element] = body
  if (element === undefined || body.length > 1) throw shape(`its Body holds ${body.length} elements, not one ${name}`)
  if (element.local !== name) throw shape(`its Body holds ${element.local.slice(0, 100)}, not ${name}`)
  if (spec.namespace !== null && element.uri !== spec.namespace)
    throw shape(`${name} is of the namespace ${JSON.stringify(element.uri.slice(0, 200))}, not ${spec.namespace}`)
  return element
}

/** One call of a SOAP service, as its client: what to send, and what came back. */
export interface SoapCallSpec
  extends Pick<
    SoapSpec,
    'request' | 'reply' | 'namespace' | 'localNames' | 'prefixes' | 'lists' | 'types' | 'order' | 'omit'
  > {
  readonly version: SoapVersion
  readonly action: string
}

export interface SoapCallFormat {
  readonly headers: readonly [string, string][]
  encode(value: NativeData, headerBlocks?: string): string
  /** The content of the reply element, or the fault. Throws `intake.` errors for what is neither. */
  decode(
    bytes: Uint8Array,
    headers: MessageHeaders,
    limits: FormatLimits,
  ): { readonly data: NativeData; readonly fault?: undefined } | { readonly fault: ReceivedFault }
}

export function soapCallFormat(spec: SoapCallSpec): SoapCallFormat {
  const reader = createXmlReader(spec)
  const type: [string, string] = ['content-type', soapContentType(spec.version, spec.action)]
  return {
    headers: spec.version === '1.1' ? [type, ['soapaction', `"${spec.action}"`]] : [type],
    encode: (value, headerBlocks) => envelopeText(spec.version, writeElement(spec.request, value, spec), headerBlocks),
    decode(bytes, headers, limits) {
      const envelope = readEnvelope(bytes, headers, ['1.1', '1.2'], limits, true)
      const fault = readFault(envelope)
      if (fault !== undefined) return { fault }
      checkHeaders(envelope, [])
      return { data: reader.read(onlyElement(envelope.body, spec.reply, spec)) }
    },
  }
}

const WSSE = 'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd'
const PASSWORD_TEXT = 'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText'

/** The WS-Security header block with a user name and a password in plain text: for connections that are encrypted. */
export const usernameToken = (user: string, password: string): string =>
  `<wsse:Security xmlns:wsse="${WSSE}" soap:mustUnderstand="1"><wsse:UsernameToken><wsse:Username>${xmlText(user)}</wsse:Username><wsse:Password Type="${PASSWORD_TEXT}">${xmlText(password)}</wsse:Password></wsse:UsernameToken></wsse:Security>`
