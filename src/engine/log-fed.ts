import { overlayOf, settleSilent } from '../deliver/overlay.ts'
import { taken } from '../deliver/settle-log.ts'
import type { OwnWriteSeen } from '../merge/folding.ts'
import type { References } from '../merge/references.ts'
import { advanceBasis, heldAt } from '../model/basis.ts'
import { isLogFed } from '../model/capabilities.ts'
import type { BindingModel } from '../model/entity.ts'
import { compareTokens, type JournalPosition, type NativeId, type Token } from '../model/ids.ts'
import type { Intent, Lane, Overlay } from '../model/record.ts'
import { type Image, mayBeRenditionOf, type Path, valuesEqual } from '../model/value.ts'
import { finishDeletion, foldInto, type Observation, observe, observeDeletion } from './decide.ts'
import type { At, RecordWork } from './record-work.ts'

/**
 * Applications whose ordered, complete log is the only witness of what they hold (docs/protocol.md step 9). What the log has shown moves only with the log; what we wrote lies over it until the log shows it. So an edit that
 * stands unread in the log before our own write is met with what its user had before them, whatever we have written since. Pure, like decide.ts.
 */

/** Folds an observation by the rules of its application. */
export const observeBy: typeof observe = (work, binding, seen, references) =>
  (isLogFed(binding.capabilities) ? observeLogged : observe)(work, binding, seen, references)

/** Folds an entry of the log into a linked lane, whatever is open on it. Throws SyncError (park the entry) or MissingReference (hold it). */
export function observeLogged(
  work: RecordWork,
  binding: BindingModel,
  seen: Observation,
  references: References,
): void {
  const lane = work.lane(binding)
  if (seen.isRead) {
    if (seen.image === null) observeDeletion(work, binding, lane, seen)
    return
  }
  const order = seen.token === undefined || lane.token === null ? 1 : compareTokens(seen.token, lane.token)
  if (order < 0 || (order === 0 && lane.unfolded.length === 0)) {
    work.say(seen, lane.app, 'stale', `position ${seen.token} of its log is no newer than ${lane.token}`)
    return
  }
  const found = writeOf(lane, binding, seen)
  if (seen.image === null) return observeLoggedDeletion(work, binding, lane, seen)
  if (found === null) {
    foldInto(
      work,
      binding,
      withoutPassed(heard(lane), seen.token, binding),
      seen.image,
      seen,
      lateWrite(lane, binding, seen),
      references,
      undefined,
    )
    return
  }
  const { write } = found
  const { capabilities } = binding
  // A blind write in doubt, known by its values alone: a user may have entered the same, and ours may still be applied. It stays in doubt until its fence is over.
  const isOpen = found.isOpen && (found.how === 'exact' || capabilities.condition === 'C2')
  const isShown = found.isOpen && !isOpen
  let own = isOpen
    ? taken(lane, lane.intent as Intent, lane.nativeId as NativeId, null, { nowMs: seen.atMs })
    : heard(lane)
  // It is shown once: the next entry like it tells of somebody else.
  if (isShown && own.intent !== null) own = { ...own, intent: { ...own.intent, patch: {}, native: {} } }
  const at = lane.overlays.indexOf(write)
  for (const passed of lane.overlays.slice(0, Math.max(0, at))) own = settleSilent(own, passed, binding)
  const overlays = at < 0 ? (isOpen ? [] : lane.overlays) : lane.overlays.slice(at + 1)
  own = withoutPassed({ ...own, overlays }, seen.token, binding)
  own = { ...own, own: own.own.map((one) => (one.op === write.op ? { ...one, renditionSeen: true } : one)) }
  const ownWrite: OwnWriteSeen = {
    how: found.how,
    patch: write.patch,
    native: write.native,
    // The position that a blind write is answered with may be that of a user's edit which made it change nothing: without a mark, what else changed there is not sure to come from ours.
    origin: found.how === 'exact' && (capabilities.mark === 'M2' || capabilities.condition === 'C2') ? write : null,
    headSeq: write.headSeq,
    whole: true,
  }
  const ringed = own.own.find((one) => one.op === write.op)
  foldInto(work, binding, own, seen.image, seen, ownWrite, references, ringed)
}

/** The log has moved: what was read only to wait for that is over. */
const heard = (lane: Lane): Lane => (lane.reading?.why === 'conflict' ? { ...lane, reading: null } : lane)

/** Writes of ours whose position the log has reached, at the position of another: they changed nothing, and are over. */
function withoutPassed(lane: Lane, token: Token | undefined, binding: BindingModel): Lane {
  const isPassed = (one: Overlay) => one.token !== null && token !== undefined && compareTokens(one.token, token) <= 0
  const passed = lane.overlays.filter(isPassed)
  if (passed.length === 0) return lane
  const settled = passed.reduce((before, one) => settleSilent(before, one, binding), lane)
  return { ...settled, overlays: lane.overlays.filter((one) => !isPassed(one)) }
}

interface Found {
  readonly write: Overlay
  readonly how: OwnWriteSeen['how']
  /** It is the open write, whose reply has not come, or will never come. */
  readonly isOpen: boolean
}

/** Which write of ours an entry of the log shows, by the ladder of docs/protocol.md 3.6. */
function writeOf(lane: Lane, binding: BindingModel, seen: Observation): Found | null {
  const open = lane.intent === null ? null : overlayOf(lane.intent, null, seen.seq, seen.atMs)
  if (binding.capabilities.mark === 'M2') {
    if (seen.mark === undefined) return null
    const overlay = lane.overlays.find((one) => one.op === seen.mark)
    if (overlay !== undefined) return { write: overlay, how: 'exact', isOpen: false }
    return open?.op === seen.mark ? { write: open, how: 'exact', isOpen: true } : null
  }
  const byToken = lane.overlays.find((one) => one.token !== null && one.token === seen.token)
  if (byToken !== undefined) return { write: byToken, how: 'exact', isOpen: false }
  const [first] = lane.overlays
  const isFirstEver = lane.token === null && first?.kind === 'create'
  if (isFirstEver) return { write: first, how: 'exact', isOpen: false }
  for (const overlay of lane.overlays) {
    if (overlay.token === null && isLike(lane.image, seen.image, overlay))
      return { write: overlay, how: 'included', isOpen: false }
    // Writes stand in the log in their order: as long as one is to come that changes something, no later one has come.
    if (isMissing(lane.image, overlay)) return null
  }
  const inDoubt = lane.intent?.state === 'unknown' && open !== null && isLike(lane.image, seen.image, open)
  return inDoubt ? { write: open, how: 'included', isOpen: true } : null
}

/** Without a mark: whether an entry changes what our write would have changed, to what it would have become, and nothing else (rung 5). */
function isLike(before: Image, now: Image | null, write: Overlay): boolean {
  if (now === null || write.kind === 'delete') return false
  const differs = (path: Path): boolean => path in now && !valuesEqual(now[path], before[path])
  let shows = false
  for (const path in now) {
    // Parts are written whole: an element that our write did not carry would be gone.
    if (path.endsWith(']') && now[path] === true && isTakenOut(path, write.native)) return false
    if (!differs(path)) continue
    if (!(path in write.native) || !mayBeRenditionOf(write.native[path], now[path])) return false
    shows = true
  }
  for (const path in before) {
    // An element that is gone: we took it out, or our write of the whole part did not know of it.
    if (!path.endsWith(']') || before[path] !== true || now[path] === true || now[containerOf(path)] !== true) continue
    if (!isTakenOut(path, write.native)) return false
    shows = true
  }
  // What an entry leaves out has not changed.
  const isMissed = (path: Path): boolean =>
    !differs(path) && !mayBeRenditionOf(write.native[path], path in now ? now[path] : before[path])
  return shows && !Object.keys(write.native).some((path) => write.native[path] !== false && isMissed(path))
}

/** Whether a write of ours would change what the log has shown, and so has to be in it. */
function isMissing(before: Image, { native }: Overlay): boolean {
  for (const path in native) {
    const isHeld = native[path] === false ? before[path] !== true : mayBeRenditionOf(native[path], before[path])
    if (!isHeld) return true
  }
  return Object.keys(before).some((path) => path.endsWith(']') && before[path] === true && isTakenOut(path, native))
}

const containerOf = (element: Path): Path => element.slice(0, element.indexOf('['))

/** Whether a write that carries its parts whole leaves an element out. */
const isTakenOut = (element: Path, native: Image): boolean =>
  native[containerOf(element)] === true && native[element] !== true

/**
 * An entry that bears a mark of ours, of a write that is settled already. Of one that was applied: a trigger of the application has answered it in the same transaction, which is its own change in
 * answer to ours. Of one that was given up after its fence: it was applied even later. Then what it wrote is old, and nobody's change; the head stands and is written again.
 */
function lateWrite(lane: Lane, binding: BindingModel, seen: Observation): OwnWriteSeen | null {
  if (seen.mark === undefined || seen.isOurs !== true || binding.capabilities.mark !== 'M2') return null
  const known = lane.own.find((one) => one.op === seen.mark)
  const none = { patch: {}, native: {}, headSeq: null }
  return known === undefined ? { how: 'late', origin: null, ...none } : { how: 'exact', origin: known, ...none }
}

/** The log tells that the record is gone: by ourselves, or by a user who had seen what stands before it in the log, and nothing more. */
function observeLoggedDeletion(work: RecordWork, binding: BindingModel, lane: Lane, seen: Observation): void {
  const isOurs =
    lane.overlays.some((one) => one.kind === 'delete' && one.op === seen.mark) ||
    (lane.intent?.kind === 'delete' && lane.intent.op === seen.mark)
  if (!isOurs && !work.state.deleted) return observeDeletion(work, binding, lane, seen)
  const text = isOurs ? `its log shows our deletion ${seen.mark}` : `${lane.app} confirms a deletion that is known`
  work.say(seen, lane.app, 'echo', text)
  finishDeletion(work, { ...lane, overlays: [] }, seen.token, seen)
}

/** The log shows a record that our create in doubt has made: by its correlation id, or its mark. */
export function adoptLogged(
  work: RecordWork,
  binding: BindingModel,
  intent: Intent,
  nativeId: NativeId,
  seen: Observation,
  references: References,
): void {
  const lane = work.lane(binding)
  const overlay = overlayOf(intent, null, seen.seq, seen.atMs)
  work.setLane({ ...taken(lane, intent, nativeId, null, { nowMs: seen.atMs }), overlays: [overlay] })
  work.say(seen, lane.app, 'linked', `${lane.app}:${nativeId} is what ${intent.op} created`, { op: intent.op })
  work.link(binding, nativeId, lane.incarnation, seen)
  observeLogged(
    work,
    binding,
    { ...seen, mark: binding.capabilities.mark === 'M2' ? intent.op : seen.mark },
    references,
  )
}

/**
 * The log has been read past the time at which this was asked. A write in doubt that it has not shown was not applied (its fence is over by then); one that was acknowledged and is not in it, changed nothing.
 */
export function takePass(
  work: RecordWork,
  binding: BindingModel,
  begunAfter: JournalPosition,
  at: At,
  /** The log was asked for the sake of other writes: what is in doubt may still be applied. */
  isFenced = false,
): void {
  let lane = work.lane(binding)
  const silent = lane.overlays.filter((one) => one.seq <= begunAfter)
  for (const overlay of silent) {
    if (overlay.kind === 'delete') {
      // It was said to be gone, and its log knows nothing of that: asked again, with pauses.
      const tries = (lane.retry?.tries ?? 0) + 1
      const message = `${lane.app} said that the record is gone, and its log does not show it`
      const notBeforeMs = at.atMs + Math.min(GONE_RETRY_MAX_MS, GONE_RETRY_FIRST_MS * 2 ** Math.min(tries, 10))
      lane = { ...lane, retry: { tries, notBeforeMs, code: 'target.unavailable', message } }
    } else lane = settleSilent(lane, overlay, binding)
  }
  if (silent.length > 0) lane = { ...lane, overlays: lane.overlays.filter((one) => one.seq > begunAfter) }
  const { reading, intent } = lane
  if (reading !== null && begunAfter >= reading.afterSeq && !isFenced) {
    // No entry has told otherwise: what stands in the log was so when the head was that.
    lane =
      reading.headSeq === undefined
        ? { ...lane, reading: null }
        : advanceBasis(work.state, { ...lane, reading: null }, heldAt(reading.headSeq))
    if (intent?.state === 'unknown') {
      const { patch, op } = intent
      const text =
        intent.kind === 'update' && Object.keys(patch).length === 0
          ? `the fence of ${op} is over; the log of ${lane.app} shows what it was to write`
          : `${op} was not applied: the log of ${lane.app} does not show it`
      work.say(at, lane.app, 'resolved', text, { op })
      lane = { ...lane, intent: null }
    }
  }
  work.setLane(lane)
}

const GONE_RETRY_FIRST_MS = 1_000
const GONE_RETRY_MAX_MS = 15 * 60_000
