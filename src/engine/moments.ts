import type { Clock } from '../ports/clock.ts'

/** A wall clock that jumped back must not make a lane wait longer than the longest honest pause. */
const MAX_WAIT_MS = 15 * 60_000
/** Under load so much may lie between an answer and what is decided on it. */
const JUST_NOW_MS = 2_000
/** Both clocks tick in steps of their own; what they part by beyond that is a clock that was set. */
const CLOCKS_PART_MS = 5

/**
 * Moments of the wall clock, as records hold them, in the monotonic one, by which waits are timed. The same moment is the same instant from one call to the next, unless a
 * clock was set meanwhile: so what waits for one moment is due together, and goes in one call.
 */
export class Moments {
  readonly #clock: Clock
  /** What the monotonic clock is ahead of the other. */
  #aheadMs = Number.NEGATIVE_INFINITY

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * When `wallMs` is by the monotonic clock: not in the past, and not further away than the longest pause. `sinceMs` is when the wait began: where that is not just now, the wall clock was set
   * meanwhile, and the wait lasts as long as was meant.
   */
  dueMs(wallMs: number, sinceMs: number): number {
    const nowMs = this.#clock.monotonicMs()
    const atMs = this.#clock.nowMs()
    if (!isJustNow(sinceMs, atMs)) return Math.min(Math.max(nowMs, nowMs + wallMs - sinceMs), nowMs + MAX_WAIT_MS)
    const aheadMs = nowMs - atMs
    if (aheadMs > this.#aheadMs || this.#aheadMs - aheadMs > CLOCKS_PART_MS) this.#aheadMs = Math.ceil(aheadMs)
    return Math.min(Math.max(nowMs, wallMs + this.#aheadMs), nowMs + MAX_WAIT_MS)
  }
}

/** Whether a time of the wall clock is the present one, and the clock was not set since. */
export const isJustNow = (wallMs: number, nowMs: number): boolean => wallMs <= nowMs && nowMs - wallMs <= JUST_NOW_MS
