import {
  type AppId,
  asAppId,
  asCanonicalKey,
  asEntityName,
  asJournalPosition,
  type CanonicalKey,
  type EntityName,
} from '../model/ids.ts'
import type { HeadCell, Lane, Origin, RecordState } from '../model/record.ts'
import { decodeData, encodeData, type Fields, type Path, type Value } from '../model/value.ts'
import { decodeLane, encodeLane, type LaneBody } from './lane-codec.ts'

/** [seq, app, timeMs], and for what descends from another change also its root and hops, the hubs that it went through, and the change as its hub names it. */
type OriginBody =
  | readonly [number, string, number]
  | readonly [number, string, number, number, number]
  | readonly [number, string, number, number, number, readonly string[]]
  | readonly [number, string, number, number, number, readonly string[], string]

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
  /** deletion, and the record that it was merged into */
  readonly d?: NonNullable<RecordState['deletion']>
  readonly j?: CanonicalKey
  readonly a?: NonNullable<RecordState['apart']>
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

/** From a row (canonical key, entity, shard, rev, deleted as 0 or 1). */
export const recordColumns = (row: readonly unknown[]): RecordColumns => ({
  key: asCanonicalKey(row[0] as string),
  entity: asEntityName(row[1] as string),
  shard: row[2] as number,
  rev: row[3] as number,
  deleted: row[4] === 1,
})

interface HeadText {
  readonly values: Fields
  /** The members o, i and h. */
  readonly text: string
}

interface LaneText {
  readonly lane: Lane
  readonly head: HeadText
  readonly headSeq: number
  readonly text: string
}

interface Encoded {
  head: RecordState['head']
  headText: HeadText
  readonly lanes: Map<string, LaneText>
}

/**
 * What was encoded before. States are immutable and share what did not change: of the three writes that a change usually costs, two leave the
 * head and all lanes but one as they were. By key and compared by identity rather than weakly by object: every weak entry is looked at by every collection of young
 * garbage. As many as the engine caches records (limits.recordsCached), the oldest out first; about 2 kB each.
 */
const encodedByKey = new Map<CanonicalKey, Encoded>()
const ENCODED_MAX = 10_000

function encodedOf(state: RecordState): Encoded {
  const known = encodedByKey.get(state.key)
  if (known === undefined) {
    const made = { head: state.head, headText: headText(state.head), lanes: new Map() }
    encodedByKey.set(state.key, made)
    if (encodedByKey.size > ENCODED_MAX) for (const oldest of encodedByKey.keys()) return forget(oldest, made)
    return made
  }
  if (known.head !== state.head) {
    known.head = state.head
    known.headText = headText(state.head)
  }
  return known
}

function forget(key: CanonicalKey, made: Encoded): Encoded {
  encodedByKey.delete(key)
  return made
}

/** Hot path: once per record written. */
export function encodeRecordBody(state: RecordState): string {
  const encoded = encodedOf(state)
  const head = encoded.headText
  let lanes = ''
  for (const app in state.lanes) {
    lanes +=
      (lanes === '' ? '' : ',') +
      JSON.stringify(app) +
      ':' +
      laneText(state.lanes[app as AppId] as Lane, encoded, state.headSeq)
  }
  let text = '{"m":' + state.mappingVersion + ',"s":' + state.headSeq
  if (state.matchKey !== null) text += ',"k":' + JSON.stringify(state.matchKey)
  if (hasMembers(state.parkedPaths)) text += ',"x":' + encodeData(state.parkedPaths)
  if (state.deletion !== undefined) text += ',"d":' + JSON.stringify(state.deletion)
  if (state.mergedInto !== undefined) text += ',"j":' + JSON.stringify(state.mergedInto)
  if (state.apart !== undefined) text += ',"a":' + JSON.stringify(state.apart)
  return text + ',' + head.text + ',"l":{' + lanes + '}}'
}

function headText(head: RecordState['head']): HeadText {
  const origins = new Map<Origin, number>()
  const indexes: number[] = []
  const values: Record<Path, Value> = {}
  let severalOrigins = false
  for (const path in head) {
    const { value, origin } = head[path] as HeadCell
    let index = origins.get(origin)
    if (index === undefined) origins.set(origin, (index = origins.size))
    if (index !== 0) severalOrigins = true
    indexes.push(index)
    values[path] = value
  }
  const o = encodeData(Array.from(origins.keys(), encodeOrigin))
  const i = severalOrigins ? ',"i":' + encodeData(indexes) : ''
  return { values, text: '"o":' + o + i + ',"h":' + encodeData(values) }
}

function laneText(lane: Lane, { headText: head, lanes }: Encoded, headSeq: number): string {
  const known = lanes.get(lane.app)
  if (known !== undefined && known.lane === lane && known.head === head && known.headSeq === headSeq) return known.text
  const text = encodeData(encodeLane(lane, head.values, headSeq))
  lanes.set(lane.app, { lane, head, headSeq, text })
  return text
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
  for (const app in body.l)
    lanes[asAppId(app)] = decodeLane(asAppId(app), body.l[app as AppId] as LaneBody, values, body.s)
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
    ...(body.d === undefined ? {} : { deletion: body.d }),
    ...(body.j === undefined ? {} : { mergedInto: body.j }),
    ...(body.a === undefined ? {} : { apart: body.a }),
  }
}

const encodeOrigin = ({ seq, app, timeMs, root, hops, via, from }: Origin): OriginBody => {
  if (from !== undefined) return [seq, app, timeMs, root, hops, via ?? [], from]
  if (via !== undefined) return [seq, app, timeMs, root, hops, via]
  return root === seq && hops === 0 ? [seq, app, timeMs] : [seq, app, timeMs, root, hops]
}

const decodeOrigin = ([seq, app, timeMs, root, hops, via, from]: OriginBody): Origin => ({
  seq: asJournalPosition(seq),
  app: asAppId(app),
  timeMs,
  root: asJournalPosition(root ?? seq),
  hops: hops ?? 0,
  ...(via === undefined ? {} : { via }),
  ...(from === undefined ? {} : { from }),
})

function hasMembers(object: object): boolean {
  for (const _ in object) return true
  return false
}
