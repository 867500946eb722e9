import { RETRY_FIRST_MS, retryDelayMs, whileInDoubt } from '../deliver/backoff.ts'
import { holding, readFailed, type SettleContext, unknown } from '../deliver/settle.ts'
import type { OwnWriteSeen } from '../merge/folding.ts'
import type { References } from '../merge/references.ts'
import { advanceBasis, heldAt } from '../model/basis.ts'
import { isLogFed } from '../model/capabilities.ts'
import type { ReadImage } from '../model/change.ts'
import type { BindingModel } from '../model/entity.ts'
import { compareTokens, type JournalPosition, type NativeId } from '../model/ids.ts'
import type { Intent, Lane } from '../model/record.ts'
import { endIntent, moveIntent } from '../model/state/intent-state.ts'
import { type Image, valuesEqual } from '../model/value.ts'
import {
  type Consequences,
  finishDeletion,
  foldInto,
  type Observation,
  observe,
  observeDeletion,
  unseenRendition,
} from './decide.ts'
import type { At, RecordWork } from './record-work.ts'

/** Writes in doubt, and how they are resolved by evidence: a read, a search, a restart (docs/protocol.md step 15). Pure, like decide.ts. */

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
  onMissing?: Observation['onMissing'],
): Consequences {
  const lane = work.lane(binding)
  const reading = lane.reading
  if (at.seq <= lane.readSeq) return {}
  const context: SettleContext = { nowMs: at.atMs, seq: at.seq, jitter }
  if (read.result === 'failed') {
    if (reading !== null) work.setLane(readFailed(lane, reading, read, context))
    return {}
  }
  const asked = reading ?? { why: 'hint' as const, afterSeq: at.seq, notBeforeMs: 0, tries: 0 }
  if (isBehind(binding, lane, asked, read)) {
    // It counts once, though it be met again after a restart.
    if (reading !== null || lane.intent === null)
      work.setLane({ ...readFailed(lane, asked, read, context), readSeq: at.seq })
    return {}
  }
  const answered = reading !== null && begunAfter >= reading.afterSeq
  const seen: Observation = {
    seq: at.seq,
    atMs: at.atMs,
    image,
    token: read.token,
    sourceTimeMs: read.sourceTimeMs,
    isRead: true,
    ...(binding.capabilities.read === 'R2' && { asOf: begunAfter }),
    // A read that is to prove the basis names the head it is about; one that a comparison asked for does not.
    ...(answered && reading.why === 'verify' && reading.headSeq === undefined && { isAsked: true }),
    ...(onMissing !== undefined && { onMissing }),
  }
  const intent = lane.intent
  if (intent !== null) return answered ? resolveByRead(work, binding, lane, intent, read, seen, references, heard) : {}
  if (!answered && binding.capabilities.token !== 'T2') {
    // It may have begun before our last write ended: without an order it proves nothing, so the record is read again.
    if (reading === null)
      work.setLane({ ...lane, reading: { why: 'hint', afterSeq: at.seq, notBeforeMs: 0, tries: 0 } })
    return {}
  }
  if (answered) work.setLane({ ...lane, reading: null })
  if (lane.exists !== false || image !== null) observe(work, binding, seen, references)
  if (answered && image !== null && reading.headSeq !== undefined)
    work.setLane(advanceBasis(work.state, work.lane(binding), heldAt(reading.headSeq)))
  if (reading?.why === 'conflict') {
    // The version that refused us has come, although a hint wants one more read: that one will find it known, and the refusal had its reason.
    if (!answered && work.lane(binding).token !== lane.token) work.setLane(askedByHint(work.lane(binding)))
    else if (seen.token !== undefined && seen.token === lane.token) refusedWithoutReason(work, binding, at, jitter)
  }
  return {}
}

/**
 * Whether a read that may lag (R1) shows less than is known, or than was said: an older version; none, or the one of before, where something newer was told of. It is made again, with pauses, until as
 * long has passed as the application may be behind.
 */
function isBehind(
  { capabilities }: BindingModel,
  lane: Lane,
  { why, tries }: NonNullable<Lane['reading']>,
  { result, token }: ReadImage,
): boolean {
  if (capabilities.read !== 'R1' || capabilities.token !== 'T2') return false
  const waitedMs = ((2 ** tries - 1) * RETRY_FIRST_MS) / 2
  if (waitedMs >= capabilities.fenceMs || lane.nativeId === null) return false
  if (result === 'missing') return true
  if (token === undefined || lane.token === null) return false
  const order = compareTokens(token, lane.token)
  const hasMoved = why === 'conflict' || why === 'gone' || (why === 'unknown' && lane.intent?.baseToken === null)
  return order < 0 || (order === 0 && hasMoved)
}

const askedByHint = (lane: Lane): Lane =>
  lane.reading === null ? lane : { ...lane, reading: { ...lane.reading, why: 'hint' } }

/** A condition refused although the version is the one that we know: tried again, but not at once, or the two would go on for ever. */
function refusedWithoutReason(work: RecordWork, binding: BindingModel, at: At, jitter: number): void {
  const lane = work.lane(binding)
  const tries = (lane.retry?.tries ?? 0) + 1
  const message = `${lane.app} refused our write as based on an old version, but holds the version that it was based on (${lane.token})`
  work.setLane({
    ...lane,
    retry: {
      tries,
      notBeforeMs: at.atMs + retryDelayMs(tries, jitter, undefined),
      code: 'target.unavailable',
      message,
    },
  })
}

/** A write in doubt, or one being read back, meets the evidence (docs/protocol.md step 15 ii, iv, v). */
function resolveByRead(
  work: RecordWork,
  binding: BindingModel,
  lane: Lane,
  intent: Intent,
  read: ReadImage,
  seen: Observation,
  references: References,
  heard: boolean,
): Consequences {
  const idle: Lane = { ...lane, intent: endIntent(intent, 'evidence'), reading: null, retry: null }
  if (intent.kind === 'create') {
    if (read.result === 'missing') {
      work.say(
        seen,
        lane.app,
        'resolved',
        `${intent.op} was not applied: nothing in ${lane.app} bears its correlation id`,
        { op: intent.op },
      )
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
  const untouched =
    intent.state === 'unknown' &&
    seen.token !== undefined &&
    seen.token === intent.baseToken &&
    binding.capabilities.condition === 'C2'
  if (untouched) {
    work.say(
      seen,
      lane.app,
      'resolved',
      `${intent.op} has not been applied so far (version still ${seen.token}); the same conditional write is sent again`,
      { op: intent.op },
    )
    work.setLane({
      ...lane,
      intent: { ...moveIntent(intent, 'not yet'), notBeforeMs: 0 },
      reading: null,
      readSeq: seen.seq,
    })
    return {}
  }
  work.say(
    seen,
    lane.app,
    'resolved',
    intent.state === 'readback' ? `${intent.op} read back` : `${intent.op} decided by what ${lane.app} holds now`,
    { op: intent.op },
  )
  const { patch, native, headSeq } = intent
  const earlier = unseenRendition(lane)
  const own: OwnWriteSeen = {
    ...{ how: 'included', patch, native, origin: intent, headSeq },
    ...(earlier !== null && { earlier: { patch: earlier.patch, native: earlier.native } }),
  }
  foldInto(work, binding, idle, seen.image ?? {}, { ...seen, isRead: true }, own, references, undefined)
  const { condition, token, fenceMs } = binding.capabilities
  if (condition === 'C2' && token === 'T1' && !isIncluded(work.lane(binding), intent))
    work.setLane(whileInDoubt(work.lane(binding), intent, fenceMs, seen.atMs))
  const written = binding.capabilities.token === 'T0' ? heard : seen.token !== lane.token
  if (written && intent.state === 'unknown') keepPossibleReverts(work, intent, lane, seen)
  return {}
}

const isIncluded = ({ sent }: Lane, { kind, patch }: Intent): boolean =>
  kind === 'update' && Object.keys(patch).every((path) => valuesEqual(sent[path], patch[path]))

/**
 * A write in doubt, and the application holds again what it held before, although something was written there meanwhile: our write may have been applied and undone by a
 * person. That cannot be told from "never applied" (section 6), so it is sent again, and the value that a person may have put back is kept in the conflict log.
 */
function keepPossibleReverts(work: RecordWork, intent: Intent, before: Lane, seen: Observation): void {
  for (const path in intent.patch) {
    const cell = work.state.head[path]
    const stands = work.state.lanes[before.app]?.sent[path]
    if (cell === undefined || valuesEqual(stands, cell.value) || !valuesEqual(stands, before.sent[path])) continue
    work.conflicts.push({
      key: work.state.key,
      entity: work.state.entity,
      path,
      loserApp: before.app,
      loserValue: stands ?? (path.endsWith(']') ? false : null),
      winnerApp: cell.origin.app,
      winnerValue: cell.value,
      reason: 'in-doubt',
      policy: 'resend',
      seq: seen.seq,
      atMs: seen.atMs,
    })
  }
}

/** A record that bears our correlation id is what our create made: linked at once, whichever way it was heard of. */
export function adoptCreate(
  work: RecordWork,
  binding: BindingModel,
  lane: Lane,
  intent: Intent,
  nativeId: NativeId,
  seen: Observation,
  references: References,
): Consequences {
  const context: SettleContext = { nowMs: seen.atMs, seq: seen.seq, jitter: 0 }
  const held = holding(work.state, lane, intent, binding, nativeId, null, context)
  const closed: Lane = {
    ...held,
    intent: endIntent(intent, 'evidence'),
    reading: null,
    retry: null,
    park: null,
    readSeq: seen.isRead ? seen.seq : lane.readSeq,
  }
  // A hint names it and tells nothing of it: what its users have made of it meanwhile is read.
  if (seen.image === null)
    work.setLane({ ...closed, reading: { why: 'hint', afterSeq: seen.seq, notBeforeMs: 0, tries: 0 } })
  else {
    const { patch, native } = intent
    const own: OwnWriteSeen = { how: 'included', patch, native, origin: intent, headSeq: null }
    foldInto(work, binding, closed, seen.image, seen, own, references, undefined)
  }
  work.say(seen, lane.app, 'linked', `${lane.app}:${nativeId} is what ${intent.op} created`, { op: intent.op })
  work.link(binding, nativeId, lane.incarnation, seen)
  return { linked: nativeId }
}

/** After a restart every open write is in doubt, whether it was sent or not. */
export function doubtAfterRestart(work: RecordWork, binding: BindingModel, at: At): void {
  const lane = work.lane(binding)
  if (lane.intent?.state === 'unknown') work.setLane(fencedAnew(lane, lane.intent, binding, at))
  if (lane.intent === null || lane.intent.state !== 'open') return
  const settled = unknown(
    work.state,
    lane,
    lane.intent,
    binding,
    'target.unknown',
    'the hub was restarted while it was open',
    { nowMs: at.atMs, seq: at.seq, jitter: 0 },
  )
  const { intent, reading } = settled.lane
  work.say(at, lane.app, settled.verdict, settled.text, { op: lane.intent.op })
  work.setLane({
    ...settled.lane,
    intent: intent === null ? null : { ...intent, notBeforeMs: at.atMs },
    // A condition protects from a late application of the first try; a create and a blind write have to wait for the fence.
    reading:
      reading === null ||
      isLogFed(binding.capabilities) ||
      binding.capabilities.condition === 'C0' ||
      lane.intent.kind === 'create'
        ? reading
        : { ...reading, notBeforeMs: at.atMs },
  })
}

/**
 * How long the hub was away can only be told by a wall clock, and that may have been set meanwhile. So a fence that was not over begins anew: a request of before may be
 * applied until then.
 */
function fencedAnew(lane: Lane, intent: Intent, binding: BindingModel, at: At): Lane {
  const { condition, fenceMs } = binding.capabilities
  const untilMs = at.atMs + fenceMs
  const doubted = intent.doubtUntilMs === undefined ? intent : { ...intent, doubtUntilMs: untilMs }
  const { reading } = lane
  const isFenced = intent.kind === 'create' || condition === 'C0' || isLogFed(binding.capabilities)
  return {
    ...lane,
    intent: doubted,
    reading: reading?.why === 'unknown' && isFenced ? { ...reading, notBeforeMs: untilMs } : reading,
  }
}
