import { SyncError } from '../errors/index.ts'
import { Deadlines } from '../lib/deadlines.ts'
import type { FlowModel, Message } from '../model/flow.ts'
import type { NativeData } from '../model/value.ts'
import type { Clock } from '../ports/clock.ts'
import type { Context, Effects, Input } from './context.ts'
import type { Gate } from './gate.ts'
import { checkedInput, invoke } from './invoke.ts'

/** One who waits for a free place. */
export interface Waiter {
  enter(): void
  giveUp(error: SyncError): void
}

interface Call {
  readonly context: Context
  readonly reject: (error: SyncError) => void
}

/**
 * Callers who wait for their reply (request/reply). Nothing here is written down: a caller who gets no answer knows that, and asks again. HOT PATH.
 */
export class Replies {
  readonly #effects: Effects
  readonly #model: FlowModel
  readonly #clock: Clock
  readonly #gate: Gate<Waiter>
  readonly #prefix: string
  readonly #onFree: () => void
  readonly #queueDeadlines: Deadlines<Waiter>
  readonly #deadlines: Deadlines<Call>
  /** Calls whose caller was answered and whose function has not ended: they keep their place this much longer. */
  readonly #graces: Deadlines<{ release: () => void }>
  #calls = 0

  constructor(
    effects: Effects,
    model: FlowModel,
    clock: Clock,
    gate: Gate<Waiter>,
    prefix: string,
    onFree: () => void,
  ) {
    this.#onFree = onFree
    const { queueTimeoutMs, timeoutMs } = model.limits
    this.#effects = effects
    this.#model = model
    this.#clock = clock
    this.#gate = gate
    this.#prefix = prefix
    this.#queueDeadlines = new Deadlines(clock, queueTimeoutMs, (waiter) => {
      if (gate.leaveQueue(waiter)) waiter.giveUp(this.#tooLong())
    })
    this.#deadlines = new Deadlines(clock, timeoutMs, (call) => {
      const error = new SyncError(
        'flow.timeout',
        `${model.name} has not answered within ${timeoutMs} ms. Whether it did its work is not known; ask again only if that is harmless.`,
        { place: { flow: model.name } },
      )
      call.reject(error)
      call.context.abort(error)
    })
    this.#graces = new Deadlines(clock, timeoutMs, (late) => late.release())
  }

  get underWay(): number {
    return this.#deadlines.size + this.#gate.waiting
  }

  async call(message: Message, signal: AbortSignal | null): Promise<NativeData> {
    const input = this.#model.fetch === null ? await checkedInput(this.#model, message.body, message.properties) : null
    if (!this.#gate.enter()) await this.#place(signal)
    return this.#run(message, input, signal)
  }

  #place(signal: AbortSignal | null): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter: Waiter = { enter: () => done(resolve), giveUp: (error) => done(() => reject(error)) }
      const gone = (): void => {
        if (this.#gate.leaveQueue(waiter)) waiter.giveUp(callerGone(this.#model))
      }
      const done = (then: () => void): void => {
        this.#queueDeadlines.delete(waiter)
        signal?.removeEventListener('abort', gone)
        then()
      }
      if (!this.#gate.wait(waiter)) {
        reject(overloaded(this.#model, this.#gate))
        return
      }
      this.#queueDeadlines.add(waiter)
      signal?.addEventListener('abort', gone)
    })
  }

  #run(message: Message, input: Input | null, signal: AbortSignal | null): Promise<NativeData> {
    const startedMs = this.#clock.monotonicMs()
    const number = ++this.#calls
    const { context, result } = invoke(this.#effects, this.#model, message, input, {
      id: null,
      name: `${this.#prefix}${number}`,
      attempt: 1,
      receivedAtMs: this.#clock.nowMs(),
    })
    return new Promise((resolve, reject) => {
      const call: Call = { context, reject: (error) => late(error) }
      const gone = signal === null ? null : (): void => context.abort(callerGone(this.#model))
      if (gone !== null) signal?.addEventListener('abort', gone)
      let holdsPlace = true
      const release = (): void => {
        if (!holdsPlace) return
        holdsPlace = false
        const next = this.#gate.leave(this.#clock.monotonicMs() - startedMs)
        if (next === undefined) this.#onFree()
        else next.enter()
      }
      const grace = { release }
      // Late: the caller is answered now, the function may still end within the grace; until then its place is taken.
      const late = (error: SyncError): void => {
        this.#graces.add(grace)
        reject(error)
      }
      const over = (): void => {
        this.#deadlines.delete(call)
        this.#graces.delete(grace)
        if (gone !== null) signal?.removeEventListener('abort', gone)
        release()
      }
      this.#deadlines.add(call)
      result.then(
        (value) => {
          over()
          resolve(value)
        },
        (error: unknown) => {
          over()
          reject(error)
        },
      )
    })
  }

  #tooLong(): SyncError {
    return new SyncError(
      'flow.queue-timeout',
      `no place became free for ${this.#model.name} within ${this.#model.limits.queueTimeoutMs} ms. Nothing was done; send it again after Retry-After.`,
      { place: { flow: this.#model.name }, retryAfterMs: this.#gate.retryAfterMs() },
    )
  }

  close(): void {
    this.#queueDeadlines.clear()
    this.#deadlines.clear()
    this.#graces.clear()
  }
}

export const overloaded = (model: FlowModel, gate: { retryAfterMs(): number }): SyncError =>
  new SyncError(
    'flow.overloaded',
    `${model.name} runs ${model.limits.concurrency} at once and ${model.limits.queueMax} wait already. Nothing was done; send it again after Retry-After.`,
    { place: { flow: model.name }, retryAfterMs: gate.retryAfterMs() },
  )

const callerGone = (model: FlowModel): SyncError =>
  new SyncError('flow.caller-gone', `the caller of ${model.name} has gone without waiting for the answer.`, {
    place: { flow: model.name },
  })
