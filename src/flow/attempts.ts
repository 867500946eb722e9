import { SyncError } from '../errors/index.ts'
import { Deadlines } from '../lib/deadlines.ts'
import type { Attempt, Message, Run } from '../model/flow.ts'
import type { Clock } from '../ports/clock.ts'
import { type Context, type Effects, flowError } from './context.ts'
import { invoke, parked } from './invoke.ts'
import type { Lane } from './lane.ts'

/** A run whose beginning is decided. */
export interface Begin {
  readonly lane: Lane
  readonly run: Run
  readonly message: Message
}

export interface Ended extends Begin {
  readonly attempt: Attempt
}

/** One attempt under way. */
interface Live extends Begin {
  readonly startedMs: number
  readonly context: Context
  timedOut: SyncError | null
}

/** The attempts under way: the only place that calls the functions of flows for runs. */
export class Attempts {
  readonly #effects: Effects
  readonly #clock: Clock
  readonly #opPrefix: string
  readonly #onEnd: (ended: Ended) => void
  readonly #live = new Set<Live>()
  readonly #deadlinesByLane = new Map<Lane, Deadlines<Live>>()

  constructor(
    deps: { readonly effects: Effects; readonly clock: Clock; readonly opPrefix: string },
    lanes: Iterable<Lane>,
    onEnd: (ended: Ended) => void,
  ) {
    this.#effects = deps.effects
    this.#clock = deps.clock
    this.#opPrefix = deps.opPrefix
    this.#onEnd = onEnd
    for (const lane of lanes) {
      const { timeoutMs } = lane.model.limits
      this.#deadlinesByLane.set(lane, new Deadlines(deps.clock, timeoutMs, (live) => this.#late(live)))
    }
  }

  get size(): number {
    return this.#live.size
  }

  runs(): Run[] {
    return [...this.#live].map(({ run }) => run)
  }

  /** What an attempt of the run is told of itself. */
  given(run: Run): { id: Run['id']; name: string; attempt: number; receivedAtMs: number } {
    const name = `${this.#opPrefix}.f${run.id}`
    return { id: run.id, name, attempt: run.attempts, receivedAtMs: run.receivedAtMs }
  }

  /** HOT PATH. */
  start({ lane, run, message }: Begin): void {
    const { model } = lane
    const deadlines = this.#deadlinesByLane.get(lane) as Deadlines<Live>
    const startedMs = this.#clock.monotonicMs()
    // What was set aside at its door begins parked. Once a person has released it, it is a message like any other; its run has a code by then.
    const begin = message.setAside !== undefined && run.code === null ? parked : invoke
    const { context, result } = begin(this.#effects, model, message, null, this.given(run))
    const live: Live = { lane, run, message, startedMs, context, timedOut: null }
    this.#live.add(live)
    deadlines.add(live)
    const end = (attempt: Attempt): void => {
      if (!this.#live.delete(live)) return
      deadlines.delete(live)
      this.#end(live, attempt)
    }
    result.then(
      (value) => end({ ended: 'done', result: value }),
      (error: unknown) => end({ ended: 'failed', error: flowError(model.name, error) }),
    )
  }

  #end({ lane, run, message, startedMs, timedOut }: Live, attempt: Attempt): void {
    lane.gate.leave(this.#clock.monotonicMs() - startedMs)?.enter()
    const judged: Attempt =
      timedOut !== null && attempt.ended === 'failed' ? { ended: 'unknown', error: timedOut } : attempt
    this.#onEnd({ lane, run, message, attempt: judged })
  }

  /** The time of an attempt is up: it is told so, and has as long again to end. After that it is given up, and its end is not known. */
  #late(live: Live): void {
    const { lane, run } = live
    const { timeoutMs } = lane.model.limits
    if (live.timedOut === null) {
      live.timedOut = new SyncError('flow.timeout', `attempt ${run.attempts} has not ended within ${timeoutMs} ms`, {
        place: { flow: lane.model.name, run: run.id },
      })
      live.context.abort(live.timedOut)
      ;(this.#deadlinesByLane.get(lane) as Deadlines<Live>).add(live)
    } else if (this.#live.delete(live)) this.#end(live, { ended: 'unknown', error: live.timedOut })
  }

  /** Tells all that are under way to give up. */
  abort(reason: SyncError): void {
    for (const live of this.#live) live.context.abort(reason)
  }

  /** Forgets all that are under way: nobody hears of their ends. */
  kill(): void {
    this.#live.clear()
    for (const deadlines of this.#deadlinesByLane.values()) deadlines.clear()
  }
}
