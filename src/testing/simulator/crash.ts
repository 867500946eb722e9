import type { FaultCounts } from './faults.ts'
import type { Rng } from './rng.ts'

/** Where the hub may die: before and after every step of I/O (docs/protocol.md section 5). */
export type CrashPoint = `${'before' | 'after'} ${'append' | 'commit' | 'write' | 'read' | 'feed' | 'ack'}`

/** More than this in one run says nothing new, and a run must end. */
const CRASHES_MAX = 6

/** One process of the hub. What belongs to it does nothing any more once it is dead: no call has effects, no answer comes, no timer fires. */
export class Life {
  readonly number: number
  readonly #dice: CrashDice
  readonly #onDeath: (life: Life, point: CrashPoint) => void
  isAlive = true

  constructor(number: number, dice: CrashDice, onDeath: (life: Life, point: CrashPoint) => void) {
    this.number = number
    this.#dice = dice
    this.#onDeath = onDeath
  }

  /** Passes a crash point; false when the process is dead, or dies here. */
  passes(point: CrashPoint): boolean {
    if (!this.isAlive) return false
    if (!this.#dice.falls(point)) return true
    this.#onDeath(this, point)
    return false
  }
}

export class CrashDice {
  readonly #rate: number
  readonly #random: Rng
  readonly #counts: FaultCounts
  /** How often the hub died at each point, so that a campaign can show that all were met. */
  readonly byPoint: Partial<Record<CrashPoint, number>> = {}
  isActive = true

  constructor(rate: number, counts: FaultCounts, random: Rng) {
    this.#rate = rate
    this.#counts = counts
    this.#random = random
  }

  falls(point: CrashPoint): boolean {
    if (!this.isActive || this.#rate === 0 || this.#counts.crash >= CRASHES_MAX) return false
    if (!this.#random.chance(this.#rate)) return false
    this.#counts.crash++
    this.byPoint[point] = (this.byPoint[point] ?? 0) + 1
    return true
  }
}

/** What a dead process gets instead of an answer. One of its own each time: a shared one would keep everything that ever waited for it, of all runs. */
export const never = <T>(): Promise<T> => new Promise<T>(() => {})
