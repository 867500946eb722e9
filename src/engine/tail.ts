import type { JournalEntry } from '../model/change.ts'
import { asJournalPosition, type JournalPosition } from '../model/ids.ts'
import type { Journal, NewEntry } from '../ports/journal.ts'

/** Messages passed over before one goes through the fold all the same, so that the cursor is written: a restart reads no more of them again. */
const STEPPED_OVER_MAX = 5_000

/**
 * The journal's newest entries, kept in memory ahead of the fold in journal order, without gaps. What does not fit, or came while there was a gap, is read back from
 * the journal when its turn comes.
 */
export class Tail {
  readonly #journal: Journal
  readonly #max: number
  #entries: JournalEntry[] = []
  /** Entries before this are taken: what is left is not moved for each that goes. */
  #taken = 0
  /** The next position that belongs at the end. */
  #nextSeq = 1
  #steppedOver = 0

  constructor(journal: Journal, max: number) {
    this.#journal = journal
    this.#max = max
  }

  get length(): number {
    return this.#entries.length - this.#taken
  }

  /** Nothing is left to take, in memory or in the journal. */
  get isEmpty(): boolean {
    return this.length === 0 && this.#nextSeq > this.#journal.last()
  }

  /** Forgets what is in memory and goes on after `position`. */
  restart(position: JournalPosition): void {
    this.#entries = []
    this.#taken = 0
    this.#nextSeq = position + 1
  }

  push(entry: JournalEntry): void {
    if (entry.seq !== this.#nextSeq || this.length >= this.#max) return
    this.#entries.push(entry)
    this.#nextSeq = entry.seq + 1
  }

  /** Passes over appended messages as far as nothing is before them after `cursor`, which it gives back moved on; the others come with what is before them. */
  stepOver(
    entries: readonly NewEntry[],
    positions: readonly (JournalPosition | null)[],
    cursor: JournalPosition,
  ): JournalPosition {
    let at = cursor
    for (const [i, seq] of positions.entries()) {
      if (seq === null) continue
      const isNext = seq === at + 1 && seq === this.#nextSeq && this.length === 0
      if (isNext && ++this.#steppedOver % STEPPED_OVER_MAX !== 0) {
        this.#nextSeq = seq + 1
        at = seq
      } else this.push({ seq, ...(entries[i] as NewEntry) })
    }
    return at
  }

  /** Up to `max` entries in order, and more where a source transaction would be split; from the journal when memory has none. */
  take(max: number): JournalEntry[] | Promise<JournalEntry[]> {
    const entries = this.#next(max)
    if (entries instanceof Promise) return entries.then((read) => this.#wholeTx(read))
    return openTx(entries.at(-1)) === undefined ? entries : this.#wholeTx(entries)
  }

  async #wholeTx(entries: JournalEntry[]): Promise<JournalEntry[]> {
    for (let open = openTx(entries.at(-1)); open !== undefined && entries.length < TX_MAX; ) {
      const [next] = await this.#next(1)
      if (next === undefined) break
      entries.push(next)
      // A feed's page is one append, so what belongs together stands together.
      open = txOf(next)?.id === open ? openTx(next) : undefined
    }
    return entries
  }

  #next(max: number): JournalEntry[] | Promise<JournalEntry[]> {
    if (this.length === 0 && this.#nextSeq <= this.#journal.last()) return this.#readBack(max)
    return this.#takeEntries(max)
  }

  async #readBack(max: number): Promise<JournalEntry[]> {
    const entries = await this.#journal.read(asJournalPosition(this.#nextSeq - 1), max)
    if (this.length === 0) for (const entry of entries) this.push(entry)
    return this.#takeEntries(max)
  }

  #takeEntries(max: number): JournalEntry[] {
    const from = this.#taken
    const entries = this.#entries.slice(from, from + max)
    this.#taken += entries.length
    if (this.#taken === this.#entries.length) {
      this.#entries = []
      this.#taken = 0
    } else if (this.#taken >= FORGET_TAKEN) {
      this.#entries.splice(0, this.#taken)
      this.#taken = 0
    }
    return entries
  }
}

/** So many taken entries are let go of at once. */
const FORGET_TAKEN = 1_024

/** A source transaction larger than this is split, visibly: its rest stands in the next commit. */
const TX_MAX = 10_000

const txOf = ({ input }: JournalEntry) => (input.type === 'notification' ? input.change.sourceTx : undefined)

/** The transaction that an entry leaves open. */
function openTx(entry: JournalEntry | undefined): string | undefined {
  const tx = entry === undefined ? undefined : txOf(entry)
  return tx?.last === false ? tx.id : undefined
}
