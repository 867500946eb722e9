import type { JournalEntry } from '../model/change.ts'
import { asJournalPosition, type FlowName, type JournalPosition } from '../model/ids.ts'
import type { Journal } from '../ports/journal.ts'

/**
 * The messages of one flow that it has not taken yet, oldest first. The newest are kept in memory as they are appended; what does not fit, or was there before this process,
 * is read back from the journal when its turn comes.
 */
export class MessageTail {
  readonly #journal: Journal
  readonly #flow: FlowName
  readonly #max: number
  #entries: JournalEntry[] = []
  #at = 0
  /** Everything up to here was taken or stands in memory. */
  #through: JournalPosition
  /** Nothing between `#through` and what will be pushed next is missing. */
  #isWhole = false

  constructor(journal: Journal, flow: FlowName, max: number, after: JournalPosition) {
    this.#journal = journal
    this.#flow = flow
    this.#max = max
    this.#through = after
  }

  get length(): number {
    return this.#entries.length - this.#at
  }

  /** There may be something to take. */
  get mayHaveMore(): boolean {
    return this.length > 0 || !this.#isWhole
  }

  push(entry: JournalEntry): void {
    if (entry.seq <= this.#through) return
    if (!this.#isWhole || this.length >= this.#max) {
      this.#isWhole = false
      return
    }
    this.#entries.push(entry)
    this.#through = entry.seq
  }

  /** An append failed, and what it brought may be in the journal all the same. */
  doubt(): void {
    this.#isWhole = false
  }

  /** The oldest one; undefined when memory has none. */
  shift(): JournalEntry | undefined {
    const entry = this.#entries[this.#at]
    if (entry === undefined) return undefined
    this.#entries[this.#at] = undefined as unknown as JournalEntry
    if (++this.#at >= 1_024 || this.#at === this.#entries.length) {
      this.#entries = this.#entries.slice(this.#at)
      this.#at = 0
    }
    return entry
  }

  /** Reads from the journal what memory lacks. */
  async fill(): Promise<void> {
    if (this.#isWhole || this.length > 0) return
    const last = this.#journal.last()
    const read = await this.#journal.read(this.#through, this.#max, this.#flow)
    for (const entry of read) this.#entries.push(entry)
    const newest = read.at(-1)
    if (read.length < this.#max) {
      // Appends that were pushed meanwhile were not taken; they lie beyond `last`, and are read in the next round.
      this.#through = asJournalPosition(Math.max(last, newest?.seq ?? 0))
      this.#isWhole = this.#journal.last() === last
    } else this.#through = (newest as JournalEntry).seq
  }
}
