import type { Rng } from './rng.ts'

/** Every way in which the world around the hub misbehaves, with the rate that docs/protocol.md section 8 tries. */
export const FAULT_RATES = {
  /** A request or notification never arrives; its sender waits for its time-out. */
  drop: 0.03,
  /** It is applied after the caller has given up. */
  late: 0.02,
  /** Answered 5xx before any effect. */
  serverError: 0.05,
  /** Applied, but the answer is lost. */
  replyLost: 0.04,
  slow: 0.05,
  /** Answered 429 with a time to wait. */
  throttle: 0.02,
  duplicate: 0.2,
  reorder: 0.3,
  /** The notification was taken, its acknowledgement is lost. */
  ackLost: 0.03,
  /** Some items of a batch are done, then the connection is cut. */
  partial: 0.05,
  /** An update is answered "not found", although the record is there (a replica that lags, a permission that is being changed). */
  falseGone: 0.01,
  /** A read or a page of a feed fails. */
  readFailure: 0.04,
  /** Per application and run: it is unreachable for up to 8.5 s. */
  outage: 0.7,
  /** Store and journal take time, so that more happens meanwhile. */
  diskDelay: 1,
  /** Per commit that a death cut off: it arrives at the store later, when the next process may have opened it. */
  lateCommit: 0.5,
  /** Per run: the hub is stopped and started again, in good order. */
  restart: 0.3,
  /** Per run: the hub's wall clock jumps by up to a day, forth or back. */
  clockJump: 0.15,
  /** Per step of I/O: the hub dies. */
  crash: 0.004,
} as const

export type FaultName = keyof typeof FAULT_RATES
export const FAULT_NAMES = Object.keys(FAULT_RATES) as FaultName[]

export type FaultRates = Readonly<Record<FaultName, number>>

/** Each class is on in 60 % of the runs, at a rate of its own (swarm): rare combinations come about that a fixed mix would never give. */
export function drawFaultRates(random: Rng, off: ReadonlySet<string>): FaultRates {
  const rates = {} as Record<FaultName, number>
  const calm = random.chance(0.08)
  for (const name of FAULT_NAMES) {
    const own = random.fork(name)
    const isOn = own.chance(0.6) && !calm && !off.has(name)
    rates[name] = isOn ? Math.min(1, FAULT_RATES[name] * (0.5 + own.next())) : 0
  }
  return rates
}

/** How often each class struck, over all applications of a run. */
export type FaultCounts = Record<FaultName, number>

export const noFaults = (): FaultCounts => Object.fromEntries(FAULT_NAMES.map((name) => [name, 0])) as FaultCounts

/** The dice of one application. Each class has a stream of its own, so that switching one off does not shift the others. */
export class Faults {
  readonly #rates: FaultRates
  readonly #counts: FaultCounts
  readonly #random: Rng
  readonly #streams = new Map<string, Rng>()
  /** Turned off when the users have stopped: what is under way still ends as it was drawn. */
  isActive = true

  constructor(rates: FaultRates, counts: FaultCounts, random: Rng) {
    this.#rates = rates
    this.#counts = counts
    this.#random = random
  }

  hit(name: FaultName): boolean {
    const rate = this.#rates[name]
    if (rate === 0 || !this.isActive || !this.#stream(name).chance(rate)) return false
    this.#counts[name]++
    return true
  }

  int(stream: string, low: number, high: number): number {
    return this.#stream(stream).int(low, high)
  }

  #stream(name: string): Rng {
    let stream = this.#streams.get(name)
    if (stream === undefined) {
      stream = this.#random.fork(name)
      this.#streams.set(name, stream)
    }
    return stream
  }
}
