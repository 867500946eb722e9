import type { Token } from '../../model/ids.ts'
import type { Clock } from '../../ports/clock.ts'

/**
 * Where our own writes stand in the log. A write's place is known only from the log itself, so an outcome waits until the log has shown its transaction: then its
 * token is exact, and whatever the log tells of the record before it is known to be older.
 */
export class OwnWrites {
  readonly #clock: Clock
  /** By op id: null until the log has shown it. Only ops of calls under way are in it. */
  readonly #expected = new Map<string, Token | null>()
  #waiting: { readonly ops: readonly string[]; readonly done: () => void }[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** To be called before the write leaves: the log may be faster than the reply. */
  expect(ops: readonly string[]): void {
    for (const op of ops) this.#expected.set(op, null)
  }

  /** The log shows a change that bears this mark. The first one of a write is its own, later ones in its transaction are a trigger's. */
  seen(op: string, token: Token): void {
    if (this.#expected.get(op) !== null) return
    this.#expected.set(op, token)
    if (this.#waiting.length > 0) this.#wake()
  }

  #wake(): void {
    const ready = this.#waiting.filter(({ ops }) => this.#areSeen(ops))
    if (ready.length === 0) return
    this.#waiting = this.#waiting.filter((one) => !ready.includes(one))
    for (const { done } of ready) done()
  }

  #areSeen = (ops: readonly string[]): boolean => ops.every((op) => this.#expected.get(op) !== null)

  /** Resolves when the log has shown all of them, or the time is over. */
  async settled(ops: readonly string[], timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (this.#areSeen(ops) || signal.aborted) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const one = { ops, done: resolve }
    this.#waiting.push(one)
    const timer = this.#clock.timer(timeoutMs, resolve)
    signal.addEventListener('abort', () => resolve(), { once: true })
    await promise
    timer.cancel()
    this.#waiting = this.#waiting.filter((other) => other !== one)
  }

  tokenOf(op: string): Token | undefined {
    return this.#expected.get(op) ?? undefined
  }

  forget(ops: readonly string[]): void {
    for (const op of ops) this.#expected.delete(op)
  }
}
