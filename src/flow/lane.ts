import type { FlowModel, Run } from '../model/flow.ts'
import { asJournalPosition, type JournalPosition, type RunId } from '../model/ids.ts'
import type { Gate } from './gate.ts'
import type { MessageTail } from './message-tail.ts'
import type { Replies, Waiter } from './replies.ts'

/**
 * What the runner holds in memory of one flow. All of it is rebuilt from the run store and the journal after a restart.
 *
 * Invariants: a run of an order key starts only when it is the first of its chain; the cursor never passes a message that has neither a row nor an end that is written down.
 */
export class Lane {
  readonly model: FlowModel
  readonly gate: Gate<Waiter>
  readonly tail: MessageTail
  readonly replies: Replies
  /** Messages up to here may have been begun by the process before. */
  readonly before: JournalPosition
  /** By order key, the runs that are not over, oldest first; the first one has its turn. Those behind it stand in the store. */
  readonly chains = new Map<string, RunId[]>()
  /** Runs under way whose beginning is not written down: the cursor stays before them. In the order of the journal. */
  readonly unrecorded = new Set<JournalPosition>()
  /** Beyond `cursor`, and with a row: met again in the journal after a crash, they are not run again. */
  readonly knownBefore = new Set<JournalPosition>()
  /** The last message taken. */
  taken: JournalPosition
  /** As it is written down. */
  cursor: JournalPosition
  /** Messages that are acknowledged or about to be, and have not begun; for admission only. */
  waiting = 0
  /** Appends under way: what they bring is not in the tail yet. */
  appending = 0
  /** Rows that wait for a later attempt or behind another run. */
  readonly waitingRows = new Set<RunId>()

  constructor(
    model: FlowModel,
    gate: Gate<Waiter>,
    tail: MessageTail,
    replies: Replies,
    cursor: JournalPosition,
    before: JournalPosition,
  ) {
    this.model = model
    this.gate = gate
    this.tail = tail
    this.replies = replies
    this.taken = cursor
    this.cursor = cursor
    this.before = before
  }

  /** Whether one more message would be one too many. */
  get isFull(): boolean {
    return (
      Math.max(0, this.waiting) + this.waitingRows.size >= this.model.limits.queueMax + this.model.limits.concurrency
    )
  }

  /** Whether the beginning of a run is written down before it begins: where it matters that it may have begun, and where it may be what ended the process before. */
  recordsStart(seq: JournalPosition): boolean {
    return this.model.inDoubt !== 'rerun' || seq <= this.before
  }

  /** Nothing of it is under way without a row, waits, or is about to be appended. */
  get isDrained(): boolean {
    return this.unrecorded.size === 0 && this.appending === 0 && !this.tail.mayHaveMore
  }

  /** Up to where everything is written down; `last` is the journal's last position. */
  settled(last: JournalPosition): JournalPosition {
    if (this.isDrained) return last
    const first = this.unrecorded.values().next().value
    return first === undefined ? this.taken : asJournalPosition(first - 1)
  }

  /** Takes a run into the chain of its key. True when it has its turn. */
  join(run: Run): boolean {
    if (run.orderKey === null) return true
    const chain = this.chains.get(run.orderKey)
    if (chain === undefined) this.chains.set(run.orderKey, [run.id])
    else chain.push(run.id)
    return chain === undefined
  }

  /** Lets the next of its key have its turn, when this one is over or no longer holds the others. */
  pass(run: Run): RunId | undefined {
    if (run.orderKey === null) return undefined
    const chain = this.chains.get(run.orderKey)
    if (chain === undefined || chain[0] !== run.id) {
      const at = chain?.indexOf(run.id) ?? -1
      if (at > 0) chain?.splice(at, 1)
      return undefined
    }
    chain.shift()
    if (chain.length === 0) this.chains.delete(run.orderKey)
    return chain[0]
  }
}
