import type { NativeId } from '../../model/ids.ts'
import type { NativeData, NativeRecord } from '../../model/value.ts'
import type { PartPlan, TablePlan } from './plan.ts'
import { type Column, type Dialect, marks, type SqlParam, type SqlSession } from './sql.ts'

/** Reading whole records: a row, and the rows of its parts as lists. */

/** Ids in one statement: below the 999 values that old builds of SQLite take, and short enough to be parsed once. */
const IDS_MAX = 500

export const idText = (value: unknown): string => String(value)

/** A native id as the database compares it. */
export function idParam(dialect: Dialect, plan: TablePlan, nativeId: NativeId): SqlParam {
  if (plan.use.idType === 'number' && /^-?\d{1,19}$/.test(nativeId)) return BigInt(nativeId)
  return dialect.write(nativeId, plan.id)
}

/** The records with these ids, as they are in this transaction; what is not there is not in the map. `lock` for rows that are about to be written. */
export async function readRecords(
  dialect: Dialect,
  session: SqlSession,
  plan: TablePlan,
  ids: readonly NativeId[],
  lock: boolean,
): Promise<Map<NativeId, NativeRecord>> {
  const found = new Map<NativeId, NativeRecord>()
  for (let i = 0; i < ids.length; i += IDS_MAX) {
    const some = ids.slice(i, i + IDS_MAX)
    const id = dialect.quote(plan.use.id)
    const sql = `select ${columnList(dialect, plan.columns)} from ${dialect.quote(plan.use.table)} where ${id} in (${marks(some.length)})${lock ? dialect.forUpdate : ''}`
    const { rows } = await session.run(
      sql,
      some.map((one) => idParam(dialect, plan, one)),
    )
    const wanted = new Set<string>(some)
    for (const row of rows) {
      const record = recordOf(dialect, plan.columns, row)
      const nativeId = idText(record[plan.use.id]) as NativeId
      // A collation may find an id that differs in case: that is another record, or this one under a new id.
      if (wanted.has(nativeId)) found.set(nativeId, record)
    }
  }
  await addParts(dialect, session, plan, found, lock)
  return found
}

/** One page of a table in the order of its ids. */
export async function scanRecords(
  dialect: Dialect,
  session: SqlSession,
  plan: TablePlan,
  after: NativeId | null,
  max: number,
): Promise<Map<NativeId, NativeRecord>> {
  const id = dialect.quote(plan.use.id)
  const from = after === null ? '' : `where ${id} > ?`
  const sql = `select ${columnList(dialect, plan.columns)} from ${dialect.quote(plan.use.table)} ${from} order by ${id} limit ${max}`
  const { rows } = await session.run(sql, after === null ? [] : [idParam(dialect, plan, after)])
  const found = new Map<NativeId, NativeRecord>()
  for (const row of rows) {
    const record = recordOf(dialect, plan.columns, row)
    found.set(idText(record[plan.use.id]) as NativeId, record)
  }
  await addParts(dialect, session, plan, found, false)
  return found
}

async function addParts(
  dialect: Dialect,
  session: SqlSession,
  plan: TablePlan,
  records: Map<NativeId, NativeRecord>,
  lock: boolean,
): Promise<void> {
  if (records.size === 0) return
  for (const part of plan.parts) {
    const byParent = new Map<string, NativeData[]>([...records.keys()].map((id) => [id, []]))
    const ids = [...records.keys()]
    for (let i = 0; i < ids.length; i += IDS_MAX) {
      const some = ids.slice(i, i + IDS_MAX)
      const rows = await readChildren(dialect, session, plan, part, some, lock)
      for (const { parent, record } of rows) byParent.get(parent)?.push(record)
    }
    for (const [id, list] of byParent) {
      records.set(id as NativeId, { ...records.get(id as NativeId), [part.use.container]: list })
    }
  }
}

async function readChildren(
  dialect: Dialect,
  session: SqlSession,
  plan: TablePlan,
  part: PartPlan,
  ids: readonly NativeId[],
  lock: boolean,
): Promise<{ readonly parent: string; readonly record: NativeRecord }[]> {
  const parent = dialect.quote(part.use.parent)
  const sql = `select ${parent}, ${columnList(dialect, part.columns)} from ${dialect.quote(part.use.table)} where ${parent} in (${marks(ids.length)}) order by ${dialect.quote(part.use.key)}${lock ? dialect.forUpdate : ''}`
  const { rows } = await session.run(
    sql,
    ids.map((one) => idParam(dialect, plan, one)),
  )
  return rows.map((row) => ({
    parent: idText(dialect.read(row[0], part.parent)),
    record: recordOf(dialect, part.columns, row.slice(1)),
  }))
}

const columnList = (dialect: Dialect, columns: readonly Column[]): string =>
  columns.map((column) => dialect.select(dialect.quote(column.name), column)).join(', ')

function recordOf(dialect: Dialect, columns: readonly Column[], row: readonly unknown[]): NativeRecord {
  const record: Record<string, NativeData> = {}
  for (let i = 0; i < columns.length; i++) {
    const column = columns[i] as Column
    record[column.name] = dialect.read(row[i], column) as NativeData
  }
  return record
}
