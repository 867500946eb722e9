import { SyncError } from '../errors/index.ts'
import {
  type Attempt,
  type DoubtVerdict,
  type FlowRetries,
  type Message,
  type Run,
  type RunEvent,
  type RunState,
  TIMELINE_MAX,
} from '../model/flow.ts'
import { type FlowName, type JournalPosition, runIdOf } from '../model/ids.ts'

/**
 * A run's life, as data in and data out: no clock, no chance, no store.
 *
 *   queued ─▶ running ─▶ done
 *               │  ▲
 *               ▼  │ due
 *   doubt ◀── (end not known)     retry ◀── failed, and may be tried again
 *     │                             │
 *     └─▶ done | retry | parked ◀───┘ attempts used up, or refused
 *   parked ─▶ retry (released) | cancelled
 */
export type RunHappening = 'start' | 'succeed' | 'fail' | 'lose' | 'resolve' | 'release' | 'cancel'

/** Which happenings a state knows. What is not in it is a defect of the runner (or a person's request that comes too late). */
const TABLE: Readonly<Record<RunState, Readonly<Record<RunHappening, boolean>>>> = {
  queued: { start: true, succeed: false, fail: false, lose: false, resolve: false, release: false, cancel: true },
  running: { start: false, succeed: true, fail: true, lose: true, resolve: false, release: false, cancel: false },
  retry: { start: true, succeed: false, fail: false, lose: false, resolve: false, release: true, cancel: true },
  doubt: { start: false, succeed: false, fail: false, lose: true, resolve: true, release: true, cancel: true },
  parked: { start: false, succeed: false, fail: false, lose: false, resolve: false, release: true, cancel: true },
  done: { start: false, succeed: false, fail: false, lose: false, resolve: false, release: false, cancel: false },
  cancelled: { start: false, succeed: false, fail: false, lose: false, resolve: false, release: false, cancel: false },
}

export const knows = (state: RunState, happening: RunHappening): boolean => TABLE[state][happening]

function require(run: Run, happening: RunHappening): void {
  if (knows(run.state, happening)) return
  throw new SyncError(
    'internal.bug',
    `run ${run.id} of ${run.flow} is ${run.state}; \`${happening}\` cannot happen to it`,
  )
}

/** The row of a message that has just been taken from the journal. */
export function receivedRun(
  flow: FlowName,
  seq: JournalPosition,
  atMs: number,
  orderKey: string | null,
  message: Message | null,
): Run {
  return {
    id: runIdOf(seq),
    seq,
    flow,
    orderKey,
    state: 'queued',
    attempts: 0,
    notBeforeMs: 0,
    receivedAtMs: atMs,
    endedAtMs: null,
    code: null,
    reason: null,
    result: null,
    message,
    timeline: [{ atMs, what: 'received' }],
  }
}

/** Waits behind another run of its key. */
export const queuedBehind = (run: Run, other: string, nowMs: number): Run => ({
  ...run,
  timeline: told(run, { atMs: nowMs, what: 'queued', text: `behind run ${other} of the same key` }),
})

export function startedRun(run: Run, nowMs: number): Run {
  require(run, 'start')
  return {
    ...run,
    state: 'running',
    attempts: run.attempts + 1,
    notBeforeMs: 0,
    timeline: told(run, { atMs: nowMs, what: 'started' }),
  }
}

export interface AfterAttempt {
  readonly nowMs: number
  /** In [0, 1). */
  readonly jitter: number
  readonly retries: FlowRetries
  /** To be kept in the row when the run goes on. */
  readonly message: Message
  /** Whether an unknown end is to be judged (`doubt`) before anything else happens. */
  readonly doubts: boolean
}

/** What an attempt's end makes of the run. */
export function afterAttempt(run: Run, attempt: Attempt, context: AfterAttempt): Run {
  const { nowMs } = context
  if (attempt.ended === 'done') {
    require(run, 'succeed')
    return overRun({ ...run, result: attempt.result }, 'done', nowMs)
  }
  if (attempt.ended === 'unknown' && context.doubts) return inDoubt(run, attempt.error, context.message, nowMs)
  require(run, 'fail')
  const { error } = attempt
  const failed: Run = {
    ...run,
    code: error.code,
    reason: error.message,
    message: context.message,
    timeline: told(run, { atMs: nowMs, what: 'failed', text: error.message }),
  }
  if (error.handling === 'park' || error.handling === 'stop' || run.attempts >= context.retries.attemptsMax)
    return parkedRun(failed, error.code, parkReason(run, error), nowMs)
  return { ...failed, state: 'retry', notBeforeMs: nowMs + pauseMs(run.attempts, context, error.retryAfterMs) }
}

const parkReason = (run: Run, error: SyncError): string =>
  error.handling === 'park' ? error.message : `${error.message} (after ${run.attempts} attempts)`

/** Doubling from `firstMs` to `maxMs`, spread over its upper half; a Retry-After is a lower bound, within the same cap. */
function pauseMs(attempts: number, { retries, jitter }: AfterAttempt, retryAfterMs: number | undefined): number {
  const full = Math.min(retries.maxMs, retries.firstMs * 2 ** Math.min(attempts - 1, 30))
  return Math.round(Math.min(retries.maxMs, Math.max(full / 2 + (full / 2) * jitter, retryAfterMs ?? 0)))
}

/** An attempt began and its end is not known. Nothing of the key goes on until that is judged. */
export function inDoubt(run: Run, error: SyncError, message: Message, nowMs: number): Run {
  require(run, 'lose')
  return {
    ...run,
    state: 'doubt',
    code: error.code,
    reason: error.message,
    message,
    timeline: told(run, { atMs: nowMs, what: 'doubt', text: error.message }),
  }
}

/** Judged: the effects are there, or they are not, or a person has to look. */
export function resolvedRun(run: Run, verdict: DoubtVerdict, attemptsMax: number, nowMs: number): Run {
  require(run, 'resolve')
  const told_ = { ...run, timeline: told(run, { atMs: nowMs, what: 'resolved' as const, text: verdict }) }
  if (verdict === 'done') return overRun(told_, 'done', nowMs)
  if (verdict === 'rerun' && run.attempts < attemptsMax) return { ...told_, state: 'retry', notBeforeMs: nowMs }
  const reason =
    verdict === 'park'
      ? `the end of attempt ${run.attempts} is not known. Look at what it did, then release or cancel the run.`
      : `the end of ${run.attempts} attempts is not known: each time the process ended, or the time was up. It may be this message that does it.`
  return parkedRun(told_, 'flow.in-doubt', reason, nowMs)
}

export function parkedRun(run: Run, code: SyncError['code'], reason: string, nowMs: number): Run {
  return {
    ...run,
    state: 'parked',
    code,
    reason,
    notBeforeMs: 0,
    timeline: told(run, { atMs: nowMs, what: 'parked', text: reason }),
  }
}

/** A person has it tried again, with all its attempts before it. */
export function releasedRun(run: Run, nowMs: number): Run {
  require(run, 'release')
  return {
    ...run,
    state: 'retry',
    attempts: 0,
    notBeforeMs: nowMs,
    timeline: told(run, { atMs: nowMs, what: 'released' }),
  }
}

export function cancelledRun(run: Run, nowMs: number): Run {
  require(run, 'cancel')
  return overRun(run, 'cancelled', nowMs)
}

/** Over: its message is not needed any more. */
function overRun(run: Run, state: 'done' | 'cancelled', nowMs: number): Run {
  return {
    ...run,
    state,
    endedAtMs: nowMs,
    notBeforeMs: 0,
    message: null,
    ...(state === 'done' ? { code: null, reason: null } : {}),
    timeline: told(run, { atMs: nowMs, what: state }),
  }
}

/** The timeline with one more event: its first stays, and the newest. */
function told(run: Run, event: RunEvent): readonly RunEvent[] {
  const { timeline } = run
  return timeline.length < TIMELINE_MAX
    ? [...timeline, event]
    : [timeline[0] as RunEvent, ...timeline.slice(timeline.length - TIMELINE_MAX + 2), event]
}
