import type { Lane, OpenLane, RecordState, SetAside } from '../record.ts'
import { valuesEqual } from '../value.ts'

/**
 * What a lane is doing, read off its parts: the first of these that holds. It is what `open_lanes` lists, and what a restart takes up again.
 *
 *   in step ──need──▶ behind ──slot──▶ intent ──no answer──▶ unknown
 *      ▲                │ ▲               │                     │
 *      │                │ └──retry────────┤ not now             │
 *      │   a link, a brake, quarantine    │ answered     evidence
 *      │                ▼                 ▼                     │
 *      │             waiting           reading ◀── hint, 412 ───┤
 *      │                                  │                     │
 *      └──────────────────────────────────┴─────────────────────┘
 *   parked: refused for good, or a field is set aside; a newer head or a person takes it up again
 */
export type LaneState = OpenLane['state'] | 'in step'

/** How the plan left it: what cannot be read off the lane itself. */
export type Planned = 'idle' | 'intent' | 'read' | 'behind' | 'waiting' | 'braked'

/** The reasons for which a lane is open, strongest first: the order decides which one is listed. */
export interface LaneFacts {
  readonly intent: boolean
  readonly reading: boolean
  readonly overlay: boolean
  readonly park: boolean
  readonly reference: boolean
  readonly aside: boolean
  readonly retry: boolean
}

export function factsOf(record: RecordState, lane: Lane): LaneFacts {
  return {
    // A create that was lost keeps its intent and is parked: it waits for a person, not for an answer.
    intent: lane.intent !== null && lane.park === null,
    reading: lane.reading !== null,
    overlay: lane.overlays.length > 0,
    park: lane.park !== null && !lane.detached,
    reference: lane.waitsFor !== null,
    aside: setAsideIn(record, lane) !== null,
    retry: lane.retry !== null,
  }
}

/** The listed state for each fact; total, so that a new fact needs a place here. */
const STATE_OF: Readonly<Record<keyof LaneFacts, (lane: Lane) => LaneState>> = {
  intent: (lane) => (lane.intent?.state === 'open' ? 'intent' : (lane.intent?.state ?? 'intent')),
  reading: () => 'reading',
  overlay: () => 'overlay',
  park: () => 'parked',
  reference: () => 'waiting',
  aside: () => 'parked',
  retry: () => 'retry',
}

const FACTS = Object.keys(STATE_OF) as (keyof LaneFacts)[]

/** What the plan's result means for a lane of which no fact holds. */
const STANDING_OF_PLANNED: Readonly<Record<Planned, LaneStanding>> = {
  idle: { state: 'in step', by: null },
  intent: { state: 'in step', by: null },
  read: { state: 'in step', by: null },
  behind: { state: 'behind', by: null },
  waiting: { state: 'waiting', by: null },
  braked: { state: 'waiting', by: null },
}

export interface LaneStanding {
  readonly state: LaneState
  /** The fact that decided it; null where the plan did. */
  readonly by: keyof LaneFacts | null
}

/** Invariant: a lane that is not in step, and nothing else than in step, has a row among the open lanes (V9). */
export function laneStanding(record: RecordState, lane: Lane, planned: Planned): LaneStanding {
  const facts = factsOf(record, lane)
  for (const fact of FACTS) if (facts[fact]) return { state: STATE_OF[fact](lane), by: fact }
  return STANDING_OF_PLANNED[planned]
}

/** A field of the record that is set aside and on which this application differs from what stands: it waits for a person. */
export function setAsideIn(record: RecordState, lane: Lane): SetAside | null {
  if (record.deleted || lane.exists !== true) return null
  for (const path in record.parkedPaths) {
    if (path in lane.sent && !valuesEqual(lane.sent[path], record.head[path]?.value))
      return record.parkedPaths[path] ?? null
  }
  return null
}
