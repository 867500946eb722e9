import type { ReadImage } from '../../model/change.ts'
import type { AppId, NativeId, Token } from '../../model/ids.ts'
import type { NativeRecord } from '../../model/value.ts'
import type { TablePlan, TablePlans } from '../tables/plan.ts'
import type { Snapshot } from '../tables/record-reads.ts'
import { readRecords, scanRecords } from '../tables/records.ts'
import type { Dialect, SqlSession } from '../tables/sql.ts'
import type { Names } from './ddl.ts'
import { findCreated, findOps } from './statements.ts'

/** Records as they are in one transaction of a database that remembers our writes, with what those tell of them. `tokenOf`: the version that they are read at. */
export function snapshotOf(
  app: AppId,
  dialect: Dialect,
  session: SqlSession,
  { plans, names }: { readonly plans: TablePlans; readonly names: Names },
  tokenOf: (plan: TablePlan, record: NativeRecord | undefined) => Token | undefined,
): Snapshot {
  const images = async (
    plan: TablePlan,
    ids: readonly NativeId[],
    records: ReadonlyMap<NativeId, NativeRecord>,
  ): Promise<readonly ReadImage[]> => {
    const { object } = plan.use
    const ops = await findOps(session, dialect, names, object, ids)
    return ids.map((nativeId) => {
      const record = records.get(nativeId)
      const token = tokenOf(plan, record)
      const base = { app, object, nativeId, ...(token === undefined ? {} : { token }) }
      if (record === undefined) return { ...base, result: 'missing' }
      const correlationId = ops.get(nativeId)?.correlation ?? null
      return { ...base, result: 'found', record, ...(correlationId === null ? {} : { correlationId }) }
    })
  }
  return {
    plans,
    images: async (plan, ids) => images(plan, ids, await readRecords(dialect, session, plan, ids, false)),
    created: async (object, correlationId) =>
      (await findCreated(session, dialect, names, object, [correlationId])).get(correlationId),
    page: async (plan, after, max) => {
      const records = await scanRecords(dialect, session, plan, after, max)
      return images(plan, [...records.keys()], records)
    },
  }
}
