import type { Outcome } from '../model/change.ts'
import type { BindingModel } from '../model/entity.ts'
import { compareTokens, type NativeId } from '../model/ids.ts'
import { type Intent, type Lane, OWN_WRITES_MAX, type OwnWrite } from '../model/record.ts'
import { whileInDoubt } from './backoff.ts'
import { overlayOf, settleSilent } from './overlay.ts'
import type { SettleContext, Settled } from './settle.ts'

/**
 * What a write to a log-fed application has become (docs/protocol.md step 14, F3): what its log has shown stays as it is, and what we wrote is laid over it until the log shows that too. A reply,
 * a 404 or a refused condition never moves the lane past what stands unread in the log. null: nothing is different for such an application.
 */
export function settleLogged(
  lane: Lane,
  intent: Intent,
  binding: BindingModel,
  outcome: Outcome,
  context: SettleContext,
): Settled | null {
  if (outcome.result === 'applied') return applied(lane, intent, binding, outcome, context)
  if (intent.kind === 'create') return null
  if (outcome.result === 'gone') {
    const overlay = {
      ...overlayOf(intent, null, context.seq, context.nowMs),
      kind: 'delete' as const,
      patch: {},
      native: {},
    }
    return {
      lane: { ...lane, intent: null, reading: null, retry: null, overlays: [...lane.overlays, overlay] },
      verdict: 'gone',
      text: `${lane.app} says that the record does not exist; nothing more is sent until its log tells what happened`,
    }
  }
  if (outcome.result !== 'conflict') return null
  return {
    lane: {
      ...whileInDoubt(lane, intent, binding.capabilities.fenceMs, context.nowMs),
      intent: null,
      reading: { why: 'conflict', afterSeq: context.seq, notBeforeMs: 0, tries: 0 },
    },
    verdict: 'refused',
    text: `${lane.app} holds other values than its log has shown; decided again once the log has been read past this`,
  }
}

function applied(
  lane: Lane,
  intent: Intent,
  binding: BindingModel,
  outcome: Outcome,
  context: SettleContext,
): Settled | null {
  const nativeId = outcome.nativeId ?? lane.nativeId
  if (nativeId === null) return null
  const token = outcome.token ?? null
  const overlay = overlayOf(intent, token, context.seq, context.nowMs)
  const version = token === null ? '' : `, version ${token}`
  const isKnown = token !== null && lane.token !== null && compareTokens(token, lane.token) <= 0
  const after = taken(lane, intent, nativeId, outcome.token ?? null, context)
  return {
    lane: isKnown ? settleSilent(after, overlay, binding) : { ...after, overlays: [...after.overlays, overlay] },
    verdict: 'applied',
    text: `${intent.kind}d in ${lane.app} by ${intent.op}${version}; its log will show it`,
    ...(intent.kind === 'create' && { linked: nativeId }),
  }
}

/** The lane once a write of ours is known to be applied, however that was learnt: what the log has shown is left as it is. */
export function taken(
  lane: Lane,
  intent: Intent,
  nativeId: NativeId,
  token: OwnWrite['token'],
  context: Pick<SettleContext, 'nowMs'>,
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
  const closed: Lane = {
    ...lane,
    intent: null,
    reading: null,
    retry: null,
    park: null,
    own: [own, ...lane.own].slice(0, OWN_WRITES_MAX),
    knownAtMs: context.nowMs,
  }
  if (intent.kind !== 'create') return closed
  const made = { nativeId, exists: true, image: {}, sent: {}, token: null, overlays: [], madeAtMs: context.nowMs }
  return { ...closed, ...made }
}
