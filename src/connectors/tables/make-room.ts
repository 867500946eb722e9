import type { NativeId } from '../../model/ids.ts'
import type { NativeData, NativeRecord } from '../../model/value.ts'
import type { WriteOp } from '../../ports/app.ts'
import type { TablePlan } from './plan.ts'
import { idParam } from './records.ts'
import type { Column, Dialect, SqlParam, SqlSession } from './sql.ts'

/** Rows that wait for each other's unique values: no order of single updates can do it, so inside one transaction each gives up its own for a moment. */

export interface Waiting {
  readonly op: WriteOp
  readonly nativeId: NativeId
  /** As it was locked. */
  readonly record: NativeRecord
}

/** Whether the write changes a column of a unique index. */
export const canMoveAside = (plan: TablePlan, op: WriteOp): boolean =>
  op.kind === 'update' && movedColumns(plan, op).length > 0

const movedColumns = (plan: TablePlan, op: WriteOp): Column[] =>
  Object.keys(op.patch).flatMap((name) => (plan.unique.has(name) ? (plan.byName.get(name) ?? []) : []))

/** Gives up the unique values of one row. `place` tells the rows of one transaction apart. */
export async function moveAside(
  session: SqlSession,
  dialect: Dialect,
  plan: TablePlan,
  { op, nativeId, record }: Waiting,
  place: number,
): Promise<void> {
  const columns = movedColumns(plan, op)
  const values: SqlParam[] = []
  for (const column of columns)
    values.push(dialect.write(await asideValue(session, dialect, plan, column, record[column.name], place), column))
  const { use } = plan
  await session.run(
    `update ${dialect.quote(use.table)} set ${columns.map(({ name }) => `${dialect.quote(name)} = ?`).join(', ')} where ${dialect.quote(use.id)} = ?`,
    [...values, idParam(dialect, plan, nativeId)],
  )
}

/** What no other row holds. Where the column does not take it, the database says so, and the rows wait on. */
async function asideValue(
  session: SqlSession,
  dialect: Dialect,
  plan: TablePlan,
  column: Column,
  value: NativeData | undefined,
  place: number,
): Promise<NativeData> {
  if (column.nullable) return null
  if (typeof value !== 'number' && typeof value !== 'bigint') return `${String(value)}~${place}`
  const { rows } = await session.run(`select max(${dialect.quote(column.name)}) from ${dialect.quote(plan.use.table)}`)
  const top = dialect.read(rows[0]?.[0], column)
  return typeof top === 'number' && !Number.isInteger(top) ? top + place : BigInt(String(top)) + BigInt(place)
}
