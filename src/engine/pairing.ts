import { isTheirs, SEPARATED } from '../deliver/plan.ts'
import { joinHeads } from '../merge/join.ts'
import { agreedBy } from '../merge/set-aside.ts'
import { hasAgreed } from '../model/basis.ts'
import type { NamedRecord, OperatorAction } from '../model/change.ts'
import type { BindingModel, EntityModel, HubModel } from '../model/entity.ts'
import type { AppId, CanonicalKey } from '../model/ids.ts'
import { type HeadCell, isThere, type Lane, nextHeadSeq, type Origin, type RecordState } from '../model/record.ts'
import type { Path } from '../model/value.ts'
import { canonicalKeyFor } from './keys.ts'
import { type At, emptyLane, type RecordWork } from './record-work.ts'

/**
 * What people say of pairs of records: that two are one, or that they are not. Pure, like decide.ts: what cannot be done (any more) is said, and changes nothing.
 */

export type Pair = Extract<OperatorAction, { action: 'link' | 'separate' }>

/** What the decision needs of the batch that it belongs to. */
export interface Pairing {
  readonly model: HubModel
  readonly instanceId: string
  readonly at: At
  readonly create: (entity: EntityModel, key: CanonicalKey) => RecordWork
  readonly addLink: (link: LinkMoved) => void
  /** Something on this lane is not over yet: a write, a read, a change that waits. */
  readonly isBusy: (work: RecordWork, lane: Lane) => boolean
}

type LinkMoved = Parameters<ConstructorParameters<typeof RecordWork>[3]>[0]

/** Two records become one: the first goes on, the second ends in it. */
export function linkRecords(pairing: Pairing, kept: RecordWork, taken: RecordWork, pair: Pair): void {
  const { at } = pairing
  const why = whyNotLinked(pairing.model, kept.state, taken.state, pair) ?? whyBusy(pairing, [kept, taken])
  if (why !== null) {
    for (const work of new Set([kept, taken])) work.say(at, pair.app, 'unchanged', `not linked: ${why}`)
    return
  }
  for (const left of lanesLeft(kept.state, taken.state, pair)) leaveBehind(pairing, kept, taken, left, pair)
  const lanes = Object.values(taken.state.lanes).filter((lane) => !isClosed(lane) && lane.nativeId !== null)
  const over = lanes.filter((lane) => kept.state.lanes[lane.app]?.nativeId == null || isThere(lane))
  const joined = joinHeads({ entity: kept.entity, kept: kept.state, taken: taken.state, lanes: over, ...at })
  const { conflicts, ...head } = joined
  const { apart, ...rest } = kept.state
  const stillApart = apart === undefined || apart.from === taken.state.key ? {} : { apart }
  kept.state = { ...rest, ...stillApart, ...head, lanes: withoutClosed(kept.state.lanes) }
  kept.conflicts.push(...conflicts)
  for (const lane of over) comeOver(pairing, kept, taken, lane)
  const text = `a person said that ${nameOf(pair)} and ${nameOf(pair.other)} are one ${kept.state.entity}`
  const lost =
    conflicts.length === 0 ? '' : `; ${conflicts.map(({ path }) => path).join(', ')} differed: see the conflicts`
  kept.say(at, pair.app, 'linked', text + lost)
  taken.say(at, pair.other.app, 'linked', `${text}; everything of it is there now`)
  taken.state = { ...taken.state, head: {}, lanes: {}, parkedPaths: {}, mergedInto: kept.state.key }
}

/** The native record moves into the record that goes on, with all that is known of it. */
function comeOver({ addLink, at }: Pairing, kept: RecordWork, taken: RecordWork, lane: Lane): void {
  const before = kept.state.lanes[lane.app]
  const nextOp = before?.nextOp ?? 0
  kept.setLane({ ...lane, ...AFRESH, nextOp, basis: kept.state.headSeq, byChance: [] })
  if (isThere(lane)) addLink(linkOf(kept, lane, at, taken.state.key))
}

/** Of two records in one application, the copy that we made and nobody there has touched: it becomes a record without a future, and is taken back, or left to people where others refer to it. */
function leaveBehind(pairing: Pairing, kept: RecordWork, taken: RecordWork, left: Left, pair: Pair): void {
  const from = left.of === 'kept' ? kept : taken
  const by = left.of === 'kept' ? pair.app : pair.other.app
  const isReferred = isReferredTo(pairing.model, kept.state.entity)
  const own = takeOut(pairing, from, left.lane, (origin) => ({
    ...origin,
    app: origin.app === left.lane.app ? by : origin.app,
  }))
  own.state = { ...own.state, mergedInto: kept.state.key }
  const lane = own.state.lanes[left.lane.app] as Lane
  own.setLane(isReferred ? { ...lane, detached: true } : { ...lane, withdrawn: true })
  const copy = `${lane.app}:${lane.nativeId} is a copy that the hub had made`
  const what = isReferred
    ? 'others may refer to it, so it is left as it is and no longer followed: delete it there when nothing does'
    : 'it is deleted there, unless somebody there has changed it'
  own.say(pairing.at, lane.app, isReferred ? 'detached' : 'released', `${copy}; ${what}`)
}

/** Two native records are not one: what they share is taken apart. Returns the key of the record that came of it, null where nothing was done. */
export function separateRecords(pairing: Pairing, work: RecordWork, pair: Pair): CanonicalKey | null {
  const { at } = pairing
  const lane = work.state.lanes[pair.other.app]
  const why = whyNotSeparated(work.state, pair) ?? (lane === undefined ? null : whyBusy(pairing, [work], lane))
  if (lane === undefined || why !== null) {
    work.say(at, pair.app, 'unchanged', `not separated: ${why}`)
    return null
  }
  const own = takeOut(pairing, work, lane, (origin) => ({ ...origin, app: lane.app }))
  // What has waited since before that is decided after it, as a newer version.
  const seq = own.state.headSeq
  work.state = { ...work.state, headSeq: seq }
  const unseen = Object.keys(own.state.head).filter((path) => !hasAgreed(work.state, lane, path))
  own.state = claimed(work.state, { ...own.state, apart: { from: work.state.key, seq, unseen } }, lane)
  let { parkedPaths } = work.state
  for (const path of Object.keys(parkedPaths)) parkedPaths = agreedBy(parkedPaths, path, lane.app)
  work.state = { ...work.state, parkedPaths }
  close(work, lane.app, `a person said that it is not ${lane.app}:${lane.nativeId}`, at)
  for (const app of work.entity.bindings.keys())
    if (app !== lane.app) close(own, app, `a person said that it is not ${nameOf(pair)}`, at)
  const text = `a person said that ${nameOf(pair)} and ${nameOf(pair.other)} are two: ${nameOf(pair.other)} is a record of its own now. Neither is created where the other is, and the second nowhere else, until a person releases it`
  work.say(at, pair.app, 'separated', text)
  own.say(at, lane.app, 'separated', text)
  return own.state.key
}

/** Two records that are two already: they are not proposed as one again. Returns the key of the second. */
export function sayTwo({ at }: Pairing, work: RecordWork, other: RecordWork, pair: Pair): CanonicalKey {
  const text = `a person said that ${nameOf(pair)} and ${nameOf(pair.other)} are two: they are not shown as candidates again`
  work.say(at, pair.app, 'separated', text)
  other.say(at, pair.other.app, 'separated', text)
  return other.state.key
}

/** What an application holds of a field that is set aside is a value that somebody claims, whenever they have entered it. */
function claimed(from: RecordState, own: RecordState, lane: Lane): RecordState {
  const headSeq = (own.headSeq + 1) as RecordState['headSeq']
  const origin = { seq: headSeq, app: lane.app, timeMs: lane.knownAtMs, root: own.headSeq, hops: 0 }
  const head: Record<Path, HeadCell> = { ...own.head }
  for (const [path, { apps }] of Object.entries(from.parkedPaths)) {
    const cell = head[path]
    if (cell !== undefined && (apps === undefined || apps.includes(lane.app))) head[path] = { ...cell, origin }
  }
  return { ...own, head, headSeq, lanes: { [lane.app]: { ...(own.lanes[lane.app] ?? lane), basis: headSeq } } }
}

/** A native record gets a record of its own, with the values that it is known to stand for. */
function takeOut(pairing: Pairing, from: RecordWork, lane: Lane, ownOrigin: (origin: Origin) => Origin): RecordWork {
  const { at, instanceId, create, addLink } = pairing
  const binding = from.entity.bindings.get(lane.app) as BindingModel
  const own = create(from.entity, canonicalKeyFor(instanceId, from.entity.name, at.seq, at.atMs, lane.app))
  const headSeq = nextHeadSeq(from.state, at.seq)
  const head: Record<Path, HeadCell> = {}
  const origins = new Map<Origin | undefined, Origin>()
  for (const path in lane.sent) {
    const value = lane.sent[path]
    if (value === undefined || path.startsWith('@')) continue
    const known = from.state.head[path]?.origin
    let origin = origins.get(known)
    if (origin === undefined) {
      const of = known ?? { app: lane.app, timeMs: lane.knownAtMs, root: at.seq, hops: 0 }
      origins.set(known, (origin = ownOrigin({ ...of, seq: headSeq })))
    }
    head[path] = { value, origin }
  }
  own.state = { ...own.state, head, headSeq }
  own.setLane({ ...lane, ...AFRESH, basis: headSeq, byChance: [], nextOp: 0 })
  if (isThere(lane)) addLink(linkOf(own, lane, at, from.state.key))
  // What a create of ours for the old life may yet bring must not be taken for what a new one makes.
  from.setLane({ ...emptyLane(binding), incarnation: lane.incarnation + 1, nextOp: lane.nextOp })
  return own
}

/** A copy that was to be taken back, and that its own users have changed meanwhile, is a record of its own again: nothing of theirs is lost. */
export function reviveChanged(work: RecordWork, at: At): void {
  const { mergedInto: _, ...state } = work.state
  const lane = Object.values(state.lanes).find((one) => one.exists === true && isTheirs(work.state, one.app))
  if (lane === undefined) return
  work.state = state
  work.setLane({ ...lane, withdrawn: false, detached: false })
  for (const app of work.entity.bindings.keys())
    if (app !== lane.app) close(work, app, `it was a copy of another record until ${lane.app} changed it`, at)
  const text = `${lane.app}:${lane.nativeId} was to be taken back, and somebody there has changed it: it is a record of its own`
  work.say(at, lane.app, 'separated', text)
}

/** Nothing is created there until a person releases it. */
function close(work: RecordWork, app: AppId, because: string, at: At): void {
  const binding = work.entity.bindings.get(app)
  if (binding === undefined || !binding.createHere) return
  const message = `${because}; it is not created in ${app} until it is released`
  const park = { code: SEPARATED, message, atMs: at.atMs, headSeq: work.state.headSeq }
  work.setLane({ ...work.lane(binding), park })
}

const isClosed = (lane: Lane): boolean => lane.park?.code === SEPARATED
const withoutClosed = (lanes: RecordState['lanes']): RecordState['lanes'] =>
  Object.fromEntries(
    Object.entries(lanes).map(([app, lane]) => [app, isClosed(lane) ? { ...lane, park: null } : lane] as const),
  )

/** Why two records cannot become one as they stand; null where they can. */
export function whyNotLinked(model: HubModel, kept: RecordState, taken: RecordState, pair: Pair): string | null {
  if (kept.key === taken.key) return 'they are one already'
  if (kept.entity !== taken.entity) return `one is a ${kept.entity}, the other a ${taken.entity}`
  for (const [record, named] of [
    [kept, pair],
    [taken, pair.other],
  ] as const) {
    const lane = record.lanes[named.app]
    if (record.mergedInto !== undefined) return `${nameOf(named)} is a copy that is being taken back`
    if (lane?.nativeId !== named.nativeId || !isThere(lane)) return `${nameOf(named)} is not there (any more)`
    if (record.deleted) return `${nameOf(named)} is being deleted; \`latchwork undelete\` takes that back`
    const [aside] = Object.keys(record.parkedPaths)
    if (aside !== undefined) return `${aside} of ${nameOf(named)} is set aside; \`latchwork resolve\` it first`
  }
  if (pair.app === pair.other.app)
    return `both are in ${pair.app}, where one record cannot be two: delete one of them there, after \`latchwork separate\` where it has copies`
  for (const { of, lane } of lanesLeft(kept, taken, pair)) {
    const record = of === 'kept' ? kept : taken
    if (lane.madeAtMs !== null && !isTheirs(record, lane.app)) continue
    const named = of === 'kept' ? pair : pair.other
    return `${lane.app} has both, and ${lane.app}:${lane.nativeId} is not merely our copy of ${nameOf(named)}: \`latchwork separate ${model.entities.get(kept.entity)?.name} ${nameOf(named)} ${lane.app}:${lane.nativeId}\` first`
  }
  return null
}

/** Why a native record cannot be taken out of the record that it shares with another; null where it can. */
export function whyNotSeparated(record: RecordState, pair: Pair): string | null {
  for (const named of [pair, pair.other]) {
    const lane = record.lanes[named.app]
    if (lane?.nativeId !== named.nativeId || !isThere(lane)) return `${nameOf(named)} is not there (any more)`
  }
  if (pair.app === pair.other.app) return 'it is one and the same'
  if (record.deleted) return 'it is being deleted; `latchwork undelete` takes that back'
  return null
}

interface Left {
  readonly of: 'kept' | 'taken'
  readonly lane: Lane
}

/** Where both are in one application: the record there that is not kept. What a person named is, then what its users made, then what the first has. */
function lanesLeft(kept: RecordState, taken: RecordState, pair: Pair): Left[] {
  const left: Left[] = []
  for (const lane of Object.values(kept.lanes)) {
    const other = taken.lanes[lane.app]
    if (other === undefined || !isThere(lane) || !isThere(other)) continue
    const isTaken =
      lane.app === pair.other.app || (lane.app !== pair.app && isOurCopy(kept, lane) && !isOurCopy(taken, other))
    left.push(isTaken ? { of: 'kept', lane } : { of: 'taken', lane: other })
  }
  return left
}

const isOurCopy = (record: RecordState, lane: Lane): boolean => lane.madeAtMs !== null && !isTheirs(record, lane.app)

function whyBusy({ isBusy }: Pairing, works: readonly RecordWork[], only?: Lane): string | null {
  for (const work of works) {
    for (const lane of Object.values(work.state.lanes)) {
      if (only !== undefined && lane.app !== only.app) continue
      if (isBusy(work, lane)) return `${BUSY} in ${lane.app}; ask again in a moment`
    }
  }
  return null
}

/** How the reason begins that passes by itself. */
export const BUSY = 'something is under way'

const nameOf = ({ app, nativeId }: Pick<NamedRecord, 'app' | 'nativeId'>): string => `${app}:${nativeId}`

/** What a lane leaves behind when it moves: what kept it from being written belonged to the record that it was of. */
const AFRESH = { park: null, retry: null, waitsFor: null } as const

const linkOf = (work: RecordWork, lane: Lane, { atMs }: At, from: CanonicalKey): LinkMoved => ({
  app: lane.app,
  object: lane.object,
  nativeId: lane.nativeId as NonNullable<Lane['nativeId']>,
  entity: work.state.entity,
  key: work.state.key,
  incarnation: lane.incarnation,
  state: 'live',
  token: null,
  from,
  atMs,
})

function isReferredTo({ entities }: HubModel, name: RecordState['entity']): boolean {
  for (const { fields, parts } of entities.values()) {
    const all = [...Object.values(fields), ...Object.values(parts).flatMap((part) => Object.values(part.fields))]
    if (all.some(({ reference }) => reference === name)) return true
  }
  return false
}
