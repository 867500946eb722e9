import { type Plan, type PlanContext, planLane } from '../deliver/plan.ts'
import { parked, type Settled, settleOutcome } from '../deliver/settle.ts'
import { SyncError } from '../errors/index.ts'
import { foldDelete } from '../merge/delete.ts'
import { foldImage } from '../merge/fold.ts'
import type { FoldResult, OwnWriteSeen } from '../merge/folding.ts'
import type { ToldLineage } from '../merge/lineage.ts'
import { diagnosisText } from '../merge/near-miss.ts'
import { swing } from '../merge/oscillation.ts'
import { MissingReference, type References } from '../merge/references.ts'
import type { Outcome } from '../model/change.ts'
import type { BindingModel } from '../model/entity.ts'
import { compareTokens, type JournalPosition, type NativeId, type OpId, type Token } from '../model/ids.ts'
import type { Intent, Lane, OwnWrite } from '../model/record.ts'
import { type Fields, type Image, type Value, valuesEqual } from '../model/value.ts'
import { formOf } from './findings.ts'
import type { At, RecordWork } from './record-work.ts'
import { reborn, reviveSoft } from './undelete.ts'

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
  /** The image holds only what has changed. */
  readonly isPartial?: boolean
  /** The application was in this state when the journal had this position, or later; absent of what it told by itself. */
  readonly asOf?: JournalPosition | undefined
  /** A comparison asked for it: what it holds counts although its version says that nothing has changed (a restore; triggers that were switched off). */
  readonly isAsked?: boolean
  /** The mark that it bears, and whether this installation made it. */
  readonly mark?: string | undefined
  readonly isOurs?: boolean
  /** Where its values come from, where another hub told it. */
  readonly told?: ToldLineage
  /** Given where an entry can be held: what refers to records that are not known yet is left out and reported, the rest is folded. Otherwise nothing is folded, and it is thrown. */
  readonly onMissing?: (reference: MissingReference) => void
}

/** Folds an observation into a linked, idle lane. Throws SyncError (park the entry) or MissingReference (hold it). */
export function observe(work: RecordWork, binding: BindingModel, seen: Observation, references: References): void {
  const lane = work.lane(binding)
  const known = knownBy(binding, lane, seen.token, seen.isRead)
  if (known !== null && !isPastItsVersion(binding, lane, seen)) {
    const { verdict, text, op } = known
    work.say(seen, lane.app, verdict, text, op === undefined ? {} : { op })
    work.setLane(seen.isRead ? { ...lane, readSeq: seen.seq, knownAtMs: seen.atMs } : lane)
    return
  }
  const own = ownWriteOf(lane, seen.token)
  const order = staleness(binding, lane, seen)
  if (seen.image === null) {
    observeDeletion(work, binding, lane, seen)
    return
  }
  const subtracted =
    own !== undefined && order === 'same'
      ? { how: 'exact' as const, patch: unseenPatch(lane), native: {}, origin: own, headSeq: null }
      : unseenRendition(lane)
  const marked = { ...lane, own: renditionsSeen(lane.own) }
  foldInto(work, binding, marked, seen.image, seen, subtracted, references, own)
}

type Known =
  | { readonly verdict: 'stale'; readonly text: string; readonly op?: undefined }
  | { readonly verdict: 'echo'; readonly text: string; readonly op: OpId }

/** Step 6: a version that is older than what is known of the lane, or known already, tells nothing; null where it may. It looks at nothing but versions. */
export function knownBy(binding: BindingModel, lane: Lane, token: Token | undefined, isRead: boolean): Known | null {
  const order = staleness(binding, lane, { token, isRead })
  if (order === 'newer') return null
  const own = ownWriteOf(lane, token)
  if (order === 'same' && (lane.unfolded.length > 0 || own?.renditionSeen === false)) return null
  if (own === undefined) return { verdict: 'stale', text: `version ${token} is no newer than ${lane.token}` }
  return { verdict: 'echo', text: `echo of our write ${own.op}: it returned version ${own.token}`, op: own.op }
}

/** The version of before with other values, as a comparison found them: changed past whatever counts versions there. */
function isPastItsVersion(binding: BindingModel, lane: Lane, seen: Observation): boolean {
  if (seen.isAsked !== true || staleness(binding, lane, seen) !== 'same') return false
  const { image } = seen
  return image === null || Object.keys(image).some((path) => !valuesEqual(image[path], lane.image[path]))
}

/** The own write whose reply named exactly this token (the ladder's second rung). */
function ownWriteOf(lane: Lane, token: Token | undefined): OwnWrite | undefined {
  return token === undefined ? undefined : lane.own.find((write) => write.token === token)
}

/**
 * Our last write, when nothing has been heard of the record since: the application's own form of what we wrote is not known yet, so a value that is ours but for its
 * spelling is that form, and not a change.
 */
export function unseenRendition(lane: Lane): OwnWriteSeen | null {
  const last = lane.own[0]
  if (last === undefined || last.renditionSeen || (last.token !== null && last.token !== lane.token)) return null
  return { how: 'included', patch: unseenPatch(lane), native: lane.image, origin: null, headSeq: null }
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

export const renditionsSeen = (own: readonly OwnWrite[]): readonly OwnWrite[] =>
  own.length === 0 || own[0]?.renditionSeen
    ? own
    : own.map((write) => (write.renditionSeen ? write : { ...write, renditionSeen: true }))

/** Step 6, the only comparison that may drop without looking at content. */
function staleness(
  binding: BindingModel,
  lane: Lane,
  seen: Pick<Observation, 'token' | 'isRead'>,
): 'older' | 'same' | 'newer' {
  if (lane.exists === false && !seen.isRead && seen.token === undefined) return 'newer'
  if (seen.token === undefined || lane.token === null) return 'newer'
  if (binding.capabilities.token === 'T2') {
    const order = compareTokens(seen.token, lane.token)
    return order < 0 ? 'older' : order === 0 ? 'same' : 'newer'
  }
  return binding.capabilities.token === 'T1' && seen.token === lane.token ? 'same' : 'newer'
}

export function foldInto(
  work: RecordWork,
  binding: BindingModel,
  lane: Lane,
  image: Image,
  at: Observation,
  own: OwnWriteSeen | null,
  references: References,
  echoOf: OwnWrite | undefined,
): void {
  const before = work.state
  const fold = foldImage({
    entity: work.entity,
    binding,
    record: work.state,
    lane,
    image,
    isPartial: at.isPartial === true,
    seq: at.seq,
    atMs: at.atMs,
    sourceTimeMs: at.sourceTimeMs,
    asOf: at.asOf,
    ...(at.told === undefined ? {} : { told: at.told }),
    own,
    references,
    leaveOutMissing: at.onMissing !== undefined,
  })
  if (fold.missing !== null) at.onMissing?.(fold.missing)
  work.state = fold.record
  work.setLane({
    ...withSwings(work, lane, fold, at),
    exists: true,
    token: at.token ?? fold.lane.token,
    knownAtMs: at.atMs,
    readSeq: at.isRead ? at.seq : fold.lane.readSeq,
  })
  work.conflicts.push(...fold.conflicts)
  if (work.entity.softDelete !== undefined && fold.record !== before) reviveSoft(work, at)
  for (const path of fold.overBudget) {
    const message = `${path} of ${work.state.entity} ${work.state.key} has been answered by applications more often than there are applications; it is set aside. Both renditions are in \`explain\`.`
    work.state = {
      ...work.state,
      parkedPaths: { ...work.state.parkedPaths, [path]: { code: 'merge.not-converging', message, sinceMs: at.atMs } },
    }
    work.say(at, lane.app, 'parked', message, { paths: [path] })
  }
  if (fold.accepted.length > 0) {
    work.say(at, lane.app, own === null ? 'accepted' : 'derived', `${lane.app} changed ${fold.accepted.join(', ')}`, {
      paths: fold.accepted,
    })
  }
  if (fold.won.length > 0)
    work.say(
      at,
      lane.app,
      'conflict-won',
      `${fold.won.join(', ')} changed on both sides; ${lane.app} stands by the policy`,
      { paths: fold.won },
    )
  if (fold.lost.length > 0)
    work.say(
      at,
      lane.app,
      'conflict-lost',
      `${fold.lost.join(', ')} changed on both sides; the value of ${lane.app} is in the conflict log`,
      { paths: fold.lost },
    )
  if (fold.merged.length > 0)
    work.say(
      at,
      lane.app,
      'merged',
      `${fold.merged.join(', ')} changed on both sides; both are in the value that stands now`,
      { paths: fold.merged },
    )
  for (const path of fold.setAside) {
    const why = work.state.parkedPaths[path]
    work.say(
      at,
      lane.app,
      'set-aside',
      `${why?.message}; each keeps its own until \`latchwork resolve\` says which stands (${why?.code})`,
      { paths: [path] },
    )
  }
  if (fold.rendition.length > 0) {
    const written = own === null ? lane.image : { ...lane.image, ...own.native }
    work.renditions.push({ binding, paths: fold.rendition, before: written, now: image, atMs: at.atMs })
    const forms = fold.rendition.map((path) => {
      const form = formOf(binding, path, written, image)
      return form === undefined ? path : `${path} (${diagnosisText(form.diagnosis)})`
    })
    work.say(at, lane.app, 'rendition', `${lane.app} stores our ${forms.join(', ')} in its own form`, {
      paths: fold.rendition,
    })
  }
  if (fold.returned.length > 0)
    work.say(at, lane.app, 'echo', `${fold.returned.join(', ')}: an earlier value of ours, back by way of other hubs`, {
      paths: fold.returned,
    })
  const told = [fold.returned, fold.accepted, fold.won, fold.lost, fold.rendition, fold.merged, fold.setAside]
  if (told.some((paths) => paths.length > 0)) return
  if (echoOf !== undefined)
    work.say(at, lane.app, 'echo', `echo of our write ${echoOf.op}: nothing else changed`, { op: echoOf.op })
  else if (fold.convergent.length > 0)
    work.say(at, lane.app, 'convergent', `${lane.app} came to the same ${fold.convergent.join(', ')}`, {
      paths: fold.convergent,
    })
  else if (own === null)
    work.say(at, lane.app, at.isRead ? 'read' : 'unchanged', `${lane.app} holds what we know; nothing remains to fold`)
}

/** The oscillation brake: a field that an application keeps putting back at machine speed is set aside, with both renditions. */
function withSwings(work: RecordWork, before: Lane, fold: FoldResult, at: Observation): Lane {
  let { lane } = fold
  if (lane.own.length === 0) return lane
  for (const path of [...fold.accepted, ...fold.won, ...fold.lost, ...fold.merged]) {
    const value = lane.sent[path]
    if (value === undefined || path.endsWith(']')) continue
    const given = before.sent[path]
    const swung = swing(lane, path, given, value, at.atMs)
    lane = swung.lane
    if (!swung.doesNotConverge || work.state.parkedPaths[path] !== undefined) continue
    const message = `${path}: ${lane.app} puts ${shown(value)} in the place of the ${shown(given)} that it is given, again and again and at machine speed. Something there, or another tool, answers our writes`
    work.state = {
      ...work.state,
      parkedPaths: {
        ...work.state.parkedPaths,
        [path]: { code: 'merge.not-converging', message, sinceMs: at.atMs },
      },
    }
    work.say(at, lane.app, 'set-aside', `${message}; each keeps its own until \`latchwork resolve\``, { paths: [path] })
  }
  return lane
}

const shown = (value: unknown): string =>
  (typeof value === 'bigint' ? String(value) : (JSON.stringify(value) ?? 'nothing')).slice(0, 60)

export function observeDeletion(work: RecordWork, binding: BindingModel, lane: Lane, at: Observation): void {
  const result = foldDelete(work.entity, binding, work.state, lane, at)
  work.state = result.record
  work.setLane({
    ...result.lane,
    token: at.token ?? lane.token,
    readSeq: at.seq,
    knownAtMs: at.atMs,
  })
  work.conflicts.push(...result.conflicts)
  if (lane.nativeId !== null && lane.exists !== false) work.tombstone(lane, lane.nativeId, at.token ?? lane.token, at)
  if (result.effect === 'known') work.say(at, lane.app, 'echo', `${lane.app} confirms a deletion that is known`)
  else if (result.effect === 'deleted') work.say(at, lane.app, 'deleted', `${lane.app} deleted it`)
  else if (result.effect === 'quarantined') {
    const days = Math.round((work.entity.quarantineMs ?? 0) / 86_400_000)
    work.say(
      at,
      lane.app,
      'deleted',
      `${lane.app} deleted it; the others follow after ${days} days, until then \`latchwork undelete\` takes it back`,
    )
  } else if (result.effect === 'soft')
    work.say(
      at,
      lane.app,
      'accepted',
      `${lane.app} deleted it, which the others are told as ${work.entity.softDelete?.field}`,
    )
  else if (result.effect === 'detached')
    work.say(
      at,
      lane.app,
      'detached',
      `${lane.app} deleted it without having seen all of it; kept elsewhere, no longer followed in ${lane.app}`,
    )
  else
    work.say(
      at,
      lane.app,
      'accepted',
      `${lane.app} deleted it without having seen all of it; it is created there again`,
    )
}

/** What an outcome or read made known beyond its own lane. */
export interface Consequences {
  /** A native id that a create made known; the engine has checked that it is free. */
  readonly linked?: NativeId
}

/** Takes the outcome of a write. An outcome whose write is not the lane's open one is only noted: something else has already resolved it. */
export function takeOutcome(
  work: RecordWork,
  binding: BindingModel,
  outcome: Outcome,
  at: At,
  jitter: number,
  flatten: () => Image | null,
  references: References,
): Consequences {
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
  if (settled.linked !== undefined && before.nativeId === null)
    work.link(binding, settled.linked, settled.lane.incarnation, at)
  if (settled.fold !== undefined) {
    const image = flatten()
    if (image !== null) {
      const blind = binding.capabilities.condition === 'C0' && intent.kind === 'update'
      const own: OwnWriteSeen = {
        how: 'exact',
        patch: { ...unseenPatch(settled.lane), ...intent.patch },
        native: intent.native,
        origin: blind ? null : intent,
        headSeq: null,
      }
      const lane = { ...settled.lane, own: renditionsSeen(settled.lane.own) }
      const seen: Observation = {
        seq: at.seq,
        atMs: at.atMs,
        image,
        token,
        sourceTimeMs: undefined,
        isRead: true,
        asOf: intent.headSeq,
      }
      try {
        foldInto(work, binding, lane, image, seen, own, references, undefined)
      } catch (error) {
        // The reply shows something that cannot be folded (yet). The write stands; the record is read, and what is wrong with it is dealt with there.
        const why =
          error instanceof MissingReference
            ? `it refers to ${error.entity} ${error.nativeId}`
            : SyncError.from(error).message
        work.say(at, lane.app, 'hint', `the reply to ${intent.op} could not be folded (${why}); the record is read`, {
          op: intent.op,
        })
        // Its rendition has not been seen, then: the read has the same version and must not be dropped for that.
        work.setLane({ ...settled.lane, reading: { why: 'hint', afterSeq: at.seq, notBeforeMs: 0, tries: 0 } })
      }
    }
  }
  return settled.linked === undefined ? {} : { linked: settled.linked }
}

/** Our own delete is done: the lane holds nothing any more, and its native id is a tombstone. */
export function finishDeletion(work: RecordWork, lane: Lane, token: Token | undefined, at: At): void {
  if (lane.nativeId !== null && lane.exists !== false) work.tombstone(lane, lane.nativeId, token ?? lane.token, at)
  const gone: Lane = { ...lane, exists: false, image: {}, sent: {}, intent: null, reading: null, readSeq: at.seq }
  if (lane.withdrawn) {
    work.setLane({ ...gone, withdrawn: false, madeAtMs: null, detached: true })
    return
  }
  // A person took the deletion back while ours was under way: it is created again.
  work.setLane(work.state.deleted ? gone : reborn(gone))
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
        work.say(
          { seq: context.seq, atMs: context.nowMs },
          lane.app,
          'intent',
          `${kind} decided${paths.length === 0 ? '' : `: ${paths.join(', ')}`}; latch closed`,
          { op, paths },
        )
      }
      if (
        planned.next === 'waiting' &&
        planned.lane.waitsFor !== null &&
        lane.waitsFor?.key !== planned.lane.waitsFor.key
      ) {
        const { entity, key } = planned.lane.waitsFor
        work.say(
          { seq: context.seq, atMs: context.nowMs },
          lane.app,
          'waiting',
          `waits until ${entity} ${key} exists in ${lane.app}`,
        )
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
