import type { Park, RecordState } from '../record.ts'

/**
 * A lane that is set aside: an application refused a write for good.
 *
 *                refused                 newer head
 *   free ───────────────────▶ parked ───────────────────▶ one fresh attempt ── refused ──▶ parked
 *    ▲                          │  │                              │
 *    │   no need any more       │  │  released by a person        │ taken
 *    └──────────────────────────┘  └──▶ free ◀────────────────────┘
 */
export type ParkState = 'free' | 'parked'

export type ParkEvent = 'refused' | 'newer head' | 'same head' | 'no need' | 'released' | 'taken'

/** `tries`: the next attempt may begin; the lane stays listed as parked until its outcome is known. */
const NEXT: Readonly<Record<ParkState, Readonly<Record<ParkEvent, ParkState | 'tries'>>>> = {
  free: {
    refused: 'parked',
    'newer head': 'tries',
    'same head': 'tries',
    'no need': 'free',
    released: 'free',
    taken: 'free',
  },
  parked: {
    refused: 'parked',
    'newer head': 'tries',
    'same head': 'parked',
    'no need': 'free',
    released: 'free',
    taken: 'free',
  },
}

export const nextParkState = (state: ParkState, event: ParkEvent): ParkState | 'tries' => NEXT[state][event]

/** Whether a lane that has a need may be tried now: it is not parked, or the head is newer than what was refused. */
export function mayTry(park: Park | null, record: Pick<RecordState, 'headSeq'>): boolean {
  const event = park !== null && park.headSeq >= record.headSeq ? 'same head' : 'newer head'
  return NEXT[park === null ? 'free' : 'parked'][event] === 'tries'
}

export const parkStates = Object.keys(NEXT) as readonly ParkState[]
export const parkEvents = Object.keys(NEXT.free) as readonly ParkEvent[]
