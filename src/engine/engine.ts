import { LRUCache } from 'lru-cache'
import { SyncError } from '../errors/index.ts'
import { LatchTable } from '../latch/latch-table.ts'
import { DueQueue } from '../lib/due-queue.ts'
import type { Change, Input, OperatorAction } from '../model/change.ts'
import { type BindingModel, BRAKES_DEFAULT, type HubModel } from '../model/entity.ts'
import { type AppId, asJournalPosition, type CanonicalKey, type JournalPosition } from '../model/ids.ts'
import type { HeldEntry, RecordState } from '../model/record.ts'
import type { Connector } from '../ports/app.ts'
import type { Clock, Log, Random } from '../ports/clock.ts'
import type { Journal, NewEntry } from '../ports/journal.ts'
import type { Store, StoreInfo } from '../ports/store.ts'
import type { Caches } from './batch.ts'
import { Brakes } from './brakes.ts'
import { Cycle } from './cycle.ts'
import { Dispatcher } from './dispatcher.ts'
import { Door, type Recognised } from './door.ts'
import { type EventListener, Events } from './events.ts'
import { FeedReader } from './feeds.ts'
import { Findings } from './findings.ts'
import { dedupKeyOf } from './keys.ts'
import { DEFAULT_LIMITS, type EngineLimits } from './limits.ts'
import { Moments } from './moments.ts'
import { restoreNotes } from './notes.ts'
import { type Prepared, prepareFor } from './prepared.ts'
import { slotsOf } from './slots.ts'
import { type EngineStats, Samples, statsOf, Tally } from './stats.ts'
import { Tail } from './tail.ts'
import { WaitingRoom } from './waiting.ts'

export interface EngineOptions {
  readonly model: HubModel
  readonly connectors: ReadonlyMap<AppId, Connector>
  readonly store: Store
  readonly journal: Journal
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly limits?: Partial<EngineLimits>
}

export const CONSUMER = 'sync'

/** What became of a change at the door: its journal position, null for a duplicate, or why it tells nothing. */
export type Taken = JournalPosition | null | Recognised

/** What came back from an application, and the lane that stays in flight until it is decided. */
interface Returned {
  readonly input: Input
  readonly lane: string
}

/** Pause before a store or journal that failed is tried again. */
const TROUBLE_PAUSE_MS = 500

/**
 * The loop around the decision: takes durable entries in journal order, loads what they touch, decides, commits all of it at once with the cursor, and only
 * then lets anything leave. Everything it holds in memory can be lost at any moment and is rebuilt from the store and the journal.
 */
export class Engine {
  readonly model: HubModel
  readonly store: Store
  readonly journal: Journal
  readonly clock: Clock
  readonly log: Log
  readonly limits: EngineLimits
  readonly latches = new LatchTable()
  readonly waiting = new WaitingRoom()
  readonly due = new DueQueue()
  readonly #moments: Moments
  readonly behind = new Map<AppId, Set<CanonicalKey>>()
  readonly caches: Caches
  readonly brakes: Brakes
  readonly findings = new Findings()
  readonly events: Events
  readonly dispatcher: Dispatcher
  readonly door = new Door(this)
  readonly counters = {
    notifications: 0,
    reads: 0,
    duplicates: 0,
    conflicts: 0,
    sent: 0,
    applied: 0,
    unknown: 0,
    refused: 0,
    commits: 0,
  }
  readonly verdicts = new Tally()
  readonly latency = new Samples()
  readonly exposure = new Map<AppId, Samples>()
  /** When the newest unconfirmed change of a record was received (wall ms), for the latency figure only. */
  readonly receivedAt: LRUCache<CanonicalKey, number>
  info: StoreInfo | undefined
  /** Journal position up to which everything is decided or stands in the held entries. */
  cursor = asJournalPosition(0)
  /** The newest entry taken from the tail. */
  taken = asJournalPosition(0)
  readonly feeds: FeedReader
  readonly #tail: Tail
  #isReady = false
  #running: Promise<void> | null = null
  #woken = false
  #killed = false
  #stopping = false
  #timer: { cancel(): void } | null = null
  #timerDueMs = Number.POSITIVE_INFINITY
  #pendingInputs: Returned[] = []
  #appending = 0
  #lingering = false
  /** Records to be planned again although no entry speaks of them. */
  readonly replan = new Set<CanonicalKey>()
  /** Records that wait until another has a native id, by the lane of that other. */
  readonly linkWaiters = new Map<string, Set<CanonicalKey>>()
  /** Records that have rows among the store's open lanes. */
  readonly openKeys = new Set<CanonicalKey>()
  /** Lanes in flight whose answer stands in the journal at this position and is not decided yet. */
  readonly undecided = new Map<JournalPosition, string>()
  /** While a restart takes up lanes: native records of which something told is held, which is looked at again only after them. */
  readonly heldRefs = new Set<string>()
  /** Held entries that lie beyond the cursor: met again in the journal, they are not taken twice. */
  readonly heldBefore = new Set<string>()
  /** Held entries that wait for a person. */
  readonly parkedBefore = new Set<JournalPosition>()

  constructor(options: EngineOptions) {
    this.model = options.model
    this.store = options.store
    this.journal = options.journal
    this.clock = options.clock
    this.#moments = new Moments(options.clock)
    this.log = options.log
    this.events = new Events(options.log)
    this.limits = { ...DEFAULT_LIMITS, ...options.limits }
    this.receivedAt = new LRUCache({ max: this.limits.recordsCached })
    this.brakes = new Brakes(options.model.brakes ?? BRAKES_DEFAULT)
    this.#tail = new Tail(options.journal, this.limits.tailMax)
    this.caches = {
      records: new LRUCache<CanonicalKey, RecordState>({ max: this.limits.recordsCached }),
      links: new LRUCache({ max: this.limits.linksCached }),
    }
    this.dispatcher = new Dispatcher({
      connectors: options.connectors,
      clock: options.clock,
      log: options.log,
      limits: this.limits,
      slots: slotsOf(options.model),
      take: (input, lane) => this.#takeInput({ input, lane }),
      slotsFree: () => this.#wakeSoon(0),
      lastPosition: () => this.journal.last(),
      passFeeds: (app) => this.feeds.passed(app),
    })
    this.feeds = new FeedReader(this, options.connectors)
  }

  get killed(): boolean {
    return this.#killed
  }

  /** Opens the store, rebuilds what memory held, takes up the journal where the last commit left it, and starts reading feeds. */
  async start(): Promise<void> {
    this.info = await this.store.open()
    await this.#recover()
    await this.feeds.start()
    this.#isReady = true
    this.wake()
  }

  /**
   * Journals changes; resolves with their positions when they are durable, and only then may the sender be told so; null for a duplicate, and what was recognised at the door
   * instead of a position. Rejects with SyncError `intake.overloaded`, `intake.stopping`, `journal.full` or `journal.failed`; then none of them is kept.
   */
  async accept(_app: AppId, changes: readonly Change[]): Promise<readonly Taken[]> {
    if (this.#stopping || this.#killed)
      throw new SyncError('intake.stopping', 'the hub is shutting down; send this again in a moment', {
        retryAfterMs: 1000,
      })
    const [only] = changes
    if (only !== undefined && changes.length === 1) {
      const found = this.door.recognise(only)
      const recognised = found instanceof Promise ? await found : found
      if (recognised !== null) return [recognised]
    }
    const backlog = this.journal.last() - this.cursor
    if (backlog > this.limits.backlogMax) {
      throw new SyncError(
        'intake.overloaded',
        `${backlog} notifications wait to be processed, more than limits.backlogMax = ${this.limits.backlogMax}; send this again later`,
        { retryAfterMs: 2000 },
      )
    }
    return this.append(changes.map((change) => this.newEntry({ type: 'notification', change }, dedupKeyOf(change))))
  }

  /** Journals what an operator asked for; it takes effect when the loop comes to it. Resolves when it is durable, with its place in the journal. */
  async operate(operator: OperatorAction): Promise<JournalPosition> {
    const [seq] = await this.append([this.newEntry({ type: 'operator', operator }, null)])
    return seq ?? this.journal.last()
  }

  /** Appends inputs and hands those that are new to the loop, in journal order. */
  async append(
    entries: readonly NewEntry[],
    feeds?: Parameters<Journal['append']>[0]['feeds'],
    lanes?: readonly string[],
  ): ReturnType<Journal['append']> {
    const positions = await this.journal.append(feeds === undefined ? { entries } : { entries, feeds })
    if (this.#killed) return positions
    for (let i = 0; i < entries.length; i++) {
      const seq = positions[i]
      if (seq === null || seq === undefined) {
        this.counters.duplicates++
        continue
      }
      const lane = lanes?.[i]
      if (lane !== undefined) this.undecided.set(seq, lane)
      this.#tail.push({ seq, ...(entries[i] as NewEntry) })
    }
    this.#wakeSoon(this.#tail.length)
    return positions
  }

  /** Journals messages to flows, over which the fold steps: where nothing else is before them, without a commit (the stored cursor then stays a little behind). */
  async appendMessages(entries: readonly NewEntry[]): Promise<readonly (JournalPosition | null)[]> {
    const positions = await this.journal.append({ entries })
    const at = this.#killed ? this.cursor : this.#tail.stepOver(entries, positions, this.cursor)
    if (at !== this.cursor) this.cursor = this.taken = at
    if (this.#tail.length > 0) this.#wakeSoon(this.#tail.length)
    return positions
  }

  newEntry(input: Input, dedupKey: string | null): NewEntry {
    return { shard: 0, atMs: this.clock.nowMs(), mappingVersion: this.model.mappingVersion, input, dedupKey }
  }

  newNotification(change: Change): NewEntry {
    return this.newEntry({ type: 'notification', change }, dedupKeyOf(change))
  }

  /** Outcomes and reads are inputs like any other: journalled first. Under load some are gathered, so that they share a commit. */
  #takeInput(returned: Returned): void {
    if (this.#killed) return
    this.#pendingInputs.push(returned)
    if (this.#lingerMs(this.#pendingInputs.length) === 0) this.#appendPending()
    else this.#linger()
  }

  /** While the journal cannot take them they are kept and tried again. */
  #appendPending(): void {
    if (this.#pendingInputs.length === 0 || this.#killed) return
    const returned = this.#pendingInputs
    this.#pendingInputs = []
    this.#appending++
    const entries = returned.map(({ input }) => this.newEntry(input, null))
    this.append(
      entries,
      undefined,
      returned.map(({ lane }) => lane),
    ).then(
      () => {
        this.#appending--
      },
      (error: unknown) => {
        this.#appending--
        if (this.#killed) return
        this.log.log('error', 'the journal did not take outcomes; they are tried again', {
          error: SyncError.from(error).message,
        })
        this.clock.timer(TROUBLE_PAUSE_MS, () => {
          this.#pendingInputs.unshift(...returned)
          this.#appendPending()
        })
      },
    )
  }

  /**
   * How long to gather more before a commit: not at all while little is under way, so that a single change is never delayed; a moment when many
   * answers are about to come, because each commit costs two fsyncs however much it holds.
   */
  #lingerMs(gathered: number): number {
    return this.dispatcher.inFlight < this.limits.lingerFrom || gathered >= this.limits.lingerFrom * GATHER_MAX_FACTOR
      ? 0
      : this.limits.lingerMs
  }

  #wakeSoon(gathered: number): void {
    if (this.#lingerMs(gathered) === 0) this.wake()
    else this.#linger()
  }

  #linger(): void {
    if (this.#lingering) return
    this.#lingering = true
    this.clock.timer(this.limits.lingerMs, () => {
      this.#lingering = false
      this.#appendPending()
      this.wake()
    })
  }

  /** Lets the loop run, if it is not running already. */
  wake(): void {
    this.#woken = true
    if (this.#running !== null || this.#killed || !this.#isReady) return
    this.#running = Promise.resolve()
      .then(() => this.#run())
      .finally(() => {
        this.#running = null
        if (this.#woken && !this.#killed) this.wake()
      })
  }

  async #run(): Promise<void> {
    while (this.#woken && !this.#killed) {
      this.#woken = false
      try {
        const taken = this.#tail.take(this.limits.batchMax)
        const cycle = Cycle.next(this, Array.isArray(taken) ? taken : await taken)
        if (cycle !== undefined) {
          await cycle.run()
          if (this.#killed) return
          this.events.emit(cycle.events)
          this.#woken = true
        }
      } catch (error) {
        if (this.#killed) return
        await this.#afterTrouble(SyncError.from(error))
      }
    }
    this.#armTimer()
  }

  /** A batch that failed left nothing behind: everything in memory is rebuilt from what is durable, after a pause. */
  async #afterTrouble(error: SyncError): Promise<void> {
    this.log.log('error', `a batch was not committed: ${error.message}`, {
      code: error.code,
      cause: error.cause instanceof Error ? error.cause.stack : undefined,
    })
    if (error.handling === 'stop') {
      this.kill()
      return
    }
    await new Promise<void>((resolve) => this.clock.timer(TROUBLE_PAUSE_MS, resolve))
    while (!this.#killed) {
      try {
        await this.#recover()
        this.#woken = true
        return
      } catch (again) {
        this.log.log('error', `the store cannot be read: ${SyncError.from(again).message}`)
        await new Promise<void>((resolve) => this.clock.timer(TROUBLE_PAUSE_MS, resolve))
      }
    }
  }

  /** Rebuilds memory: the cursor, held entries and open lanes. Open writes that are not under way from here are in doubt. */
  async #recover(): Promise<void> {
    this.waiting.clear()
    this.due.clear()
    this.latches.clear()
    this.behind.clear()
    // To clear an empty cache costs as much as to make one.
    for (const cache of [this.caches.records, this.caches.links]) if (cache.size > 0) cache.clear()
    this.replan.clear()
    this.linkWaiters.clear()
    this.openKeys.clear()
    this.heldBefore.clear()
    this.heldRefs.clear()
    this.parkedBefore.clear()
    await restoreNotes(this.store, this.brakes, this.findings)
    this.cursor = await this.store.cursor(CONSUMER)
    this.taken = this.cursor
    this.#tail.restart(this.cursor)
    const held: Prepared[] = []
    for (let after = asJournalPosition(0); ; ) {
      const page = await this.store.held(after, RECOVERY_PAGE)
      for (const entry of page) held.push(...this.#preparedFromHeld(entry))
      const last = page.at(-1)
      if (last === undefined || page.length < RECOVERY_PAGE) break
      after = last.seq
    }
    for (const { ref } of held) this.heldRefs.add(ref)
    let after: Parameters<Store['openLanes']>[0] = null
    for (;;) {
      const page = await this.store.openLanes(after, RECOVERY_PAGE)
      if (this.#killed) return
      if (page.length > 0) await Cycle.recover(this, page)
      const last = page.at(-1)
      if (last === undefined || page.length < RECOVERY_PAGE) break
      after = { key: last.key, app: last.app }
    }
    this.heldRefs.clear()
    if (held.length > 0) await Cycle.takeUpHeld(this, held)
  }

  #preparedFromHeld(held: HeldEntry): Prepared[] {
    const binding = this.model.bindingsOf(held.app, held.object).find((one) => one.entity === held.entity)
    if (binding === undefined) return []
    const prepared = prepareFor(this.model, binding, held.entry)
    prepared.durable = true
    prepared.heldFor = { waitsOn: held.waitsOn, waitsFor: held.waitsFor, code: held.code }
    if (held.waitsOn === 'operator') this.parkedBefore.add(held.seq)
    if (held.seq > this.cursor) this.heldBefore.add(`${held.seq}:${held.entity}`)
    if (held.waitsOn === 'creates') prepared.holdKeys = held.waitsFor as readonly CanonicalKey[]
    return [prepared]
  }

  binding(record: RecordState, app: AppId): BindingModel | undefined {
    return this.model.entities.get(record.entity)?.bindings.get(app)
  }

  /** One timer for everything that is due some time. */
  #armTimer(): void {
    const nextMs = this.due.nextMs()
    if (nextMs === undefined || this.#killed) return
    if (this.#timer !== null && this.#timerDueMs <= nextMs) return
    this.#timer?.cancel()
    this.#timerDueMs = nextMs
    this.#timer = this.clock.timer(Math.max(0, nextMs - this.clock.monotonicMs()), () => {
      this.#timer = null
      this.#timerDueMs = Number.POSITIVE_INFINITY
      this.wake()
    })
  }

  /** Schedules a lane for `notBeforeMs` (wall clock, from the record). The wait is monotonic and bounded; one under way goes on, so that a clock set forward ends no fence. `sinceMs`: when it began. */
  schedule(name: string, notBeforeMs: number, sinceMs: number): void {
    if (this.due.awaits(name, notBeforeMs)) return
    this.due.set(name, this.#moments.dueMs(notBeforeMs, sinceMs), notBeforeMs)
  }

  markBehind(app: AppId, key: CanonicalKey): void {
    let keys = this.behind.get(app)
    if (keys === undefined) this.behind.set(app, (keys = new Set()))
    keys.add(key)
  }

  subscribe(listener: EventListener): () => void {
    return this.events.subscribe(listener)
  }

  /** True when nothing is left to do now: no input undecided, nothing under way or read for the first time, no lane that could be written. Retries may be due later (`nextDueMs`). */
  isIdle(): boolean {
    const isDecided =
      !this.#lingering && this.#tail.isEmpty && this.#appending === 0 && this.#pendingInputs.length === 0
    return (
      isDecided &&
      !(this.#woken || this.#running !== null) &&
      this.dispatcher.inFlight === 0 &&
      this.behindCount() === 0 &&
      this.door.size === 0 &&
      !this.brakes.contact.isUnderWay &&
      this.replan.size === 0
    )
  }

  /** Monotonic time of the next retry, fence or re-read; undefined when none is waited for. */
  nextDueMs(): number | undefined {
    return this.due.nextMs()
  }

  behindCount(): number {
    return [...this.behind.values()].reduce((count, keys) => count + keys.size, 0)
  }

  stats(): EngineStats {
    return statsOf(this)
  }

  /** Stops taking in, lets writes under way finish and their outcomes be written down, then lets go. What is behind stays behind until the next start. */
  async stop(graceMs = 25_000): Promise<void> {
    if (this.#killed || this.#stopping) return
    this.#stopping = true
    this.door.release()
    this.feeds.stop()
    const deadline = this.clock.monotonicMs() + graceMs
    this.dispatcher.drain()
    while (
      this.clock.monotonicMs() < deadline &&
      (this.dispatcher.inFlight > 0 || this.#appending > 0 || this.#running !== null || this.#tail.length > 0)
    ) {
      await new Promise<void>((resolve) => this.clock.timer(5, resolve))
    }
    this.kill()
  }

  /** Stops at once, as a crash would: nothing is written, nothing is answered any more. The store and the journal stay as they are. */
  kill(): void {
    this.#killed = true
    this.#timer?.cancel()
    this.door.close()
    this.feeds.stop()
    this.dispatcher.kill()
  }
}

/** Inputs gathered at the most before a commit, as a multiple of `lingerFrom`: beyond it a larger batch saves little. */
const GATHER_MAX_FACTOR = 5
const RECOVERY_PAGE = 500
