import { SyncError } from '../../errors/index.ts'
import type { Intent } from '../record.ts'

/**
 * The one open write of a lane (docs/protocol.md 3.4). The latch of the lane is closed in every state but `none`.
 *
 *            decided                    no answer, restart
 *   none ───────────────▶ open ──────────────────────────────▶ unknown ◀─┐
 *    ▲ ▲                  │  │                                  │  │  │   │ no answer again, not yet,
 *    │ │     answered     │  │ taken blindly     taken blindly  │  │  └───┘ refused while in doubt
 *    │ └──────────────────┘  └──────▶ readback ◀────────────────┘  │
 *    │                                   │                         │
 *    └──────────── evidence ─────────────┴────── evidence, answered┘
 *
 * A record that is deleted, or a person who releases a create that was lost, ends it from any state: `dropped`.
 */
export type IntentState = 'none' | Intent['state']

export type IntentEvent =
  /** The plan found a need. */
  | 'decided'
  /** The application said what became of it, and its state is known: taken, refused, gone, or refused by the condition. */
  | 'answered'
  /** It was taken by an application that says nothing of its state: to be read back. */
  | 'taken blindly'
  /** Time-out, connection lost, 5xx, or the hub was restarted while it was open. */
  | 'no answer'
  /** It is still not known whether it happened, and it is tried or looked at again. */
  | 'not yet'
  /** A read, a search or the feed has shown what became of it. */
  | 'evidence'
  /** There is nothing left that it could be for. */
  | 'dropped'

/** Every cell is filled, or the compiler says so. `null`: cannot happen; if it does, it is a defect of ours, and the lane is parked. */
const NEXT: Readonly<Record<IntentState, Readonly<Record<IntentEvent, IntentState | null>>>> = {
  none: {
    decided: 'open',
    answered: null,
    'taken blindly': null,
    'no answer': null,
    'not yet': null,
    evidence: null,
    dropped: 'none',
  },
  open: {
    decided: null,
    answered: 'none',
    'taken blindly': 'readback',
    'no answer': 'unknown',
    // A write refused by its condition after an earlier try of unknown outcome: the earlier one may have happened.
    'not yet': 'unknown',
    // Its record was heard of before its reply: it bears our correlation id, or is what the write would have made.
    evidence: 'none',
    dropped: 'none',
  },
  unknown: {
    decided: null,
    answered: 'none',
    'taken blindly': 'readback',
    'no answer': 'unknown',
    'not yet': 'unknown',
    evidence: 'none',
    dropped: 'none',
  },
  readback: {
    decided: null,
    answered: null,
    'taken blindly': null,
    'no answer': null,
    'not yet': 'readback',
    evidence: 'none',
    dropped: 'none',
  },
}

export const intentStates = Object.keys(NEXT) as readonly IntentState[]
export const intentEvents = Object.keys(NEXT.none) as readonly IntentEvent[]

/** The state after an event; null where it cannot happen. */
export const nextIntentState = (state: IntentState, event: IntentEvent): IntentState | null => NEXT[state][event]

/** The intent after an event that keeps it open in some form. */
export function moveIntent(intent: Intent, event: IntentEvent): Intent {
  const state = stepOf(intent, event)
  if (state === 'none') throw misstep(intent, event)
  return state === intent.state ? intent : { ...intent, state }
}

/** What is left of the intent after an event that ends it. */
export function endIntent(intent: Intent | null, event: IntentEvent): null {
  if (intent !== null && stepOf(intent, event) !== 'none') throw misstep(intent, event)
  return null
}

/** The state in which a write begins. */
export const BEGUN = NEXT.none.decided as Intent['state']

function stepOf(intent: Intent, event: IntentEvent): IntentState {
  const next = NEXT[intent.state][event]
  if (next === null) throw misstep(intent, event)
  return next
}

const misstep = (intent: Intent, event: IntentEvent): SyncError =>
  new SyncError('internal.bug', `write ${intent.op} is ${intent.state} and met '${event}', which cannot happen then`)
