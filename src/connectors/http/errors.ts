import type { ErrorCode } from '../../errors/index.ts'
import type { Outcome } from '../../model/change.ts'
import type { WriteOp } from '../../ports/app.ts'
import type { HttpFailure, HttpHeaders } from './client.ts'

/** What a status or failure means for a write, without the op. */
export interface Ruling {
  readonly result: Outcome['result']
  readonly handling?: 'retry' | 'park'
  readonly code?: ErrorCode
}

const retry = (code: ErrorCode): Ruling => ({ result: 'refused', handling: 'retry', code })
const park = (code: ErrorCode): Ruling => ({ result: 'refused', handling: 'park', code })
const unknown: Ruling = { result: 'unknown', code: 'target.unknown' }
const conflict: Ruling = { result: 'conflict' }
const gone: Ruling = { result: 'gone' }

/**
 * The one table from HTTP status to outcome. What is not named: 2xx is applied, other 4xx park as rejected, other 3xx and 5xx are unknown, because a
 * proxy or a crash after the effect answers with them too; an idempotency key or a condition makes the engine's next try of an unknown write safe, it does not
 * make this one known.
 */
const rulingByStatus: Readonly<Record<number, Ruling | ((op: WriteOp) => Ruling)>> = {
  // Moved: the write was not taken. 302 and 303 are also what a form handler answers after it has written, so they are unknown.
  301: park('target.rejected'),
  307: park('target.rejected'),
  308: park('target.rejected'),
  401: park('target.unauthorized'),
  403: park('target.unauthorized'),
  407: park('target.unauthorized'),
  404: (op) => (op.kind === 'create' ? park('target.rejected') : gone),
  410: (op) => (op.kind === 'create' ? park('target.rejected') : gone),
  // Some server or proxy did not get the whole request, says the RFC; some say it when their own backend is slow.
  408: unknown,
  // On a create: it is there already. Otherwise many APIs mean "version conflict" (412) by it when a version was sent, which a read heals; without one it
  // is a state that passes (locked, in process): nothing was applied, so it is tried again with pauses.
  409: (op) =>
    op.kind === 'create' ? park('target.duplicate') : op.baseToken !== null ? conflict : retry('target.unavailable'),
  412: conflict,
  423: retry('target.unavailable'),
  425: retry('target.unavailable'),
  428: park('target.rejected'),
  429: retry('target.unavailable'),
  501: park('target.rejected'),
  503: retry('target.unavailable'),
  505: park('target.rejected'),
}

export function rulingOfStatus(status: number, op: WriteOp): Ruling {
  const entry = rulingByStatus[status]
  if (entry !== undefined) return typeof entry === 'function' ? entry(op) : entry
  if (status >= 200 && status < 300) return { result: 'applied' }
  return status >= 400 && status < 500 ? park('target.rejected') : unknown
}

/** What it means that no whole reply came. Only what certainly never left us is refused. */
export function rulingOfFailure(failure: HttpFailure, op: WriteOp): Ruling {
  if (failure.status >= 300) return rulingOfStatus(failure.status, op)
  if (failure.sent) return unknown
  return failure.reason === 'invalid-request' ? park('target.rejected') : retry('target.unreachable')
}

/** Whether a read that ended so found that the record is not there. Nothing else says it: absence is never guessed. */
export const saysMissing = (status: number): boolean => status === 404 || status === 410

export const readCodeOf = (status: number): ErrorCode =>
  status === 401 || status === 403 || status === 407 ? 'source.unauthorized' : 'source.read-failed'

/** Retry-After as ms from now: seconds or a date; undefined when there is none or it cannot be read. */
export function retryAfterMs(headers: HttpHeaders, nowMs: number): number | undefined {
  const text = firstHeader(headers, 'retry-after')
  if (text === undefined) return undefined
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000
  const atMs = Date.parse(text)
  return Number.isNaN(atMs) ? undefined : Math.max(0, atMs - nowMs)
}

export function firstHeader(headers: HttpHeaders, name: string): string | undefined {
  const value = headers[name]
  return Array.isArray(value) ? value[0] : value
}

/** Enough of the application's words to act on, little enough for a verdict's text. */
const REPLY_CHARS_MAX = 500

export const replyWords = (body: Buffer | null): string =>
  body === null
    ? '(an empty reply)'
    : body
        .subarray(0, REPLY_CHARS_MAX * 4)
        .toString('utf8')
        .slice(0, REPLY_CHARS_MAX)
