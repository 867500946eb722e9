import { SyncError } from '../errors/index.ts'
import { type Format, type MessageHeaders, problemJson, problemOf, problemXml, soapFault } from '../formats/index.ts'
import type { Listens, RawReply } from '../ports/app.ts'

/** Where no Retry-After is known: long enough that a crowd of senders does not come back at once, short enough to keep up. */
const RETRY_AFTER_DEFAULT_S = 2

/** How a refusal is written, by what the listener at the path declares. */
export const refusalWriters: Readonly<Record<NonNullable<Listens['refusals']>, Format['fault']>> = {
  'problem+json': problemJson,
  'problem+xml': problemXml,
  soap: (problem, sent) => soapFault(problem, sent, ['1.1', '1.2']),
}

/** An error as application/problem+json (RFC 9457), or in the sender's own format: the stable `code` is for programs, `detail` says what to do. `instance` is the path asked for. */
export function problemReply(
  error: unknown,
  instance: string,
  status?: number,
  write: Format['fault'] = problemJson,
  sent?: MessageHeaders,
): RawReply {
  const known = SyncError.from(error)
  const written = write(problemOf(known, instance, status), sent)
  const headers: Record<string, string> = { 'content-type': written.contentType }
  if (known.handling === 'retry') headers['retry-after'] = String(retryAfterSeconds(known))
  if (written.status === 401) headers['www-authenticate'] = 'Webhook realm="latchwork"'
  return { status: written.status, headers, body: written.body }
}

const retryAfterSeconds = (error: SyncError): number =>
  error.retryAfterMs === undefined ? RETRY_AFTER_DEFAULT_S : Math.max(1, Math.ceil(error.retryAfterMs / 1000))

/** Nothing is declared at this path: what to answer, also for a mounted application's own "not found". */
export const unknownPath = (path: string, declared: readonly string[]): SyncError =>
  new SyncError(
    'intake.unknown-path',
    `no webhook is declared at ${path.slice(0, 200)}; declared: ${declared.length === 0 ? 'none' : declared.join(', ')}. Compare the sender's URL with \`notify\` of the binding.`,
  )
