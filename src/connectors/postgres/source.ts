import { SyncError } from '../../errors/index.ts'
import type { ReadImage } from '../../model/change.ts'
import {
  asFeedPosition,
  asNativeId,
  type CorrelationId,
  type FeedPosition,
  type NativeId,
  type ObjectId,
  type Token,
} from '../../model/ids.ts'
import type { Source } from '../../ports/app.ts'
import type { Clock, Log } from '../../ports/clock.ts'
import type { Catalog, TablePlan } from './catalog.ts'
import { readError } from './errors.ts'
import { LogFeed } from './feed.ts'
import type { PostgresAppOptions } from './options.ts'
import type { OwnWrites } from './own-writes.ts'
import { tokenBefore } from './position.ts'
import { type FoundRecord, type FoundRecords, RecordReader } from './reads.ts'
import type { Session, Sessions } from './sessions.ts'
import type { ReadSnapshot } from './snapshot.ts'

export const FEED = 'log'

/** How long a read waits for the log to come up to what it saw. */
const CATCH_UP_MS = 1_000
const POKE_EVERY_MS = 20

export interface PostgresSourceDeps {
  readonly url: string
  readonly sessions: Sessions
  readonly catalog: () => Promise<Catalog>
  readonly forgetCatalog: () => void
  readonly own: OwnWrites
  readonly clock: Clock
  readonly log: Log
  readonly release: () => Promise<void>
}

type Request = { readonly object: ObjectId; readonly nativeId: NativeId }

/** Changes by logical replication, reads by key, pages by key. */
export function createPostgresSource(options: PostgresAppOptions, deps: PostgresSourceDeps): Source {
  const feed = new LogFeed(options, deps)
  const reads = new Reads(options, deps, feed)
  const close = async (): Promise<void> => {
    feed.close()
    await deps.release()
  }
  return {
    app: options.app,
    listens: [],
    feeds: [{ feed: FEED, everyMs: 0, resettable: true }],
    accept() {
      throw new SyncError('intake.unknown-path', `${options.app} is a database, which sends no requests.`)
    },
    read: (_feed, after, max, signal) => feed.read(after, max, signal),
    confirm: (_feed, position) => feed.confirm(position),
    readRecords: (requests, signal) => reads.records(requests, signal),
    findByCorrelation: (requests, signal) => reads.byCorrelation(requests, signal),
    scan: (object, after, max, signal) => reads.scan(object, after, max, signal),
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** Reads of records, each with its place in the log. */
class Reads {
  readonly #options: PostgresAppOptions
  readonly #deps: PostgresSourceDeps
  readonly #feed: LogFeed

  constructor(options: PostgresAppOptions, deps: PostgresSourceDeps, feed: LogFeed) {
    this.#options = options
    this.#deps = deps
    this.#feed = feed
  }

  async records(requests: readonly Request[], signal: AbortSignal): Promise<readonly ReadImage[]> {
    const results = new Map<Request, ReadImage>()
    for (const [object, group] of Map.groupBy(requests, (request) => request.object)) {
      const answer = await this.#answer(object, signal, (session, reader, plan) =>
        reader.byIds(session, plan, [...new Set(group.map(({ nativeId }) => nativeId))]),
      )
      const byId = new Map(answer.records.map((found) => [found.nativeId as string, found]))
      for (const request of group) results.set(request, this.#image(request, answer, byId.get(request.nativeId)))
    }
    return requests.map((request) => results.get(request) as ReadImage)
  }

  async byCorrelation(
    requests: readonly { readonly object: ObjectId; readonly correlationId: CorrelationId }[],
    signal: AbortSignal,
  ): Promise<readonly ReadImage[]> {
    const results: ReadImage[] = []
    for (const { object, correlationId } of requests) {
      const answer = await this.#answer(object, signal, async (session, reader, plan) => {
        const ids = await reader.idsByCorrelation(session, plan, [correlationId])
        return reader.byIds(session, plan, [...ids.values()])
      })
      const [found] = answer.records
      results.push(this.#image({ object, nativeId: found?.nativeId ?? asNativeId('') }, answer, found))
    }
    return results
  }

  /** A page is exact about its place in the log only as far as the log has come; a lower place is safe, so it does not wait. */
  async scan(
    object: ObjectId,
    after: FeedPosition | null,
    max: number,
    signal: AbortSignal,
  ): Promise<{ readonly records: readonly ReadImage[]; readonly position: FeedPosition | null }> {
    const from = after === null ? null : (JSON.parse(after) as readonly string[])
    const found = await this.#use(object, signal, (session, reader, plan) => reader.page(session, plan, from, max))
    const answer = { token: this.#feed.placeOf(found.snapshot), records: found.records, failure: null }
    const records = found.records.map((one) => this.#image({ object, nativeId: one.nativeId }, answer, one))
    const last = found.records.at(-1)
    return {
      records,
      position: last === undefined || records.length < max ? null : asFeedPosition(JSON.stringify(last.key)),
    }
  }

  #use<T>(
    object: ObjectId,
    signal: AbortSignal,
    work: (session: Session, reader: RecordReader, plan: TablePlan) => Promise<T>,
  ): Promise<T> {
    const run = async (): Promise<T> => {
      const catalog = await this.#deps.catalog()
      const reader = new RecordReader(this.#options, catalog)
      const plan = reader.plan(object)
      if (plan === undefined)
        throw new SyncError(
          'internal.bug',
          `${this.#options.app} declares no table ${object}; asked for by the hub itself.`,
        )
      return this.#deps.sessions.use((session) => work(session, reader, plan), this.#options.statementTimeoutMs, signal)
    }
    return run().catch((error: unknown) => {
      throw readError(this.#options.app, `${object} could not be read`, error)
    })
  }

  async #answer(
    object: ObjectId,
    signal: AbortSignal,
    work: (session: Session, reader: RecordReader, plan: TablePlan) => Promise<FoundRecords>,
  ): Promise<Answer> {
    try {
      const { snapshot, records } = await this.#use(object, signal, work)
      return { token: await this.#exactPlace(snapshot, signal), records, failure: null }
    } catch (error) {
      return {
        token: undefined,
        records: [],
        failure: readError(this.#options.app, `${object} could not be read`, error),
      }
    }
  }

  /** The read's place in the log, once the log was received up to it: only then can nothing older come after it unnoticed. */
  async #exactPlace(snapshot: ReadSnapshot, signal: AbortSignal): Promise<Token> {
    const { receiver } = this.#feed
    if (receiver === null) return tokenBefore(snapshot.beforeLsn)
    const { clock } = this.#deps
    const endMs = clock.monotonicMs() + CATCH_UP_MS
    while (receiver.received < snapshot.flushLsn && receiver.failure === null && !signal.aborted) {
      if (clock.monotonicMs() > endMs)
        throw new SyncError(
          'source.read-failed',
          `${this.#options.app}: the log is still being caught up with, so what a read saw cannot be put in order yet.`,
          { retryAfterMs: CATCH_UP_MS },
        )
      receiver.poke()
      await receiver.changed(POKE_EVERY_MS, signal)
    }
    return this.#feed.placeOf(snapshot)
  }

  #image(request: Request, { token, failure }: Answer, found: FoundRecord | undefined): ReadImage {
    const base = { app: this.#options.app, object: request.object, nativeId: request.nativeId }
    if (failure !== null)
      return {
        ...base,
        result: 'failed',
        code: failure.code === 'source.unauthorized' ? failure.code : 'source.read-failed',
        message: failure.message,
        ...(failure.retryAfterMs === undefined ? {} : { retryAfterMs: failure.retryAfterMs }),
      }
    const at = token === undefined ? {} : { token }
    if (found === undefined) return { ...base, result: 'missing', ...at }
    return {
      ...base,
      result: 'found',
      record: found.record,
      ...at,
      ...(found.correlationId === undefined ? {} : { correlationId: found.correlationId }),
      ...(found.sourceTimeMs === undefined ? {} : { sourceTimeMs: found.sourceTimeMs }),
    }
  }
}

interface Answer {
  readonly token: Token | undefined
  readonly records: readonly FoundRecord[]
  readonly failure: SyncError | null
}
