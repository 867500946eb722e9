import { SyncError } from '../../errors/index.ts'
import type { Clock, Log } from '../../ports/clock.ts'
import type { Catalog } from './catalog.ts'
import { connect, type PgClient, quoteName, quoteText } from './driver.ts'
import { failureOf, readError } from './errors.ts'
import type { PostgresAppOptions } from './options.ts'
import type { OwnWrites } from './own-writes.ts'
import { PgOutputDecoder } from './pgoutput.ts'
import { type LogPlace, later, lsnText, parseLsn } from './position.ts'
import type { ServerIdentity } from './slot.ts'
import { type ChangeSink, type PlacedChange, TransactionReader } from './transactions.ts'

/** Received and not yet taken: enough to keep the engine busy over a slow moment, little enough to hold in memory. */
const QUEUE_CHANGES_MAX = 20_000
const QUEUE_BYTES_MAX = 32 * 1_048_576
/** The server ends a session that says nothing for `wal_sender_timeout` (60 s unless set). */
const STATUS_EVERY_MS = 10_000
/** Transactions whose order against a read must be told: those of the last moments. */
const RECENT_MAX = 4_096
/** 2000-01-01 in microseconds since 1970. */
const EPOCH_MICROS = 946_684_800_000_000n

export interface ReceiverDeps {
  readonly clock: Clock
  readonly log: Log
  /** Told of every change that bears a mark of ours. */
  readonly own: OwnWrites
}

/**
 * One replication session: receives the log from a place on, decodes it, keeps what is not taken yet, and tells the server how far it may forget. When the
 * session ends for any reason the receiver is `failed` for good; its owner opens another from the last position.
 */
export class Receiver implements ChangeSink {
  readonly server: ServerIdentity
  /** The server asks how far we are: a shutdown waits until everything is confirmed. */
  isAsked = false
  readonly #client: PgClient
  readonly #options: PostgresAppOptions
  readonly #clock: Clock
  readonly #own: OwnWrites
  readonly #queue: PlacedChange[] = []
  #head = 0
  #queueBytes = 0
  #chunkBytes = 0
  #paused = false
  /** Every transaction that ended before this has been received. */
  #received: bigint
  #confirmed: bigint
  readonly #recent: { readonly xid: number; readonly commitLsn: bigint }[] = []
  #failure: SyncError | null = null
  readonly #waiters = new Set<() => void>()
  #timer: { cancel(): void } | null = null
  #isClosed = false

  private constructor(
    client: PgClient,
    server: ServerIdentity,
    from: LogPlace,
    options: PostgresAppOptions,
    deps: ReceiverDeps,
  ) {
    this.#client = client
    this.server = server
    this.#options = options
    this.#clock = deps.clock
    this.#own = deps.own
    this.#received = from.lsn
    this.#confirmed = from.lsn
  }

  /** Opens a replication session and asks it which server it is on; `check` may refuse that. Streaming begins with `start`. */
  static async open(
    url: string,
    options: PostgresAppOptions,
    deps: ReceiverDeps,
  ): Promise<{ client: PgClient; server: ServerIdentity }> {
    const client = await connect({ url, app: options.app, replication: true })
    try {
      const { rows } = await client.query({ text: 'IDENTIFY_SYSTEM', rowMode: 'array' })
      const [systemId, timeline, end] = rows[0] ?? []
      const server = { systemId: systemId ?? '', timeline: Number(timeline), endLsn: parseLsn(end ?? '0/0') }
      deps.log.log('debug', `${options.app}: replication session open`, { app: options.app, systemId, timeline })
      return { client, server }
    } catch (error) {
      client.connection.stream.destroy()
      throw error
    }
  }

  /** Begins to stream from `from`. Rejects when the server refuses, for example because another session has the slot. */
  static async start(
    opened: { readonly client: PgClient; readonly server: ServerIdentity },
    from: LogPlace,
    catalog: Catalog,
    options: PostgresAppOptions,
    deps: ReceiverDeps,
  ): Promise<Receiver> {
    const receiver = new Receiver(opened.client, opened.server, from, options, deps)
    await receiver.#stream(from, catalog)
    return receiver
  }

  async #stream(from: LogPlace, catalog: Catalog): Promise<void> {
    const { slot, publication, app } = this.#options
    const reader = new TransactionReader(app, catalog, from, this.#options.truncate, this)
    const decoder = new PgOutputDecoder(reader, (oid) => reader.wanted(oid))
    const { promise: started, resolve, reject } = Promise.withResolvers<void>()
    const { connection } = this.#client
    // The driver knows of no stream without a query: it would make an error, with its stack, of every message.
    for (const event of ['copyData', 'copyDone', 'errorMessage']) connection.removeAllListeners(event)
    connection.on('replicationStart', () => resolve())
    connection.on('copyData', (message: { readonly chunk: Buffer }) => this.#take(message.chunk, decoder))
    const fail = (error: unknown): void => {
      reject(error)
      this.#fail(error)
    }
    connection.on('errorMessage', fail)
    connection.on('error', fail)
    connection.on('end', () => fail(new Error('the server closed the replication session')))
    connection.on('copyDone', () => fail(new Error('the server ended the replication stream')))
    connection.query(
      `START_REPLICATION SLOT ${quoteName(slot)} LOGICAL ${lsnText(from.lsn)} (proto_version '1', publication_names ${quoteText(quoteName(publication)).trimStart()}, messages 'true')`,
    )
    await started
    this.#tick()
  }

  #tick(): void {
    this.#timer = this.#clock.timer(STATUS_EVERY_MS, () => {
      if (this.#isClosed || this.#failure !== null) return
      this.#sendStatus(false)
      this.#tick()
    })
  }

  #take(chunk: Buffer, decoder: PgOutputDecoder): void {
    if (this.#failure !== null || this.#isClosed) return
    try {
      if (chunk[0] === 0x77) {
        this.#chunkBytes = chunk.length
        decoder.decode(chunk, 25)
      } else if (chunk[0] === 0x6b) {
        this.#advance(chunk.readBigUInt64BE(1))
        if (chunk[17] === 1) {
          this.isAsked = true
          this.#sendStatus(false)
        }
      }
    } catch (error) {
      this.#fail(error)
    }
  }

  change(placed: PlacedChange): void {
    const { mark, token } = placed.change
    if (mark !== undefined && token !== undefined) this.#own.seen(mark, token)
    this.#queue.push(placed)
    this.#queueBytes += this.#chunkBytes
    if (this.#paused || (this.#queueLength < QUEUE_CHANGES_MAX && this.#queueBytes < QUEUE_BYTES_MAX)) return
    this.#paused = true
    this.#client.connection.stream.pause()
    this.#wake()
  }

  committed(xid: number, commitLsn: bigint, endLsn: bigint): void {
    this.#recent.push({ xid, commitLsn })
    if (this.#recent.length > RECENT_MAX * 2) this.#recent.splice(0, RECENT_MAX)
    this.#advance(endLsn)
  }

  /** The server has nothing more before this place. */
  #advance(lsn: bigint): void {
    if (lsn > this.#received) this.#received = lsn
    this.#wake()
  }

  #wake(): void {
    if (this.#waiters.size === 0) return
    const waiters = [...this.#waiters]
    this.#waiters.clear()
    for (const wake of waiters) wake()
  }

  get #queueLength(): number {
    return this.#queue.length - this.#head
  }

  get failure(): SyncError | null {
    return this.#failure
  }

  /** Every transaction that ended before this has been received, taken or not. */
  get received(): bigint {
    return this.#received
  }

  get isEmpty(): boolean {
    return this.#queueLength === 0
  }

  /** At most `max` changes in the order of the log. */
  take(max: number): readonly PlacedChange[] {
    const end = Math.min(this.#head + max, this.#queue.length)
    const taken = this.#queue.slice(this.#head, end)
    this.#head = end
    if (this.#head === this.#queue.length) {
      this.#queue.length = 0
      this.#head = 0
      this.#queueBytes = 0
    } else if (this.#head > QUEUE_CHANGES_MAX) {
      this.#queue.splice(0, this.#head)
      this.#head = 0
    }
    if (this.#paused && this.#queueLength < QUEUE_CHANGES_MAX / 2) {
      this.#paused = false
      // Of what is left the bytes are not known one by one; by now it is at most half.
      this.#queueBytes = Math.min(this.#queueBytes, QUEUE_BYTES_MAX / 2)
      this.#client.connection.stream.resume()
    }
    return taken
  }

  /** Resolves when something was received, the receiver failed, or the time is over. */
  async changed(timeoutMs: number, signal?: AbortSignal): Promise<void> {
    if (this.#failure !== null || signal?.aborted === true) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = this.#clock.timer(timeoutMs, resolve)
    this.#waiters.add(resolve)
    signal?.addEventListener('abort', () => resolve(), { once: true })
    await promise
    this.#waiters.delete(resolve)
    timer.cancel()
  }

  /** Asks the server where its log stands now; the answer comes as an advance. */
  poke(): void {
    this.#sendStatus(true)
  }

  /**
   * Of the transactions received lately, the first that `isVisible` does not see: a transaction may be received a moment before reads see it. null when
   * all are seen.
   */
  firstUnseen(isVisible: (xid: number) => boolean): bigint | null {
    let first: bigint | null = null
    for (const { xid, commitLsn } of this.#recent) {
      if ((first === null || commitLsn < first) && !isVisible(xid)) first = commitLsn
    }
    return first
  }

  /** The server may forget everything before this; it does so with the next status. */
  confirm(lsn: bigint): void {
    if (lsn <= this.#confirmed) return
    this.#confirmed = lsn
    this.#sendStatus(false)
  }

  #sendStatus(wantsReply: boolean): void {
    if (this.#failure !== null || this.#isClosed || !this.#client.connection.stream.writable) return
    const status = Buffer.allocUnsafe(34)
    status[0] = 0x72
    status.writeBigUInt64BE(later(this.#received, this.#confirmed), 1)
    status.writeBigUInt64BE(this.#confirmed, 9)
    status.writeBigUInt64BE(this.#confirmed, 17)
    status.writeBigInt64BE(BigInt(this.#clock.nowMs()) * 1000n - EPOCH_MICROS, 25)
    status[33] = wantsReply ? 1 : 0
    this.#client.connection.sendCopyFromChunk(status)
  }

  #fail(error: unknown): void {
    if (this.#failure !== null || this.#isClosed) return
    this.#failure = failureOfStream(this.#options, error)
    this.#end()
  }

  #end(): void {
    this.#timer?.cancel()
    this.#client.connection.stream.destroy()
    this.#wake()
  }

  close(): void {
    if (this.#isClosed) return
    this.#sendStatus(false)
    this.#isClosed = true
    this.#end()
  }
}

/** 55006: the slot is in use. 42704: it is gone. 55000: it was given up. */
export function failureOfStream(options: PostgresAppOptions, error: unknown): SyncError {
  if (SyncError.is(error)) return error
  const { code, message } = failureOf(error)
  const { app, slot } = options
  if (code === '55006')
    return new SyncError(
      'source.slot-in-use',
      `${app}: another session reads from the replication slot ${slot}: ${message}. It is tried again.`,
      { place: { app }, cause: error, retryAfterMs: 500 },
    )
  if (code === '42704')
    return new SyncError(
      'source.slot-missing',
      `${app}: the replication slot ${slot} is gone. Run: latchwork feed reset ${app}`,
      {
        place: { app },
        cause: error,
      },
    )
  if (code === '55000' && /slot/.test(message))
    return new SyncError('source.slot-invalidated', `${app}: ${message}. Run: latchwork feed reset ${app}`, {
      place: { app },
      cause: error,
    })
  return readError(app, 'the log could not be read', error)
}
