import { ERROR_CODES, type ErrorCode, httpStatusOf, SyncError } from '../errors/index.ts'
import type { Encoded, FormatLimits, Problem } from './format.ts'
import { parseMediaType } from './media-type.ts'

/** Refuses a content type that is not one of the named. No content type at all is taken at the listener's word. */
export function checkType(type: string | undefined, known: readonly string[], more = ''): void {
  if (type === undefined) return
  const media = parseMediaType(type)
  if (media !== undefined && known.includes(media.name) && more === '') return
  throw new SyncError(
    'intake.unsupported-type',
    `the message has the content type ${type.slice(0, 100)}; send ${known.join(' or ')}${more === '' ? '' : ' ' + more}.`,
  )
}

/** The charset that the content type declares. */
export const charsetIn = (type: string | undefined): string | undefined =>
  type === undefined || !type.includes('=') ? undefined : parseMediaType(type)?.parameters.charset

export function checkBytes(bytes: Uint8Array, limits: FormatLimits): void {
  if (bytes.length > limits.bytesMax)
    throw new SyncError(
      'intake.too-large',
      `the body is larger than ${limits.bytesMax} bytes. Raise \`limits.bodyBytesMax\`, or let the sender send less at once.`,
    )
}

export function checkDocuments(count: number, limits: FormatLimits): void {
  if (count > limits.documentsMax)
    throw new SyncError(
      'intake.too-large',
      `the message holds ${count} documents, more than ${limits.documentsMax}; let the sender send fewer at once.`,
    )
}

/** An error as plain data. The words of a defect may hold anything; they are in the log. */
export function problemOf(error: SyncError, instance: string, status?: number): Problem {
  const parts = error.parts.map(({ index, code, message }) => ({ index, code, detail: message }))
  return {
    type: `/errors/${error.code}`,
    title: titleOf(error.code),
    status: status ?? statusOf(error),
    // What a flow threw is in the log as well, for the same reason.
    detail: error.handling === 'bug' || error.code === 'flow.failed' ? ERROR_CODES[error.code].manual : error.message,
    code: error.code,
    instance,
    ...(parts.length === 0 ? {} : { parts }),
  }
}

/** A flow may refuse with a status of its own. */
function statusOf({ code, place }: SyncError): number {
  const own = code === 'flow.refused' ? place.status : undefined
  return typeof own === 'number' && own >= 400 && own <= 599 ? own : httpStatusOf(code)
}

/** The first sentence of the manual entry. */
function titleOf(code: ErrorCode): string {
  const { manual } = ERROR_CODES[code]
  const end = manual.indexOf('. ')
  return end < 0 ? manual.replace(/\.$/, '') : manual.slice(0, end)
}

export const problemJson = (problem: Problem): Encoded & { readonly status: number } => ({
  status: problem.status,
  contentType: 'application/problem+json',
  body: JSON.stringify(problem),
})
