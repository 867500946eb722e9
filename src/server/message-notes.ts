import type { Taken } from '../engine/engine.ts'
import type { SyncError } from '../errors/index.ts'
import type { Change } from '../model/change.ts'
import { type AppId, asAppId, asFlowName, type JournalPosition } from '../model/ids.ts'
import type { NativeData } from '../model/value.ts'
import type { RawRequest } from '../ports/app.ts'
import type { Clock } from '../ports/clock.ts'
import type { StrayMessage } from '../ports/messages.ts'
import type { RefusedRequest } from './listener.ts'
import type { MessageRecorder } from './message-recorder.ts'

const NOTHING: readonly string[] = []

/** What a webhook told, in the record of messages. HOT PATH. */
export function recordNotification(
  recorder: MessageRecorder | undefined,
  atMs: number,
  app: AppId,
  changes: readonly Change[],
  seqs: readonly Taken[],
  request: RawRequest,
): void {
  if (recorder === undefined) return
  const taken = seqs.filter((seq): seq is JournalPosition => typeof seq === 'number')
  const recognised = seqs.find((seq) => typeof seq === 'object' && seq !== null)
  const [first] = changes
  recorder.add({
    atMs,
    tookMs: 0,
    origin: `webhook ${request.path}`,
    flow: null,
    app,
    deliveryId: first?.deliveryId ?? null,
    verdict: recognised?.verdict ?? (changes.length > 0 && taken.length === 0 ? 'duplicate' : 'accepted'),
    code: null,
    reason: recognised?.text ?? null,
    run: null,
    seqs: taken,
    nativeIds: changes.map((change) => change.nativeId),
    properties: {},
    body: bodyOf(changes),
    redact: NOTHING,
  })
}

/** A message of a broker that is no record: kept at the broker, or handed back. */
export function recordStray(
  recorder: MessageRecorder,
  clock: Clock,
  { app, object, verdict, code, reason, deliveryId, properties, body }: StrayMessage,
): void {
  recorder.add({
    atMs: clock.nowMs(),
    tookMs: 0,
    origin: `feed ${app}/${object}`,
    flow: null,
    app,
    deliveryId,
    verdict,
    code,
    reason,
    run: null,
    seqs: [],
    nativeIds: NOTHING,
    properties,
    body,
    redact: NOTHING,
  })
}

/** The records as they were told; of a notification that names one only, its id. */
function bodyOf(changes: readonly Change[]): NativeData {
  const told = changes.map((change): NativeData => change.record ?? { [change.kind]: change.nativeId })
  return told.length === 1 ? (told[0] as NativeData) : told
}

/** A request that was not taken: without its body, which nobody has vouched for. */
export function recordRefusal(
  recorder: MessageRecorder,
  clock: Clock,
  error: SyncError,
  { method, path }: RefusedRequest,
  owner: string,
): void {
  const flow = owner.startsWith('flow ') ? asFlowName(owner.slice(5)) : null
  recorder.add({
    atMs: clock.nowMs(),
    tookMs: 0,
    origin: flow === null ? `webhook ${path}` : `http ${method} ${path}`,
    flow,
    app: flow === null ? asAppId(owner) : null,
    deliveryId: null,
    verdict: 'refused',
    code: error.code,
    reason: error.message,
    run: null,
    seqs: [],
    nativeIds: NOTHING,
    properties: {},
    body: null,
    redact: NOTHING,
  })
}
