import { type ErrorCode, SyncError } from '../../errors/index.ts'

/** Primary result codes of SQLite (the low byte of `errcode`) that mean something other than "could not be done". */
const BUSY = 5
const FULL = 13
/** Extended result codes: a UNIQUE or PRIMARY KEY constraint, and no other, refused a row. */
const CONSTRAINT_UNIQUE = 2067
const CONSTRAINT_PRIMARY_KEY = 1555

export const isBusy = (error: unknown): boolean => primaryCode(error) === BUSY

/** Whether a unique index refused a row. */
export function isTaken(error: unknown): boolean {
  const code = resultCode(error)
  return code === CONSTRAINT_UNIQUE || code === CONSTRAINT_PRIMARY_KEY
}

/** Any error of a database file as the SyncError of its port: full, failed, or what it already was. */
export function toPortError(port: 'store' | 'journal', path: string, error: unknown): SyncError {
  if (SyncError.is(error)) return error
  const full = primaryCode(error) === FULL || systemCode(error) === 'ENOSPC'
  const code: ErrorCode = `${port}.${full ? 'full' : 'failed'}`
  const reason = error instanceof Error ? error.message : String(error)
  const next = full ? 'make room on its disk; work goes on by itself' : 'look at the disk and its permissions'
  return new SyncError(code, `${path}: ${reason}; ${next}`, { place: { path }, cause: error })
}

function systemCode(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
}

/** The extended SQLite result code of a thrown thing; undefined when it is not SQLite's. */
function resultCode(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('errcode' in error)) return undefined
  return typeof error.errcode === 'number' ? error.errcode : undefined
}

function primaryCode(error: unknown): number | undefined {
  const code = resultCode(error)
  return code === undefined ? undefined : code & 0xff
}
