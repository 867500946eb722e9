import {
  type AppId,
  asAppId,
  asCanonicalKey,
  asEntityName,
  asJournalPosition,
  type CanonicalKey,
  type EntityName,
} from '../../model/ids.ts'
import type { HeadCell, Lane, Origin, RecordState } from '../../model/record.ts'
import { decodeData, encodeData, type Fields, type Path, type Value } from '../../model/value.ts'
import type { SqlValue } from './driver.ts'
import { decodeLane, encodeLane, type LaneBody } from './lane-codec.ts'

/** [seq, app, timeMs], and for what descends from another change also its root and hops. */
type OriginBody = readonly [number, string, number] | readonly [number, string, number, number, number]

/**
 * A record's body as it stands in its row. Names are one letter because they are repeated a million times. What the row's columns
 * say (key, entity, shard, rev, deleted) is not said again, and an empty or usual member is left out.
 */
interface RecordBody {
  /** mapping version, head position, match key, parked paths */
  readonly m: number
  readonly s: number
  readonly k?: string
  readonly x?: RecordState['parkedPaths']
  /** Origins, each once; which of them a head cell has, in the order of `h` (absent: all have the first). */
  readonly o: readonly OriginBody[]
  readonly i?: readonly number[]
  readonly h: Readonly<Record<Path, Value>>
  readonly l: Readonly<Record<AppId, LaneBody>>
}

/** The columns beside the body. */
export interface RecordColumns {
  readonly key: CanonicalKey
  readonly entity: EntityName
  readonly shard: number
  readonly rev: number
  readonly deleted: boolean
}

export const recordColumns = (row: readonly SqlValue[]): RecordColumns => ({
  key: asCanonicalKey(row[0] as string),
  entity: asEntityName(row[1] as string),
  shard: row[2] as number,
  rev: row[3] as number,
  deleted: row[4] === 1,
})

/** Hot path: once per record written. */
export function encodeRecordBody(state: RecordState): string {
  const origins = new Map<Origin, number>()
  const indexes: number[] = []
  const values: Record<Path, Value> = {}
  let severalOrigins = false
  for (const path in state.head) {
    const { value, origin } = state.head[path] as HeadCell
    let index = origins.get(origin)
    if (index === undefined) origins.set(origin, (index = origins.size))
    if (index !== 0) severalOrigins = true
    indexes.push(index)
    values[path] = value
  }
  const lanes: Record<AppId, LaneBody> = {}
  for (const app in state.lanes) lanes[app as AppId] = encodeLane(state.lanes[app as AppId] as Lane, values)
  const body: RecordBody = {
    m: state.mappingVersion,
    s: state.headSeq,
    ...(state.matchKey === null ? undefined : { k: state.matchKey }),
    ...(hasMembers(state.parkedPaths) ? { x: state.parkedPaths } : undefined),
    o: Array.from(origins.keys(), encodeOrigin),
    ...(severalOrigins ? { i: indexes } : undefined),
    h: values,
    l: lanes,
  }
  return encodeData(body)
}

/** Hot path: once per record loaded. */
export function decodeRecord(columns: RecordColumns, text: string): RecordState {
  const body = decodeData(text) as RecordBody
  const origins = body.o.map(decodeOrigin)
  const head: Record<Path, HeadCell> = {}
  let at = 0
  for (const path in body.h) {
    const origin = origins[body.i === undefined ? 0 : (body.i[at++] as number)] as Origin
    head[path] = { value: body.h[path] as Value, origin }
  }
  const lanes: Record<AppId, Lane> = {}
  const values: Fields = body.h
  for (const app in body.l) lanes[asAppId(app)] = decodeLane(asAppId(app), body.l[app as AppId] as LaneBody, values)
  return {
    key: columns.key,
    entity: columns.entity,
    shard: columns.shard,
    rev: columns.rev,
    deleted: columns.deleted,
    mappingVersion: body.m,
    head,
    headSeq: asJournalPosition(body.s),
    lanes,
    matchKey: body.k ?? null,
    parkedPaths: body.x ?? {},
  }
}

const encodeOrigin = ({ seq, app, timeMs, root, hops }: Origin): OriginBody =>
  root === seq && hops === 0 ? [seq, app, timeMs] : [seq, app, timeMs, root, hops]

const decodeOrigin = ([seq, app, timeMs, root, hops]: OriginBody): Origin => ({
  seq: asJournalPosition(seq),
  app: asAppId(app),
  timeMs,
  root: asJournalPosition(root ?? seq),
  hops: hops ?? 0,
})

function hasMembers(object: object): boolean {
  for (const _ in object) return true
  return false
}
