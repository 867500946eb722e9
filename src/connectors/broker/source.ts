import { SyncError } from '../../errors/index.ts'
import type { Change } from '../../model/change.ts'
import { type AppId, asFeedPosition, asNativeId, asToken, type FeedPosition } from '../../model/ids.ts'
import type { NativeData, NativeRecord } from '../../model/value.ts'
import type { Source } from '../../ports/app.ts'
import type { StrayMessage } from '../../ports/messages.ts'
import { readEvent } from './events.ts'
import { KeptOpen } from './keep-open.ts'
import type { ListenerDeps } from './listener.ts'
import { lineageIn } from './marks.ts'
import type { BrokerFeed, BrokerObject } from './options.ts'
import type { BrokerDriver, BrokerMessage, BrokerSession } from './port.ts'
import { createReader, headersOf, type MessageReader, textAt } from './read.ts'

/** A read that finds nothing waits so long for news. */
const WAIT_MS = 1_000

export interface SourceFeed {
  readonly object: BrokerObject
  readonly feed: BrokerFeed
  readonly driver: BrokerDriver
  /** What the names of attributes of CloudEvents begin with among the headers. */
  readonly eventPrefix: string
}

/** What an application tells by messages. Each subscription is a feed: what was read is acknowledged once its position is durable. */
export interface SourceDeps extends ListenerDeps {
  /** Is told of every message that is no record, for people to see it. */
  readonly stray?: ((message: StrayMessage) => void) | undefined
}

export function createBrokerSource(app: AppId, feeds: readonly SourceFeed[], deps: SourceDeps): Source {
  const intakes = new Map<string, Intake>(
    feeds.map((feed) => [feed.object.object, new Intake(app, feed, deps)] as const),
  )
  const intakeOf = (feed: string): Intake => {
    const found = intakes.get(feed)
    if (found === undefined) throw new SyncError('internal.bug', `${app} has no feed ${feed}`)
    return found
  }
  const close = async (): Promise<void> => {
    for (const intake of intakes.values()) await intake.close()
  }
  return {
    app,
    listens: [],
    feeds: feeds.map(({ object }) => ({ feed: object.object, everyMs: 0 })),
    accept() {
      throw new SyncError('intake.unknown-path', `${app} is told of by a broker: it sends no webhooks.`)
    },
    read: (feed, after, max, signal) => intakeOf(feed).read(after, max, signal),
    hurry: (feed) => intakeOf(feed).hurry(),
    confirm: async (feed, position) => intakeOf(feed).confirm(position),
    readRecords: async (requests) =>
      requests.map(({ object, nativeId }) => ({
        app,
        object,
        nativeId,
        result: 'failed',
        code: 'broker.no-reads',
        message: `${app} is reached by messages alone; its records cannot be read`,
      })),
    findByCorrelation: async (requests) =>
      requests.map(({ object, correlationId }) => ({
        app,
        object,
        nativeId: asNativeId(correlationId),
        result: 'failed',
        code: 'broker.no-reads',
        message: `${app} is reached by messages alone; its records cannot be looked for`,
      })),
    close,
    [Symbol.asyncDispose]: close,
  }
}

interface Batch {
  readonly position: FeedPosition
  readonly messages: readonly BrokerMessage[]
  readonly changes: readonly Change[]
}

class Intake {
  readonly #where: string
  readonly #app: AppId
  readonly #options: SourceFeed
  readonly #reader: MessageReader
  readonly #deps: SourceDeps
  readonly #kept: KeptOpen<BrokerSession>
  #line: BrokerMessage[] = []
  /** Given to the engine, and not known to be durable. */
  #given: Batch | null = null
  #reads = 0
  #session = 0
  #wake: (() => void) | null = null

  constructor(app: AppId, options: SourceFeed, deps: SourceDeps) {
    this.#app = app
    this.#where = `${app}/${options.object.object}`
    this.#options = options
    this.#reader = createReader(options.feed, deps.bodyBytesMax)
    this.#deps = deps
    this.#kept = new KeptOpen(this.#where, () => this.#open(), deps)
  }

  async #open(): Promise<BrokerSession> {
    const number = ++this.#session
    // What an earlier session brought comes again in this one.
    this.#line = []
    return this.#options.driver.open((message) => {
      if (number !== this.#session) return
      this.#line.push(message)
      this.hurry()
    })
  }

  hurry(): void {
    this.#wake?.()
  }

  async read(
    after: FeedPosition | null,
    max: number,
    signal: AbortSignal,
  ): Promise<{ readonly changes: readonly Change[]; readonly position: FeedPosition; readonly more: boolean }> {
    this.#kept.start()
    if (this.#given !== null && this.#given.position === after) this.confirm(after)
    // What could not be journalled is given again.
    if (this.#given !== null) return { ...this.#given, more: true }
    if (this.#line.length === 0) await this.#news(signal)
    const position = asFeedPosition(`${this.#session}.${++this.#reads}`)
    const messages = this.#line.slice(0, max)
    if (messages.length === 0) return { changes: [], position: after ?? position, more: false }
    const changes: Change[] = []
    const taken: BrokerMessage[] = []
    for (const message of messages) {
      const change = await this.#changeOf(message)
      if (change !== null) changes.push(change)
      taken.push(message)
    }
    this.#line = this.#line.filter((message) => !taken.includes(message))
    this.#given = { position, messages: taken, changes }
    return { changes, position, more: this.#line.length > 0 }
  }

  /** The position of what was given last, or of none any more. */
  confirm(position: FeedPosition): void {
    if (this.#given?.position !== position) return
    for (const message of this.#given.messages) message.ack()
    this.#given = null
  }

  #news(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel()
        signal.removeEventListener('abort', done)
        this.#wake = null
        resolve()
      }
      const timer = this.#deps.clock.timer(WAIT_MS, done)
      signal.addEventListener('abort', done)
      this.#wake = done
    })
  }

  /** null when the message was set aside. */
  async #changeOf(message: BrokerMessage): Promise<Change | null> {
    const { deliveriesMax, poison } = this.#options.feed
    try {
      if (message.deliveries !== null && message.deliveries > deliveriesMax)
        throw new SyncError(
          'broker.redelivered',
          `a message was delivered ${message.deliveries} times and not acknowledged.`,
        )
      return this.#read(message)
    } catch (error) {
      const reason = SyncError.from(error)
      const place = { app: this.#app, object: this.#options.object.object }
      if (poison === 'reject') message.reject()
      else {
        const { session } = this.#kept
        if (session === null) throw new SyncError('broker.unreachable', `${this.#where}: the connection has ended.`)
        await session.park(message, reason)
        message.ack()
      }
      const { code, message: why } = reason
      this.#deps.stray?.({
        ...place,
        verdict: poison === 'reject' ? 'refused' : 'set-aside',
        code,
        reason: why,
        deliveryId: message.id ?? null,
        properties: message.facts,
        body: shownBody(message.body),
      })
      const how = poison === 'reject' ? 'rejected' : 'set aside at the broker'
      this.#deps.log.log('warn', `${this.#where}: a message is ${how}: ${reason.message}`, {
        code: reason.code,
        ...place,
      })
      return null
    }
  }

  #read(message: BrokerMessage): Change {
    const { object, feed, eventPrefix } = this.#options
    const headers = headersOf(message)
    const decode = (): NativeData => this.#reader.decode(message.body, headers)
    const event = readEvent(message.body, headers, decode, eventPrefix)
    const body = event === null ? decode() : event.data
    const record = recordAt(body, feed.record)
    const at = (name: string | null): NativeData | undefined => (name === null ? undefined : valueAt(record, name))
    const id = idText(at(object.id))
    if (id === undefined)
      throw new SyncError(
        'intake.shape',
        `the record has no id under '${object.id}'. Compare one real message with the binding.`,
      )
    const isDeleted =
      event?.type?.endsWith('.deleted') === true ||
      (feed.deleted !== null && textAt(feed.deleted.at, message.headers, body) === feed.deleted.equals)
    // Nobody can be asked how the record is now, so an old message must be told from a new one by itself.
    const version = object.version === null ? event?.sequence : idText(at(object.version))
    if (version === undefined || !/^\d+(?:\.\d+)*$/.test(version))
      throw new SyncError(
        'intake.shape',
        `the message has no version that grows${object.version === null ? ': it is no CloudEvent with a `sequence` of digits' : ` under '${object.version}'`}, and without one an old message cannot be told from a new one.`,
      )
    const lineage = isDeleted ? null : lineageIn(message.headers)
    const timeMs = timeOf(at(object.updatedAt)) ?? message.timeMs
    const deliveryId = this.#reader.deliveryId({ headers: message.headers, id: event?.id ?? message.id }, body)
    return {
      app: this.#app,
      object: object.object,
      nativeId: asNativeId(id),
      kind: isDeleted ? 'deleted' : 'image',
      ...(isDeleted ? {} : { record }),
      token: asToken(version),
      ...(lineage === null ? {} : { lineage }),
      ...(timeMs === undefined ? {} : { sourceTimeMs: timeMs }),
      ...(deliveryId === undefined ? {} : { deliveryId }),
    }
  }

  async close(): Promise<void> {
    this.#wake?.()
    await this.#kept.session?.pause().catch(() => undefined)
    await this.#kept.close()
  }
}

/** As text, where it is text; otherwise in base64. */
function shownBody(bytes: Uint8Array): NativeData {
  const text = Buffer.from(bytes).toString()
  return Buffer.from(text).equals(bytes) ? text : { base64: Buffer.from(bytes).toString('base64') }
}

function recordAt(body: NativeData, path: string): NativeRecord {
  const found = path === '' ? body : valueAt(body, path)
  if (typeof found === 'object' && found !== null && !Array.isArray(found)) return found as NativeRecord
  throw new SyncError('intake.shape', `the message has no record${path === '' ? '' : ` under '${path}'`}.`)
}

function valueAt(data: NativeData, path: string): NativeData | undefined {
  let value: NativeData | undefined = data
  for (const step of path.split('.'))
    value =
      typeof value === 'object' && value !== null && !Array.isArray(value) && Object.hasOwn(value, step)
        ? (value as Record<string, NativeData>)[step]
        : undefined
  return value
}

/** An id as text: text as it is, an integer by its digits. */
function idText(value: NativeData | undefined): string | undefined {
  const text =
    typeof value === 'string'
      ? value
      : typeof value === 'bigint' || Number.isSafeInteger(value)
        ? String(value)
        : undefined
  return text === undefined || text === '' || text.length > 1_000 ? undefined : text
}

function timeOf(value: NativeData | undefined): number | undefined {
  if (typeof value === 'number') return value
  const timeMs = typeof value === 'string' ? Date.parse(value) : Number.NaN
  return Number.isNaN(timeMs) ? undefined : timeMs
}
