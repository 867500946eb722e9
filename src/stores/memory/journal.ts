import type { JournalEntry } from '../../model/change.ts'
import {
  type AppId,
  asJournalPosition,
  type FeedPosition,
  type FlowName,
  type JournalPosition,
} from '../../model/ids.ts'
import type { Journal, JournalAppend, NewEntry } from '../../ports/journal.ts'
import { inputPlace } from '../input-place.ts'

export type MemoryJournalOperation = 'append' | 'read' | 'feed' | 'drop'

export interface MemoryJournalOptions {
  /** Called around every operation, and may throw. before: nothing is applied. after: it is applied, but the caller gets the error. */
  readonly fault?: (operation: MemoryJournalOperation, when: 'before' | 'after') => void
}

/**
 * The journal in memory, for tests and the simulator. As with the memory store, the object stands for the disk: it outlives the
 * engine that used it, and `close` forgets nothing. Every entry is a segment of its own to `drop`.
 */
export class MemoryJournal implements Journal {
  readonly #options: MemoryJournalOptions
  /** Entry `seq` stands at index seq - 1 - #dropped. */
  #entries: JournalEntry[] = []
  #dropped = 0
  readonly #seqByDedupKey = new Map<string, JournalPosition>()
  readonly #feeds = new Map<string, FeedPosition>()

  constructor(options: MemoryJournalOptions = {}) {
    this.#options = options
  }

  async append(batch: JournalAppend): Promise<readonly (JournalPosition | null)[]> {
    return this.#faulty('append', () => {
      const positions = batch.entries.map((entry) => this.#appendOne(entry))
      for (const { app, feed, position } of batch.feeds ?? []) this.#feeds.set(feedKey(app, feed), position)
      return positions
    })
  }

  async read(after: JournalPosition, max: number, flow?: FlowName): Promise<readonly JournalEntry[]> {
    return this.#faulty('read', () => {
      const start = Math.max(0, after - this.#dropped)
      if (flow !== undefined)
        return this.#entries
          .slice(start)
          .filter(({ input }) => input.type === 'message' && input.flow === flow)
          .slice(0, max)
      return this.#entries.slice(start, start + max)
    })
  }

  last(): JournalPosition {
    return asJournalPosition(this.#dropped + this.#entries.length)
  }

  async feed(app: AppId, feed: string): Promise<FeedPosition | null> {
    return this.#faulty('feed', () => this.#feeds.get(feedKey(app, feed)) ?? null)
  }

  async drop(through: JournalPosition, beforeMs: number): Promise<number> {
    return this.#faulty('drop', () => {
      const keep = this.#entries.findIndex((entry) => entry.seq > through || entry.atMs >= beforeMs)
      const count = keep < 0 ? this.#entries.length : keep
      this.#entries = this.#entries.slice(count)
      this.#dropped += count
      for (const [key, seq] of this.#seqByDedupKey) {
        if (seq > this.#dropped) break
        this.#seqByDedupKey.delete(key)
      }
      return count
    })
  }

  async close(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}

  #appendOne({ dedupKey, shard, atMs, mappingVersion, input }: NewEntry): JournalPosition | null {
    const seq = asJournalPosition(this.last() + 1)
    if (dedupKey !== null) {
      const { app, object } = inputPlace(input)
      const scoped = app + '\u0000' + object + '\u0000' + dedupKey
      if (this.#seqByDedupKey.has(scoped)) return null
      this.#seqByDedupKey.set(scoped, seq)
    }
    this.#entries.push({ seq, shard, atMs, mappingVersion, input })
    return seq
  }

  #faulty<T>(operation: MemoryJournalOperation, run: () => T): T {
    this.#options.fault?.(operation, 'before')
    const result = run()
    this.#options.fault?.(operation, 'after')
    return result
  }
}

const feedKey = (app: AppId, feed: string): string => app + '\u0000' + feed
