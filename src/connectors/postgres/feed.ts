import { SyncError } from '../../errors/index.ts'
import type { Change } from '../../model/change.ts'
import { FEED_RESET, type FeedPosition, type Token } from '../../model/ids.ts'
import type { TablePlan } from './catalog.ts'
import { quoteText } from './driver.ts'
import { failureOf, readError } from './errors.ts'
import type { PostgresAppOptions } from './options.ts'
import { earlier, type PgPosition, parsePosition, positionText, tokenBefore } from './position.ts'
import { type FoundRecords, RecordReader } from './reads.ts'
import { failureOfStream, Receiver } from './receiver.ts'
import { checkIdentity, checkServer, ensurePublication, ensureSlot, warnOfWal } from './slot.ts'
import type { ReadSnapshot } from './snapshot.ts'
import type { PostgresSourceDeps } from './source.ts'

/** A read of the log waits this long for something to come. */
const WAIT_MS = 1_000
/** How often a position that moved without changes for us is written down, so that the server may forget its log. */
const IDLE_ADVANCE_MS = 10_000
const IDLE_ADVANCE_BYTES = 16n * 1_048_576n
const WATCH_EVERY_MS = 60_000
/** A hub whose database is not as it must be looks again this often. */
const STOPPED_RETRY_MS = 5_000
const SETUP_DEADLINE_MS = 60_000
/** Our own session of before is let go by the server within moments. */
const SLOT_TRIES = 20
const SLOT_PAUSE_MS = 50

interface Running {
  readonly receiver: Receiver
  position: PgPosition
}

/**
 * The feed of one database: first every row of tables that were never read, page by page, then (and in between) the log. A page carries its place in the log, so that
 * what the log tells of earlier times is recognised as stale. One `read` at a time.
 */
export class LogFeed {
  readonly #options: PostgresAppOptions
  readonly #deps: PostgresSourceDeps
  #running: Running | null = null
  #movedAtMs = 0
  #watchedAtMs = 0
  #isClosed = false

  constructor(options: PostgresAppOptions, deps: PostgresSourceDeps) {
    this.#options = options
    this.#deps = deps
  }

  get receiver(): Receiver | null {
    const receiver = this.#running?.receiver ?? null
    return receiver?.failure === null ? receiver : null
  }

  async read(
    after: FeedPosition | null,
    max: number,
    signal: AbortSignal,
  ): Promise<{ readonly changes: readonly Change[]; readonly position: FeedPosition; readonly more: boolean }> {
    try {
      const running = await this.#ensure(after)
      return await this.#next(running, max, signal)
    } catch (error) {
      this.#stop()
      throw lasting(readError(this.#options.app, 'the log could not be read', error))
    }
  }

  async confirm(text: FeedPosition): Promise<void> {
    const { lsn, index } = parsePosition(text)
    // Inside a transaction nothing can be confirmed: the server sends it whole or not at all.
    if (index === 0) this.receiver?.confirm(lsn)
  }

  close(): void {
    this.#isClosed = true
    this.#stop()
  }

  /** Where in the log a read stands, as far as the log was received: all before it is in the read. */
  placeOf(snapshot: ReadSnapshot): Token {
    const { receiver } = this
    if (receiver === null) return tokenBefore(snapshot.beforeLsn)
    const { received } = receiver
    const bound = earlier(received, snapshot.flushLsn)
    const unseen = receiver.firstUnseen(snapshot.isVisible)
    return tokenBefore(unseen === null ? bound : earlier(unseen, bound))
  }

  #stop(): void {
    this.#running?.receiver.close()
    this.#running = null
  }

  async #ensure(after: FeedPosition | null): Promise<Running> {
    if (this.#isClosed) throw new SyncError('source.read-failed', `${this.#options.app} is closed.`)
    const running = this.#running
    if (running !== null && running.receiver.failure === null && after === positionText(running.position))
      return running
    this.#stop()
    const isReset = after === FEED_RESET
    this.#running = await this.#openPatiently(after === null || isReset ? null : parsePosition(after), isReset)
    return this.#running
  }

  async #openPatiently(at: PgPosition | null, isReset: boolean): Promise<Running> {
    for (let left = SLOT_TRIES; ; left--) {
      try {
        return await this.#open(at, isReset)
      } catch (error) {
        if (left === 1 || this.#isClosed || !SyncError.is(error) || error.code !== 'source.slot-in-use') throw error
        await new Promise<void>((resolve) => this.#deps.clock.timer(SLOT_PAUSE_MS, resolve))
      }
    }
  }

  /** Everything that must hold before the log is read, looked at anew each time: the database may have changed while we were away. */
  async #open(at: PgPosition | null, isReset: boolean): Promise<Running> {
    const { url, sessions, log } = this.#deps
    const { app, slot } = this.#options
    this.#deps.forgetCatalog()
    const catalog = await this.#deps.catalog()
    await sessions.use((session) => checkServer(this.#options, session), SETUP_DEADLINE_MS)
    const opened = await Receiver.open(url, this.#options, this.#deps)
    try {
      const confirmed = await sessions.use(async (session) => {
        if (at !== null) checkIdentity(app, at, opened.server)
        await ensurePublication(this.#options, catalog, session)
        if (isReset)
          await session.query(
            `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = ${quoteText(slot)}`,
          )
        return (await ensureSlot(this.#options, at, session, log)).confirmedLsn
      }, SETUP_DEADLINE_MS)
      const { systemId, timeline } = opened.server
      const position = at ?? { systemId, timeline, lsn: confirmed, index: 0, read: [], reading: null }
      const receiver = await Receiver.start(opened, position, catalog, this.#options, this.#deps)
      this.#movedAtMs = this.#deps.clock.monotonicMs()
      return { receiver, position }
    } catch (error) {
      opened.client.connection.stream.destroy()
      throw failureOfStream(this.#options, error)
    }
  }

  async #next(
    running: Running,
    max: number,
    signal: AbortSignal,
  ): Promise<{ readonly changes: readonly Change[]; readonly position: FeedPosition; readonly more: boolean }> {
    const { receiver } = running
    const { clock } = this.#deps
    const endMs = clock.monotonicMs() + WAIT_MS
    this.#watch()
    for (;;) {
      if (receiver.failure !== null) throw receiver.failure
      if (!receiver.isEmpty) return await this.#fromLog(running, max)
      const unread = await this.#unread(running)
      if (unread !== undefined) return this.#fromTable(running, unread, max, signal)
      const leftMs = endMs - clock.monotonicMs()
      if (leftMs <= 0 || signal.aborted || receiver.isAsked) return this.#idle(running)
      await receiver.changed(leftMs, signal)
    }
  }

  async #fromLog(running: Running, max: number) {
    const taken = running.receiver.take(max)
    const last = taken[taken.length - 1]
    if (last !== undefined) {
      const place = last.endLsn === null ? { lsn: last.commitLsn, index: last.index } : { lsn: last.endLsn, index: 0 }
      running.position = { ...running.position, ...place }
      this.#movedAtMs = this.#deps.clock.monotonicMs()
    }
    return {
      changes: taken.map(({ change }) => change),
      position: positionText(running.position),
      more: !running.receiver.isEmpty || (await this.#unread(running)) !== undefined,
    }
  }

  /** The next table whose rows are not all read yet. */
  async #unread({ position }: Running): Promise<TablePlan | undefined> {
    const catalog = await this.#deps.catalog()
    if (position.reading !== null) {
      const plan = [...catalog.tables.values()].find(({ object }) => object === position.reading?.object)
      if (plan !== undefined) return plan
    }
    return [...catalog.tables.values()].find(({ object }) => !position.read.includes(object))
  }

  async #fromTable(running: Running, plan: TablePlan, max: number, signal: AbortSignal) {
    const reader = new RecordReader(this.#options, await this.#deps.catalog())
    const { reading } = running.position
    const after = reading?.object === plan.object ? reading.after : null
    const found: FoundRecords = await this.#deps.sessions.use(
      (session) => reader.page(session, plan, after, max),
      SETUP_DEADLINE_MS,
      signal,
    )
    const token = this.placeOf(found.snapshot)
    const { app } = this.#options
    const changes = found.records.map(
      ({ nativeId, record, correlationId, sourceTimeMs }): Change => ({
        app,
        object: plan.object,
        nativeId,
        kind: 'image',
        record,
        token,
        ...(correlationId === undefined ? {} : { correlationId }),
        ...(sourceTimeMs === undefined ? {} : { sourceTimeMs }),
      }),
    )
    const isDone = changes.length < max
    running.position = isDone
      ? { ...running.position, read: [...running.position.read, plan.object], reading: null }
      : { ...running.position, reading: { object: plan.object, after: found.records.at(-1)?.key ?? null } }
    const more = !isDone || !running.receiver.isEmpty || (await this.#unread(running)) !== undefined
    return { changes, position: positionText(running.position), more }
  }

  /** Nothing for us; but where the log moved on without us, the position follows now and then, or the server would have to keep it all. */
  #idle(running: Running) {
    const { received, isAsked } = running.receiver
    running.receiver.isAsked = false
    const nowMs = this.#deps.clock.monotonicMs()
    const moved = received - running.position.lsn
    if (moved > 0n && (isAsked || moved > IDLE_ADVANCE_BYTES || nowMs - this.#movedAtMs > IDLE_ADVANCE_MS)) {
      running.position = { ...running.position, lsn: received, index: 0 }
      this.#movedAtMs = nowMs
    }
    return { changes: [], position: positionText(running.position), more: false }
  }

  #watch(): void {
    const nowMs = this.#deps.clock.monotonicMs()
    if (nowMs - this.#watchedAtMs < WATCH_EVERY_MS) return
    this.#watchedAtMs = nowMs
    const { sessions, log } = this.#deps
    sessions
      .use(async (session) => {
        const { rows } = await session.query(
          `SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), wal_status FROM pg_replication_slots WHERE slot_name = ${quoteText(this.#options.slot)}`,
        )
        const [held, status] = rows[0] ?? []
        warnOfWal(this.#options, Number(held ?? 0), status ?? '', log)
      }, SETUP_DEADLINE_MS)
      .catch((error: unknown) =>
        log.log('debug', `${this.#options.app}: the slot could not be looked at: ${failureOf(error).message}`),
      )
  }
}

/** What only a person can mend is looked at again after a while, so that mending it is enough. */
function lasting(error: SyncError): SyncError {
  if (error.handling !== 'stop' || error.retryAfterMs !== undefined) return error
  return new SyncError(error.code, error.message, { place: error.place, cause: error, retryAfterMs: STOPPED_RETRY_MS })
}
