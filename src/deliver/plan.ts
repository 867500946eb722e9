import { advanceBasis } from '../model/basis.ts'
import { type Capabilities, isLogFed } from '../model/capabilities.ts'
import type { BindingModel } from '../model/entity.ts'
import { type AppId, asOpId, type CanonicalKey, type JournalPosition, type NativeId } from '../model/ids.ts'
import { type Lineage, lineageTo } from '../model/lineage.ts'
import type { Intent, Lane, RecordState } from '../model/record.ts'
import { BEGUN } from '../model/state/intent-state.ts'
import { mayTry } from '../model/state/park-state.ts'
import { type Image, type Path, type Value, valuesEqual } from '../model/value.ts'
import { isPausing, STILL_IN_DOUBT } from './backoff.ts'
import { encodePatch, type Need, needOf } from './need.ts'
import { afterPatch, applySent, withOverlays, withWholeParts, withWholeSent } from './overlay.ts'

export interface PlanContext {
  readonly nowMs: number
  readonly seq: JournalPosition
  readonly epoch: number
  /** `<instance>.<generation>`: what every op id of this store begins with. */
  readonly opPrefix: string
  /** Whether a write to this application may start now; called only when one is needed. */
  readonly takeSlot: (app: AppId) => boolean
  readonly nativeOf: (app: AppId, key: CanonicalKey) => NativeId | undefined
  /** How long a lane may wait for a referred record before it is shown as parked. */
  readonly referenceDeadlineMs: number
  /** Whether a referred record was deleted in this application, so that waiting for it is in vain. */
  readonly isGone: (app: AppId, key: CanonicalKey) => boolean
  /** Something that the application told of this record could not be folded yet: writing now would be based on a state that is known to be old. */
  readonly blocked: boolean
  /** Whether a pause of this lane until then is still running: by the monotonic clock, whatever was done to the wall clock since it began. */
  readonly isPausing: (notBeforeMs: number, sinceMs?: number) => boolean
  /** The lane's state was read within this very decision, so that a blind write's window is as short as it can be. */
  readonly fresh: boolean
  /** A request on this lane is under way. */
  readonly inFlight?: boolean
}

export interface Plan {
  readonly lane: Lane
  /**
   * idle: nothing needed, or nothing may be done now. intent: a write was decided (it is in the lane). read: the record must be read first. behind: a write is
   * needed and no slot is free. waiting: it is needed and something is missing.
   */
  readonly next: 'idle' | 'intent' | 'read' | 'behind' | 'waiting'
}

/**
 * Plans one lane (docs/protocol.md step 12): for an idle, unparked lane whose application is behind the head, the one open write. Pure.
 * Throws SyncError when the mapping cannot express the head; the caller parks the lane.
 */
export function planLane(record: RecordState, lane: Lane, binding: BindingModel, context: PlanContext): Plan {
  if (context.blocked && lane.intent === null) return { lane, next: 'idle' }
  if (lane.intent !== null) return { lane: parkLostCreate(record, lane, lane.intent, binding, context), next: 'intent' }
  if (lane.reading !== null) return { lane, next: 'read' }
  if (lane.park?.code === SEPARATED) return { lane, next: 'idle' }
  // The log has shown a write whose reply is yet to come: what is decided now would be old when it may leave.
  if (context.inFlight === true && isLogFed(binding.capabilities)) return { lane, next: 'waiting' }
  // Of what our create has made, only what we wrote is known: a condition on old values needs the others, which the log is about to show.
  if (lane.token === null && lane.overlays.length > 0 && binding.capabilities.conditionOn === 'patch')
    return { lane, next: 'idle' }
  if (lane.overlays.length >= OVERLAYS_MAX) return { lane, next: 'waiting' }
  const held = withOverlays(lane, binding)
  const kind = lane.detached ? null : kindOf(record, held, binding)
  // In quarantine: the deletion may still be taken back.
  if (kind === 'delete' && context.nowMs < (record.deletion?.untilMs ?? 0))
    return { lane: inStep(lane, context), next: 'waiting' }
  const need = kind === null ? null : kind === 'delete' ? NO_NEED : needOf(binding, record, held, kind === 'create')
  if (kind === null || need === null) return rest(record, lane, binding, context)
  const settled = lane.waitsFor === null ? lane : waitingNoMore(lane)
  if (lane.waitsFor === null && !mayTry(lane.park, record)) return { lane: settled, next: 'idle' }
  if (kind === 'delete') return start(settled, held, binding, context, kind, need, {}, record)
  if (kind === 'create' && binding.createNeeds.some((path) => !(path in record.head)))
    return { lane: settled, next: 'waiting' }
  const comes = kind === 'create' ? aboutToCome(record, settled, context) : settled
  if (comes === null) return { lane: waitingForReference(settled, context), next: 'waiting' }
  const encoded = encodePatch(binding, need.patch, context.nativeOf)
  if ('missing' in encoded) {
    // Where the clock was set back meanwhile, the wait begins anew, or it would last for as long as that.
    const sinceMs =
      lane.waitsFor?.key === encoded.missing.key ? Math.min(lane.waitsFor.sinceMs, context.nowMs) : context.nowMs
    const waitsFor = { ...encoded.missing, sinceMs }
    const isGone = context.isGone(lane.app, encoded.missing.key)
    if (!isGone && context.nowMs - sinceMs < context.referenceDeadlineMs)
      return { lane: { ...lane, waitsFor }, next: 'waiting' }
    const message = isGone
      ? `refers to ${waitsFor.entity} ${waitsFor.key}, which was deleted in ${lane.app}. Let it refer to another, or create that one there again.`
      : `refers to ${waitsFor.entity} ${waitsFor.key}, which has not come to ${lane.app} within the deadline. See \`explain\` of that one; this one follows by itself when it comes.`
    const park =
      lane.park?.message === message
        ? lane.park
        : { code: REFERENCE_MISSING, message, atMs: context.nowMs, headSeq: record.headSeq }
    return { lane: { ...lane, waitsFor, park }, next: 'waiting' }
  }
  const native = kind === 'create' ? { ...binding.onCreate, ...encoded.native } : encoded.native
  if (kind === 'update' && binding.capabilities.lineage !== true && holdsAlready(held.image, native)) {
    // With writes of ours on top it is not known yet which of them the log will show: what stands for what is settled then.
    if (lane.overlays.length > 0) return { lane: inStep(lane, context), next: 'idle' }
    return rest(record, { ...lane, sent: applySent(lane.sent, need.patch) }, binding, context)
  }
  return start(comes, held, binding, context, kind, need, native, record)
}

/**
 * A create of unknown outcome in an application that offers no way to find out (K0): after the fence, when its notification would have come, it is shown to a
 * person. The intent stays, so that a record which is exactly what it would have made is still recognised.
 */
function parkLostCreate(
  record: RecordState,
  lane: Lane,
  intent: Intent,
  binding: BindingModel,
  context: PlanContext,
): Lane {
  const lost =
    intent.kind === 'create' && intent.state === 'unknown' && lane.reading === null && isLostWhenUnknown(binding)
  if (!lost || lane.park !== null || context.isPausing(intent.notBeforeMs)) return lane
  const message = `${lane.app} may or may not have created it, and offers no way to find out. Look there: if it is missing, release this lane; if it is there, its next change links it.`
  return { ...lane, park: { code: 'target.create-unknown', message, atMs: context.nowMs, headSeq: record.headSeq } }
}

/** Neither an idempotency key nor a search by correlation id: a create in doubt cannot be resolved by asking. */
export const isLostWhenUnknown = (binding: BindingModel): boolean =>
  binding.capabilities.idempotency === 'none' && binding.capabilities.create === 'K0'

/**
 * Nothing is needed. Where the head went away from what the application holds and came back, nobody has told the application, and nothing was written that would prove that its users
 * still had that value; the record is read once (where a log is all that tells, that is read to its end), so that their next change does not count as made without knowing of ours.
 */
function rest(record: RecordState, lane: Lane, binding: BindingModel, context: PlanContext): Plan {
  const settled = inStep(lane.exists === true ? advanceBasis(record, lane, null) : lane, context)
  const { capabilities } = binding
  const canAsk = capabilities.read === 'R2' || isLogFed(capabilities)
  if (settled.byChance.length === 0 || record.deleted || lane.detached || !canAsk)
    return { lane: settled, next: 'idle' }
  const reading = { why: 'verify' as const, afterSeq: context.seq, notBeforeMs: 0, tries: 0, headSeq: record.headSeq }
  return { lane: { ...settled, reading }, next: 'read' }
}

/** What it was set aside for, has come: then nothing keeps it back, even if a slot is free only later. */
const waitingNoMore = (lane: Lane): Lane => ({
  ...lane,
  waitsFor: null,
  park: lane.park?.code === REFERENCE_MISSING ? null : lane.park,
})

/** Nothing is needed, so nothing is waited for, tried again or set aside. */
function inStep(lane: Lane, context: PlanContext): Lane {
  const { retry } = lane
  const isDoubted = retry?.code === STILL_IN_DOUBT && context.isPausing(retry.notBeforeMs, retry.sinceMs)
  return lane.waitsFor === null && (retry === null || isDoubted) && lane.park === null
    ? lane
    : { ...lane, waitsFor: null, retry: isDoubted ? retry : null, park: null }
}

/** How long a new record waits elsewhere for a reference that its own application has told and nobody knows yet: the two are often made together, and then one write does. */
const REFERENCE_GRACE_MS = 2_000
/** A person said that it is not what stands there: created only when a person says so, however the head changes. */
export const SEPARATED = 'resolve.separated'
export const REFERENCE_MISSING = 'resolve.reference-missing'
const REFERENCE_COMES = 'resolve.reference-comes'

/** The lane to create on; null while a reference of the record may come at any moment. After that it is created without, and patched when the reference is known: so circles come through, too. */
function aboutToCome(record: RecordState, lane: Lane, context: PlanContext): Lane | null {
  const isYoung = (one: Lane): boolean =>
    one.unfolded.length > 0 && isPausing(one.knownAtMs + REFERENCE_GRACE_MS, context.nowMs)
  const hasWaited = lane.retry?.code === REFERENCE_COMES && !context.isPausing(lane.retry.notBeforeMs)
  if (!hasWaited && Object.values(record.lanes).some(isYoung)) return null
  return lane.retry?.code === REFERENCE_COMES ? { ...lane, retry: null } : lane
}

const waitingForReference = (lane: Lane, context: PlanContext): Lane => ({
  ...lane,
  retry:
    lane.retry?.code === REFERENCE_COMES && context.isPausing(lane.retry.notBeforeMs)
      ? lane.retry
      : {
          tries: 0,
          notBeforeMs: context.nowMs + REFERENCE_GRACE_MS,
          code: REFERENCE_COMES,
          message: 'a record that it refers to is about to come',
        },
})

/** A log so far behind gets no more writes on this record: each that it has not shown is kept in the record's row. */
const OVERLAYS_MAX = 32

const NO_NEED: Need = { patch: {}, root: 0 as JournalPosition, hops: 0 }

/** Whether users of the application have set a value that stands: then the record there is theirs, too. */
export const isTheirs = (record: RecordState, app: AppId): boolean =>
  Object.values(record.head).some(({ origin }) => origin.app === app)

function kindOf(record: RecordState, lane: Lane, binding: BindingModel): Intent['kind'] | null {
  // What is left under a record that has become another is taken back, and nothing else is done to it.
  if (record.mergedInto !== undefined && !lane.withdrawn) return null
  if (lane.withdrawn && !record.deleted && !isTheirs(record, lane.app)) return lane.exists === true ? 'delete' : null
  if (record.deleted) return lane.exists === true && binding.deletes === 'propagate' ? 'delete' : null
  if (lane.exists === true) return 'update'
  return lane.nativeId === null && binding.createHere ? 'create' : null
}

/** The application's own values already say what the patch would write: nothing would change, and nothing would echo. */
function holdsAlready(image: Image, native: Image): boolean {
  for (const path in native) if (!valuesEqual(native[path], image[path])) return false
  return true
}

function start(
  lane: Lane,
  held: Lane,
  binding: BindingModel,
  context: PlanContext,
  kind: Intent['kind'],
  need: Need,
  native: Image,
  record: RecordState,
): Plan {
  const { nowMs, seq } = context
  if (lane.retry !== null && context.isPausing(lane.retry.notBeforeMs, lane.retry.sinceMs))
    return { lane, next: 'waiting' }
  if (kind !== 'create' && !context.fresh && (isBlind(binding) || lacksToken(lane, binding))) {
    return {
      lane: { ...lane, reading: { why: 'fresh', afterSeq: seq, notBeforeMs: 0, tries: 0, headSeq: record.headSeq } },
      next: 'read',
    }
  }
  if (!context.takeSlot(lane.app)) return { lane, next: 'behind' }
  const intent: Intent = {
    op: asOpId(`${context.opPrefix}.${record.key}.${lane.app}.${lane.nextOp}`),
    epoch: context.epoch,
    kind,
    state: BEGUN,
    patch:
      isLogFed(binding.capabilities) && kind === 'update' ? withWholeSent(binding, need.patch, held.sent) : need.patch,
    native: isLogFed(binding.capabilities)
      ? withWholeParts(binding, native, afterPatch(binding, kind === 'create' ? {} : held.image, native))
      : native,
    baseImage: basedOnAll(binding.capabilities, kind) ? held.image : baseOf(binding, held.image, native),
    baseToken: lane.token,
    atMs: nowMs,
    tries: 0,
    notBeforeMs: 0,
    root: need.root,
    hops: need.hops,
    ...(binding.capabilities.lineage === true ? { lineage: lineageOf(record, binding, context.opPrefix) } : {}),
    mappingVersion: record.mappingVersion,
    headSeq: record.headSeq,
  }
  // Its pause is over, whatever is done to the wall clock while the write is under way.
  const retry = lane.retry === null ? null : { ...lane.retry, notBeforeMs: 0 }
  return { lane: { ...lane, intent, retry, nextOp: lane.nextOp + 1, park: null }, next: 'intent' }
}

/** Where the values of all fields come from, for messages carry whole records. */
function lineageOf(record: RecordState, binding: BindingModel, opPrefix: string): Readonly<Record<Path, Lineage>> {
  const [instance = ''] = opPrefix.split('.')
  const byNative: Record<Path, Lineage> = {}
  for (const { field, natives, direction, encode } of binding.fields) {
    const cell = record.head[field]
    if (cell === undefined || direction === 'in' || encode === null) continue
    for (const name of natives) byNative[name] = lineageTo(instance, cell.origin)
  }
  return byNative
}

/** Whether a write is compared with all that is known: always where the condition looks at all values, and a delete where it looks at any, because it takes all away. */
const basedOnAll = ({ conditionOn }: Capabilities, kind: Intent['kind']): boolean =>
  conditionOn === 'values' || (conditionOn === 'patch' && kind === 'delete')

/** A target without conditional writes and without a log: its state is read right before a write, and again after it. */
export const isBlind = (binding: BindingModel): boolean => {
  const { condition, feed, read } = binding.capabilities
  return condition === 'C0' && feed !== 'F3' && read !== 'R0'
}

/** A conditional write needs a version to be based on: without one the record is read first, never written blindly. */
const lacksToken = (lane: Lane, binding: BindingModel): boolean => {
  const { condition, token, read } = binding.capabilities
  return lane.token === null && condition === 'C2' && token !== 'T0' && read !== 'R0' && !isLogFed(binding.capabilities)
}

/** What the write is based on: the native values of the fields that it changes, and where old values are the condition also the whole of the parts that it touches. */
const baseOf = (binding: BindingModel, image: Image, native: Image): Image =>
  binding.capabilities.conditionOn === 'patch'
    ? pick(image, withWholeParts(binding, native, { ...native, ...image }))
    : pick(image, native)

function pick(image: Image, like: Image): Image {
  const picked: Record<Path, Value> = {}
  for (const path in like) if (path in image) picked[path] = image[path] as Value
  return picked
}
