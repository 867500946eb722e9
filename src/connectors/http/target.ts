import { compileFormat, compileReply, type ReplyReader, writeJson } from '../../formats/index.ts'
import type { Outcome } from '../../model/change.ts'
import { asNativeId, asToken, type NativeId, type ObjectId, type Token } from '../../model/ids.ts'
import type { NativeData, NativeRecord } from '../../model/value.ts'
import type { Target, WriteOp } from '../../ports/app.ts'
import type { Clock, Log } from '../../ports/clock.ts'
import type { HttpClient, HttpReply, HttpRequest } from './client.ts'
import { firstHeader, replyWords, retryAfterMs, rulingOfFailure, rulingOfStatus } from './errors.ts'
import type { HttpAppOptions, HttpResource } from './options.ts'
import { compilePath, etagText, idText, type Read, tokenText } from './place.ts'
import { replySpecOf, withAccept } from './reply-format.ts'
import { placed, SoapCaller } from './soap-caller.ts'

export interface HttpTargetDeps {
  readonly client: HttpClient
  /** Gives up this side's share of the client. */
  readonly release: () => Promise<void>
  /** Path of the base URL, without a slash at its end. */
  readonly basePath: string
  /** Headers of every request, names and values in turn. */
  readonly headers: readonly string[]
  readonly clock: Clock
  readonly log: Log
}

/** REST out: create is POST on the collection, update PATCH or PUT on the record, delete DELETE. One try; trying again is the engine's. */
export function createHttpTarget(options: HttpAppOptions, deps: HttpTargetDeps): Target {
  const writers = new Map<ObjectId, Pick<Writer, 'write'>>()
  for (const resource of options.resources) {
    const { soap } = resource
    const writer =
      soap === undefined ? new Writer(options, resource, deps) : new SoapCaller(options, resource, soap, deps)
    writers.set(resource.object, writer)
  }
  const writeOne = (op: WriteOp, deadlineMs: number, signal: AbortSignal): Promise<Outcome> | Outcome => {
    const writer = writers.get(op.object)
    if (writer !== undefined) return writer.write(op, deadlineMs, signal)
    return refusal(op, `no resource ${op.object} is declared for ${options.app}`)
  }
  const close = deps.release
  return {
    app: options.app,
    write: async (ops, deadlineMs, signal) => Promise.all(ops.map((op) => writeOne(op, deadlineMs, signal))),
    close,
    [Symbol.asyncDispose]: close,
  }
}

const refusal = (op: WriteOp, reason: string): Outcome => ({
  op: op.op,
  result: 'refused',
  handling: 'park',
  code: 'target.rejected',
  message: `${op.kind} of ${op.object} ${op.nativeId ?? ''} was not sent: ${reason}.`,
})

/** Writes of one resource; everything that does not depend on the op is worked out once. Hot path. */
class Writer {
  readonly #options: HttpAppOptions
  readonly #resource: HttpResource
  readonly #deps: HttpTargetDeps
  readonly #collection: string
  readonly #bodyHeaders: readonly string[]
  readonly #bareHeaders: readonly string[]
  readonly #idempotencyHeader: string
  readonly #idOf: Read
  readonly #versionOf: Read | null
  readonly #encode: (value: NativeData) => string
  readonly #readReply: ReplyReader
  #warned = false

  constructor(options: HttpAppOptions, resource: HttpResource, deps: HttpTargetDeps) {
    this.#options = options
    this.#resource = resource
    this.#deps = deps
    this.#collection = deps.basePath + resource.path
    this.#bareHeaders = withAccept(deps.headers, resource)
    this.#readReply = compileReply(replySpecOf(resource))
    if (resource.format === undefined || resource.format.kind === 'json') {
      this.#encode = writeJson
      this.#bodyHeaders = [...this.#bareHeaders, 'content-type', 'application/json']
    } else {
      const format = compileFormat(resource.format)
      this.#encode = (value) => format.encode(value).body
      this.#bodyHeaders = [...this.#bareHeaders, 'content-type', format.contentType]
    }
    this.#idempotencyHeader = options.idempotencyHeader.toLowerCase()
    this.#idOf = compilePath(resource.id)
    this.#versionOf = resource.version?.in === 'field' ? compilePath(resource.version.field) : null
  }

  async write(op: WriteOp, deadlineMs: number, signal: AbortSignal): Promise<Outcome> {
    let request: HttpRequest
    try {
      request = this.#requestOf(op)
    } catch (error) {
      return refusal(op, error instanceof Error ? error.message : String(error))
    }
    const timeoutMs = Math.min(deadlineMs, this.#options.requestTimeoutMs)
    const result = await this.#deps.client.send(request, timeoutMs, signal)
    if (result.ended === 'reply') return this.#outcomeOfReply(op, result)
    const ruling = rulingOfFailure(result, op)
    return { op: op.op, ...ruling, message: `${this.#name(op)}: ${result.cause.message || 'no connection'}` }
  }

  #requestOf(op: WriteOp): HttpRequest {
    const { idempotency, conditional, updateMethod } = this.#resource
    const isCreate = op.kind === 'create'
    const headers = [...(op.kind === 'delete' ? this.#bareHeaders : this.#bodyHeaders)]
    if (conditional && op.baseToken !== null && !isCreate) headers.push('if-match', `"${headerSafe(op.baseToken)}"`)
    if (idempotency === 'all' || (idempotency === 'create' && isCreate)) headers.push(this.#idempotencyHeader, op.op)
    if (isCreate)
      return { method: 'POST', path: this.#collection, headers, body: this.#encode(this.#withExternalId(op)) }
    const path = `${this.#collection}/${encodeId(op.nativeId)}`
    if (op.kind === 'delete') return { method: 'DELETE', path, headers, body: null }
    return updateMethod === 'put'
      ? { method: 'PUT', path, headers, body: this.#encode(this.#withExternalId(op)) }
      : { method: 'PATCH', path, headers, body: this.#encode(op.patch) }
  }

  /** The whole record, and the correlation id where the application keeps one: a PUT without it would take it away. */
  #withExternalId(op: WriteOp): NativeRecord {
    const whole = op.kind === 'create' ? { ...op.full, ...op.patch } : op.full
    const { externalId } = this.#resource
    return externalId === null ? whole : placed(whole, externalId.field, op.correlationId)
  }

  #outcomeOfReply(op: WriteOp, reply: HttpReply): Outcome {
    const ruling = rulingOfStatus(reply.status, op)
    if (ruling.result === 'applied') return this.#appliedOutcome(op, reply)
    const afterMs =
      ruling.handling === 'retry' || ruling.result === 'unknown'
        ? retryAfterMs(reply.headers, this.#deps.clock.nowMs())
        : undefined
    const message = `${this.#name(op)}: the application answered ${reply.status}: ${replyWords(reply.body)}`
    return { op: op.op, ...ruling, message, ...(afterMs === undefined ? {} : { retryAfterMs: afterMs }) }
  }

  #appliedOutcome(op: WriteOp, reply: HttpReply): Outcome {
    if (op.kind === 'delete') return { op: op.op, result: 'applied' }
    const { replyImage } = this.#resource
    const isCreate = op.kind === 'create'
    let record: NativeRecord | undefined
    if (reply.body !== null && (isCreate || replyImage || this.#versionOf !== null)) {
      const data = parsedOrUndefined(this.#readReply, reply)
      if (data === undefined) return this.#unreadable(op, reply)
      if (isRecord(data)) record = data
    }
    const token = this.#tokenOf(reply, record)
    const nativeId = isCreate ? this.#newId(reply, record) : undefined
    const lacksId = isCreate && nativeId === undefined
    return {
      op: op.op,
      result: 'applied',
      ...(nativeId === undefined ? {} : { nativeId }),
      ...(token === undefined ? {} : { token }),
      ...(replyImage && record !== undefined ? { record } : {}),
      ...(lacksId ? this.#withoutId(op) : {}),
    }
  }

  /** It was applied, so it is not refused; but what it made cannot be addressed, so a person must correct the binding. */
  #withoutId(op: WriteOp): Pick<Outcome, 'handling' | 'code' | 'message'> {
    const message = `${this.#name(op)}: the reply has no id, neither at \`${this.#resource.id}\` nor in Location. Correct \`id\` in the binding.`
    return { handling: 'park', code: 'target.reply-invalid', message }
  }

  /** A success in words that cannot be read: a login page or a proxy says 200 too, so the write may not have happened. */
  #unreadable(op: WriteOp, reply: HttpReply): Outcome {
    const message = `${this.#name(op)}: the application answered ${reply.status} with a body that cannot be read: ${replyWords(reply.body)}`
    return { op: op.op, result: 'unknown', code: 'target.reply-invalid', message }
  }

  #tokenOf(reply: HttpReply, record: NativeRecord | undefined): Token | undefined {
    const { version } = this.#resource
    if (version === null) return undefined
    const raw = version.in === 'etag' ? firstHeader(reply.headers, 'etag') : this.#versionOf?.(record)
    const text = tokenText(version.in === 'etag' && typeof raw === 'string' ? etagText(raw) : raw, version.ordered)
    if (text !== undefined) return asToken(text)
    if (!this.#warned) {
      this.#warned = true
      const place = version.in === 'etag' ? 'ETag header' : `field \`${version.field}\``
      this.#deps.log.log(
        'warn',
        `a reply of ${this.#options.app} to a write has no version in its ${place}; such writes are read back`,
        {
          app: this.#options.app,
          object: this.#resource.object,
          status: reply.status,
        },
      )
    }
    return undefined
  }

  #newId(reply: HttpReply, record: NativeRecord | undefined): NativeId | undefined {
    const { idType } = this.#resource
    const inBody = record === undefined ? undefined : idText(this.#idOf(record), idType)
    const text = inBody ?? idText(lastSegment(firstHeader(reply.headers, 'location')), idType)
    return text === undefined ? undefined : asNativeId(text)
  }

  #name(op: WriteOp): string {
    return `${op.kind} ${this.#options.app} ${op.object}${op.nativeId === null ? '' : ' ' + op.nativeId}`
  }
}

const isRecord = (data: NativeData): data is NativeRecord =>
  typeof data === 'object' && data !== null && !Array.isArray(data)

function parsedOrUndefined(read: ReplyReader, reply: HttpReply): NativeData | undefined {
  if (reply.body === null) return undefined
  try {
    return read(reply.body, { 'content-type': firstHeader(reply.headers, 'content-type') })
  } catch {
    return undefined
  }
}

/** An id as one path segment. Servers and proxies resolve dot segments, even encoded ones, so an id of dots alone cannot be addressed. */
export function encodeId(nativeId: string | null): string {
  if (nativeId === null || nativeId === '') throw new Error('it has no native id')
  if (nativeId === '.' || nativeId === '..') throw new Error('its id is a dot segment, which no path can hold')
  return encodeURIComponent(nativeId)
}

function headerSafe(token: Token): string {
  if (/^[\x21\x23-\x7e\x80-\xff]*$/.test(token)) return token
  throw new Error('its version holds characters that If-Match cannot')
}

function lastSegment(location: string | undefined): string | undefined {
  if (location === undefined) return undefined
  const path = location.replace(/[?#].*$/, '').replace(/\/+$/, '')
  try {
    return decodeURIComponent(path.slice(path.lastIndexOf('/') + 1))
  } catch {
    return undefined
  }
}
