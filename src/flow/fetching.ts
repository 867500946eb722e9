import { SyncError } from '../errors/index.ts'
import type { FetchModel } from '../model/flow.ts'
import type { NativeRecord } from '../model/value.ts'
import type { Clock } from '../ports/clock.ts'

/** Reads one record; null when it is not there. Rejects with SyncError. */
export type ReadRecord = (fetch: FetchModel, id: string, signal: AbortSignal) => Promise<NativeRecord | null>

/** Tries of one read, and the pause after the first; what does not come back within is for the run's own retries, or the caller's. */
const TRIES_MAX = 3
const PAUSE_MS = 100
/** Records remembered for `everyMs`; the oldest go first. */
const REMEMBERED_MAX = 1_000

interface Asked {
  readonly record: Promise<NativeRecord | null>
  /** When it was answered (monotonic); null while it is under way. */
  answeredMs: number | null
}

/**
 * Fetches what lightweight messages name. Messages that name a record which is being read share that read, unless they came after it had begun; so a burst
 * costs two reads at the most, and nobody gets a record older than the message that asked.
 */
export class Fetching {
  readonly #read: ReadRecord
  readonly #clock: Clock
  readonly #asked = new Map<string, Asked>()
  /** The one read that waits until the one under way has ended, for all that came meanwhile. */
  readonly #next = new Map<string, Promise<NativeRecord | null>>()

  constructor(read: ReadRecord, clock: Clock) {
    this.#read = read
    this.#clock = clock
  }

  fetch(fetch: FetchModel, id: string, signal: AbortSignal): Promise<NativeRecord | null> {
    const name = `${fetch.app}\u0000${fetch.object}\u0000${id}`
    const known = this.#asked.get(name)
    if (known === undefined) return this.#ask(name, fetch, id)
    if (known.answeredMs !== null) {
      if (this.#clock.monotonicMs() - known.answeredMs < fetch.everyMs) return known.record
      return this.#ask(name, fetch, id)
    }
    if (signal.aborted) return Promise.reject(SyncError.from(signal.reason))
    const waiting = this.#next.get(name)
    if (waiting !== undefined) return waiting
    const again = async (): Promise<NativeRecord | null> => {
      await known.record.catch(() => null)
      this.#next.delete(name)
      return this.#ask(name, fetch, id)
    }
    const next = again()
    this.#next.set(name, next)
    return next
  }

  #ask(name: string, fetch: FetchModel, id: string): Promise<NativeRecord | null> {
    const asked: Asked = { record: this.#tried(fetch, id), answeredMs: null }
    this.#asked.delete(name)
    this.#asked.set(name, asked)
    const ended = (keep: boolean): void => {
      asked.answeredMs = this.#clock.monotonicMs()
      if (this.#asked.get(name) === asked && (!keep || fetch.everyMs === 0)) this.#asked.delete(name)
      if (this.#asked.size > REMEMBERED_MAX) this.#forgetOldest()
    }
    asked.record.then(
      () => ended(true),
      () => ended(false),
    )
    return asked.record
  }

  #forgetOldest(): void {
    for (const [name, { answeredMs }] of this.#asked) {
      if (answeredMs === null) continue
      this.#asked.delete(name)
      return
    }
  }

  /** The read belongs to nobody alone, so no caller's signal ends it; the connector has its own time limit. */
  async #tried(fetch: FetchModel, id: string): Promise<NativeRecord | null> {
    const { signal } = new AbortController()
    for (let tries = 1; ; tries++) {
      try {
        return await this.#read(fetch, id, signal)
      } catch (error) {
        const reason = SyncError.from(error)
        if (reason.handling !== 'retry' || tries >= TRIES_MAX) throw reason
        await new Promise<void>((resolve) => this.#clock.timer(PAUSE_MS * 3 ** (tries - 1), resolve))
      }
    }
  }
}
