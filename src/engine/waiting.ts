import { isLostWhenUnknown } from '../deliver/plan.ts'
import { isLogFed } from '../model/capabilities.ts'
import { compareTokens } from '../model/ids.ts'
import { type HeldState, letsGo } from '../model/state/held-state.ts'
import type { Prepared } from './prepared.ts'

/** Why entries of one native record wait: a name that is released as a whole, e.g. `lane:<key>/<app>`. */
export type WaitReason = string

interface Queue {
  readonly entries: Prepared[]
  reasons: readonly WaitReason[]
  /** How it waits: src/model/state/held-state.ts says what lets it go. */
  readonly state: HeldState
}

/**
 * Entries that cannot be folded yet, in journal order per native record: a later entry of the same record waits behind an earlier one, entries of
 * other records do not. The durable ones also stand in the store's held entries; the others keep the cursor back.
 */
export class WaitingRoom {
  readonly #queues = new Map<string, Queue>()
  readonly #byReason = new Map<WaitReason, Set<string>>()
  readonly #volatile = new Set<Prepared>()
  #released: Prepared[] = []

  get size(): number {
    return this.#queues.size
  }

  /** Waiting entries that stand in memory only. */
  get volatile(): ReadonlySet<Prepared> {
    return this.#volatile
  }

  /** True when the entry must queue behind an earlier one of its record; it then does. Entries that could not be folded are superseded by a newer state. */
  behind(entry: Prepared): { readonly queued: boolean; readonly superseded: readonly Prepared[] } {
    const queue = this.#queues.get(entry.ref)
    if (queue === undefined) return this.#behindReleased(entry)
    const isKept = queue.entries.some(isLastTrace)
    const event = entry.kind === 'deleted' ? 'deleted' : 'superseded'
    if (!isKept && letsGo(queue.state, event) && queue.entries.every((older) => supersedes(entry, older))) {
      this.#drop(entry.ref, queue)
      return { queued: false, superseded: queue.entries }
    }
    if (letsGo(queue.state, 'superseded') && queue.entries.some((older) => isOlderState(entry, older)))
      return { queued: true, superseded: [entry] }
    queue.entries.push(entry)
    if (!entry.durable) this.#volatile.add(entry)
    return { queued: true, superseded: [] }
  }

  /** Earlier entries of the record have been let go and not been taken yet: it follows them. */
  #behindReleased(entry: Prepared): { readonly queued: boolean; readonly superseded: readonly Prepared[] } {
    if (this.#released.length === 0 || !this.#released.some((earlier) => earlier.ref === entry.ref)) return NOT_BEHIND
    this.#released.push(entry)
    return { queued: true, superseded: EMPTY }
  }

  /** Makes an entry the first of its record's queue. */
  wait(entry: Prepared, reasons: readonly WaitReason[], state: HeldState = 'queued'): void {
    const queue = this.#queues.get(entry.ref)
    if (queue === undefined)
      this.#queues.set(entry.ref, {
        entries: [entry],
        reasons,
        state,
      })
    else queue.entries.push(entry)
    if (!entry.durable) this.#volatile.add(entry)
    if (queue !== undefined) return
    for (const reason of reasons) {
      let refs = this.#byReason.get(reason)
      if (refs === undefined) this.#byReason.set(reason, (refs = new Set()))
      refs.add(entry.ref)
    }
  }

  /** Lets go of every queue that waits for this reason; `takeReleased` gives their entries. */
  release(reason: WaitReason): void {
    const refs = this.#byReason.get(reason)
    if (refs === undefined) return
    for (const ref of [...refs]) {
      const queue = this.#queues.get(ref)
      if (queue === undefined) continue
      this.#drop(ref, queue)
      for (const entry of queue.entries) this.#released.push(entry)
    }
  }

  /** Lets go of one record's queue, if it waits for this reason. */
  releaseRef(ref: string, reason: WaitReason): void {
    const queue = this.#queues.get(ref)
    if (queue === undefined || !queue.reasons.includes(reason)) return
    this.#drop(ref, queue)
    this.#released.push(...queue.entries)
  }

  /** Lets go of the parked queue that begins with the entry at this journal position. */
  releaseParked(seq: number): boolean {
    for (const [ref, queue] of this.#queues) {
      if (!letsGo(queue.state, 'replayed') || queue.entries[0]?.seq !== seq) continue
      this.#drop(ref, queue)
      this.#released.push(...queue.entries)
      return true
    }
    return false
  }

  /** Takes out the entries of a record that a read answers: what was told before it began, is in what it found. */
  takeAnswered(ref: string, begunAfter: number): readonly Prepared[] {
    const queue = this.#queues.get(ref)
    if (queue === undefined || !letsGo(queue.state, 'answered')) return EMPTY
    const answered = queue.entries.filter((entry) => entry.seq <= begunAfter)
    const left = queue.entries.filter((entry) => !answered.includes(entry))
    for (const entry of answered) this.#volatile.delete(entry)
    this.#drop(ref, queue)
    this.#released.push(...left)
    return answered
  }

  /** Released entries in the order of their release; each record's own in journal order. */
  takeReleased(): Prepared[] {
    if (this.#released.length === 0) return EMPTY
    const released = this.#released
    this.#released = []
    return released
  }

  has(reason: WaitReason): boolean {
    return this.#byReason.has(reason)
  }

  /** Whether something told of this record could not be folded: it is set aside, or refers to a record that is not there yet. */
  blocks(ref: string): boolean {
    const queue = this.#queues.get(ref)
    return queue !== undefined && letsGo(queue.state, 'superseded')
  }

  /** A record's queue, in journal order. */
  of(ref: string): readonly Prepared[] {
    return this.#queues.get(ref)?.entries ?? EMPTY
  }

  /** The first entry of a record's queue. */
  first(ref: string): Prepared | undefined {
    return this.#queues.get(ref)?.entries[0]
  }

  /** Marks an entry as standing in the store now. */
  madeDurable(entry: Prepared): void {
    entry.durable = true
    this.#volatile.delete(entry)
  }

  clear(): void {
    this.#queues.clear()
    this.#byReason.clear()
    this.#volatile.clear()
    this.#released = []
  }

  #drop(ref: string, queue: Queue): void {
    this.#queues.delete(ref)
    for (const reason of queue.reasons) {
      const refs = this.#byReason.get(reason)
      refs?.delete(ref)
      if (refs?.size === 0) this.#byReason.delete(reason)
    }
    for (const entry of queue.entries) this.#volatile.delete(entry)
  }
}

/** Whether an entry makes an older one of the same record superfluous: it holds the record's whole state, and provably a later one. */
function supersedes(newer: Prepared, older: Prepared): boolean {
  if (newer.kind === 'hint' || newer.begunAfter !== null) return true
  if (newer.partial || newer.token === undefined || older.token === undefined) return false
  return compareTokens(newer.token, older.token) > 0
}

/**
 * What an entry tells may be told by no later one. In a log that is written blindly it may be the last trace of an edit that our own write has overwritten unread: what refers to a record that is
 * not known yet is taken in its turn, then, and not made up for by what follows. And where nobody can be asked for what a create of ours has made, the look of a record is all that tells.
 */
const isLastTrace = ({ binding, heldFor }: Prepared): boolean =>
  (heldFor?.waitsOn === 'reference' && isLogFed(binding.capabilities) && binding.capabilities.condition === 'C0') ||
  (heldFor?.waitsOn === 'creates' && isLostWhenUnknown(binding))

/** Whether a full state is older than one that waits already: what it says is in that one. */
const isOlderState = (entry: Prepared, waiting: Prepared): boolean =>
  entry.begunAfter === null &&
  entry.kind !== 'hint' &&
  waiting.kind !== 'hint' &&
  !waiting.partial &&
  entry.token !== undefined &&
  waiting.token !== undefined &&
  compareTokens(entry.token, waiting.token) < 0

const EMPTY: Prepared[] = []
const NOT_BEHIND = { queued: false, superseded: EMPTY } as const
