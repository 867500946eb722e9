import { SyncError } from '../errors/index.ts'
import type { FlowModel, Message, Run, SetAside } from '../model/flow.ts'
import { type FlowName, type JournalPosition, type RunId, runIdOf } from '../model/ids.ts'
import type { Clock, Log, Random } from '../ports/clock.ts'
import type { Journal, NewEntry } from '../ports/journal.ts'
import type { Delivered, FlowDoor, FlowExecutor } from '../ports/listen.ts'
import type { RunStore } from '../ports/runs.ts'
import type { Effects } from './context.ts'
import { Gate } from './gate.ts'
import { checkedInput } from './invoke.ts'
import { Lane } from './lane.ts'
import { MessageTail } from './message-tail.ts'
import { overloaded, Replies, type Waiter } from './replies.ts'
import { Runner } from './runner.ts'

export interface FlowsOptions {
  readonly models: readonly FlowModel[]
  readonly runs: RunStore
  readonly journal: Journal
  /** Journals messages beside everything else that is journalled, and tells the fold that they are not its own. */
  readonly append: (entries: readonly NewEntry[]) => Promise<readonly (JournalPosition | null)[]>
  readonly effects: Omit<Effects, 'start' | 'log'>
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly mappingVersion: number
  /** `<instance>.<generation>`, known once the store is open. */
  readonly opPrefix: () => string
}

type Accepted = Delivered & { readonly kind: 'accepted' }

/** Messages kept in memory per flow ahead of their runs; more are read back from the journal. */
const TAIL_MAX = 2_000
const RUN_KEEP_MS = 30 * 86_400_000
const PRUNE_MAX = 5_000

/** The flows of a hub: the door for messages, and the runs behind it. */
export class Flows implements FlowDoor, FlowExecutor {
  readonly #options: FlowsOptions
  readonly #effects: Effects
  readonly #lanes = new Map<FlowName, Lane>()
  #runner: Runner | null = null
  #state: 'new' | 'open' | 'stopping' = 'new'

  constructor(options: FlowsOptions) {
    this.#options = options
    this.#effects = {
      ...options.effects,
      log: options.log,
      start: async (flow, message, once) => {
        const given = once === null ? message : { ...message, deliveryId: once }
        return (await this.execute(flow as FlowName, given)).run
      },
    }
  }

  /** Opens the run store, and takes up what was not over when the process before ended. */
  async start(): Promise<void> {
    const { models, runs, journal, clock, random, log, opPrefix } = this.#options
    const { epoch } = await runs.open()
    const before = journal.last()
    for (const model of models) {
      const cursor = await runs.cursor(model.name)
      const gate = new Gate<Waiter>(model.limits)
      const prefix = `${opPrefix()}.c${model.name}-${epoch}-`
      const replies = new Replies(this.#effects, model, clock, gate, prefix, () => this.#runner?.placeFree(lane))
      const lane: Lane = new Lane(
        model,
        gate,
        new MessageTail(journal, model.name, TAIL_MAX, cursor),
        replies,
        cursor,
        before,
      )
      this.#lanes.set(model.name, lane)
    }
    this.#runner = new Runner(this.#lanes, epoch, {
      runs,
      journal,
      effects: this.#effects,
      clock,
      random,
      log,
      opPrefix: opPrefix(),
    })
    await this.#runner.recover()
    this.#state = 'open'
  }

  get runner(): Runner {
    if (this.#runner === null) throw new SyncError('internal.bug', 'the flows were asked for before they were started')
    return this.#runner
  }

  /** Why the runs had to give up by themselves: a newer process has the run store. */
  get failed(): SyncError | null {
    return this.#runner?.failed ?? null
  }

  get runs(): RunStore {
    return this.#options.runs
  }

  get names(): readonly FlowName[] {
    return this.#options.models.map((model) => model.name)
  }

  /** The journal may be dropped up to here, as far as flows are concerned. */
  settled(): JournalPosition {
    const last = this.#options.journal.last()
    let least = last
    for (const lane of this.#lanes.values()) {
      const position = lane.isDrained ? last : lane.cursor
      if (position < least) least = position
    }
    return least
  }

  refusal(flow: FlowName): SyncError | null {
    if (this.#state !== 'open') return notOpen(this.#state)
    const lane = this.#lanes.get(flow)
    if (lane === undefined) return unknownFlow(flow, this.#lanes.keys())
    const isFull = lane.model.kind === 'reply' ? lane.gate.isFull : lane.isFull
    return isFull ? overloaded(lane.model, lane.gate) : null
  }

  async deliver(
    flow: FlowName,
    message: Message,
    signal: AbortSignal | null,
    _notes?: 'refusals' | 'none',
    text?: string,
  ): Promise<Delivered> {
    const lane = this.#open(flow)
    const filter = filteredBy(lane.model, message)
    if (filter !== null) return { kind: 'filtered', filter }
    if (lane.model.kind === 'reply') return { kind: 'replied', value: await lane.replies.call(message, signal) }
    return this.#accept(lane, message, text)
  }

  /** Who refuses is told by its own door; the flows keep nothing of it. */
  refused(): void {}

  /** Keeps a message that its flow cannot take, as a run that is parked from its beginning. */
  async setAside(flow: FlowName, message: Message & { readonly setAside: SetAside }): Promise<Accepted> {
    return this.#append(this.#open(flow), message)
  }

  /** Starts a flow whatever its kind, as a run that can be looked at; resolves when its message is durable. */
  async execute(flow: FlowName, message: Message): Promise<Accepted> {
    return this.#accept(this.#open(flow), message)
  }

  async #accept(lane: Lane, message: Message, text?: string): Promise<Accepted> {
    const { model } = lane
    // What can never run is refused while its sender is still there to hear it.
    if (model.fetch === null) await checkedInput(model, message.body, message.properties)
    return this.#append(lane, message, text)
  }

  async #append(lane: Lane, message: Message, text?: string): Promise<Accepted> {
    const { model } = lane
    if (lane.isFull) throw overloaded(model, lane.gate)
    const { clock, mappingVersion } = this.#options
    const entry: NewEntry = {
      shard: 0,
      atMs: clock.nowMs(),
      mappingVersion,
      input: { type: 'message', flow: model.name, message },
      dedupKey: message.deliveryId === undefined ? null : message.deliveryId,
      ...(text === undefined ? {} : { bodyText: text }),
    }
    lane.waiting++
    lane.appending++
    let seq: JournalPosition | null | undefined
    try {
      ;[seq] = await this.#options.append([entry])
    } catch (error) {
      lane.waiting--
      lane.tail.doubt()
      this.runner.wake()
      throw error
    } finally {
      lane.appending--
    }
    if (seq === null || seq === undefined) {
      lane.waiting--
      return { kind: 'accepted', run: null, duplicate: true }
    }
    this.runner.take(lane, {
      seq,
      shard: 0,
      atMs: entry.atMs,
      mappingVersion,
      input: entry.input,
    })
    return { kind: 'accepted', run: runIdOf(seq), duplicate: false }
  }

  model(flow: FlowName): FlowModel | undefined {
    return this.#lanes.get(flow)?.model
  }

  /** A run as it is now: also one whose message is durable and whose row is not written yet. */
  async run(id: RunId): Promise<Run | null> {
    const [found] = await this.#options.runs.runs([id])
    return found ?? this.runner.unwritten(id)
  }

  watch(id: RunId, callback: (run: Run) => void): () => void {
    return this.runner.watchers.watch(id, callback)
  }

  /** Callers and runs under way, and messages that wait, by flow. */
  load(): Readonly<Record<string, { readonly running: number; readonly callers: number; readonly waiting: number }>> {
    return Object.fromEntries(
      [...this.#lanes].map(([name, lane]) => [
        name,
        {
          running: lane.gate.running,
          callers: lane.gate.waiting,
          waiting: Math.max(0, lane.waiting) + lane.waitingRows.size,
        },
      ]),
    )
  }

  /** Forgets runs that have been over for long. */
  prune(): Promise<number> {
    return this.#options.runs.prune(this.#options.clock.nowMs() - RUN_KEEP_MS, PRUNE_MAX)
  }

  #open(flow: FlowName): Lane {
    if (this.#state !== 'open') throw notOpen(this.#state)
    const lane = this.#lanes.get(flow)
    if (lane === undefined) throw unknownFlow(flow, this.#lanes.keys())
    return lane
  }

  /** Takes nothing more; lets callers and runs under way end; closes the run store. */
  async stop(graceMs: number): Promise<void> {
    if (this.#state === 'stopping') return
    this.#state = 'stopping'
    const { clock, runs } = this.#options
    const deadlineMs = clock.monotonicMs() + graceMs
    const calls = (): number => [...this.#lanes.values()].reduce((sum, lane) => sum + lane.replies.underWay, 0)
    while (calls() > 0 && clock.monotonicMs() < deadlineMs)
      await new Promise<void>((resolve) => clock.timer(5, resolve))
    await this.#runner?.stop(Math.max(0, deadlineMs - clock.monotonicMs()))
    for (const lane of this.#lanes.values()) lane.replies.close()
    await runs.close()
  }

  /** Stops at once, as a crash would: for tests. */
  kill(): void {
    this.#state = 'stopping'
    this.#runner?.kill()
  }
}

/** The name of the first filter that does not want the message; null when all do. One that throws refuses it. */
function filteredBy({ name, filters }: FlowModel, message: Message): string | null {
  for (const [filter, passes] of filters) {
    try {
      if (!passes(message)) return filter
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      throw new SyncError('flow.input-invalid', `the filter ${filter} of ${name} cannot read the message: ${reason}.`, {
        place: { flow: name, filter },
        cause: error,
      })
    }
  }
  return null
}

const notOpen = (state: 'new' | 'stopping'): SyncError =>
  state === 'new'
    ? new SyncError('intake.overloaded', 'the hub is starting; send this again in a moment', { retryAfterMs: 1_000 })
    : new SyncError('intake.stopping', 'the hub is shutting down; send this again in a moment', { retryAfterMs: 1_000 })

const unknownFlow = (flow: string, known: Iterable<string>): SyncError =>
  new SyncError(
    'flow.unknown',
    `${flow.slice(0, 200)} is not a flow of this hub; it has ${[...known].join(', ') || 'none'}.`,
  )
