import { checkKeys, refuse } from '../../config/refuse.ts'
import { type SoapVersion, soap, type XmlMappingOptions } from '../../formats/index.ts'
import { checkText } from './config-checks.ts'
import type { ConfigText, HttpSoapCall, HttpSoapService } from './options.ts'

/** How a SOAP service is written to and read from: one call per kind of write. */

export interface SoapCallOptions extends XmlMappingOptions {
  /** Element inside the body of the request, and of the reply (`<request>Response` unless given). */
  readonly request: string
  readonly reply?: string
  readonly action: string
  /** Element of the request that takes the record; its fields stand in the request itself unless given. */
  readonly record?: string
  /** Element of the request that takes the native id. */
  readonly id?: string
  /** Element of the request that takes the version that the write is based on, where the service refuses another. */
  readonly baseVersion?: string
  /** Where the record stands in the reply; '' when the reply element is the record. Replies carry none unless given. */
  readonly replyRecord?: string
  /** Where the new id stands in the reply; in the record unless given. */
  readonly replyId?: string
  /** What fault codes mean. A fault of the sender's is a refusal and one of the server's unknown unless they stand here. */
  readonly faults?: HttpSoapCall['faults']
}

const CALL_KEYS = [
  'request',
  'reply',
  'action',
  'record',
  'id',
  'baseVersion',
  'replyRecord',
  'replyId',
  'faults',
  'lists',
  'types',
  'namespace',
  'localNames',
  'prefixes',
  'order',
  'omit',
] as const satisfies readonly (keyof SoapCallOptions)[]

/** One call of a SOAP service. */
export function soapCall(options: SoapCallOptions): SoapCallOptions {
  checkKeys('soapCall()', options, CALL_KEYS)
  checkText('soapCall().action', options.action)
  return options
}

export interface SoapServiceOptions {
  readonly version?: SoapVersion
  /** The namespace of requests and replies, unless a call has its own. */
  readonly namespace: string
  readonly create?: SoapCallOptions
  readonly update?: SoapCallOptions
  readonly delete?: SoapCallOptions
  readonly read?: SoapCallOptions
  /** WS-Security user name and password, in the header of every request. */
  readonly usernameToken?: { readonly user: ConfigText; readonly password: ConfigText }
}

/** A SOAP service as a target: `resource('/CustomerService', row, { soap: soapService({ ... }), ... })`. */
export function soapService(options: SoapServiceOptions): HttpSoapService {
  checkKeys('soapService()', options, ['version', 'namespace', 'create', 'update', 'delete', 'read', 'usernameToken'])
  const { version = '1.1', namespace, usernameToken } = options
  if (version !== '1.1' && version !== '1.2')
    refuse('soapService().version', `${String(version)} is not a version of SOAP`, "Give '1.1' or '1.2'.")
  checkText('soapService().namespace', namespace)
  const calls: Partial<Record<'create' | 'update' | 'delete' | 'read', HttpSoapCall>> = {}
  for (const kind of ['create', 'update', 'delete', 'read'] as const) {
    const call = options[kind]
    if (call !== undefined) calls[kind] = compileCall(kind, call, version, namespace)
  }
  return { version, calls, usernameToken: usernameToken ?? null }
}

function compileCall(kind: string, call: SoapCallOptions, version: SoapVersion, namespace: string): HttpSoapCall {
  checkKeys(`soapService().${kind}`, call, CALL_KEYS)
  if (kind !== 'create' && call.id === undefined)
    refuse(`soapService().${kind}`, 'it does not say which element takes the id', "Give id: 'customerId'.")
  const { lists, types, localNames, prefixes, order, omit } = call
  const mapping = { lists, types, localNames, prefixes, order, omit, namespace: call.namespace ?? namespace }
  const given = Object.fromEntries(Object.entries(mapping).filter(([, value]) => value !== undefined))
  const spec = soap({ request: call.request, ...(call.reply === undefined ? {} : { reply: call.reply }), ...given })
  return {
    request: spec.request,
    reply: spec.reply,
    namespace: spec.namespace,
    localNames: spec.localNames,
    prefixes: spec.prefixes,
    lists: spec.lists,
    types: spec.types,
    order: spec.order,
    omit: spec.omit,
    version,
    action: call.action,
    record: call.record ?? '',
    id: call.id ?? null,
    baseVersion: call.baseVersion ?? null,
    replyRecord: call.replyRecord ?? null,
    replyId: call.replyId ?? null,
    faults: call.faults ?? {},
  }
}
