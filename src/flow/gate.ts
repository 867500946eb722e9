/**
 * How many of a flow's callers run, how many wait, and who is told to come back. Bounded on both sides; counts only, so that it is cheap on the hot
 * path. What waits is served in the order of arrival.
 */
export class Gate<Waiter> {
  readonly #concurrency: number
  readonly #queueMax: number
  readonly #waiting = new Set<Waiter>()
  #running = 0
  /** How long runs take, smoothed; for an honest Retry-After. */
  #meanMs = 0

  constructor(limits: { readonly concurrency: number; readonly queueMax: number }) {
    this.#concurrency = limits.concurrency
    this.#queueMax = limits.queueMax
  }

  get running(): number {
    return this.#running
  }

  get waiting(): number {
    return this.#waiting.size
  }

  get free(): number {
    return this.#concurrency - this.#running
  }

  /** True when there is no place to run and none to wait. */
  get isFull(): boolean {
    return this.#running >= this.#concurrency && this.#waiting.size >= this.#queueMax
  }

  /** Takes a place to run. Those who wait come first. */
  enter(): boolean {
    if (this.#running >= this.#concurrency || this.#waiting.size > 0) return false
    this.#running++
    return true
  }

  /** False when too many wait already. */
  wait(waiter: Waiter): boolean {
    if (this.#waiting.size >= this.#queueMax) return false
    this.#waiting.add(waiter)
    return true
  }

  /** A waiter that gives up. */
  leaveQueue(waiter: Waiter): boolean {
    return this.#waiting.delete(waiter)
  }

  /** The one that has waited longest. */
  get oldest(): Waiter | undefined {
    return this.#waiting.values().next().value
  }

  /** A run has ended; its place passes to the one that has waited longest, who is returned. */
  leave(tookMs: number): Waiter | undefined {
    this.#meanMs += (tookMs - this.#meanMs) / 16
    const next = this.oldest
    if (next === undefined) this.#running--
    else this.#waiting.delete(next)
    return next
  }

  /** When a place is likely to be free for one who comes now: at least a second, so that a crowd does not come back at once. */
  retryAfterMs(): number {
    const rounds = (this.#waiting.size + 1) / this.#concurrency
    return Math.min(60_000, Math.max(1_000, Math.ceil(rounds * this.#meanMs)))
  }
}
