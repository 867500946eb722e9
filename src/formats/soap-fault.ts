import type { Encoded, MessageHeaders, Problem } from './format.ts'
import {
  ENVELOPE_URI,
  type Envelope,
  envelopeText,
  type SoapVersion,
  soapContentType,
  versionOfType,
  xmlText,
} from './soap-envelope.ts'
import type { XmlMapping } from './spec.ts'
import { cleaned } from './xml.ts'
import type { XmlElement } from './xml-tree.ts'
import { writeElement } from './xml-write.ts'

export const DETAIL_URI = 'urn:latchwork:problem'

const PLAIN: XmlMapping = {
  lists: [],
  types: {},
  namespace: DETAIL_URI,
  localNames: [],
  prefixes: {},
  order: {},
  omit: [],
}

/** Whose fault it is, in the words of SOAP: the sender's (sending the same again is no use) or ours. */
function faultCode(problem: Problem, version: SoapVersion): string {
  if (problem.code === 'intake.soap-version') return 'VersionMismatch'
  if (problem.code === 'intake.must-understand') return 'MustUnderstand'
  const isSenders = problem.status >= 400 && problem.status < 500 && problem.status !== 408 && problem.status !== 429
  if (version === '1.1') return isSenders ? 'Client' : 'Server'
  return isSenders ? 'Sender' : 'Receiver'
}

/** What is wrong with the message itself. What is wrong with the request around it (who sent it, how large it is) keeps its HTTP status. */
const MESSAGE_STATUSES: ReadonlySet<number> = new Set([400, 409, 422, 502])

/** The HTTP bindings want 500 for a fault (1.1, 6.2; 1.2, 7.5.2.2), and 400 for a sender's fault in 1.2; many clients read a fault from these only. */
function statusOf(problem: Problem, version: SoapVersion): number {
  if (!MESSAGE_STATUSES.has(problem.status)) return problem.status
  return version === '1.2' && problem.status < 500 ? 400 : 500
}

/** A refusal as a SOAP fault, in the version that the message claims, with the stable code in its detail. */
export function soapFault(
  problem: Problem,
  headers: MessageHeaders | undefined,
  versions: readonly SoapVersion[],
): Encoded & { readonly status: number } {
  const version = versionOfType(headers?.['content-type']) ?? versions[0] ?? '1.1'
  const { parts, ...members } = problem
  const data = { ...members, ...(parts === undefined ? {} : { part: parts.map((part) => ({ ...part })) }) }
  const detail = writeElement('problem', cleaned(data), PLAIN)
  const code = faultCode(problem, version)
  const reason = xmlText(String(cleaned(`${problem.detail} (${problem.code})`)))
  const fault =
    version === '1.1'
      ? // A fault that is not about the body has no detail (1.1, 4.4); the code stands at the end of its text.
        `<soap:Fault><faultcode>soap:${code}</faultcode><faultstring xml:lang="en">${reason}</faultstring>${code === 'MustUnderstand' || code === 'VersionMismatch' ? '' : `<detail>${detail}</detail>`}</soap:Fault>`
      : `<soap:Fault><soap:Code><soap:Value>soap:${code}</soap:Value><soap:Subcode><soap:Value xmlns:lw="${DETAIL_URI}">lw:${problem.code}</soap:Value></soap:Subcode></soap:Code><soap:Reason><soap:Text xml:lang="en">${reason}</soap:Text></soap:Reason><soap:Detail>${detail}</soap:Detail></soap:Fault>`
  return {
    status: statusOf(problem, version),
    contentType: soapContentType(version),
    body: envelopeText(version, fault, versionMismatchHeader(code, version, versions)),
  }
}

/** SOAP 1.2 wants the versions that would have been taken to be named (5.4.7). */
function versionMismatchHeader(code: string, version: SoapVersion, versions: readonly SoapVersion[]): string {
  if (code !== 'VersionMismatch' || version !== '1.2') return ''
  const envelopes = versions.map(
    (taken, index) => `<soap:SupportedEnvelope xmlns:e${index}="${ENVELOPE_URI[taken]}" qname="e${index}:Envelope"/>`,
  )
  return `<soap:Upgrade>${envelopes.join('')}</soap:Upgrade>`
}

/** A fault in a reply, whatever its version: what went wrong, in the application's words. */
export interface ReceivedFault {
  /** VersionMismatch, MustUnderstand, Client or Server, in the words of 1.1. */
  readonly kind: 'VersionMismatch' | 'MustUnderstand' | 'Client' | 'Server'
  /** The local names of its code and subcodes, the most exact last: `['Client', 'NotFound']`. */
  readonly codes: readonly string[]
  readonly reason: string
}

/** undefined when the envelope holds no fault. */
export function readFault(envelope: Envelope): ReceivedFault | undefined {
  const fault = envelope.body[0]
  if (fault === undefined || fault.local !== 'Fault' || fault.uri !== ENVELOPE_URI[envelope.version]) return undefined
  const child = (of: XmlElement | undefined, local: string): XmlElement | undefined =>
    of?.children.find((candidate) => candidate.local === local)
  const localPart = (text: string): string => text.trim().replace(/^.*:/, '')
  if (envelope.version === '1.1') {
    const codes = localPart(child(fault, 'faultcode')?.text ?? 'Server').split('.')
    return { kind: kindOf(codes[0]), codes, reason: child(fault, 'faultstring')?.text.trim() ?? '' }
  }
  const codes: string[] = []
  for (let code = child(fault, 'Code'); code !== undefined && codes.length < 16; code = child(code, 'Subcode'))
    codes.push(localPart(child(code, 'Value')?.text ?? ''))
  return { kind: kindOf(codes[0]), codes, reason: child(child(fault, 'Reason'), 'Text')?.text.trim() ?? '' }
}

function kindOf(code: string | undefined): ReceivedFault['kind'] {
  if (code === 'VersionMismatch' || code === 'MustUnderstand') return code
  return code === 'Client' || code === 'Sender' || code === 'DataEncodingUnknown' ? 'Client' : 'Server'
}
