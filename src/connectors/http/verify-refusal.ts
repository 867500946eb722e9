import { SyncError } from '../../errors/index.ts'
import type { RawRequest } from '../../ports/app.ts'
import { unixMs } from './place.ts'

/** Throws `intake.unauthenticated` or `intake.stale`. Checks raw bytes; every comparison takes the same time whether its start or its end is wrong. */
export type Verifier = (request: RawRequest, nowMs: number) => void

export const unauthenticated = (path: string, why: string): SyncError =>
  new SyncError(
    'intake.unauthenticated',
    `the request to ${path} ${why}. Compare the secret at the sender with the \`verify\` of the webhook, and check that no proxy changes the body.`,
    { place: { path } },
  )

/** `time` is unix seconds or ms, digits only. */
export function checkAge(time: string, toleranceMs: number, nowMs: number, path: string): void {
  const ageMs = nowMs - unixMs(Number(time))
  if (Math.abs(ageMs) <= toleranceMs) return
  throw new SyncError(
    'intake.stale',
    `the request to ${path} was signed ${Math.abs(Math.round(ageMs / 1000))} s ${ageMs > 0 ? 'ago' : 'in the future'}, which is outside the tolerated ${toleranceMs / 1000} s. Check the clocks of sender and hub.`,
    { place: { path } },
  )
}
