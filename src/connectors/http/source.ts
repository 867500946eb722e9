import { SyncError } from '../../errors/index.ts'
import { compileReply, type ReplyReader } from '../../formats/index.ts'
import type { Change, ReadImage } from '../../model/change.ts'
import { asFeedPosition, asNativeId, type FeedPosition, type ObjectId } from '../../model/ids.ts'
import type { NativeData, NativeRecord } from '../../model/value.ts'
import type { Accepted, Listens, RawRequest, Source } from '../../ports/app.ts'
import type { Clock } from '../../ports/clock.ts'
import type { HttpClient, HttpReply, HttpResult } from './client.ts'
import { firstHeader, readCodeOf, replyWords, retryAfterMs, saysMissing } from './errors.ts'
import { createFactsReader, createIntake, listensOf } from './intake.ts'
import type { HttpAppOptions, HttpPoll, HttpResource } from './options.ts'
import { compilePath, idText } from './place.ts'
import { replySpecOf, withAccept } from './reply-format.ts'
import { SoapCaller } from './soap-caller.ts'
import { encodeId } from './target.ts'

export interface HttpSourceDeps {
  readonly client: HttpClient
  /** Gives up this side's share of the client. */
  readonly release: () => Promise<void>
  readonly basePath: string
  readonly headers: readonly string[]
  readonly clock: Clock
}

/** Webhooks in, polling by cursor, and reads. */
export function createHttpSource(options: HttpAppOptions, deps: HttpSourceDeps): Source {
  const intakes = new Map<string, (request: RawRequest, nowMs: number) => Accepted>()
  const readers = new Map<ObjectId, Reader>()
  const listens: Listens[] = []
  for (const resource of options.resources) {
    readers.set(resource.object, new Reader(options, resource, deps))
    const { notify } = resource
    if (notify === null) continue
    if (intakes.has(notify.path))
      throw new SyncError(
        'config.invalid',
        `${options.app}: two resources listen on ${notify.path}; give each its own path.`,
      )
    intakes.set(notify.path, createIntake(options.app, resource, notify))
    listens.push(...listensOf(notify))
  }
  const readerOf = (object: string): Reader => {
    const reader = readers.get(object as ObjectId)
    if (reader === undefined)
      throw new SyncError('internal.bug', `${options.app} declares no resource ${object}; asked for by the hub itself.`)
    return reader
  }
  const close = deps.release
  return {
    app: options.app,
    listens,
    feeds: options.resources.flatMap(({ object, poll }) =>
      poll === null ? [] : [{ feed: object, everyMs: poll.everyMs }],
    ),
    accept(request, nowMs) {
      const intake = intakes.get(request.path)
      if (intake === undefined) {
        const known = [...intakes.keys()].join(', ') || 'none'
        throw new SyncError(
          'intake.unknown-path',
          `no webhook of ${options.app} is declared at ${request.path}; declared: ${known}.`,
        )
      }
      return intake(request, nowMs)
    },
    read: (feed, after, max, signal) => readerOf(feed).poll(after, max, signal),
    async confirm() {},
    readRecords: (requests, signal) =>
      mapLimited(requests, options.connectionsMax, (request) =>
        readerOf(request.object).record(request.nativeId, signal),
      ),
    findByCorrelation: (requests, signal) =>
      mapLimited(requests, options.connectionsMax, (request) =>
        readerOf(request.object).find(request.correlationId, signal),
      ),
    scan: (object, after, max, signal) => readerOf(object).scan(after, max, signal),
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** Reads of one resource. */
class Reader {
  readonly #options: HttpAppOptions
  readonly #resource: HttpResource
  readonly #deps: HttpSourceDeps
  readonly #idOf
  readonly #factsOf
  readonly #headers: readonly string[]
  readonly #readReply: ReplyReader
  readonly #soap: SoapCaller | null

  constructor(options: HttpAppOptions, resource: HttpResource, deps: HttpSourceDeps) {
    this.#options = options
    this.#resource = resource
    this.#deps = deps
    this.#idOf = compilePath(resource.id)
    this.#factsOf = createFactsReader(resource)
    this.#headers = withAccept(deps.headers, resource)
    this.#readReply = compileReply(replySpecOf(resource))
    this.#soap = resource.soap === undefined ? null : new SoapCaller(options, resource, resource.soap, deps)
  }

  async record(nativeId: string, signal: AbortSignal): Promise<ReadImage> {
    const base = { app: this.#options.app, object: this.#resource.object, nativeId: asNativeId(nativeId) }
    try {
      if (this.#soap !== null) return await this.#soapRecord(this.#soap, base, signal)
      const result = await this.#get(`${this.#resource.path}/${encodeId(nativeId)}`, signal)
      if (result.ended === 'reply' && saysMissing(result.status)) return { ...base, result: 'missing' }
      const record = this.#success(result)
      if (!isRecord(record.data)) throw this.#failure('the reply is not an object')
      const found = idText(this.#idOf(record.data), this.#resource.idType)
      if (found !== undefined && found !== nativeId) throw this.#failure(`the reply holds another record (${found})`)
      return { ...base, result: 'found', record: record.data, ...this.#factsOf(record.data, record.etag) }
    } catch (error) {
      return { ...base, ...failed(error) }
    }
  }

  async #soapRecord(
    soap: SoapCaller,
    base: Pick<ReadImage, 'app' | 'object' | 'nativeId'>,
    signal: AbortSignal,
  ): Promise<ReadImage> {
    const record = await soap.record(base.nativeId, signal)
    if (record === null) return { ...base, result: 'missing' }
    const found = idText(this.#idOf(record), this.#resource.idType)
    if (found !== undefined && found !== base.nativeId) throw this.#failure(`the reply holds another record (${found})`)
    return { ...base, result: 'found', record, ...this.#factsOf(record, undefined) }
  }

  /**
   * The record that holds our correlation id. Only what is seen to hold it is found; a list with other records in it means that the application does not know the
   * parameter, and then nothing has been learnt. A 404 says that about the list, not about the record.
   */
  async find(correlationId: string, signal: AbortSignal): Promise<ReadImage> {
    const base = { app: this.#options.app, object: this.#resource.object, nativeId: asNativeId('') }
    const { externalId } = this.#resource
    try {
      if (externalId?.findParam == null) throw this.#failure('no `findParam` is declared for its external id')
      const query = new URLSearchParams({ [externalId.findParam]: correlationId })
      const reply = this.#success(await this.#get(`${this.#resource.path}?${query}`, signal))
      const list = listIn(reply.data, this.#resource.poll)
      if (list === undefined) throw this.#failure('the reply to a search holds no list')
      const holds = compilePath(externalId.field)
      const ours = list.filter(
        (item) => holds(item) === correlationId || (list.length === 1 && holds(item) === undefined),
      )
      if (ours.length === 0 && list.length > 0)
        throw this.#failure(
          `a search by ${externalId.findParam} gives records that do not hold the value; does the application know this parameter?`,
        )
      if (ours.length > 1)
        throw this.#failure(
          `${ours.length} records hold the external id ${correlationId}; delete all but one in the application`,
        )
      const record = ours[0]
      if (record === undefined) return { ...base, result: 'missing' }
      const nativeId = idText(this.#idOf(record), this.#resource.idType)
      if (!isRecord(record) || nativeId === undefined) throw this.#failure('a found record has no id')
      return { ...base, nativeId: asNativeId(nativeId), result: 'found', record, ...this.#factsOf(record, undefined) }
    } catch (error) {
      return { ...base, ...failed(error) }
    }
  }

  async poll(
    after: FeedPosition | null,
    max: number,
    signal: AbortSignal,
  ): Promise<{ changes: Change[]; position: FeedPosition; more: boolean }> {
    const { poll } = this.#resource
    if (poll === null) throw new SyncError('internal.bug', `${this.#resource.object} has no poll`)
    return this.#page(poll, after, max, signal)
  }

  /** All records, as a list from its beginning gives them; deletions in it are no records. */
  async scan(
    after: FeedPosition | null,
    max: number,
    signal: AbortSignal,
  ): Promise<{ records: ReadImage[]; position: FeedPosition | null }> {
    const list = this.#resource.list ?? this.#resource.poll
    if (list === null) {
      throw new SyncError(
        'source.not-listable',
        `${this.#options.app} cannot list the records of ${this.#resource.object}. Give its resource \`list\` (or \`poll\`).`,
        { place: this.#place() },
      )
    }
    const { changes, position, more } = await this.#page(list, after, max, signal)
    const records = changes.flatMap(({ kind, deliveryId: _, mark: __, sourceTx: ___, ...read }) =>
      kind === 'image' ? [{ ...read, result: 'found' as const }] : [],
    )
    return { records, position: more ? position : null }
  }

  async #page(
    poll: HttpPoll,
    after: FeedPosition | null,
    max: number,
    signal: AbortSignal,
  ): Promise<{ changes: Change[]; position: FeedPosition; more: boolean }> {
    const limit = Math.min(max, poll.max)
    const query = new URLSearchParams()
    const cursor = after === null || after === '' ? poll.firstCursor : after
    if (cursor !== undefined) query.set(poll.cursorParam, cursor)
    if (poll.limitParam !== null) query.set(poll.limitParam, String(limit))
    const path = query.size === 0 ? poll.path : `${poll.path}?${query}`
    const { data } = this.#success(await this.#get(path, signal))
    const items = compilePath(poll.items)(data)
    if (!Array.isArray(items)) throw this.#failure(`the list has no array at \`${poll.items}\``)
    const changes = items.map((item) => this.#changeOf(item, poll))
    const position = this.#positionAfter(data, items, poll, after)
    const full = items.length >= limit && items.length > 0
    if (full && position === after)
      throw this.#failure(`a full page of ${items.length} items did not move the cursor beyond ${after}; raise \`max\``)
    return { changes, position: asFeedPosition(position), more: full }
  }

  #changeOf(item: unknown, poll: HttpPoll): Change {
    const nativeId = idText(this.#idOf(item), this.#resource.idType)
    if (!isRecord(item) || nativeId === undefined) throw this.#failure('an item of the list has no id')
    const base = { app: this.#options.app, object: this.#resource.object, nativeId: asNativeId(nativeId) }
    const facts = this.#factsIn(item)
    const isDeleted = poll.deletedField !== null && compilePath(poll.deletedField)(item) === true
    return isDeleted ? { ...base, kind: 'deleted', ...facts } : { ...base, kind: 'image', record: item, ...facts }
  }

  #factsIn(item: NativeRecord): ReturnType<ReturnType<typeof createFactsReader>> {
    try {
      return this.#factsOf(item, undefined)
    } catch (error) {
      throw this.#failure(error instanceof Error ? error.message : String(error), error)
    }
  }

  #positionAfter(data: NativeData, items: readonly unknown[], poll: HttpPoll, after: FeedPosition | null): string {
    const cursors =
      poll.next !== null
        ? [compilePath(poll.next)(data)]
        : items.map(compilePath(poll.cursorField ?? this.#resource.id))
    let greatest = poll.next !== null ? '' : (after ?? '')
    for (const cursor of cursors) {
      if (typeof cursor !== 'string' && typeof cursor !== 'number' && typeof cursor !== 'bigint') continue
      if (isAfter(String(cursor), greatest)) greatest = String(cursor)
    }
    return greatest === '' ? (after ?? '') : greatest
  }

  #get(path: string, signal: AbortSignal): Promise<HttpResult> {
    const headers = [...this.#headers]
    return this.#deps.client.send(
      { method: 'GET', path: this.#deps.basePath + path, headers, body: null },
      this.#options.requestTimeoutMs,
      signal,
    )
  }

  /** The body of a 2xx reply, or the SyncError that says why there is none. */
  #success(result: HttpResult): { readonly data: NativeData; readonly etag: string | undefined } {
    if (result.ended === 'failed') throw this.#failure(result.cause.message || 'no connection', result.cause)
    if (result.status < 200 || result.status >= 300) throw this.#refusal(result)
    if (result.body === null) throw this.#failure(`the reply (${result.status}) is empty`)
    try {
      return {
        data: this.#readReply(result.body, { 'content-type': firstHeader(result.headers, 'content-type') }),
        etag: firstHeader(result.headers, 'etag'),
      }
    } catch (cause) {
      throw this.#failure(`the reply (${result.status}) cannot be read`, cause)
    }
  }

  #refusal(reply: HttpReply): SyncError {
    const afterMs = retryAfterMs(reply.headers, this.#deps.clock.nowMs())
    return new SyncError(
      readCodeOf(reply.status),
      `${this.#options.app} answered ${reply.status} when ${this.#resource.object} was read: ${replyWords(reply.body)}`,
      { place: this.#place(), ...(afterMs === undefined ? {} : { retryAfterMs: afterMs }) },
    )
  }

  #failure(why: string, cause?: unknown): SyncError {
    return new SyncError(
      'source.read-failed',
      `${this.#options.app}: ${this.#resource.object} could not be read: ${why}.`,
      {
        place: this.#place(),
        cause,
      },
    )
  }

  #place(): Readonly<Record<string, string>> {
    return { app: this.#options.app, object: this.#resource.object }
  }
}

/** Orders cursors: decimal integers by value, anything else as text (ISO times sort so). */
function isAfter(a: string, b: string): boolean {
  if (/^\d+$/.test(a) && /^\d+$/.test(b)) return a.length === b.length ? a > b : BigInt(a) > BigInt(b)
  return a > b
}

function failed(error: unknown): Pick<ReadImage, 'result' | 'code' | 'message' | 'retryAfterMs'> {
  const known = SyncError.is(error)
    ? error
    : new SyncError('source.read-failed', error instanceof Error ? error.message : String(error), { cause: error })
  const code = known.code === 'source.unauthorized' ? known.code : 'source.read-failed'
  return {
    result: 'failed',
    code,
    message: known.message,
    ...(known.retryAfterMs === undefined ? {} : { retryAfterMs: known.retryAfterMs }),
  }
}

const isRecord = (data: unknown): data is NativeRecord =>
  typeof data === 'object' && data !== null && !Array.isArray(data)

/** The list in a search reply: the body itself, where the poll says that items stand, or the only array in it. */
function listIn(data: NativeData, poll: HttpPoll | null): readonly NativeData[] | undefined {
  if (Array.isArray(data)) return data
  if (!isRecord(data)) return undefined
  const named = poll === null || poll.items === '' ? undefined : compilePath(poll.items)(data)
  if (Array.isArray(named)) return named
  const arrays = Object.values(data).filter((value) => Array.isArray(value))
  return arrays.length === 1 ? arrays[0] : undefined
}

/** Runs at most `limit` at once, so that a deadline counts from when a request can leave, not from when it was asked for. */
async function mapLimited<T, R>(items: readonly T[], limit: number, run: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = new Array(items.length)
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const index = next++
      results[index] = await run(items[index] as T)
    }
  }
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker))
  return results
}
