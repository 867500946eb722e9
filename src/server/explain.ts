import { SyncError } from '../errors/index.ts'
import type { BindingModel, EntityModel, HubModel } from '../model/entity.ts'
import type { AppId, CanonicalKey, EntityName, NativeId } from '../model/ids.ts'
import type { Conflict, Lane, RecordState, Verdict } from '../model/record.ts'
import { type Path, splitPartPath, type Value, valuesEqual } from '../model/value.ts'
import type { StoreReader } from '../ports/store.ts'
import { type Around, type TimelineEntry, timelineOf, type WhyNot, whyNotArrived } from './explain-why.ts'
import { brakesOf } from './latches.ts'
import { allHeld, type ParkedEntry, parkedEntryOf } from './status.ts'

export interface RecordName {
  readonly entity: EntityName
  readonly app: AppId
  readonly nativeId: NativeId
}

export interface LaneExplanation {
  readonly app: AppId
  readonly object: string
  readonly nativeId: NativeId | null
  /** true, false, or null where that is not known. */
  readonly exists: boolean | null
  readonly isInStep: boolean
  /** Why the application is not in step: values of the head and what the application is known to hold (absent: not known there). */
  readonly differs: readonly { readonly path: Path; readonly head: Value; readonly app?: Value }[]
  readonly latch: {
    readonly closed: boolean
    readonly op?: string
    readonly kind?: string
    readonly state?: string
    readonly sinceMs?: number
  }
  readonly park: Lane['park']
  readonly retry: Lane['retry']
  readonly waitsFor: Lane['waitsFor']
  readonly reading: string | null
  readonly detached: boolean
  readonly token: string | null
  /** Writes of ours that are remembered. */
  readonly ownWrites: number
}

/** All that is known of one record: what it is, where it is, and everything that was decided about it. */
export interface Explanation extends RecordName {
  /** null: the native record is known, but belongs to no record of the hub; `held` says why. */
  readonly key: CanonicalKey | null
  readonly deleted: boolean
  readonly head: readonly {
    readonly path: Path
    readonly value: Value
    readonly app: AppId
    readonly atMs: number
    readonly seq: number
    readonly hops: number
  }[]
  readonly lanes: readonly LaneExplanation[]
  /** Over all applications, oldest first; the last 64. */
  readonly verdicts: readonly TimelineEntry[]
  /** Why it did not arrive: each application that does not hold what the record says. */
  readonly whyNot: readonly WhyNot[]
  readonly conflicts: readonly (Conflict & { readonly id: number })[]
  /** Notifications of this record that are set aside or wait, with the reason. */
  readonly held: readonly (ParkedEntry & { readonly waitsOn: string })[]
  readonly parkedPaths: RecordState['parkedPaths']
  /** Of the fields that are set aside: what each application holds. */
  readonly values: readonly { readonly path: Path; readonly app: AppId; readonly value: Value }[]
}

const CONFLICTS_MAX = 100

/**
 * Explains a record from the store alone, so that it works beside a running hub and without one. The model, where it is at hand, says which fields
 * an application maps; without it only those that it was sent are compared. Throws SyncError `query.unknown-record`.
 */
export async function explain(
  store: StoreReader,
  name: RecordName,
  model: HubModel | null,
  /** What a running hub has found out since the record was written last, newest first. */
  recentOf: (key: CanonicalKey) => readonly Verdict[] = () => [],
): Promise<Explanation> {
  checkName(name, model)
  const links = await store.links({ app: name.app, entity: name.entity, nativeId: name.nativeId, max: 10 })
  const link = links.find((one) => one.state === 'live') ?? links[0]
  const held = await heldOf(store, name)
  const key = link?.key ?? null
  const [record] =
    key === null ? [] : (await store.load({ records: [key], natives: [], canonicals: [], matches: [] })).records
  if (record === undefined) {
    if (link === undefined && held.length === 0) throw unknownRecord(name)
    return {
      ...name,
      key: null,
      deleted: link?.state === 'tombstone',
      head: [],
      lanes: [],
      verdicts: [],
      whyNot: [],
      conflicts: [],
      held,
      parkedPaths: {},
      values: [],
    }
  }
  const conflicts = await store.conflicts({ key: record.key, max: CONFLICTS_MAX })
  const verdicts = [...recentOf(record.key), ...(await store.verdicts(record.key))]
  return {
    ...name,
    key: record.key,
    deleted: record.deleted,
    head: headOf(record),
    lanes: Object.values(record.lanes).map((lane) => laneOf(record, lane, model?.entities.get(record.entity) ?? null)),
    verdicts: timelineOf(record, verdicts.toReversed()),
    whyNot: whyNotArrived(record, {
      entity: model?.entities.get(record.entity) ?? null,
      brakes: await brakesOf(store),
      held: await heldOfRecord(store, record),
      verdicts,
      name: `${name.entity} ${name.app}:${name.nativeId}`,
    }),
    conflicts: conflicts.toReversed(),
    held,
    parkedPaths: record.parkedPaths,
    values: valuesAside(record),
  }
}

const valuesAside = (record: RecordState): Explanation['values'] =>
  Object.keys(record.parkedPaths).flatMap((path) =>
    Object.values(record.lanes).flatMap((lane) => {
      const value = lane.exists === true ? lane.sent[path] : undefined
      return value === undefined ? [] : [{ path, app: lane.app, value }]
    }),
  )

const unknownRecord = ({ entity, app, nativeId }: RecordName): SyncError =>
  new SyncError(
    'query.unknown-record',
    `no ${entity} is known under ${app}:${nativeId}. \`latchwork xref list --app ${app}\` shows what is; a record that was never heard of is not in it.`,
    {
      place: { entity, app, nativeId },
    },
  )

/** A wrong name of an entity or application gets the known ones, not "not found". */
function checkName({ entity, app }: RecordName, model: HubModel | null): void {
  if (model === null) return
  const known = model.entities.get(entity)
  if (known === undefined)
    throw new SyncError(
      'query.invalid',
      `there is no entity '${entity}'; there are: ${[...model.entities.keys()].join(', ')}.`,
    )
  if (!known.bindings.has(app))
    throw new SyncError(
      'query.invalid',
      `'${app}' has no ${entity}; it is in: ${[...known.bindings.keys()].join(', ')}.`,
    )
}

async function heldOf(store: StoreReader, name: RecordName): Promise<Explanation['held']> {
  const [held] = await allHeld(store)
  return held
    .filter((entry) => entry.app === name.app && entry.entity === name.entity && entry.nativeId === name.nativeId)
    .map((entry) => ({ ...parkedEntryOf(entry), waitsOn: entry.waitsOn }))
}

/** Held entries of the record under any of its ids. */
async function heldOfRecord(store: StoreReader, record: RecordState): Promise<Around['held']> {
  const [held] = await allHeld(store)
  return held
    .filter((entry) => entry.entity === record.entity && record.lanes[entry.app]?.nativeId === entry.nativeId)
    .map((entry) => ({ ...parkedEntryOf(entry), waitsOn: entry.waitsOn }))
}

const headOf = (record: RecordState): Explanation['head'] =>
  Object.entries(record.head).map(([path, { value, origin }]) => ({
    path,
    value,
    app: origin.app,
    atMs: origin.timeMs,
    seq: origin.seq,
    hops: origin.hops,
  }))

function laneOf(record: RecordState, lane: Lane, entity: EntityModel | null): LaneExplanation {
  const differs = differences(record, lane, entity?.bindings.get(lane.app) ?? null)
  const { intent } = lane
  return {
    app: lane.app,
    object: lane.object,
    nativeId: lane.nativeId,
    exists: lane.exists,
    isInStep: differs.length === 0 && (record.deleted ? lane.exists !== true : lane.exists === true),
    differs,
    latch:
      intent === null
        ? { closed: lane.overlays.length > 0 }
        : { closed: true, op: intent.op, kind: intent.kind, state: intent.state, sinceMs: intent.atMs },
    park: lane.park,
    retry: lane.retry,
    waitsFor: lane.waitsFor,
    reading: lane.reading?.why ?? null,
    detached: lane.detached,
    token: lane.token,
    ownWrites: lane.own.length,
  }
}

/** Values of the head that the application maps and is not known to hold. */
export function differences(record: RecordState, lane: Lane, binding: BindingModel | null): LaneExplanation['differs'] {
  if (record.deleted || lane.exists !== true) return []
  const differs: LaneExplanation['differs'][number][] = []
  for (const [path, { value }] of Object.entries(record.head)) {
    const sent = lane.sent[path]
    if (!isWritten(path, binding, sent !== undefined) || valuesEqual(value, sent)) continue
    // A part that is gone from the head and was never in the application.
    if (value === false && sent === undefined) continue
    differs.push(sent === undefined ? { path, head: value } : { path, head: value, app: sent })
  }
  return differs
}

function isWritten(path: Path, binding: BindingModel | null, wasSent: boolean): boolean {
  if (binding === null) return wasSent
  const inPart = splitPartPath(path)
  if (inPart === undefined) return binding.fields.some((field) => field.field === path && field.direction !== 'in')
  const part = binding.parts.find((one) => one.part === inPart.part)
  return (
    part !== undefined &&
    (inPart.field === '' || part.fields.some((field) => field.field === inPart.field && field.direction !== 'in'))
  )
}
