import type { Clock } from '../../ports/clock.ts'

export interface Timer {
  cancel(): void
}

class ScheduledEvent implements Timer {
  readonly timeMs: number
  readonly sequence: number
  callback: (() => void) | null

  constructor(timeMs: number, sequence: number, callback: () => void) {
    this.timeMs = timeMs
    this.sequence = sequence
    this.callback = callback
  }

  cancel(): void {
    this.callback = null
  }
}

export type StopReason = 'done' | 'empty' | 'limit'

/**
 * Virtual time. Events run in the order (time, sequence of scheduling), one at a time; between two of them every promise chain that the first one started
 * has settled. That holds because nothing in a simulated run does real I/O: all chains are microtasks, and each event has a turn of its own.
 */
export class VirtualClock implements Clock {
  /** Wall clock at virtual time 0; any fixed date will do. */
  static readonly EPOCH_MS = 1_750_000_000_000
  /** Turns that are queued with the event loop at once. One pass of the loop costs ten times as much as one turn; more than this gains nothing. */
  static readonly TURNS = 64

  #nowMs = 0
  #wallOffsetMs = 0
  #sequence = 0
  #heap: ScheduledEvent[] = []
  /** Events run so far: the measure of how much a run did. */
  events = 0

  nowMs(): number {
    return VirtualClock.EPOCH_MS + this.#nowMs + this.#wallOffsetMs
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  timer(delayMs: number, callback: () => void): Timer {
    if (Number.isNaN(delayMs)) throw new RangeError('a timer needs a number of milliseconds')
    return this.at(this.#nowMs + Math.max(0, delayMs), callback)
  }

  at(timeMs: number, callback: () => void): Timer {
    const event = new ScheduledEvent(Math.max(timeMs, this.#nowMs), this.#sequence++, callback)
    push(this.#heap, event)
    return event
  }

  /** The wall clock jumps, as when it is set; durations go on undisturbed. */
  jumpWall(byMs: number): void {
    this.#wallOffsetMs += byMs
  }

  /** Runs events until `isDone` (asked between events), until there are none, or until the next one lies beyond `limitMs`, to which time then advances. */
  run(limitMs: number, isDone: () => boolean): Promise<StopReason> {
    return new Promise((resolve, reject) => {
      let stopped = false
      let turnsQueued = 0
      const turn = (): void => {
        turnsQueued--
        if (stopped) return
        try {
          const reason = isDone() ? 'done' : this.#step(limitMs)
          if (reason !== undefined) {
            stopped = true
            resolve(reason)
            return
          }
        } catch (error) {
          stopped = true
          reject(error)
          return
        }
        if (turnsQueued === 0) queueTurns()
      }
      const queueTurns = (): void => {
        turnsQueued = VirtualClock.TURNS
        for (let i = 0; i < VirtualClock.TURNS; i++) setImmediate(turn)
      }
      queueTurns()
    })
  }

  #step(limitMs: number): StopReason | undefined {
    for (;;) {
      const event = this.#heap[0]
      if (event === undefined) return 'empty'
      if (event.callback !== null && event.timeMs > limitMs) {
        this.#nowMs = Math.max(this.#nowMs, limitMs)
        return 'limit'
      }
      pop(this.#heap)
      if (event.callback === null) continue
      this.#nowMs = event.timeMs
      this.events++
      event.callback()
      return undefined
    }
  }
}

const isBefore = (a: ScheduledEvent, b: ScheduledEvent): boolean =>
  a.timeMs < b.timeMs || (a.timeMs === b.timeMs && a.sequence < b.sequence)

function push(heap: ScheduledEvent[], event: ScheduledEvent): void {
  let at = heap.length
  heap.push(event)
  while (at > 0) {
    const up = (at - 1) >> 1
    const parent = heap[up] as ScheduledEvent
    if (!isBefore(event, parent)) break
    heap[at] = parent
    at = up
  }
  heap[at] = event
}

function pop(heap: ScheduledEvent[]): void {
  const last = heap.pop()
  if (last === undefined || heap.length === 0) return
  let at = 0
  for (;;) {
    let child = 2 * at + 1
    if (child >= heap.length) break
    if (child + 1 < heap.length && isBefore(heap[child + 1] as ScheduledEvent, heap[child] as ScheduledEvent)) child++
    const smaller = heap[child] as ScheduledEvent
    if (!isBefore(smaller, last)) break
    heap[at] = smaller
    at = child
  }
  heap[at] = last
}
