import type { Intent, Lane } from '../model/record.ts'

/** Longest pause between two tries of one write: a target that comes back is noticed within this, however long it was away. */
export const RETRY_CAP_MS = 15 * 60_000
/** First pause: about the time that a restarting process or a lock needs. */
export const RETRY_FIRST_MS = 100

/**
 * The pause before the next try: doubling from 100 ms to 15 min, spread by jitter in [0, 1) over its upper half; a Retry-After of the
 * application is a lower bound, within the same cap. Pure: the jitter is an argument.
 */
export function retryDelayMs(tries: number, jitter: number, retryAfterMs: number | undefined): number {
  const full = Math.min(RETRY_CAP_MS, RETRY_FIRST_MS * 2 ** Math.min(tries, 20))
  const spread = full / 2 + (full / 2) * jitter
  return Math.round(Math.min(RETRY_CAP_MS, Math.max(spread, retryAfterMs ?? 0)))
}

/** The longest step of `meetingMs`: about seven minutes, so that one and a half of it are below the cap. */
const MEETING_STEP_MAX = 12

/**
 * When a write that a unique value of another record refused is tried next: pauses double as above, but end at whole multiples of themselves. So records that wait for each
 * other, and began at different times, are tried at the same moment again and again: in one call, in which they can pass together.
 */
export function meetingMs(tries: number, nowMs: number): number {
  const stepMs = RETRY_FIRST_MS * 2 ** Math.min(tries, MEETING_STEP_MAX)
  return Math.ceil((nowMs + stepMs / 2) / stepMs) * stepMs
}

/** Whether a pause that was written down as a wall-clock time is still running. No pause is longer than the cap, so a later time means that the clock was set back. */
export const isPausing = (notBeforeMs: number, nowMs: number): boolean =>
  notBeforeMs > nowMs && notBeforeMs - nowMs <= RETRY_CAP_MS

/**
 * The lane of a write that was given up, while an earlier try of it may still be on its way. A condition on values, or on versions that are made from them, is met again when they come back: as long
 * as that try may be applied, nothing is written that might bring them back. Versions that are counted never come back.
 */
export function whileInDoubt(lane: Lane, intent: Intent, fenceMs: number, nowMs: number): Lane {
  if (!isInDoubt(intent, nowMs)) return lane
  const { op } = intent
  const message = `an earlier try of ${op} may still be applied`
  return {
    ...lane,
    retry: {
      tries: lane.retry?.tries ?? 0,
      notBeforeMs: doubtEndsMs(intent, fenceMs, nowMs),
      sinceMs: nowMs,
      code: STILL_IN_DOUBT,
      message,
    },
  }
}

/** An earlier try of the write may still be applied. */
export const isInDoubt = ({ doubtUntilMs = 0 }: Intent, nowMs: number): boolean => isPausing(doubtUntilMs, nowMs)

/** When it cannot be any more: a fence from now on at the latest, whatever the wall clock was set back by since. */
export const doubtEndsMs = ({ doubtUntilMs = 0 }: Intent, fenceMs: number, nowMs: number): number =>
  Math.min(doubtUntilMs, nowMs + fenceMs)

/** Why a lane pauses whose earlier write may still be applied: it does so even while nothing is needed. */
export const STILL_IN_DOUBT = 'target.unknown'
