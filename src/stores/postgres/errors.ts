import { type ErrorCode, SyncError } from '../../errors/index.ts'

/** Raised by our own functions in the database (schema.ts), so that a refusal inside a batch keeps its meaning. */
const OWN_STATES: Readonly<Record<string, (port: Port) => ErrorCode>> = {
  LW001: () => 'store.fenced',
  LW002: () => 'store.rev-conflict',
  LW003: () => 'store.link-taken',
}

/** SQLSTATEs that say "no room": disk full, and the quota of a hosted database. */
const FULL_STATES: ReadonlySet<string> = new Set(['53100', '53400'])
const UNIQUE_VIOLATION = '23505'

const UNREACHABLE = 'the server cannot be reached; look at host and port; work goes on by itself when it is back'

/** What an operator does about a SQLSTATE class; the first prefix that fits counts. `E`: an error of the socket, by its name. */
const NEXT_STEPS: readonly (readonly [prefix: string, next: string])[] = [
  ['28', 'check the user and password in the URL, and pg_hba.conf'],
  ['3D000', 'create the database first: `createdb`'],
  ['42501', 'grant the user CREATE on the database, and usage of the schema'],
  ['53300', 'raise max_connections, or give the hub a pool of its own; it needs up to 7 connections'],
  ['25006', 'this is a read-only replica: name the primary'],
  ['57P', 'the server is restarting or was told to stop; work goes on by itself when it is back'],
  ['E', UNREACHABLE],
  ['08', UNREACHABLE],
]

type Port = 'store' | 'journal'

/** Any error of the database as the SyncError of its port: full, failed, or what our own function raised. */
export function toPortError(port: Port, place: string, error: unknown): SyncError {
  if (SyncError.is(error)) return error
  const state = sqlState(error)
  const own = state === undefined ? undefined : OWN_STATES[state]
  const reason = error instanceof Error ? error.message : String(error)
  if (own !== undefined) return new SyncError(own(port), reason, { cause: error })
  if (state === UNIQUE_VIOLATION && port === 'store')
    return new SyncError('store.link-taken', `${reason}: the place belongs to another record`, { cause: error })
  const full = state !== undefined && FULL_STATES.has(state)
  const next = full
    ? 'make room on its disk; work goes on by itself'
    : (NEXT_STEPS.find(([prefix]) => state?.startsWith(prefix))?.[1] ?? 'look at the server and its log')
  return new SyncError(`${port}.${full ? 'full' : 'failed'}`, `${place}: ${reason}; ${next}`, {
    place: { database: place },
    cause: error,
  })
}

export function sqlState(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

/** The statement may or may not have been done: its connection broke before the answer came. */
export function isConnectionLost(error: unknown): boolean {
  const state = sqlState(error)
  if (state === undefined) return error instanceof Error && /connection/i.test(error.message)
  return state.startsWith('08') || state.startsWith('57P') || /^E[A-Z]+$/.test(state)
}
