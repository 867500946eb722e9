import { advanceBasis, heldAt } from '../model/basis.ts'
import { isLogFed, tellsOurCreates } from '../model/capabilities.ts'
import type { Outcome, ReadImage } from '../model/change.ts'
import type { BindingModel } from '../model/entity.ts'
import type { JournalPosition, NativeId, Token } from '../model/ids.ts'
import {
  type Intent,
  type Lane,
  OWN_WRITES_MAX,
  type OwnWrite,
  type RecordState,
  type VerdictName,
} from '../model/record.ts'
import { endIntent, moveIntent } from '../model/state/intent-state.ts'
import type { Fields, Image, NativeRecord } from '../model/value.ts'
import { doubtEndsMs, isInDoubt, meetingMs, retryDelayMs } from './backoff.ts'
import { afterPatch, applySent } from './overlay.ts'
import { isBlind } from './plan.ts'
import { settleLogged } from './settle-log.ts'

export interface SettleContext {
  readonly nowMs: number
  readonly seq: JournalPosition
  /** In [0, 1), from the entry's position, so that a replay waits as long. */
  readonly jitter: number
}

/** What became of the open write: the lane after it, what to say about it, and what is left to fold. */
export interface Settled {
  readonly lane: Lane
  readonly verdict: VerdictName
  readonly text: string
  /** A record image that came with the outcome, to be folded: `exact` is the state right after our write. */
  readonly fold?: { readonly record: NativeRecord; readonly how: 'exact' | 'included'; readonly intent: Intent }
  /** The native id that a create made known. */
  readonly linked?: NativeId
  /** The record is not in the application any more: deleted by us (done), or found missing. */
  readonly gone?: 'ours' | 'theirs'
}

/** Takes the outcome of the open write (docs/protocol.md step 14). Pure; the lane must hold the intent that the outcome names. */
export function settleOutcome(
  record: RecordState,
  lane: Lane,
  intent: Intent,
  binding: BindingModel,
  outcome: Outcome,
  context: SettleContext,
): Settled {
  const logged = isLogFed(binding.capabilities) ? settleLogged(lane, intent, binding, outcome, context) : null
  if (logged !== null) return logged
  switch (outcome.result) {
    case 'applied':
      return applied(record, lane, intent, binding, outcome, context)
    case 'conflict':
      return conflict(lane, intent, binding, context)
    case 'gone':
      return gone(record, lane, intent, binding, outcome, context)
    case 'refused':
      return refused(lane, intent, binding, outcome, context)
    case 'unknown':
      return unknown(
        record,
        lane,
        intent,
        binding,
        outcome.code ?? 'target.unknown',
        outcome.message ?? 'no answer',
        context,
      )
  }
}

function applied(
  record: RecordState,
  lane: Lane,
  intent: Intent,
  binding: BindingModel,
  outcome: Outcome,
  context: SettleContext,
): Settled {
  if (intent.kind === 'delete') {
    return { lane: closed(lane), verdict: 'applied', text: `deleted in ${lane.app} by ${intent.op}`, gone: 'ours' }
  }
  const nativeId = outcome.nativeId ?? lane.nativeId
  if (nativeId === null) {
    const message = `${lane.app} took the create ${intent.op}, but its reply names no id. Check \`id\` in the binding, then release.`
    return {
      lane: parked(closed(lane), 'target.reply-invalid', message, record.headSeq, context),
      verdict: 'parked',
      text: message,
    }
  }
  const after = holding(record, lane, intent, binding, nativeId, outcome.token ?? null, context)
  const linked = intent.kind === 'create' ? { linked: nativeId } : {}
  const text = `${intent.kind}d in ${lane.app} by ${intent.op}${outcome.token === undefined ? '' : `, version ${outcome.token}`}`
  if (outcome.record !== undefined) {
    return {
      lane: closed(after),
      verdict: 'applied',
      text,
      fold: { record: outcome.record, how: 'exact', intent },
      ...linked,
    }
  }
  if (!isBlind(binding)) return { lane: closed(after), verdict: 'applied', text, ...linked }
  const readback: Lane = {
    ...after,
    intent: moveIntent(intent, 'taken blindly'),
    reading: { why: 'readback', afterSeq: context.seq, notBeforeMs: 0, tries: 0 },
  }
  return { lane: readback, verdict: 'applied', text: `${text}, being read back`, ...linked }
}

/** The lane once the application is known to hold a patch of ours. */
export function holding(
  record: RecordState,
  lane: Lane,
  intent: Intent,
  binding: BindingModel,
  nativeId: NativeId,
  token: Token | null,
  context: SettleContext,
): Lane {
  const own: OwnWrite = {
    op: intent.op,
    token,
    paths: Object.keys(intent.patch),
    renditionSeen: false,
    atMs: context.nowMs,
    root: intent.root,
    hops: intent.hops,
  }
  const held: Lane = {
    ...lane,
    nativeId,
    exists: true,
    image: afterPatch(binding, intent.kind === 'create' ? {} : lane.image, intent.native),
    sent: applySent(intent.kind === 'create' ? {} : lane.sent, intent.patch),
    token: token ?? (intent.kind === 'create' || binding.capabilities.token === 'T1' ? null : lane.token),
    own: [own, ...lane.own].slice(0, OWN_WRITES_MAX),
    readSeq: context.seq,
    knownAtMs: context.nowMs,
    madeAtMs: intent.kind === 'create' ? context.nowMs : lane.madeAtMs,
  }
  return advanceBasis(record, held, heldAt(intent.headSeq))
}

const closed = (lane: Lane): Lane => ({ ...lane, intent: endIntent(lane.intent, 'answered'), retry: null, park: null })

/** The patch as the own write that a fold subtracts. */
export const ownPatch = (intent: Intent): { readonly patch: Fields; readonly native: Image } => ({
  patch: intent.patch,
  native: intent.native,
})

function conflict(lane: Lane, intent: Intent, binding: BindingModel, context: SettleContext): Settled {
  if (intent.kind === 'create')
    return retryLater(lane, intent, 'target.unavailable', 'a create was refused by a condition', undefined, context)
  if (binding.capabilities.read === 'R0') {
    return retryLater(
      lane,
      intent,
      'target.unavailable',
      `${lane.app} holds another version than the one we know; waiting for its notification`,
      undefined,
      context,
    )
  }
  const text = `${lane.app} holds a newer version than ${intent.baseToken ?? 'the one we know'}: read it, fold it, decide again`
  if (isTriedBefore(intent)) {
    // The version has moved on: the read is not to show the old one, and if it does all the same, the write is decided anew.
    return { lane: stillUnread(lane, { ...intent, baseToken: null }, 0, context), verdict: 'refused', text }
  }
  const reading = { why: 'conflict' as const, afterSeq: context.seq, notBeforeMs: 0, tries: 0 }
  return { lane: { ...lane, intent: endIntent(intent, 'answered'), reading }, verdict: 'refused', text }
}

/** The answer is to a later try: what became of the earlier ones it does not say. */
const isTriedBefore = (intent: Intent): boolean => intent.state === 'unknown' || intent.tries > 0

/** What the write has done is in what the application holds: read, and folded as perhaps ours. */
const stillUnread = (lane: Lane, intent: Intent, notBeforeMs: number, context: SettleContext): Lane => ({
  ...lane,
  intent: moveIntent(intent, 'not yet'),
  reading: { why: 'unknown', afterSeq: context.seq, notBeforeMs, tries: 0 },
})

function gone(
  record: RecordState,
  lane: Lane,
  intent: Intent,
  binding: BindingModel,
  outcome: Outcome,
  context: SettleContext,
): Settled {
  if (intent.kind === 'delete')
    return { lane: closed(lane), verdict: 'applied', text: `${lane.app} had deleted it already`, gone: 'ours' }
  if (intent.kind === 'create') {
    const message = `${lane.app} answered "not found" to a create: ${outcome.message ?? 'check the path of the binding'}`
    return {
      lane: parked(
        { ...lane, intent: endIntent(intent, 'answered') },
        'target.rejected',
        message,
        record.headSeq,
        context,
      ),
      verdict: 'parked',
      text: message,
    }
  }
  if (isTriedBefore(intent) && binding.capabilities.read !== 'R0') {
    // If it is there after all, what it holds may be what an earlier try has written, or is about to: then it is tried again, with pauses.
    const pausedMs = context.nowMs + retryDelayMs(intent.tries, context.jitter, undefined)
    const { condition, fenceMs } = binding.capabilities
    const fencedMs = condition === 'C2' ? 0 : doubtEndsMs(intent, fenceMs, context.nowMs)
    return {
      lane: stillUnread(lane, { ...intent, tries: intent.tries + 1 }, Math.max(pausedMs, fencedMs), context),
      verdict: 'gone',
      text: `${lane.app} says that the record does not exist; an earlier try of ${intent.op} may have been applied: both are found out by a read`,
    }
  }
  return {
    lane: {
      ...lane,
      intent: endIntent(intent, 'answered'),
      reading: { why: 'gone', afterSeq: context.seq, notBeforeMs: 0, tries: 0 },
    },
    verdict: 'gone',
    text: `${lane.app} says that the record does not exist; confirmed by a read before it counts as deleted`,
  }
}

function refused(lane: Lane, intent: Intent, binding: BindingModel, outcome: Outcome, context: SettleContext): Settled {
  const code = outcome.code ?? 'target.rejected'
  const message = outcome.message ?? 'refused'
  const isForGood = outcome.handling === 'park' || (code === 'target.duplicate' && hasWaitedEnough(lane, intent))
  if (isForGood && isInDoubt(intent, context.nowMs)) return stillInDoubt(lane, intent, binding, message, context)
  if (isForGood) {
    const text = `${lane.app} refused ${intent.op}: ${message}`
    return {
      // After a restart a read was already wanted, to find out what is known now. A head that has moved on while the write was under way has not had its attempt yet.
      lane: parked(
        { ...lane, intent: endIntent(intent, 'answered'), retry: null, reading: null },
        code,
        text,
        intent.headSeq,
        context,
      ),
      verdict: 'parked',
      text,
    }
  }
  return retryLater(lane, intent, code, message, outcome.retryAfterMs, context)
}

/** About a quarter of a minute: what gives a unique value up is mostly under way already, and what does not is to be seen by a person soon. */
const DUPLICATE_TRIES = 7

/** A create that a record with the same unique value refuses: that one may be about to go or to change, or it is the same, and will stay. */
const hasWaitedEnough = (lane: Lane, intent: Intent): boolean =>
  Math.max(lane.retry?.tries ?? 0, intent.tries) >= DUPLICATE_TRIES

/** The refusal of a later try says nothing of an earlier one: the write stays in doubt until the fence, and is then asked for once more. */
function stillInDoubt(
  lane: Lane,
  intent: Intent,
  binding: BindingModel,
  message: string,
  context: SettleContext,
): Settled {
  const notBeforeMs = doubtEndsMs(intent, binding.capabilities.fenceMs, context.nowMs)
  return {
    lane: { ...lane, intent: { ...moveIntent(intent, 'not yet'), tries: intent.tries + 1, notBeforeMs } },
    verdict: 'unknown',
    text: `${message}; but an earlier try of ${intent.op} may still be applied for ${notBeforeMs - context.nowMs} ms`,
  }
}

/** Refusals that another record's write lifts: both are to be tried at the same moment. */
const MEETING = new Set(['target.unique', 'target.duplicate'])

/** Certainly not applied: planned again from the newest head after a pause. A write that was in doubt before stays in doubt. */
function retryLater(
  lane: Lane,
  intent: Intent,
  code: string,
  message: string,
  retryAfterMs: number | undefined,
  context: SettleContext,
): Settled {
  // An application that cannot be reached is paced as a whole by the dispatcher; its lanes wait for that, not each for itself, and their own pauses grow by what it has answered.
  const isUnreachable = code === 'target.unreachable'
  const tries = (lane.retry?.tries ?? 0) + (isUnreachable ? 0 : 1)
  if (intent.state === 'unknown') {
    const notBeforeMs = context.nowMs + retryDelayMs(intent.tries, context.jitter, retryAfterMs)
    return {
      lane: { ...lane, intent: { ...moveIntent(intent, 'not yet'), tries: intent.tries + 1, notBeforeMs } },
      verdict: 'retry',
      text: `${code}: ${message}; still in doubt, tried again`,
    }
  }
  const delayMs = isUnreachable ? 0 : retryDelayMs(tries - 1, context.jitter, retryAfterMs)
  const notBeforeMs = MEETING.has(code) ? meetingMs(tries - 1, context.nowMs) : context.nowMs + delayMs
  const retry = { tries, notBeforeMs, code, message }
  return {
    lane: { ...lane, intent: endIntent(intent, 'answered'), retry },
    verdict: 'retry',
    text: `${code}: ${message}; tried again in ${notBeforeMs - context.nowMs} ms`,
  }
}

/** Sets a lane aside until the head is newer than what failed, or a person releases it. */
export function parked(
  lane: Lane,
  code: string,
  message: string,
  headSeq: JournalPosition,
  context: Pick<SettleContext, 'nowMs'>,
): Lane {
  return { ...lane, park: { code, message, atMs: context.nowMs, headSeq } }
}

/** How an open write of unknown outcome will be resolved (docs/protocol.md step 15): by evidence, never by a timer alone. */
export function unknown(
  record: RecordState,
  lane: Lane,
  intent: Intent,
  binding: BindingModel,
  code: string,
  message: string,
  context: SettleContext,
): Settled {
  const { idempotency, create, condition, read, fenceMs } = binding.capabilities
  const asksLog = isLogFed(binding.capabilities) && (intent.kind !== 'create' || tellsOurCreates(binding.capabilities))
  const delayMs = retryDelayMs(intent.tries, context.jitter, undefined)
  const doubtful: Intent = {
    ...moveIntent(intent, 'no answer'),
    tries: intent.tries + 1,
    notBeforeMs: context.nowMs + delayMs,
    doubtUntilMs: context.nowMs + fenceMs,
  }
  const resend = (): Settled => ({
    lane: { ...lane, intent: doubtful },
    verdict: 'unknown',
    text: `${code}: ${message}; sent again under the same idempotency key in ${delayMs} ms`,
  })
  const lookAfter = (pauseMs: number, how: string): Settled => ({
    lane: {
      ...lane,
      intent: doubtful,
      reading: { why: 'unknown', afterSeq: context.seq, notBeforeMs: context.nowMs + pauseMs, tries: 0 },
    },
    verdict: 'unknown',
    text: `${code}: ${message}; ${how} in ${pauseMs} ms`,
  })
  if (intent.kind === 'create') {
    if (idempotency !== 'none') return resend()
    if (asksLog) return lookAfter(Math.max(delayMs, fenceMs), 'decided by what its log shows until then, looked at')
    if (create !== 'K0') return lookAfter(Math.max(delayMs, fenceMs), 'looked for by its correlation id')
    const waiting: Intent = { ...doubtful, notBeforeMs: context.nowMs + Math.max(delayMs, fenceMs) }
    return {
      lane: { ...lane, intent: waiting },
      verdict: 'unknown',
      text: `${code}: ${message}; ${lane.app} offers no way to ask, its notification is waited for`,
    }
  }
  if (idempotency === 'all') return resend()
  if (asksLog) return lookAfter(Math.max(delayMs, fenceMs), 'decided by what its log shows until then, looked at')
  if (read !== 'R0') return lookAfter(condition === 'C2' ? delayMs : Math.max(delayMs, fenceMs), 'read')
  if (condition === 'C2') return resend()
  const text = `${lane.app} may or may not have taken ${intent.op} (${message}), and offers neither a read nor a condition. Look there, then release.`
  return {
    lane: parked({ ...lane, intent: endIntent(intent, 'dropped') }, 'target.unknown', text, record.headSeq, context),
    verdict: 'parked',
    text,
  }
}

/** Longest pause between two tries of a read: reads change nothing, and entries may wait behind one. */
const READ_RETRY_CAP_MS = 30_000

/** A read that failed is tried again; nothing was learnt. */
export function readFailed(
  lane: Lane,
  reading: NonNullable<Lane['reading']>,
  read: ReadImage,
  context: SettleContext,
): Lane {
  const notBeforeMs =
    context.nowMs + Math.min(READ_RETRY_CAP_MS, retryDelayMs(reading.tries, context.jitter, read.retryAfterMs))
  return { ...lane, reading: { ...reading, tries: reading.tries + 1, notBeforeMs } }
}
