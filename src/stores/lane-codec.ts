import { type AppId, asJournalPosition, asOpId, type NativeId, type ObjectId, type Token } from '../model/ids.ts'
import type { Intent, Lane, Overlay, OwnWrite } from '../model/record.ts'
import type { Fields, Image, Path, Value } from '../model/value.ts'

/** [op (its number, where it starts as the lane's others do), token, paths, rendition seen, atMs, root, hops] */
type OwnBody = readonly [number | string, string | null, readonly Path[], 0 | 1, number, number, number]

/** A lane as it stands in a record's body; see there for why the names are short and what is left out. */
export interface LaneBody {
  /** object, native id, incarnation (absent: 0), exists (absent: true), token */
  readonly o: string
  readonly n?: string
  readonly i?: number
  readonly e?: false | null
  readonly t?: string
  /** native image */
  readonly g?: Image
  /** sent, where it differs from the head, and the head's paths that it lacks. Neither: in step. */
  readonly d?: Fields
  readonly a?: readonly Path[]
  /** basis (absent: the record's head position), and what equals the head by chance only */
  readonly k?: number
  readonly h?: readonly Path[]
  /** told, not folded yet */
  readonly j?: readonly Path[]
  readonly w?: Intent
  readonly y?: readonly Overlay[]
  readonly r?: NonNullable<Lane['reading']>
  readonly p?: NonNullable<Lane['park']>
  readonly b?: NonNullable<Lane['retry']>
  readonly f?: NonNullable<Lane['waitsFor']>
  readonly z?: 1
  /** own writes, and what their op ids start with */
  readonly u?: string
  readonly q?: readonly OwnBody[]
  /** next op (absent: 1), newest read folded (absent: 0), known at */
  readonly x?: number
  readonly s?: number
  readonly c: number
  /** made by us at, taken back */
  readonly m?: number
  readonly l?: 1
  /** swings */
  readonly v?: NonNullable<Lane['swings']>
}

type Writable<T> = { -readonly [K in keyof T]: T[K] }

export function encodeLane(lane: Lane, head: Fields, headSeq: number): LaneBody {
  const body: Writable<LaneBody> = { o: lane.object, c: lane.knownAtMs }
  if (lane.nativeId !== null) body.n = lane.nativeId
  if (lane.incarnation !== 0) body.i = lane.incarnation
  if (lane.exists !== true) body.e = lane.exists
  if (lane.token !== null) body.t = lane.token
  if (hasMembers(lane.image)) body.g = lane.image
  encodeSent(lane.sent, head, body)
  if (lane.basis !== headSeq) body.k = lane.basis
  if (lane.byChance.length > 0) body.h = lane.byChance
  if (lane.unfolded.length > 0) body.j = lane.unfolded
  if (lane.intent !== null) body.w = lane.intent
  if (lane.overlays.length > 0) body.y = lane.overlays
  if (lane.reading !== null) body.r = lane.reading
  if (lane.park !== null) body.p = lane.park
  if (lane.retry !== null) body.b = lane.retry
  if (lane.waitsFor !== null) body.f = lane.waitsFor
  if (lane.detached) body.z = 1
  if (lane.own.length > 0) encodeOwn(lane.own, body)
  if (lane.nextOp !== 1) body.x = lane.nextOp
  if (lane.readSeq !== 0) body.s = lane.readSeq
  if (lane.madeAtMs !== null) body.m = lane.madeAtMs
  if (lane.withdrawn) body.l = 1
  if (lane.swings !== null) body.v = lane.swings
  return body
}

export function decodeLane(app: AppId, body: LaneBody, head: Fields, headSeq: number): Lane {
  return {
    app,
    object: body.o as ObjectId,
    nativeId: (body.n as NativeId | undefined) ?? null,
    incarnation: body.i ?? 0,
    exists: body.e === undefined ? true : body.e,
    image: body.g ?? {},
    sent: decodeSent(body, head),
    token: (body.t as Token | undefined) ?? null,
    basis: asJournalPosition(body.k ?? headSeq),
    byChance: body.h ?? [],
    unfolded: body.j ?? [],
    intent: body.w ?? null,
    overlays: body.y ?? [],
    reading: body.r ?? null,
    park: body.p ?? null,
    retry: body.b ?? null,
    waitsFor: body.f ?? null,
    detached: body.z === 1,
    madeAtMs: body.m ?? null,
    withdrawn: body.l === 1,
    own: body.q === undefined ? [] : body.q.map((own) => decodeOwn(own, body.u ?? '')),
    nextOp: body.x ?? 1,
    readSeq: asJournalPosition(body.s ?? 0),
    knownAtMs: body.c,
    swings: body.v ?? null,
  }
}

/** Own members only: `valueOf` and `constructor` are good names for a field. */
function encodeSent(sent: Fields, head: Fields, body: Writable<LaneBody>): void {
  let differing: Record<Path, Value> | undefined
  let absent: Path[] | undefined
  for (const path in sent) {
    const value = sent[path] as Value
    if (!Object.hasOwn(head, path) || !isSameText(value, head[path] as Value)) (differing ??= {})[path] = value
  }
  for (const path in head) if (!Object.hasOwn(sent, path)) (absent ??= []).push(path)
  if (differing !== undefined) body.d = differing
  if (absent !== undefined) body.a = absent
}

/** A lane in step shares the head's own object: states are immutable. */
function decodeSent(body: LaneBody, head: Fields): Fields {
  if (body.d === undefined && body.a === undefined) return head
  const sent: Record<Path, Value> = { ...head, ...body.d }
  for (const path of body.a ?? []) delete sent[path]
  return sent
}

/** Whether the stored text of one gives back the other. Stricter than equality of values: 5 and 5n are equal, and are not the same. */
function isSameText(a: Value, b: Value): boolean {
  if (a === b) return true
  if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false
  return a.every((value, i) => isSameText(value, b[i]))
}

/** Op ids of a lane differ in their last number; so the start is stored once. */
function encodeOwn(own: readonly OwnWrite[], body: Writable<LaneBody>): void {
  const first = (own[0] as OwnWrite).op
  const start = first.slice(0, first.lastIndexOf('.') + 1)
  if (start !== '') body.u = start
  body.q = own.map(({ op, token, paths, renditionSeen, atMs, root, hops }) => [
    shortOp(op, start),
    token,
    paths,
    renditionSeen ? 1 : 0,
    atMs,
    root,
    hops,
  ])
}

function shortOp(op: string, start: string): number | string {
  if (!op.startsWith(start)) return op
  const number = Number(op.slice(start.length))
  return Number.isSafeInteger(number) && start + number === op ? number : op
}

const decodeOwn = ([op, token, paths, seen, atMs, root, hops]: OwnBody, start: string): OwnWrite => ({
  op: asOpId(typeof op === 'number' ? start + op : op),
  token: token as Token | null,
  paths,
  renditionSeen: seen === 1,
  atMs,
  root: asJournalPosition(root),
  hops,
})

function hasMembers(object: object): boolean {
  for (const _ in object) return true
  return false
}
