import { SyncError } from '../../errors/index.ts'
import type { AppId } from '../../model/ids.ts'
import type { Source, Target } from '../../ports/app.ts'
import type { Clock, Log } from '../../ports/clock.ts'
import { namesOf } from '../change-table/ddl.ts'
import { bookkeeping } from '../change-table/statements.ts'
import type { TableUse } from '../tables/options.ts'
import { planTables } from '../tables/plan.ts'
import { type CallLimits, type SqlDatabase, SqlFailure } from '../tables/sql.ts'
import { createTableTarget } from '../tables/target.ts'
import type { PollingOptions } from './options.ts'
import { createPollingSource, type ReadyPolling, versionOf } from './source.ts'

export interface PollingAppOptions {
  readonly app: AppId
  readonly prefix: string
  readonly uses: readonly TableUse[]
  readonly polling: PollingOptions
  readonly database: SqlDatabase
  /** Makes the table in which writes of ours are remembered. */
  readonly opsTable: string
  readonly clock: Clock
  readonly log: Log
}

/** Both directions of an application that is polled. Writes are compared by value; only one small table of our own is needed. */
export function createPollingApp(options: PollingAppOptions): { readonly source: Source; readonly target: Target } {
  const { app, database, clock, log, polling, uses } = options
  const names = namesOf(options.prefix)
  let made: Promise<ReadyPolling> | null = null
  const setUp = (limits: CallLimits): Promise<ReadyPolling> =>
    database.write(async (session) => {
      const plans = await planTables(app, database.dialect, session, uses)
      for (const plan of plans.values()) {
        const time = plan.byName.get(plan.use.updatedAt ?? '')
        if (time === undefined || time.nullable || !/^(?:datetime|timestamp)/.test(time.type))
          throw new SyncError(
            'database.schema',
            `${app}: ${plan.use.table}.${plan.use.updatedAt} is ${time?.type ?? 'not there'}${time?.nullable ? ' and may be null' : ''}; what is polled by has to be a datetime or timestamp that is never null, or rows would go unseen. Correct the table.`,
            { place: { app }, retryAfterMs: 10_000 },
          )
      }
      await session.run(options.opsTable).catch((error: unknown) => {
        if (!(error instanceof SqlFailure) || error.kind !== 'denied') throw error
        throw new SyncError(
          'database.privileges',
          `${app}: ${error.message}. The hub remembers its writes in ${names.ops}: let its user create that table, or create it with: ${options.opsTable}`,
          { place: { app }, cause: error, retryAfterMs: 10_000 },
        )
      })
      return { plans, names }
    }, limits)
  const ready = async (limits: CallLimits): Promise<ReadyPolling> => {
    made ??= setUp(limits)
    try {
      return await made
    } catch (error) {
      made = null
      throw error
    }
  }
  let holders = 2
  const share = (): (() => Promise<void>) => {
    let held = true
    return async () => {
      if (!held) return
      held = false
      if (--holders === 0) await database.close()
    }
  }
  const books = bookkeeping(
    database.dialect,
    () => ({ plans: new Map(), names, table: '', generation: 0 }),
    () => clock.nowMs(),
  )
  return {
    source: createPollingSource(app, {
      database,
      clock,
      log,
      polling,
      objects: uses.map((use) => use.object),
      ready,
      release: share(),
    }),
    target: createTableTarget(app, {
      database,
      clock,
      ready: async (limits) => (await ready(limits)).plans,
      books: {
        applied: async (session, ops) =>
          new Map([...(await books.applied(session, ops))].map(([op, one]) => [op, { ...one, token: null }])),
        remember: books.remember,
      },
      locksReads: true,
      versionOf,
      release: share(),
    }),
  }
}
