import { retryDelayMs } from '../deliver/backoff.ts'
import { settleOutcome, type Settled, type SettleContext, parked, readFailed, unknown, holding } from '../deliver/settle.ts'
import { type Plan, type PlanContext, planLane } from '../deliver/plan.ts'
import { SyncError } from '../errors/index.ts'
import { foldDelete } from '../merge/delete.ts'
import { foldImage, type OwnWriteSeen } from '../merge/fold.ts'
import type { References } from '../merge/references.ts'
import type { Outcome, ReadImage } from '../model/change.ts'
import type { BindingModel } from '../model/entity.ts'
import { compareTokens, type JournalPosition, type NativeId, type Token } from '../model/ids.ts'
import type { Intent, Lane, OwnWrite } from '../model/record.ts'
import { type Fields, type Image, type Value, valuesEqual } from '../model/value.ts'
import type { At, RecordWork } from './record-work.ts'

/**
 * The decision: what an input means for a record. Data in, data out (the new state stands in the RecordWork); no I/O, no clock, no randomness.
 * It composes the stages latch, merge and deliver; the engine's loop loads before and commits after.
 */

/** A state of a record in an application, as a notification or a read told it. */
export interface Observation extends At {
  readonly image: Image | null
  readonly token: Token | undefined
  readonly sourceTimeMs: number | undefined
  readonly isRead: boolean
}

/** Folds an observation into a linked, idle lane. Throws SyncError (park the entry) or MissingReference (hold it). */
export function observe(work: RecordWork, binding: BindingModel, seen: Observation, references: References): void {
  const lane = work.lane(binding)
  const own = ownWriteOf(lane, seen.token)
  const order = staleness(binding, lane, seen)
  if (order === 'older' || (order === 'same' && (own === undefined || own.renditionSeen))) {
    const text = own === undefined ? `version ${seen.token} is no newer than ${lane.token}` : `echo of our write ${own.op}: it returned version ${own.token}`
    work.say(seen, lane.app, own === undefined ? 'stale' : 'echo', text, own === undefined ? {} : { op: own.op })
    work.setLane(seen.isRead ? { ...lane, readSeq: seen.seq, knownAtMs: seen.atMs } : lane)
    return
  }
  if (seen.image === null) {
    observeDeletion(work, binding, lane, seen)
    return
  }
  const subtracted = own !== undefined && order === 'same' ? { how: 'exact' as const, patch: unseenPatch(lane), native: {}, origin: own } : unseenRendition(lane)
  const marked = { ...lane, own: renditionsSeen(lane.own) }
  foldInto(work, binding, marked, seen.image, seen, subtracted, references, own)
}

/** The own write whose reply named exactly this token (the ladder's second rung). */
function ownWriteOf(lane: Lane, token: Token | undefined): OwnWrite | undefined {
  return token === undefined ? undefined : lane.own.find((write) => write.token === token)
}

/**
 * Our last write, when nothing has been heard of the record since: the application's own form of what we wrote is not known yet, so a value that is ours but for its
 * spelling is that form, and not a change.
 */
function unseenRendition(lane: Lane): OwnWriteSeen | null {
  const last = lane.own[0]
  if (last === undefined || last.renditionSeen || last.token === null || last.token !== lane.token) return null
  return { how: 'included', patch: unseenPatch(lane), native: lane.image, origin: null }
}

/** What we wrote since the application's own form was last seen: each write stands on the one before it, so their paths add up. */
function unseenPatch(lane: Lane): Fields {
  const patch: Record<string, Value> = {}
  for (const own of lane.own) {
    if (own.renditionSeen) break
    for (const path of own.paths) if (path in lane.sent) patch[path] = lane.sent[path] as Value
  }
  return patch
}

const renditionsSeen = (own: readonly OwnWrite[]): readonly OwnWrite[] =>
  own.length === 0 || own[0]?.renditionSeen ? own : own.map((write) => (write.renditionSeen ? write : { ...write, renditionSeen: true }))

/** Step 6, the only comparison that may drop without looking at content. */
function staleness(binding: BindingModel, lane: Lane, seen: Observation): 'older' | 'same' | 'newer' {
  if (lane.exists === false && !seen.isRead && seen.token === undefined) return 'newer'
  if (seen.token === undefined || lane.token === null) return 'newer'
  if (binding.capabilities.token === 'T2') {
    const order = compareTokens(seen.token, lane.token)
    return order < 0 ? 'older' : order === 0 ? 'same' : 'newer'
  }
  return binding.capabilities.token === 'T1' && seen.token === lane.token ? 'same' : 'newer'
}

function foldInto(
  work: RecordWork,
  binding: BindingModel,
  lane: Lane,
  image: Image,
  at: Observation,
  own: OwnWriteSeen | null,
  references: References,
  echoOf: OwnWrite | undefined,
): void {
  const fold = foldImage({
    entity: work.entity, binding, record: work.state, lane, image, seq: at.seq, atMs: at.atMs, sourceTimeMs: at.sourceTimeMs, own, references,
  })
  work.state = fold.record
  work.setLane({
    ...fold.lane,
    exists: true,
    token: at.token ?? fold.lane.token,
    knownAtMs: at.atMs,
    readSeq: at.isRead ? at.seq : fold.lane.readSeq,
  })
  work.conflicts.push(...fold.conflicts)
  for (const path of fold.overBudget) {
    const message = `${path} of ${work.state.entity} ${work.state.key} has been answered by applications more often than there are applications; it is set aside. Both renditions are in \`explain\`.`
    work.state = { ...work.state, parkedPaths: { ...work.state.parkedPaths, [path]: { code: 'merge.not-converging', message } } }
    work.say(at, lane.app, 'parked', message, { paths: [path] })
  }
  if (fold.accepted.length > 0) {
    work.say(at, lane.app, own === null ? 'accepted' : 'derived', `${lane.app} changed ${fold.accepted.join(', ')}`, { paths: fold.accepted })
  }
  if (fold.won.length > 0) work.say(at, lane.app, 'conflict-won', `${fold.won.join(', ')} changed on both sides; ${lane.app} stands by the policy`, { paths: fold.won })
  if (fold.lost.length > 0) work.say(at, lane.app, 'conflict-lost', `${fold.lost.join(', ')} changed on both sides; the value of ${lane.app} is in the conflict log`, { paths: fold.lost })
  if (fold.rendition.length > 0) work.say(at, lane.app, 'rendition', `${lane.app} stores our ${fold.rendition.join(', ')} in its own form`, { paths: fold.rendition })
  if (fold.accepted.length + fold.won.length + fold.lost.length + fold.rendition.length > 0) return
  if (echoOf !== undefined) work.say(at, lane.app, 'echo', `echo of our write ${echoOf.op}: nothing else changed`, { op: echoOf.op })
  else if (fold.convergent.length > 0) work.say(at, lane.app, 'convergent', `${lane.app} came to the same ${fold.convergent.join(', ')}`, { paths: fold.convergent })
  else if (own === null) work.say(at, lane.app, at.isRead ? 'read' : 'unchanged', `${lane.app} holds what we know; nothing remains to fold`)
}

function observeDeletion(work: RecordWork, binding: BindingModel, lane: Lane, at: Observation): void {
  const result = foldDelete(work.entity, binding, work.state, lane, at)
  work.state = result.record
  work.setLane({ ...result.lane, token: at.token ?? lane.token, readSeq: at.isRead ? at.seq : lane.readSeq, knownAtMs: at.atMs })
  work.conflicts.push(...result.conflicts)
  if (lane.nativeId !== null && lane.exists !== false) work.tombstone(lane, lane.nativeId, at.token ?? lane.token, at)
  if (result.effect === 'known') work.say(at, lane.app, 'echo', `${lane.app} confirms a deletion that is known`)
  else if (result.effect === 'deleted') work.say(at, lane.app, 'deleted', `${lane.app} deleted it`)
  else if (result.effect === 'detached') work.say(at, lane.app, 'detached', `${lane.app} deleted it without having seen all of it; kept elsewhere, no longer followed in ${lane.app}`)
  else work.say(at, lane.app, 'accepted', `${lane.app} deleted it without having seen all of it; it is created there again`)
}

/** What an outcome or read made known beyond its own lane. */
export interface Consequences {
  /** A native id that a create made known; the engine has checked that it is free. */
  readonly linked?: NativeId
}

/** Takes the outcome of a write. An outcome whose write is not the lane's open one is only noted: something else has already resolved it. */
export function takeOutcome(work: RecordWork, binding: BindingModel, outcome: Outcome, at: At, jitter: number, flatten: () => Image | null, references: References): Consequences {
  const lane = work.lane(binding)
  const intent = lane.intent
  if (intent === null || intent.op !== outcome.op || intent.state === 'readback') return {}
  const settled = settleOutcome(work.state, lane, intent, binding, outcome, { nowMs: at.atMs, seq: at.seq, jitter })
  return takeSettled(work, binding, lane, intent, settled, at, outcome.token, flatten, references)
}

function takeSettled(
  work: RecordWork,
  binding: BindingModel,
  before: Lane,
  intent: Intent,
  settled: Settled,
  at: At,
  token: Token | undefined,
  flatten: () => Image | null,
  references: References,
): Consequences {
  work.say(at, before.app, settled.verdict, settled.text, { op: intent.op, paths: Object.keys(intent.patch) })
  if (settled.gone !== undefined) {
    finishDeletion(work, settled.lane, token, at)
    return {}
  }
  work.setLane(settled.lane)
  if (settled.linked !== undefined && before.nativeId === null) work.link(binding, settled.linked, settled.lane.incarnation, at)
  if (settled.fold !== undefined) {
    const image = flatten()
    if (image !== null) {
      const blind = binding.capabilities.condition === 'C0' && intent.kind === 'update'
      const own: OwnWriteSeen = { how: 'exact', patch: { ...unseenPatch(settled.lane), ...intent.patch }, native: intent.native, origin: blind ? null : intent }
      const lane = { ...settled.lane, own: renditionsSeen(settled.lane.own) }
      const seen: Observation = { seq: at.seq, atMs: at.atMs, image, token, sourceTimeMs: undefined, isRead: true }
      foldInto(work, binding, lane, image, seen, own, references, undefined)
    }
  }
  return settled.linked === undefined ? {} : { linked: settled.linked }
}

/** Our own delete is done: the lane holds nothing any more, and its native id is a tombstone. */
function finishDeletion(work: RecordWork, lane: Lane, token: Token | undefined, at: At): void {
  if (lane.nativeId !== null && lane.exists !== false) work.tombstone(lane, lane.nativeId, token ?? lane.token, at)
  work.setLane({ ...lane, exists: false, image: {}, sent: {}, intent: null, reading: null, readSeq: at.seq })
}

/**
 * Takes what a read of a linked lane found. Throws SyncError or MissingReference as `observe` does; the lane's read is then over all the same, because the
 * engine parks or holds the image.
 */
export function takeRead(
  work: RecordWork,
  binding: BindingModel,
  read: ReadImage,
  begunAfter: JournalPosition,
  at: At,
  jitter: number,
  image: Image | null,
  references: References,
  /** Whether the application has told of changes since the lane's write left. */
  heard = false,
): Consequences {
  const lane = work.lane(binding)
  const reading = lane.reading
  if (at.seq <= lane.readSeq) return {}
  const context: SettleContext = { nowMs: at.atMs, seq: at.seq, jitter }
  if (read.result === 'failed') {
    if (reading !== null) work.setLane(readFailed(lane, reading, read, context))
    return {}
  }
  const answered = reading !== null && begunAfter >= reading.afterSeq
  const seen: Observation = { seq: at.seq, atMs: at.atMs, image, token: read.token, sourceTimeMs: read.sourceTimeMs, isRead: true }
  const intent = lane.intent
  if (intent !== null) return answered ? resolveByRead(work, binding, lane, intent, read, seen, references, heard) : {}
  if (!answered && binding.capabilities.token !== 'T2') {
    // It may have begun before our last write ended: without an order it proves nothing, so the record is read again.
    if (reading === null) work.setLane({ ...lane, reading: { why: 'hint', afterSeq: at.seq, notBeforeMs: 0, tries: 0 } })
    return {}
  }
  if (answered) work.setLane({ ...lane, reading: null })
  if (lane.exists !== false || image !== null) observe(work, binding, seen, references)
  if (reading?.why === 'conflict' && seen.token !== undefined && seen.token === lane.token) refusedWithoutReason(work, binding, at, jitter)
  return {}
}

/** A condition refused although the version is the one that we know: tried again, but not at once, or the two would go on for ever. */
function refusedWithoutReason(work: RecordWork, binding: BindingModel, at: At, jitter: number): void {
  const lane = work.lane(binding)
  const tries = (lane.retry?.tries ?? 0) + 1
  const message = `${lane.app} refused our write as based on an old version, but holds the version that it was based on (${lane.token})`
  work.setLane({ ...lane, retry: { tries, notBeforeMs: at.atMs + retryDelayMs(tries, jitter, undefined), code: 'target.unavailable', message } })
}

/** A write in doubt, or one being read back, meets the evidence (docs/protocol.md step 15 ii, iv, v). */
function resolveByRead(work: RecordWork, binding: BindingModel, lane: Lane, intent: Intent, read: ReadImage, seen: Observation, references: References, heard: boolean): Consequences {
  const idle: Lane = { ...lane, intent: null, reading: null, retry: null }
  if (intent.kind === 'create') {
    if (read.result === 'missing') {
      work.say(seen, lane.app, 'resolved', `${intent.op} was not applied: nothing in ${lane.app} bears its correlation id`, { op: intent.op })
      work.setLane({ ...idle, readSeq: seen.seq })
      return {}
    }
    return adoptCreate(work, binding, lane, intent, read.nativeId, seen, references)
  }
  if (read.result === 'missing') {
    work.say(seen, lane.app, 'resolved', `${lane.app} does not hold the record any more`, { op: intent.op })
    if (intent.kind === 'delete') finishDeletion(work, idle, seen.token, seen)
    else {
      work.setLane(idle)
      observeDeletion(work, binding, work.lane(binding), seen)
    }
    return {}
  }
  const untouched = intent.state === 'unknown' && seen.token !== undefined && seen.token === intent.baseToken && binding.capabilities.condition === 'C2'
  if (untouched) {
    work.say(seen, lane.app, 'resolved', `${intent.op} has not been applied so far (version still ${seen.token}); the same conditional write is sent again`, { op: intent.op })
    work.setLane({ ...lane, intent: { ...intent, notBeforeMs: 0 }, reading: null, readSeq: seen.seq })
    return {}
  }
  work.say(seen, lane.app, 'resolved', intent.state === 'readback' ? `${intent.op} read back` : `${intent.op} decided by what ${lane.app} holds now`, { op: intent.op })
  const own: OwnWriteSeen = { how: 'included', patch: intent.patch, native: intent.native, origin: intent }
  foldInto(work, binding, idle, seen.image ?? {}, { ...seen, isRead: true }, own, references, undefined)
  const written = binding.capabilities.token === 'T0' ? heard : seen.token !== lane.token
  if (written && intent.state === 'unknown') keepPossibleReverts(work, intent, lane, seen)
  return {}
}

/**
 * A write in doubt, and the application holds again what it held before, although something was written there meanwhile: our write may have been applied and undone by a
 * person. That cannot be told from "never applied" (section 6), so it is sent again, and the value that a person may have put back is kept in the conflict log.
 */
function keepPossibleReverts(work: RecordWork, intent: Intent, before: Lane, seen: Observation): void {
  for (const path in intent.patch) {
    const cell = work.state.head[path]
    const stands = work.state.lanes[before.app]?.sent[path]
    if (cell === undefined || stands === undefined || !(path in before.sent) || valuesEqual(stands, cell.value) || !valuesEqual(stands, before.sent[path])) continue
    work.conflicts.push({
      key: work.state.key, entity: work.state.entity, path, loserApp: before.app, loserValue: stands, winnerApp: cell.origin.app, winnerValue: cell.value,
      reason: 'in-doubt', policy: 'resend', seq: seen.seq, atMs: seen.atMs,
    })
  }
}

/** A record that bears our correlation id is what our create made: linked at once, whichever way it was heard of. */
export function adoptCreate(work: RecordWork, binding: BindingModel, lane: Lane, intent: Intent, nativeId: NativeId, seen: Observation, references: References): Consequences {
  const context: SettleContext = { nowMs: seen.atMs, seq: seen.seq, jitter: 0 }
  const held = holding(lane, intent, binding, nativeId, null, context)
  const closed: Lane = { ...held, intent: null, reading: null, retry: null, park: null, readSeq: seen.isRead ? seen.seq : lane.readSeq }
  if (seen.image === null) work.setLane(closed)
  else {
    const own: OwnWriteSeen = { how: 'included', patch: intent.patch, native: intent.native, origin: intent }
    foldInto(work, binding, closed, seen.image, seen, own, references, undefined)
  }
  work.say(seen, lane.app, 'linked', `${lane.app}:${nativeId} is what ${intent.op} created`, { op: intent.op })
  work.link(binding, nativeId, lane.incarnation, seen)
  return { linked: nativeId }
}

/** After a restart every open write is in doubt, whether it was sent or not. */
export function doubtAfterRestart(work: RecordWork, binding: BindingModel, at: At): void {
  const lane = work.lane(binding)
  if (lane.intent === null || lane.intent.state !== 'open') return
  const settled = unknown(work.state, lane, lane.intent, binding, 'target.unknown', 'the hub was restarted while it was open', { nowMs: at.atMs, seq: at.seq, jitter: 0 })
  const { intent, reading } = settled.lane
  work.say(at, lane.app, settled.verdict, settled.text, { op: lane.intent.op })
  work.setLane({
    ...settled.lane,
    intent: intent === null ? null : { ...intent, notBeforeMs: at.atMs },
    // A condition protects from a late application of the first try; a create and a blind write have to wait for the fence.
    reading: reading === null || binding.capabilities.condition === 'C0' || lane.intent.kind === 'create' ? reading : { ...reading, notBeforeMs: at.atMs },
  })
}

/** Plans one lane of a record; a mapping that cannot express the head parks it. */
export function plan(work: RecordWork, binding: BindingModel, context: PlanContext): Plan['next'] {
  const lane = work.lane(binding)
  try {
    const planned = planLane(work.state, lane, binding, context)
    if (planned.lane !== lane) {
      work.setLane(planned.lane)
      if (planned.next === 'intent' && planned.lane.intent !== null && lane.intent === null) {
        const { op, kind, patch } = planned.lane.intent
        const paths = Object.keys(patch)
        work.say({ seq: context.seq, atMs: context.nowMs }, lane.app, 'intent', `${kind} decided${paths.length === 0 ? '' : `: ${paths.join(', ')}`}; latch closed`, { op, paths })
      }
      if (planned.next === 'waiting' && planned.lane.waitsFor !== null && lane.waitsFor?.key !== planned.lane.waitsFor.key) {
        const { entity, key } = planned.lane.waitsFor
        work.say({ seq: context.seq, atMs: context.nowMs }, lane.app, 'waiting', `waits until ${entity} ${key} exists in ${lane.app}`)
      }
    }
    return planned.next
  } catch (error) {
    const reason = SyncError.from(error)
    work.say({ seq: context.seq, atMs: context.nowMs }, lane.app, 'parked', reason.message)
    work.setLane(parked(lane, reason.code, reason.message, work.state.headSeq, context))
    return 'idle'
  }
}
