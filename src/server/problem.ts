import { ERROR_CODES, type ErrorCode, httpStatusOf, SyncError } from '../errors/index.ts'
import type { RawReply } from '../ports/app.ts'

/** Where no Retry-After is known: long enough that a crowd of senders does not come back at once, short enough to keep up. */
const RETRY_AFTER_DEFAULT_S = 2

/** An error as application/problem+json (RFC 9457): the stable `code` is for programs, `detail` says what to do. `instance` is the path asked for. */
export function problemReply(error: unknown, instance: string, status?: number): RawReply {
  const known = SyncError.from(error)
  const answer = status ?? httpStatusOf(known.code)
  const body = {
    type: `/errors/${known.code}`,
    title: titleOf(known.code),
    status: answer,
    // The words of a defect may hold anything; they are in the log.
    detail: known.handling === 'bug' ? ERROR_CODES[known.code].manual : known.message,
    code: known.code,
    instance,
  }
  const headers: Record<string, string> = { 'content-type': 'application/problem+json' }
  if (known.handling === 'retry') headers['retry-after'] = String(retryAfterSeconds(known))
  if (answer === 401) headers['www-authenticate'] = 'Webhook realm="latchwork"'
  return { status: answer, headers, body: JSON.stringify(body) }
}

const retryAfterSeconds = (error: SyncError): number =>
  error.retryAfterMs === undefined ? RETRY_AFTER_DEFAULT_S : Math.max(1, Math.ceil(error.retryAfterMs / 1000))

/** The first sentence of the manual entry. */
function titleOf(code: ErrorCode): string {
  const { manual } = ERROR_CODES[code]
  const end = manual.indexOf('. ')
  return end < 0 ? manual.replace(/\.$/, '') : manual.slice(0, end)
}

/** Nothing is declared at this path: what to answer, also for a mounted application's own "not found". */
export const unknownPath = (path: string, declared: readonly string[]): SyncError =>
  new SyncError(
    'intake.unknown-path',
    `no webhook is declared at ${path.slice(0, 200)}; declared: ${declared.length === 0 ? 'none' : declared.join(', ')}. Compare the sender's URL with \`notify\` of the binding.`,
  )
