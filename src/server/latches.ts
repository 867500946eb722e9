import { BRAKE_NOTE, type BrakeState } from '../engine/brake-state.ts'
import { type ClockFinding, NEAR_MISS_NOTE, type NearMiss, SKEW_NOTE } from '../engine/findings.ts'
import type { AppId, CanonicalKey, EntityName, NativeId, OpId } from '../model/ids.ts'
import { isLatchClosed, type OpenLane } from '../model/record.ts'
import type { StoreReader } from '../ports/store.ts'

/** What we expect of applications, and how they answer: the latch inspector. From the store alone, so that it works beside a running hub and without one. */

/** One latch that is closed: a write of ours whose outcome or echo is outstanding. */
export interface ClosedLatch {
  readonly entity: EntityName
  readonly key: CanonicalKey
  readonly app: AppId
  /** null while a create has no id there; `known` says where else the record is. */
  readonly nativeId: NativeId | null
  readonly known: readonly { readonly app: AppId; readonly nativeId: NativeId }[]
  /** intent: sent, no answer yet. unknown: no answer came, being resolved by evidence. readback: being read back. overlay: its feed has not shown it yet. */
  readonly state: OpenLane['state']
  readonly op: OpId | null
  readonly sinceMs: number
  readonly ageMs: number
  /** It has been closed for longer than any healthy application takes. */
  readonly isOverdue: boolean
}

export interface Latches {
  readonly outstanding: readonly ClosedLatch[]
  readonly overdue: number
  /** How applications keep fields that we write, when not as we wrote them. */
  readonly nearMisses: readonly NearMiss[]
  /** Applications whose clock is ahead of the hub's. */
  readonly clocks: readonly ClockFinding[]
  /** There are more open lanes than were looked at. */
  readonly isCut: boolean
}

/** A request may take 10 s, its echo some seconds more; what is closed for longer waits for something. */
const OVERDUE_MS = 30_000
const LANES_READ_MAX = 5_000
const LISTED_MAX = 200
const PAGE = 500
const NOTES_MAX = 1_000

export async function latchesOf(store: StoreReader, nowMs: number): Promise<Latches> {
  const [closed, isCut] = await closedLanes(store)
  const { records } = await store.load({
    records: [...new Set(closed.slice(0, LISTED_MAX).map((lane) => lane.key))],
    natives: [],
    canonicals: [],
    matches: [],
  })
  const byKey = new Map(records.map((record) => [record.key, record]))
  const outstanding = closed.map((lane): ClosedLatch => {
    const lanes = Object.values(byKey.get(lane.key)?.lanes ?? {})
    const ageMs = Math.max(0, nowMs - lane.sinceMs)
    return {
      entity: lane.entity,
      key: lane.key,
      app: lane.app,
      nativeId: lanes.find((one) => one.app === lane.app)?.nativeId ?? null,
      known: lanes.flatMap((one) =>
        one.app === lane.app || one.nativeId === null ? [] : [{ app: one.app, nativeId: one.nativeId }],
      ),
      state: lane.state,
      op: lane.op,
      sinceMs: lane.sinceMs,
      ageMs,
      isOverdue: ageMs > OVERDUE_MS,
    }
  })
  outstanding.sort((a, b) => b.ageMs - a.ageMs)
  return {
    outstanding: outstanding.slice(0, LISTED_MAX),
    overdue: outstanding.filter((one) => one.isOverdue).length,
    nearMisses: await bodiesOf<NearMiss>(store, NEAR_MISS_NOTE),
    clocks: await bodiesOf<ClockFinding>(store, SKEW_NOTE),
    isCut: isCut || outstanding.length > LISTED_MAX,
  }
}

async function closedLanes(store: StoreReader): Promise<readonly [readonly OpenLane[], boolean]> {
  const closed: OpenLane[] = []
  let read = 0
  for (let after: Parameters<StoreReader['openLanes']>[0] = null; ; ) {
    const page = await store.openLanes(after, PAGE)
    read += page.length
    closed.push(...page.filter((lane) => isLatchClosed(lane.state)))
    const last = page.at(-1)
    if (last === undefined || page.length < PAGE) return [closed, false]
    if (read >= LANES_READ_MAX) return [closed, true]
    after = last
  }
}

/** Brakes that hold. How many records wait for each is in the open lanes, by the code `brake.tripped`. */
export async function brakesOf(store: Pick<StoreReader, 'notes'>): Promise<readonly BrakeState[]> {
  return (await bodiesOf<BrakeState>(store, BRAKE_NOTE)).filter((brake) => brake.state === 'tripped')
}

async function bodiesOf<Body>(store: Pick<StoreReader, 'notes'>, kind: string): Promise<readonly Body[]> {
  const notes = await store.notes(kind, NOTES_MAX)
  return notes.map(({ body }) => body as unknown as Body)
}
