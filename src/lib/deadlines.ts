interface Timers {
  monotonicMs(): number
  timer(delayMs: number, callback: () => void): { cancel(): void }
}

/**
 * Time limits of one length for many things at once: one timer instead of one each. What is added first is due first, so nothing has to be sorted.
 */
export class Deadlines<T> {
  readonly #timers: Timers
  readonly #lengthMs: number
  readonly #expire: (item: T) => void
  readonly #dueMs = new Map<T, number>()
  #timer: { cancel(): void } | null = null

  constructor(timers: Timers, lengthMs: number, expire: (item: T) => void) {
    this.#timers = timers
    this.#lengthMs = lengthMs
    this.#expire = expire
  }

  get size(): number {
    return this.#dueMs.size
  }

  add(item: T): void {
    this.#dueMs.set(item, this.#timers.monotonicMs() + this.#lengthMs)
    this.#timer ??= this.#timers.timer(this.#lengthMs, () => this.#run())
  }

  /** In time. The timer runs on: it finds nothing, or the next one. */
  delete(item: T): void {
    this.#dueMs.delete(item)
  }

  /** Lets go of the timer and of everything. */
  clear(): void {
    this.#timer?.cancel()
    this.#timer = null
    this.#dueMs.clear()
  }

  #run(): void {
    const nowMs = this.#timers.monotonicMs()
    this.#timer = null
    for (const [item, dueMs] of this.#dueMs) {
      if (dueMs > nowMs) {
        this.#timer ??= this.#timers.timer(Math.max(1, dueMs - nowMs), () => this.#run())
        return
      }
      this.#dueMs.delete(item)
      this.#expire(item)
    }
  }
}
