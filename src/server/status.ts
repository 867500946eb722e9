import type { BrakeState } from '../engine/brake-state.ts'
import type { EngineStats } from '../engine/stats.ts'
import type { CapabilityClass } from '../model/capabilities.ts'
import type { AppId, CanonicalKey, EntityName, JournalPosition, NativeId, ObjectId } from '../model/ids.ts'
import type { HeldEntry, OpenLane, RecordState } from '../model/record.ts'
import type { StoreCounts, StoreReader } from '../ports/store.ts'
import type { HubContext } from './hub.ts'
import { brakesOf } from './latches.ts'
import type { NotPromised } from './promises.ts'

/** One record in one application that waits for a person. */
export interface ParkedLane {
  readonly entity: EntityName
  readonly key: CanonicalKey
  readonly app: AppId
  /** Its id in that application; null when the create failed. `known` says where else it is. */
  readonly nativeId: NativeId | null
  readonly known: readonly { readonly app: AppId; readonly nativeId: NativeId }[]
  readonly code: string
  readonly message: string
  readonly sinceMs: number
}

/** One notification that could not be folded and waits for a person, or for a newer one of the same record. */
export interface ParkedEntry {
  readonly seq: JournalPosition
  readonly entity: EntityName
  readonly app: AppId
  readonly object: ObjectId
  readonly nativeId: NativeId
  readonly code: string
  readonly message: string
  readonly sinceMs: number
}

/** What the store alone can say, with or without a running hub. */
export interface StoreStatus {
  readonly counts: StoreCounts
  readonly parkedLanes: readonly ParkedLane[]
  readonly parkedEntries: readonly ParkedEntry[]
  /** Entries that wait for something other than a person, by what they wait for. */
  readonly waiting: Readonly<Record<string, number>>
  /** Brakes that have tripped: `latchwork brake`. */
  readonly brakes: readonly BrakeState[]
  /** True when there are more parked or open ones than were looked at. */
  readonly isCut: boolean
}

export interface AppStatus {
  readonly app: AppId
  readonly classes: readonly CapabilityClass[]
  readonly objects: readonly {
    readonly object: ObjectId
    readonly entity: EntityName
    readonly class: CapabilityClass
    readonly notPromised: readonly NotPromised[]
  }[]
  /** Blind writes and how long the application's state was unknown before each; null where every write carries a condition. */
  readonly exposure: { readonly writes: number; readonly p50Ms: number | null; readonly p99Ms: number | null } | null
}

export interface HubStatus extends StoreStatus {
  readonly running: true
  readonly ready: boolean
  readonly pid: number
  readonly instanceId: string | null
  readonly startedAtMs: number
  readonly nowMs: number
  /** Nothing is left to do now. Retries may still be due: `nextDueInMs`. */
  readonly idle: boolean
  readonly nextDueInMs: number | null
  readonly engine: EngineStats
  readonly apps: readonly AppStatus[]
}

/** Rows looked at, and lines listed, at most: a status must answer in milliseconds whatever has piled up. */
const LANES_READ_MAX = 5_000
const HELD_READ_MAX = 5_000
const LISTED_MAX = 200
const PAGE = 500

export async function hubStatus(context: HubContext): Promise<HubStatus> {
  const { engine, clock } = context
  const dueMs = engine.nextDueMs()
  const stats = engine.stats()
  return {
    running: true,
    ready: context.isReady(),
    pid: process.pid,
    instanceId: engine.info?.instanceId ?? null,
    startedAtMs: context.startedAtMs,
    nowMs: clock.nowMs(),
    idle: engine.isIdle(),
    nextDueInMs: dueMs === undefined ? null : Math.max(0, Math.round(dueMs - clock.monotonicMs())),
    engine: stats,
    apps: appsOf(context, stats),
    ...(await storeStatus(engine.store)),
  }
}

function appsOf({ promises }: HubContext, stats: EngineStats): AppStatus[] {
  return [...Map.groupBy(promises, (one) => one.app)].map(([app, group]) => ({
    app,
    classes: [...new Set(group.map((one) => one.class))],
    objects: group.map(({ object, entity, class: letter, notPromised }) => ({
      object,
      entity,
      class: letter,
      notPromised,
    })),
    exposure: stats.exposure[app] ?? null,
  }))
}

export async function storeStatus(
  store: Pick<StoreReader, 'openLanes' | 'held' | 'load' | 'counts' | 'notes'>,
): Promise<StoreStatus> {
  const [lanes, lanesCut] = await parkedLanes(store)
  const [held, heldCut] = await allHeld(store)
  const waiting: Record<string, number> = {}
  for (const { waitsOn } of held) if (waitsOn !== 'operator') waiting[waitsOn] = (waiting[waitsOn] ?? 0) + 1
  const parked = held.filter((entry) => entry.waitsOn === 'operator')
  return {
    counts: await store.counts(),
    parkedLanes: lanes,
    parkedEntries: parked.slice(0, LISTED_MAX).map(parkedEntryOf),
    waiting,
    brakes: await brakesOf(store),
    isCut: lanesCut || heldCut || parked.length > LISTED_MAX,
  }
}

export const parkedEntryOf = ({
  seq,
  entity,
  app,
  object,
  nativeId,
  code,
  message,
  sinceMs,
}: HeldEntry): ParkedEntry => ({
  seq,
  entity,
  app,
  object,
  nativeId,
  code: code ?? 'internal.bug',
  message: message ?? '',
  sinceMs,
})

async function parkedLanes(
  store: Pick<StoreReader, 'openLanes' | 'load'>,
): Promise<readonly [readonly ParkedLane[], boolean]> {
  const parked: OpenLane[] = []
  let read = 0
  for (let after: Parameters<StoreReader['openLanes']>[0] = null; ; ) {
    const page = await store.openLanes(after, PAGE)
    read += page.length
    parked.push(...page.filter((lane) => lane.state === 'parked'))
    const last = page.at(-1)
    const isCut = parked.length > LISTED_MAX || read >= LANES_READ_MAX
    if (last === undefined || page.length < PAGE || isCut) {
      return [await withMessages(store, parked.slice(0, LISTED_MAX)), isCut && last !== undefined]
    }
    after = { key: last.key, app: last.app }
  }
}

async function withMessages(store: Pick<StoreReader, 'load'>, lanes: readonly OpenLane[]): Promise<ParkedLane[]> {
  if (lanes.length === 0) return []
  const keys = [...new Set(lanes.map((lane) => lane.key))]
  const { records } = await store.load({ records: keys, natives: [], canonicals: [], matches: [] })
  const byKey = new Map(records.map((record) => [record.key, record]))
  return lanes.map(({ entity, key, app, code, sinceMs }) => {
    const all = Object.values(byKey.get(key)?.lanes ?? {})
    const lane = all.find((one) => one.app === app)
    const known = all.flatMap((one) =>
      one.app === app || one.nativeId === null ? [] : [{ app: one.app, nativeId: one.nativeId }],
    )
    return {
      entity,
      key,
      app,
      nativeId: lane?.nativeId ?? null,
      known,
      code: code ?? 'internal.bug',
      message: lane?.park?.message ?? asideMessage(byKey.get(key), code),
      sinceMs,
    }
  })
}

/** A lane may be listed because a field of its record is set aside: then the message is that of the field. */
const asideMessage = (record: RecordState | undefined, code: string | null): string =>
  Object.values(record?.parkedPaths ?? {}).find((aside) => aside.code === code)?.message ?? ''

/** Held entries up to the bound, and whether there are more. */
export async function allHeld(store: Pick<StoreReader, 'held'>): Promise<readonly [readonly HeldEntry[], boolean]> {
  const held: HeldEntry[] = []
  for (let after = 0 as JournalPosition; ; ) {
    const page = await store.held(after, PAGE)
    held.push(...page)
    const last = page.at(-1)
    if (last === undefined || page.length < PAGE) return [held, false]
    if (held.length >= HELD_READ_MAX) return [held, true]
    after = last.seq
  }
}
