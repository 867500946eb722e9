import type { Outcome } from '../../model/change.ts'
import type { AppId, Token } from '../../model/ids.ts'
import type { Target, WriteOp } from '../../ports/app.ts'
import type { Clock } from '../../ports/clock.ts'
import { outcomeOf } from './errors.ts'
import type { TablePlans } from './plan.ts'
import { type CallLimits, type SqlDatabase, SqlFailure, type SqlSession } from './sql.ts'
import { type Batch, type Bookkeeping, OneFailed, type WriteContext, writeBatch } from './write-batch.ts'

export interface TableTargetDeps {
  readonly database: SqlDatabase
  readonly clock: Clock
  /** The tables, checked, and whatever else must stand before anything is written; rejects while it does not. */
  readonly ready: (limits: { readonly untilMs: number; readonly signal: AbortSignal }) => Promise<TablePlans>
  readonly books: Bookkeeping
  /** Writes, and tells the version of what was written where only the commit gives it. */
  readonly write?: <T>(
    work: (session: SqlSession) => Promise<T>,
    limits: CallLimits,
  ) => Promise<{ readonly result: T; readonly token: Token | null }>
  /** The version that a record holds in a column of its own, where there is one. */
  readonly versionOf?: WriteContext['versionOf']
  /** What was written is read back with locks, so that it is what stands when the transaction ends. */
  readonly locksReads?: boolean
  /** What was written, once it is durable. */
  readonly onApplied?: (outcomes: readonly Outcome[], ops: readonly WriteOp[]) => void
  readonly release: () => Promise<void>
}

/** Writes into tables: a batch is one transaction as long as every operation of it goes well; where one fails, each stands alone inside a savepoint. */
export function createTableTarget(app: AppId, deps: TableTargetDeps): Target {
  const { database, clock, books } = deps
  const write = async (
    ops: readonly WriteOp[],
    deadlineMs: number,
    signal: AbortSignal,
  ): Promise<readonly Outcome[]> => {
    if (signal.aborted) return ops.map((op) => cancelled(app, op))
    const limits = { untilMs: clock.monotonicMs() + deadlineMs, signal }
    try {
      const plans = await deps.ready(limits)
      const context = {
        app,
        dialect: database.dialect,
        plans,
        books,
        locksReads: deps.locksReads ?? false,
        versionOf: deps.versionOf,
      }
      const attempt = async (careful: boolean): Promise<readonly Outcome[]> => {
        const work = (session: SqlSession): Promise<Batch> => writeBatch(session, context, ops, careful)
        if (deps.write === undefined) return (await database.write(work, limits)).outcomes
        const { result, token } = await deps.write(work, limits)
        return token === null
          ? result.outcomes
          : result.outcomes.map((outcome) => (result.written.has(outcome.op) ? { ...outcome, token } : outcome))
      }
      const outcomes = await attempt(false).catch((error: unknown) => {
        if (error instanceof OneFailed) return attempt(true)
        throw error
      })
      deps.onApplied?.(outcomes, ops)
      return outcomes
    } catch (error) {
      return ops.map((op) => outcomeOf(app, op, error))
    }
  }
  return { app, write, close: deps.release, [Symbol.asyncDispose]: deps.release }
}

const cancelled = (app: AppId, op: WriteOp): Outcome =>
  outcomeOf(app, op, new SqlFailure('unavailable', 'the hub is stopping, nothing was sent'))
