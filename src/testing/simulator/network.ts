import type { Faults } from './faults.ts'
import type { World } from './world.ts'

/** How long the hub waits for an answer. */
export const TIMEOUT_MS = 2000
/** The latest that a request still takes effect after it was sent; within the fence of every profile. */
const LATE_MAX_MS = 6000
const OUTAGE_MAX_MS = 8500

/** What becomes of one request. Times are from when it is sent; null: never. */
export interface Fate {
  /** When it reaches the application. */
  readonly arrivesMs: number | null
  /** When the answer is back; null: the caller gives up at its time-out. */
  readonly answersMs: number | null
  /** The answer is a refusal without any effect. */
  readonly refusal: 'unreachable' | 'throttled' | 'server-error' | null
  readonly retryAfterMs: number | undefined
  /** The connection is cut after some items of a batch were done. */
  readonly isCut: boolean
  /** Updates are answered "not found" and have no effect, although the records are there. */
  readonly isMisled: boolean
}

/** The way between the hub and one application. */
export class Network {
  readonly #world: World
  readonly #faults: Faults
  readonly #outages: readonly { readonly fromMs: number; readonly toMs: number }[]

  constructor(world: World, faults: Faults, spanMs: number) {
    this.#world = world
    this.#faults = faults
    const hasOutage = faults.hit('outage')
    const fromMs = faults.int('outage', 0, spanMs)
    this.#outages = hasOutage ? [{ fromMs, toMs: fromMs + faults.int('outage', 500, OUTAGE_MAX_MS) }] : []
  }

  get isDown(): boolean {
    const now = this.#world.clock.monotonicMs()
    return this.#faults.isActive && this.#outages.some((outage) => now >= outage.fromMs && now < outage.toMs)
  }

  /** Draws the fate of a request; a `failable` one (a read) may also fail by itself. */
  fate(kind: 'write' | 'read'): Fate {
    const faults = this.#faults
    const thereMs = faults.hit('slow') ? faults.int('slow', 200, 1500) : faults.int('travel', 1, 8)
    const backMs = faults.int('travel', 1, 8)
    const fate = {
      arrivesMs: thereMs,
      answersMs: thereMs + backMs,
      refusal: null,
      retryAfterMs: undefined,
      isCut: false,
      isMisled: false,
    }
    if (this.isDown) return { ...fate, arrivesMs: null, refusal: 'unreachable' }
    if (faults.hit('drop')) return { ...fate, arrivesMs: null, answersMs: null }
    if (faults.hit('throttle')) {
      return { ...fate, arrivesMs: null, refusal: 'throttled', retryAfterMs: faults.int('throttle', 100, 3000) }
    }
    if (kind === 'read') return faults.hit('readFailure') ? { ...fate, arrivesMs: null, refusal: 'server-error' } : fate
    if (faults.hit('serverError')) return { ...fate, arrivesMs: null, refusal: 'server-error' }
    if (faults.hit('late')) return { ...fate, arrivesMs: faults.int('late', TIMEOUT_MS, LATE_MAX_MS), answersMs: null }
    if (faults.hit('replyLost')) return { ...fate, answersMs: null }
    if (faults.hit('falseGone')) return { ...fate, isMisled: true }
    return faults.hit('partial') ? { ...fate, isCut: true } : fate
  }
}
