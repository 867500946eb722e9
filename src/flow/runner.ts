import { SyncError } from '../errors/index.ts'
import { DueQueue } from '../lib/due-queue.ts'
import type { JournalEntry } from '../model/change.ts'
import type { Message, Run } from '../model/flow.ts'
import { isOver } from '../model/flow.ts'
import { asJournalPosition, asRunId, type FlowName, type RunId } from '../model/ids.ts'
import type { Clock, Log, Random } from '../ports/clock.ts'
import type { Journal } from '../ports/journal.ts'
import type { RunStore } from '../ports/runs.ts'
import { Attempts, type Begin, type Ended } from './attempts.ts'
import { Context, type Effects, flowError } from './context.ts'
import type { Lane } from './lane.ts'
import { messageOf, recoverLane } from './recovery.ts'
import {
  afterAttempt,
  cancelledRun,
  knows,
  queuedBehind,
  receivedRun,
  releasedRun,
  resolvedRun,
  startedRun,
} from './run-state.ts'
import { Watchers } from './watchers.ts'

export interface RunnerOptions {
  readonly runs: RunStore
  readonly journal: Journal
  readonly effects: Effects
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** `<instance>.<generation>`: what the names of writes begin with. */
  readonly opPrefix: string
}

/** Pause before a store or journal that failed is tried again. */
const TROUBLE_PAUSE_MS = 500
/** Commits are at least this far apart, because each costs an fsync however much it holds. The first after a quiet time does not wait. */
const COMMIT_EVERY_MS = 10
/** Ends of attempts that wait for a commit; beyond it nothing new begins, so that memory stays bounded while the disk is slow. */
const ENDED_MAX = 4_096
/** Rows in one commit: some milliseconds, in which nothing else happens. */
const ROWS_MAX = 512

/** A person's, or a resolver's, word on one run. */
interface Order {
  readonly lane: Lane
  readonly id: RunId
  readonly change: (run: Run, nowMs: number) => Run
  readonly happening: 'release' | 'cancel' | 'resolve'
  readonly done: (run: Run | null) => void
  readonly failed: (error: SyncError) => void
}

interface Loaded {
  readonly asked: ReadonlySet<RunId>
  readonly stored: ReadonlyMap<RunId, Run>
  /** Of those that may begin. */
  readonly messages: ReadonlyMap<RunId, Message>
}

/**
 * Runs what was acknowledged and is to be done afterwards. A thin loop around the decisions of `run-state.ts`: takes ends of attempts, orders and new messages,
 * commits what they make of the runs, and only then begins new attempts and tells those who watch.
 */
export class Runner {
  readonly #options: RunnerOptions
  readonly #lanes: ReadonlyMap<FlowName, Lane>
  readonly #due = new DueQueue()
  readonly #attempts: Attempts
  readonly watchers = new Watchers()
  #ended: Ended[] = []
  #orders: Order[] = []
  /** Runs whose turn has come and whose rows have to be read. */
  #ready: { readonly lane: Lane; readonly id: RunId }[] = []
  #epoch = 0
  #running: Promise<void> | null = null
  #woken = false
  #lingering = false
  /** When the last commit was made (monotonic). */
  #committedMs = Number.NEGATIVE_INFINITY
  #timer: { cancel(): void } | null = null
  #killed = false
  #isStopping = false
  failed: SyncError | null = null

  constructor(lanes: ReadonlyMap<FlowName, Lane>, epoch: number, options: RunnerOptions) {
    this.#options = options
    this.#lanes = lanes
    this.#epoch = epoch
    this.#attempts = new Attempts(options, lanes.values(), (ended) => {
      if (this.#killed) return
      this.#ended.push(ended)
      this.#pump(ended.lane)
      this.wake()
    })
  }

  get underWay(): number {
    return this.#attempts.size + this.#ended.length
  }

  /** Takes up what was not over when the process before ended. */
  async recover(): Promise<void> {
    const { runs, journal, clock } = this.#options
    for (const lane of this.#lanes.values()) {
      const deps = { runs, journal, epoch: this.#epoch, nowMs: () => clock.nowMs() }
      await recoverLane(lane, deps, (run) => this.#takeUp(lane, run))
    }
    this.wake()
  }

  #takeUp(lane: Lane, run: Run): void {
    const hasTurn = this.#joins(lane, run) ? lane.join(run) : true
    if (run.state === 'queued' || run.state === 'retry') lane.waitingRows.add(run.id)
    if (run.state === 'doubt') this.#judge(lane, run)
    else if (run.state === 'retry' && hasTurn) this.#schedule(lane, run)
    else if (run.state === 'queued' && hasTurn) this.#ready.push({ lane, id: run.id })
  }

  /** A parked run holds its key only where the flow says so. */
  #joins = (lane: Lane, run: Run): boolean => run.state !== 'parked' || lane.model.whenParked === 'hold'

  #messageOf = (run: Run): Promise<Message> => messageOf(this.#options.journal, run)

  /** Lets the loop run, not sooner than a moment after its last commit. */
  wake(): void {
    this.#woken = true
    if (this.#running !== null || this.#killed || this.#lingering) return
    const waitMs = this.#committedMs + COMMIT_EVERY_MS - this.#options.clock.monotonicMs()
    if (waitMs > 0) {
      this.#lingering = true
      this.#options.clock.timer(waitMs, () => {
        this.#lingering = false
        this.#begin()
      })
    } else this.#begin()
  }

  /** A message has been appended. */
  take(lane: Lane, entry: JournalEntry): void {
    lane.tail.push(entry)
    this.#pump(lane)
  }

  /** A place has become free. */
  placeFree(lane: Lane): void {
    if (lane.waiting > 0 || this.#ready.length > 0) this.#pump(lane)
  }

  /** HOT PATH: what needs no commit before it begins, begins at once. Everything else waits for the loop. */
  #pump(lane: Lane): void {
    const { tail, gate } = lane
    if (lane.model.orderKeyOf === null && lane.model.inDoubt === 'rerun' && !this.#isStopping && !this.#killed) {
      const nowMs = this.#options.clock.nowMs()
      while (tail.length > 0 && gate.free > 0 && this.#ended.length < ENDED_MAX && this.#mayPump(lane)) {
        const entry = tail.shift() as JournalEntry
        lane.taken = entry.seq
        lane.waiting--
        if (entry.input.type !== 'message' || !gate.enter()) continue
        const { message } = entry.input
        const run = startedRun(receivedRun(lane.model.name, entry.seq, entry.atMs, null, message), nowMs)
        lane.unrecorded.add(entry.seq)
        this.#attempts.start({ lane, run, message })
      }
    }
    if (tail.mayHaveMore || this.#ready.length > 0 || this.#ended.length > 0) this.wake()
  }

  /** Messages that may have begun before a restart go through the loop. */
  #mayPump = (lane: Lane): boolean => lane.taken >= lane.before && lane.gate.waiting === 0

  #begin(): void {
    if (this.#running !== null || this.#killed) return
    this.#running = Promise.resolve()
      .then(() => this.#run())
      .finally(() => {
        this.#running = null
        if (this.#woken) this.wake()
      })
  }

  async #run(): Promise<void> {
    this.#woken = false
    try {
      if (await this.#turn()) this.#woken = true
    } catch (error) {
      // Only reads can bring us here, and they come before anything is taken. A commit is tried until it succeeds.
      if (this.#killed) return
      this.#options.log.log('error', `runs of flows cannot go on: ${SyncError.from(error).message}`)
      await this.#pause()
      this.#woken = true
    }
    this.#armTimer()
  }

  /** One turn. True when there may be more to do at once. */
  async #turn(): Promise<boolean> {
    const loaded = await this.#load()
    if (this.#killed) return false
    const nowMs = this.#options.clock.nowMs()
    const rows = new Map<RunId, Run>()
    const begins: Begin[] = []
    const told: (() => void)[] = []
    for (const ended of this.#ended.splice(0, ROWS_MAX)) this.#settle(ended, rows, nowMs)
    this.#obey(loaded, rows, told, nowMs)
    this.#takeReady(loaded, rows, begins, nowMs)
    for (const lane of this.#lanes.values()) this.#takeMessages(lane, rows, begins, nowMs)
    if (this.#killed) return false
    await this.#commit([...rows.values()])
    if (this.#killed) return false
    for (const tell of told) tell()
    for (const begin of begins) this.#attempts.start(begin)
    this.watchers.tell([...rows.values()])
    return rows.size + begins.length > 0
  }

  /** All that a turn reads. It takes nothing, so that a read which fails leaves everything as it was. */
  async #load(): Promise<Loaded> {
    const { runs, clock } = this.#options
    for (const name of this.#due.take(clock.monotonicMs()).keys()) this.#ready.push(this.#readyOf(name))
    const asked = new Set([...this.#orders, ...this.#ready.slice(0, ROWS_MAX)].map(({ id }) => id))
    const rows = asked.size === 0 ? [] : await runs.runs([...asked])
    const messages = new Map<RunId, Message>()
    for (const run of rows) if (knows(run.state, 'start')) messages.set(run.id, await this.#messageOf(run))
    for (const { tail } of this.#lanes.values()) if (tail.length === 0 && tail.mayHaveMore) await tail.fill()
    return { asked, stored: new Map(rows.map((run) => [run.id, run])), messages }
  }

  #settle({ lane, run, message, attempt }: Ended, rows: Map<RunId, Run>, nowMs: number): void {
    const next = afterAttempt(run, attempt, {
      nowMs,
      jitter: this.#options.random.next(),
      retries: lane.model.retries,
      message,
      doubts: lane.model.inDoubt !== 'rerun',
    })
    lane.unrecorded.delete(run.seq)
    rows.set(next.id, next)
    this.#follow(lane, next)
  }

  /** What a changed row means for memory: its key, its pause, its doubt. */
  #follow(lane: Lane, run: Run): void {
    if (run.state === 'retry') lane.waitingRows.add(run.id)
    else lane.waitingRows.delete(run.id)
    if (isOver(run.state) || !this.#joins(lane, run)) {
      const next = lane.pass(run)
      if (next !== undefined) this.#ready.push({ lane, id: next })
    }
    if (run.state === 'retry') this.#schedule(lane, run)
    if (run.state === 'doubt') this.#judge(lane, run)
  }

  #schedule(lane: Lane, run: Run): void {
    const { clock } = this.#options
    // A wall clock that was set back must not make a run wait longer than its longest pause.
    const waitMs = Math.min(Math.max(0, run.notBeforeMs - clock.nowMs()), lane.model.retries.maxMs)
    this.#due.set(`${lane.model.name}\u0000${run.id}`, clock.monotonicMs() + waitMs)
  }

  #readyOf(name: string): { lane: Lane; id: RunId } {
    const at = name.indexOf('\u0000')
    return { lane: this.#lanes.get(name.slice(0, at) as FlowName) as Lane, id: asRunId(name.slice(at + 1)) }
  }

  /** Asks the flow's resolver what an attempt of unknown end has done. */
  #judge(lane: Lane, run: Run): void {
    const { inDoubt: judge, retries } = lane.model
    const decide = async (): Promise<'done' | 'rerun' | 'park'> => {
      if (typeof judge === 'string') return judge
      const message = await this.#messageOf(run)
      return judge(new Context(this.#options.effects, lane.model, { ...this.#attempts.given(run), message }))
    }
    decide().then(
      (verdict) => {
        const change = (now: Run, nowMs: number): Run => resolvedRun(now, verdict, retries.attemptsMax, nowMs)
        // Refused only when a person was quicker.
        this.#order(lane, run.id, 'resolve', change).catch(() => undefined)
      },
      (error: unknown) => {
        const reason = flowError(lane.model.name, error)
        this.#options.log.log('warn', `the resolver of ${lane.model.name} failed for run ${run.id}: ${reason.message}`)
        this.#options.clock.timer(lane.model.retries.firstMs, () => !this.#killed && this.#judge(lane, run))
      },
    )
  }

  release(id: RunId, flow: FlowName): Promise<Run | null> {
    return this.#order(this.#laneOf(flow), id, 'release', releasedRun)
  }

  cancel(id: RunId, flow: FlowName): Promise<Run | null> {
    return this.#order(this.#laneOf(flow), id, 'cancel', cancelledRun)
  }

  #laneOf(flow: FlowName): Lane {
    const lane = this.#lanes.get(flow)
    if (lane !== undefined) return lane
    throw new SyncError(
      'flow.unknown',
      `${flow} is not a flow of this hub; its config has ${[...this.#lanes.keys()].join(', ') || 'none'}`,
    )
  }

  #order(lane: Lane, id: RunId, happening: Order['happening'], change: Order['change']): Promise<Run | null> {
    return new Promise((resolve, reject) => {
      this.#orders.push({ lane, id, happening, change, done: resolve, failed: reject })
      this.wake()
    })
  }

  #obey({ asked, stored }: Loaded, rows: Map<RunId, Run>, told: (() => void)[], nowMs: number): void {
    const orders = this.#orders.filter(({ id }) => asked.has(id))
    if (orders.length === 0) return
    this.#orders = this.#orders.filter(({ id }) => !asked.has(id))
    for (const { lane, id, happening, change, done, failed } of orders) {
      const run = rows.get(id) ?? stored.get(id)
      if (run === undefined || !knows(run.state, happening)) {
        const why = run === undefined ? 'there is no such run' : `it is ${run.state}`
        told.push(() => failed(new SyncError('query.unknown-run', `run ${id} cannot be ${happening}d: ${why}`)))
        continue
      }
      const wasOutside = !this.#joins(lane, run)
      const next = change(run, nowMs)
      rows.set(id, next)
      // One that did not hold its key stands at its end again; the order of the others is not disturbed.
      if (wasOutside && !isOver(next.state) && !lane.join(next)) lane.waitingRows.add(id)
      else this.#follow(lane, next)
      told.push(() => done(next))
    }
  }

  /** Runs that waited for their time or their turn. */
  #takeReady({ asked, stored, messages }: Loaded, rows: Map<RunId, Run>, begins: Begin[], nowMs: number): void {
    const ready = this.#ready
    this.#ready = []
    for (const one of ready) {
      const { lane, id } = one
      const run = rows.get(id) ?? stored.get(id)
      const message = run?.message ?? messages.get(id)
      // One that came while the rows were read comes in the next turn.
      if (!asked.has(id) || (run !== undefined && message === undefined && knows(run.state, 'start')))
        this.#ready.push(one)
      else if (run === undefined || message === undefined || !knows(run.state, 'start')) continue
      else if (this.#isStopping || rows.size + begins.length >= ROWS_MAX || !lane.gate.enter()) this.#ready.push(one)
      else {
        lane.waitingRows.delete(id)
        const started = { ...startedRun(run, nowMs), message }
        rows.set(id, started)
        begins.push({ lane, run: started, message })
      }
    }
  }

  #takeMessages(lane: Lane, rows: Map<RunId, Run>, begins: Begin[], nowMs: number): void {
    if (this.#isStopping) return
    while (rows.size + begins.length < ROWS_MAX && lane.tail.length > 0) {
      if (lane.gate.free <= 0 || lane.waitingRows.size > lane.model.limits.queueMax) return
      const entry = lane.tail.shift() as JournalEntry
      lane.taken = entry.seq
      if (lane.knownBefore.delete(entry.seq)) continue
      lane.waiting--
      this.#takeMessage(lane, entry, rows, begins, nowMs)
    }
  }

  #takeMessage(lane: Lane, entry: JournalEntry, rows: Map<RunId, Run>, begins: Begin[], nowMs: number): void {
    if (entry.input.type !== 'message') return
    const { message } = entry.input
    const received = receivedRun(lane.model.name, entry.seq, entry.atMs, this.#keyOf(lane, message), message)
    const hasTurn = lane.join(received)
    if (!hasTurn || !lane.gate.enter()) {
      // Written down with its message, so that those behind it can go on.
      const [holder] = lane.chains.get(received.orderKey ?? '') ?? []
      rows.set(received.id, hasTurn || holder === undefined ? received : queuedBehind(received, holder, nowMs))
      lane.waitingRows.add(received.id)
      if (hasTurn) this.#ready.push({ lane, id: received.id })
      return
    }
    const started = startedRun(received, nowMs)
    if (lane.recordsStart(entry.seq)) rows.set(started.id, started)
    else lane.unrecorded.add(entry.seq)
    begins.push({ lane, run: started, message })
  }

  #keyOf(lane: Lane, message: Message): string | null {
    // What could not be taken holds up nobody, and often cannot be asked for its key.
    if (message.setAside !== undefined) return null
    try {
      return lane.model.orderKeyOf?.(message) ?? null
    } catch (error) {
      this.#options.log.log('warn', `${lane.model.name}: a message has no order key: ${String(error)}`)
      return ''
    }
  }

  /** Until it succeeds: nothing goes on without it, and nothing of it is lost. */
  async #commit(rows: readonly Run[]): Promise<void> {
    const last = this.#options.journal.last()
    const cursors = [...this.#lanes.values()].flatMap((lane) => {
      const position = lane.settled(last)
      const isFar = position - lane.cursor >= CURSOR_LAG_MAX
      return position > lane.cursor && (rows.length > 0 || isFar) ? [{ lane, flow: lane.model.name, position }] : []
    })
    if (rows.length + cursors.length === 0) return
    const batch = {
      epoch: this.#epoch,
      runs: rows,
      cursors: cursors.map(({ flow, position }) => ({ flow, position })),
    }
    while (!this.#killed) {
      try {
        await this.#options.runs.commit(batch)
        for (const { lane, position } of cursors) lane.cursor = position
        this.#committedMs = this.#options.clock.monotonicMs()
        return
      } catch (error) {
        const reason = SyncError.from(error)
        this.#options.log.log('error', `runs of flows cannot be written: ${reason.message}`, { code: reason.code })
        if (reason.handling === 'stop') {
          this.failed = reason
          this.kill()
        } else await this.#pause()
      }
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => this.#options.clock.timer(TROUBLE_PAUSE_MS, resolve))
  }

  /** A run that has no row yet: its beginning is not written down, or it has not begun. */
  async unwritten(id: RunId): Promise<Run | null> {
    for (const run of [...this.#attempts.runs(), ...this.#ended.map((ended) => ended.run)])
      if (run.id === id) return run
    const seq = Number(id)
    const { journal } = this.#options
    if (!Number.isSafeInteger(seq) || seq < 1 || seq > journal.last()) return null
    const [entry] = await journal.read(asJournalPosition(seq - 1), 1)
    if (entry?.seq !== seq || entry.input.type !== 'message') return null
    return receivedRun(entry.input.flow, entry.seq, entry.atMs, null, entry.input.message)
  }

  #armTimer(): void {
    const nextMs = this.#due.nextMs()
    this.#timer?.cancel()
    this.#timer = null
    if (nextMs === undefined || this.#killed) return
    const delayMs = Math.max(0, nextMs - this.#options.clock.monotonicMs())
    this.#timer = this.#options.clock.timer(delayMs, () => this.wake())
  }

  /** Begins nothing more; lets what is under way end and be written down, as long as `graceMs` allows. */
  async stop(graceMs: number): Promise<void> {
    const { clock } = this.#options
    this.#isStopping = true
    const deadlineMs = clock.monotonicMs() + graceMs
    while (!this.#killed && clock.monotonicMs() < deadlineMs && (this.underWay > 0 || this.#running !== null)) {
      this.wake()
      await new Promise<void>((resolve) => clock.timer(5, resolve))
    }
    this.#attempts.abort(new SyncError('intake.stopping', 'the hub is shutting down'))
    this.kill()
    await this.#running
  }

  /** Stops at once, as a crash would. */
  kill(): void {
    this.#killed = true
    this.#timer?.cancel()
    this.#attempts.kill()
  }
}

/** A cursor that moves without rows (all of it was over before) is written down at least this often. */
const CURSOR_LAG_MAX = 2_000
