import { type ErrorCode, SyncError } from '../../errors/index.ts'
import type { Outcome, ReadImage } from '../../model/change.ts'
import type { AppId } from '../../model/ids.ts'
import type { WriteOp } from '../../ports/app.ts'
import { SqlFailure, type SqlFailureKind } from './sql.ts'

interface Ruling {
  /** For a write that was certainly not applied. */
  readonly handling: 'retry' | 'park'
  readonly code: ErrorCode
  /** For a read or a feed. */
  readonly readCode: ErrorCode
  /** What a person can do. */
  readonly next: string
}

const ruling = (handling: Ruling['handling'], code: ErrorCode, readCode: ErrorCode, next: string): Ruling => ({
  handling,
  code,
  readCode,
  next,
})

/** The one table from what a database's error means to what is done about it. */
const RULINGS: Readonly<Record<SqlFailureKind, Ruling>> = {
  unreachable: ruling(
    'retry',
    'target.unreachable',
    'source.read-failed',
    'It is tried again until the database is there.',
  ),
  unavailable: ruling('retry', 'target.unavailable', 'source.read-failed', 'It is tried again.'),
  contention: ruling('retry', 'target.contention', 'source.read-failed', 'It is tried again.'),
  timeout: ruling('retry', 'target.statement-timeout', 'source.read-failed', 'It is tried again.'),
  lost: ruling('retry', 'target.unavailable', 'source.read-failed', 'It is tried again.'),
  failed: ruling('retry', 'target.unavailable', 'source.read-failed', 'It is tried again; look at the cause.'),
  denied: ruling('park', 'target.unauthorized', 'source.unauthorized', 'Grant what is missing, then release.'),
  'read-only': ruling(
    'retry',
    'database.read-only',
    'database.read-only',
    'Name the database that takes writes, not its replica.',
  ),
  schema: ruling('retry', 'database.schema', 'database.schema', 'Correct the config or the table.'),
  duplicate: ruling(
    'retry',
    'target.unique',
    'source.read-failed',
    'It is tried again: the other record may give it up.',
  ),
  reference: ruling(
    'retry',
    'target.reference',
    'source.read-failed',
    'It is tried again: the record that it refers to may come.',
  ),
  rejected: ruling('park', 'target.rejected', 'source.read-failed', 'A newer value tries once more by itself.'),
  'too-large': ruling('park', 'target.too-large', 'source.read-failed', 'Shorten the value, or raise the limit.'),
}

/** Any error inside a call to a database as a failure of ours. */
export function failureOf(error: unknown): SqlFailure | SyncError {
  if (error instanceof SqlFailure || SyncError.is(error)) return error
  return SyncError.from(error)
}

/** The outcome of one write that failed so. What a unique key refuses may pass (a chain of values moving on); a create only for a while, because the record that is there may be the same. */
export function outcomeOf(app: AppId, op: WriteOp, error: unknown): Outcome {
  const failure = failureOf(error)
  if (!(failure instanceof SqlFailure)) {
    // A database that is not set up as needed says nothing about this record: the lane waits for it to be put right.
    const handling = failure.handling === 'park' ? 'park' : 'retry'
    return { op: op.op, result: 'refused', handling, code: failure.code, message: failure.message }
  }
  if (failure.mayBeApplied)
    return { op: op.op, result: 'unknown', code: 'target.unknown', message: `${app}: ${failure.message}` }
  const { handling, code, next } = RULINGS[failure.kind]
  const taken = failure.kind === 'duplicate' && op.kind === 'create'
  return {
    op: op.op,
    result: 'refused',
    handling,
    code: taken ? 'target.duplicate' : code,
    message: `${app}: ${op.object} ${op.nativeId ?? '(new)'}: ${failure.message}. ${next}`,
  }
}

/** A feed or read that failed so, as the port wants it. */
export function readErrorOf(app: AppId, what: string, error: unknown): SyncError {
  const failure = failureOf(error)
  if (!(failure instanceof SqlFailure)) return failure
  const { readCode, next } = RULINGS[failure.kind]
  return new SyncError(readCode, `${app}: ${what} could not be read: ${failure.message}. ${next}`, {
    place: { app },
    cause: failure,
  })
}

/** The same as the result of one read: only `failed`, never a guess. */
export function failedRead(app: AppId, what: string, error: unknown): Pick<ReadImage, 'result' | 'code' | 'message'> {
  const { code, message } = readErrorOf(app, what, error)
  return { result: 'failed', code: code === 'source.unauthorized' ? code : 'source.read-failed', message }
}
