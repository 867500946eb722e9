import { type ErrorCode, SyncError } from '../../errors/index.ts'
import type { Outcome } from '../../model/change.ts'
import type { WriteOp } from '../../ports/app.ts'

/** What PostgreSQL or the socket said; judged by `code` (SQLSTATE, or Node's errno), never by its words. */
export interface PgFailure {
  readonly code: string | undefined
  readonly message: string
  readonly detail: string | undefined
  readonly constraint: string | undefined
}

export function failureOf(error: unknown): PgFailure {
  const given = (typeof error === 'object' && error !== null ? error : {}) as Record<string, unknown>
  const text = (name: string): string | undefined =>
    typeof given[name] === 'string' ? (given[name] as string) : undefined
  // Node gathers the failures of several addresses of one host.
  const inner = Array.isArray(given.errors) ? failureOf(given.errors[0]) : undefined
  return {
    code: text('code') ?? inner?.code,
    message: text('message') || inner?.message || String(error),
    detail: text('detail'),
    constraint: text('constraint'),
  }
}

type Meaning =
  /** Not applied, and may pass by itself: tried again. `split`: one row of a batch may be to blame, so the others are tried without it. */
  | {
      readonly does: 'retry'
      readonly code: ErrorCode
      readonly next: string
      readonly split?: true
      readonly again?: true
    }
  | { readonly does: 'park'; readonly code: ErrorCode; readonly next: string; readonly split?: true }

const retry = (code: ErrorCode, next: string): Meaning => ({ does: 'retry', code, next })
const oneRow = (code: ErrorCode, next: string): Meaning => ({ does: 'retry', code, next, split: true })
const contention = (next: string): Meaning => ({
  does: 'retry',
  code: 'target.contention',
  next,
  split: true,
  again: true,
})
const park = (code: ErrorCode, next: string): Meaning => ({ does: 'park', code, next })
const badRow = (code: ErrorCode, next: string): Meaning => ({ does: 'park', code, next, split: true })

const CORRECT = 'Correct the value, or the column; a newer value tries once more by itself.'
const GRANT = 'Grant what is missing, then `latchwork release`.'
const SCHEMA = 'Correct the binding or the table.'

/** The one table from SQLSTATE (or its class, the first two letters) to what it means for a write. */
const MEANINGS: Readonly<Record<string, Meaning>> = {
  // A value that the column cannot hold, a row that is refused by a rule of the database.
  '22': badRow('target.rejected', CORRECT),
  '23': badRow('target.rejected', CORRECT),
  '44': badRow('target.rejected', CORRECT),
  P0001: badRow('target.rejected', 'A trigger of the database refused it. ' + CORRECT),
  '23503': oneRow('target.reference', 'It is tried again: the record that it refers to may come.'),
  '23505': oneRow('target.unique', 'It is tried again: the record that holds the value may give it up.'),
  '23P01': oneRow('target.unique', 'It is tried again: the record that holds the value may give it up.'),
  '54000': badRow('target.too-large', 'Shorten the value.'),
  '54001': badRow('target.too-large', 'Shorten the value.'),
  '0A000': badRow('target.rejected', CORRECT),
  // Others were at the same rows; nothing was applied.
  '40001': contention('It is tried again.'),
  '40P01': contention('It is tried again.'),
  '55P03': oneRow('target.contention', 'Another session holds the row; it is tried again.'),
  '57014': oneRow(
    'target.statement-timeout',
    'It is tried again; raise `statementTimeoutMs` if the database is just slow.',
  ),
  '25006': retry('database.read-only', 'Name the server that takes writes, not its replica; it is tried again.'),
  '42501': park('target.unauthorized', GRANT),
  '28': park('target.unauthorized', 'Correct the user or password in the url, then `latchwork release`.'),
  '3D000': park('target.unauthorized', 'Correct the database in the url, then `latchwork release`.'),
  '42': park('database.schema', SCHEMA),
  '428C9': badRow('database.schema', 'A generated column cannot be written: map it with readOnly().'),
  '3F000': park('database.schema', SCHEMA),
  '53': retry('target.unavailable', 'It is tried again.'),
  '57P01': retry('target.unreachable', 'It is tried again until the server is there.'),
  '57P02': retry('target.unreachable', 'It is tried again until the server is there.'),
  '57P03': retry('target.unreachable', 'It is tried again until the server is there.'),
  '58': retry('target.unavailable', 'It is tried again; look at the log of the server.'),
  XX: badRow('target.rejected', 'Look at the log of the server.'),
}

export const meaningOf = (failure: PgFailure): Meaning | undefined =>
  failure.code === undefined || failure.code.length !== 5
    ? undefined
    : (MEANINGS[failure.code] ?? MEANINGS[failure.code.slice(0, 2)])

/** A connection that was never made, or broke before the request left: certainly not applied. */
export const isUnreachable = (failure: PgFailure): boolean =>
  /^(ECONNREFUSED|ENOTFOUND|EHOSTUNREACH|ENETUNREACH|EAI_AGAIN|ETIMEDOUT|57P03)$/.test(failure.code ?? '')

const words = (failure: PgFailure): string =>
  [failure.message, failure.detail].filter((text) => text !== undefined && text !== '').join(': ')

const nameOf = (app: string, op: WriteOp): string =>
  `${app}: ${op.kind} of ${op.object}${op.nativeId === null ? '' : ' ' + op.nativeId}`

/** The outcome of one write that failed before or during its own statement, so that nothing of it was applied. */
export function refusedOutcome(app: string, op: WriteOp, failure: PgFailure): Outcome {
  const meaning =
    meaningOf(failure) ?? (isUnreachable(failure) ? retry('target.unreachable', 'It is tried again.') : undefined)
  if (meaning === undefined) {
    const message = `${nameOf(app, op)} was refused: ${words(failure)}.`
    return { op: op.op, result: 'refused', handling: 'park', code: 'target.rejected', message }
  }
  // A create that meets a record which is there already: that one may be about to go, or is to be linked.
  const isDuplicate = meaning.code === 'target.unique' && op.kind === 'create'
  const next = isDuplicate
    ? 'It is tried for a while, as that record may be about to go; one that is the same is linked by a match key in the entity.'
    : meaning.next
  return {
    op: op.op,
    result: 'refused',
    handling: meaning.does,
    code: isDuplicate ? 'target.duplicate' : meaning.code,
    message: `${nameOf(app, op)} was refused (${failure.code ?? 'no code'}${failure.constraint === undefined ? '' : `, ${failure.constraint}`}): ${words(failure)}. ${next}`,
  }
}

export const unknownOutcome = (app: string, op: WriteOp, why: string): Outcome => ({
  op: op.op,
  result: 'unknown',
  code: 'target.unknown',
  message: `${nameOf(app, op)} may or may not have been applied: ${why}.`,
})

/** What a failed read or set-up step means. */
const READ_CODES: Readonly<Record<string, ErrorCode>> = {
  '28': 'source.unauthorized',
  '3D000': 'source.unauthorized',
  '42501': 'source.unauthorized',
}

export function readError(app: string, what: string, error: unknown): SyncError {
  if (SyncError.is(error)) return error
  const failure = failureOf(error)
  const code = READ_CODES[failure.code ?? ''] ?? READ_CODES[(failure.code ?? '').slice(0, 2)] ?? 'source.read-failed'
  return new SyncError(
    code,
    `${app}: ${what}: ${words(failure)}${failure.code === undefined ? '' : ` (${failure.code})`}.`,
    {
      place: { app },
      cause: error,
    },
  )
}
