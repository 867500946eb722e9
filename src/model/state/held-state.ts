import type { HeldEntry } from '../record.ts'

/**
 * An entry that cannot be folded yet (docs/protocol.md 3.3). Later entries of its record wait behind it.
 *
 *   free ──▶ queued ──────────────── what it waited for is there ──▶ free
 *    │         a lane, a read                                         ▲
 *    ├──▶ unmatched ──── our creates are over, or it is deleted again ─┤
 *    │         creates of ours, one of which may have made it         │
 *    ├──▶ replaceable ── the link is there, or a newer state ─────────┤
 *    │         a record that it refers to                             │
 *    └──▶ parked ────── a person, or a newer full state ──────────────┘
 */
export type HeldState = 'free' | 'queued' | 'unmatched' | 'replaceable' | 'parked'

export type HeldEvent =
  /** What it waited for has happened. */
  | 'released'
  /** A newer state of the same record has come, and says all that it says. */
  | 'superseded'
  /** Its record is provably gone by now. */
  | 'deleted'
  /** A person asks for it. */
  | 'replayed'
  /** A read that began after it has been folded. */
  | 'answered'

/** free: it is folded now, or not needed any more. null: the event does not touch it, and it stays. */
const NEXT: Readonly<Record<HeldState, Readonly<Record<HeldEvent, 'free' | null>>>> = {
  free: { released: null, superseded: null, deleted: null, replayed: null, answered: null },
  // Its content is good: a newer one queues behind it, so that order is kept.
  queued: { released: 'free', superseded: null, deleted: null, replayed: null, answered: 'free' },
  // A record that came and went while nobody knew whose it is, is nobody's: to match what it was would bring a dead record's values to a living one.
  unmatched: { released: 'free', superseded: null, deleted: 'free', replayed: null, answered: 'free' },
  replaceable: { released: 'free', superseded: 'free', deleted: 'free', replayed: null, answered: 'free' },
  // A read answers hints; what is parked is not a hint.
  parked: { released: 'free', superseded: 'free', deleted: 'free', replayed: 'free', answered: null },
}

/** Which kind of waiting each reason is. */
const STATE_FOR: Readonly<Record<HeldEntry['waitsOn'], HeldState>> = {
  creates: 'unmatched',
  lane: 'queued',
  read: 'queued',
  reference: 'replaceable',
  operator: 'parked',
}

export const heldStateFor = (waitsOn: HeldEntry['waitsOn']): HeldState => STATE_FOR[waitsOn]

/** Whether an event lets an entry go that waits in this way. */
export const letsGo = (state: HeldState, event: HeldEvent): boolean => NEXT[state][event] === 'free'

export const heldStates = Object.keys(NEXT) as readonly HeldState[]
export const heldEvents = Object.keys(NEXT.free) as readonly HeldEvent[]
