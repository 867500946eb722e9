import {
  FORMAT_LIMITS,
  type ReceivedFault,
  type SoapCallFormat,
  soapCallFormat,
  usernameToken,
} from '../../formats/index.ts'
import type { Outcome } from '../../model/change.ts'
import { asNativeId, asToken } from '../../model/ids.ts'
import type { NativeData, NativeRecord } from '../../model/value.ts'
import type { WriteOp } from '../../ports/app.ts'
import type { HttpClient, HttpReply, HttpRequest } from './client.ts'
import { firstHeader, type Ruling, replyWords, rulingOfFailure, rulingOfStatus } from './errors.ts'
import type { HttpAppOptions, HttpResource, HttpSoapCall, HttpSoapService } from './options.ts'
import { compilePath, idText, type Read, tokenText } from './place.ts'
import { resolvedText } from './resolved.ts'

/** What came of one call that was answered: data, a fault, or words that are not SOAP. */
type Answer =
  | { readonly is: 'data'; readonly data: NativeData; readonly status: number }
  | { readonly is: 'fault'; readonly fault: ReceivedFault; readonly status: number }
  | { readonly is: 'other'; readonly status: number; readonly words: string }

interface CompiledCall {
  readonly call: HttpSoapCall
  readonly format: SoapCallFormat
  readonly recordOf: Read | null
  readonly idOf: Read | null
  readonly headers: readonly string[]
}

export interface SoapCallerDeps {
  readonly client: HttpClient
  readonly basePath: string
  readonly headers: readonly string[]
}

/** Records of a SOAP service: each kind of write, and the read, is a call of its own on one address. */
export class SoapCaller {
  readonly #options: HttpAppOptions
  readonly #resource: HttpResource
  readonly #deps: SoapCallerDeps
  readonly #calls = new Map<string, CompiledCall>()
  readonly #headerBlocks: string
  readonly #idOf: Read
  readonly #versionOf: Read | null

  constructor(options: HttpAppOptions, resource: HttpResource, service: HttpSoapService, deps: SoapCallerDeps) {
    this.#options = options
    this.#resource = resource
    this.#deps = deps
    this.#idOf = compilePath(resource.id)
    this.#versionOf = resource.version?.in === 'field' ? compilePath(resource.version.field) : null
    this.#headerBlocks =
      service.usernameToken === null
        ? ''
        : usernameToken(
            resolvedText(service.usernameToken.user, `the user of ${options.app}`),
            resolvedText(service.usernameToken.password, `the password of ${options.app}`),
          )
    const common = deps.headers.flatMap((name, i, all) =>
      i % 2 === 0 && name !== 'accept' ? [name, all[i + 1] as string] : [],
    )
    for (const [kind, call] of Object.entries(service.calls)) {
      const format = soapCallFormat(call)
      this.#calls.set(kind, {
        call,
        format,
        recordOf: call.replyRecord === null ? null : compilePath(call.replyRecord),
        idOf: call.replyId === null ? null : compilePath(call.replyId),
        headers: [...common, ...format.headers.flat()],
      })
    }
  }

  async write(op: WriteOp, deadlineMs: number, signal: AbortSignal): Promise<Outcome> {
    const name = `${op.kind} ${this.#options.app} ${op.object}${op.nativeId === null ? '' : ' ' + op.nativeId}`
    const compiled = this.#calls.get(op.kind)
    if (compiled === undefined) return this.#refused(op, `${name} was not sent: no SOAP call is declared for it.`)
    let body: string
    try {
      body = compiled.format.encode(this.#messageOf(op, compiled.call), this.#headerBlocks)
    } catch (error) {
      return this.#refused(op, `${name} was not sent: ${error instanceof Error ? error.message : String(error)}`)
    }
    const timeoutMs = Math.min(deadlineMs, this.#options.requestTimeoutMs)
    const result = await this.#deps.client.send(this.#request(compiled, body), timeoutMs, signal)
    if (result.ended === 'failed')
      return {
        op: op.op,
        ...rulingOfFailure(result, op),
        message: `${name}: ${result.cause.message || 'no connection'}`,
      }
    const answer = read(compiled, result)
    if (answer.is === 'data') return this.#applied(op, compiled, answer, name)
    if (answer.is === 'fault')
      return {
        op: op.op,
        ...rulingOfFault(answer.fault, compiled.call),
        message: `${name}: ${faultWords(answer.fault)}`,
      }
    const message = `${name}: the application answered ${answer.status}: ${answer.words}`
    const isSuccess = answer.status >= 200 && answer.status < 300
    // A success in words that are not SOAP: a login page or a proxy says 200 too, so the write may not have happened.
    if (isSuccess) return { op: op.op, result: 'unknown', code: 'target.reply-invalid', message }
    return { op: op.op, ...rulingOfStatus(answer.status, op), message }
  }

  /** The record as it is now; null when the service says that it is not there. Throws an Error in words for anything else. */
  async record(nativeId: string, signal: AbortSignal): Promise<NativeRecord | null> {
    const compiled = this.#calls.get('read')
    if (compiled === undefined) throw new Error('no SOAP call is declared for reading')
    const { id } = compiled.call
    const body = compiled.format.encode(id === null ? '' : placed({}, id, nativeId), this.#headerBlocks)
    const result = await this.#deps.client.send(this.#request(compiled, body), this.#options.requestTimeoutMs, signal)
    if (result.ended === 'failed') throw new Error(result.cause.message || 'no connection')
    const answer = read(compiled, result)
    if (answer.is === 'fault') {
      if (rulingOfFault(answer.fault, compiled.call).result === 'gone') return null
      throw new Error(faultWords(answer.fault))
    }
    if (answer.is === 'other') throw new Error(`the application answered ${answer.status}: ${answer.words}`)
    const record = compiled.recordOf === null ? answer.data : compiled.recordOf(answer.data)
    // The element of the record is there and says that it holds none (xsi:nil).
    if (record === null) return null
    if (!isRecord(record)) throw new Error(`the reply has no record at \`${compiled.call.replyRecord ?? ''}\``)
    return record
  }

  #request({ headers }: CompiledCall, body: string): HttpRequest {
    return { method: 'POST', path: this.#deps.basePath + this.#resource.path, headers: [...headers], body }
  }

  #messageOf(op: WriteOp, call: HttpSoapCall): NativeData {
    const { externalId, updateMethod } = this.#resource
    let record: NativeRecord = {}
    if (op.kind === 'create') record = { ...op.full, ...op.patch }
    else if (op.kind === 'update') record = updateMethod === 'put' ? op.full : op.patch
    if (externalId !== null && (op.kind === 'create' || (op.kind === 'update' && updateMethod === 'put')))
      record = placed(record, externalId.field, op.correlationId)
    let message: NativeRecord = call.record === '' ? record : placed({}, call.record, record)
    if (op.kind === 'delete') message = {}
    if (call.id !== null && op.nativeId !== null) message = placed(message, call.id, op.nativeId)
    if (call.baseVersion !== null && op.baseToken !== null) message = placed(message, call.baseVersion, op.baseToken)
    return message
  }

  #applied(
    op: WriteOp,
    { call, recordOf, idOf }: CompiledCall,
    answer: { readonly data: NativeData },
    name: string,
  ): Outcome {
    if (op.kind === 'delete') return { op: op.op, result: 'applied' }
    const found = recordOf?.(answer.data)
    const record = isRecord(found) ? found : undefined
    const raw = idOf !== null ? idOf(answer.data) : record === undefined ? undefined : this.#idOf(record)
    const nativeId = op.kind === 'create' ? idText(raw, this.#resource.idType) : undefined
    const token = tokenText(this.#versionOf?.(record), this.#resource.version?.ordered ?? false)
    return {
      op: op.op,
      result: 'applied',
      ...(nativeId === undefined ? {} : { nativeId: asNativeId(nativeId) }),
      ...(token === undefined ? {} : { token: asToken(token) }),
      ...(this.#resource.replyImage && record !== undefined ? { record } : {}),
      ...(op.kind === 'create' && nativeId === undefined
        ? {
            handling: 'park' as const,
            code: 'target.reply-invalid',
            message: `${name}: the reply ${call.reply} has no id. Correct \`replyId\` or \`replyRecord\` of the call.`,
          }
        : {}),
    }
  }

  #refused(op: WriteOp, message: string): Outcome {
    return { op: op.op, result: 'refused', handling: 'park', code: 'target.rejected', message }
  }
}

function read(compiled: CompiledCall, reply: HttpReply): Answer {
  const { status } = reply
  if (reply.body === null) return { is: 'other', status, words: replyWords(null) }
  try {
    const type = firstHeader(reply.headers, 'content-type')
    const answer = compiled.format.decode(reply.body, { 'content-type': type }, FORMAT_LIMITS)
    return answer.fault === undefined
      ? status >= 200 && status < 300
        ? { is: 'data', data: answer.data, status }
        : { is: 'other', status, words: replyWords(reply.body) }
      : { is: 'fault', fault: answer.fault, status }
  } catch {
    return { is: 'other', status, words: replyWords(reply.body) }
  }
}

const faultWords = ({ codes, reason }: ReceivedFault): string =>
  `the application answered with the fault ${codes.join('.')}: ${reason.slice(0, 500)}`

/** The one table from faults to outcomes. A fault of the server may come after the effect, so it is unknown unless the call says otherwise. */
export function rulingOfFault(fault: ReceivedFault, call: Pick<HttpSoapCall, 'faults'>): Ruling {
  // The most exact code counts.
  const named = fault.codes.findLast((code) => Object.hasOwn(call.faults, code))
  switch (named === undefined ? (fault.kind === 'Server' ? 'unknown' : 'rejected') : call.faults[named]) {
    case 'gone':
      return { result: 'gone' }
    case 'conflict':
      return { result: 'conflict' }
    case 'retry':
      return { result: 'refused', handling: 'retry', code: 'target.unavailable' }
    case 'rejected':
      return { result: 'refused', handling: 'park', code: 'target.rejected' }
    default:
      return { result: 'unknown', code: 'target.unknown' }
  }
}

const isRecord = (data: unknown): data is NativeRecord =>
  typeof data === 'object' && data !== null && !Array.isArray(data)

/** The record with a value at a dotted path. */
export function placed(record: NativeRecord, path: string, value: NativeData): NativeRecord {
  const [step, ...rest] = path.split('.') as [string, ...string[]]
  if (rest.length === 0) return { ...record, [step]: value }
  const inner = record[step]
  return { ...record, [step]: placed(isRecord(inner) ? inner : {}, rest.join('.'), value) }
}
