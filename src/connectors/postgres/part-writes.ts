import type { Outcome } from '../../model/change.ts'
import { type NativeData, type NativeRecord, type Value, valuesEqual } from '../../model/value.ts'
import type { WriteOp } from '../../ports/app.ts'
import type { Column, PartPlan, TablePlan } from './catalog.ts'
import type { Session } from './sessions.ts'
import { lockSql, partsSql } from './statements.ts'
import { writeText } from './values.ts'

/**
 * A record with parts is written as one: its row is locked first, then what the write is based on is compared with what is there, element by element, and only then
 * anything is changed. Runs inside a transaction of the caller, who undoes it unless the result is `applied`.
 */
export async function writeParts(
  session: Session,
  plan: TablePlan,
  op: WriteOp,
  key: readonly string[],
): Promise<Outcome['result']> {
  if (op.kind !== 'create') {
    const own = await lockRoot(session, plan, op, key)
    if (own !== 'applied') return own
  }
  for (const part of plan.parts) {
    const wanted =
      op.kind === 'delete' ? null : listIn(op.kind === 'create' ? { ...op.full, ...op.patch } : op.patch, part)
    if (op.kind !== 'delete' && wanted === undefined) continue
    const base = listIn(op.baseValues, part)
    if (!(await writePart(session, part, key, wanted ?? null, base ?? null, op.kind))) return 'conflict'
  }
  if (op.kind === 'delete') {
    await session.query(`DELETE FROM ${plan.sql} t WHERE ${keyIs(plan.id)}`, key)
    return 'applied'
  }
  if (op.kind === 'update') await updateRoot(session, plan, op, key)
  return 'applied'
}

async function lockRoot(
  session: Session,
  plan: TablePlan,
  op: WriteOp,
  key: readonly string[],
): Promise<Outcome['result']> {
  const base = plan.columns.filter(
    ({ name }) => Object.hasOwn(op.baseValues, name) && (op.kind === 'delete' || Object.hasOwn(op.patch, name)),
  )
  const { rows } = await session.query(lockSql(plan, base), key)
  const [row] = rows
  if (row === undefined) return 'gone'
  return holds(base, row, op.baseValues) ? 'applied' : 'conflict'
}

const holds = (columns: readonly Column[], row: readonly (string | null)[], base: NativeRecord): boolean =>
  columns.every((column, i) => {
    const text = row[i] ?? null
    return valuesEqual(text === null ? null : column.read(text), (base[column.name] ?? null) as Value)
  })

async function updateRoot(session: Session, plan: TablePlan, op: WriteOp, key: readonly string[]): Promise<void> {
  const changed = plan.columns.filter(({ name }) => Object.hasOwn(op.patch, name))
  if (changed.length === 0) return
  const set = changed.map((column, i) => `${column.sql} = $${key.length + 1 + i}::${column.cast}`).join(', ')
  await session.query(`UPDATE ${plan.sql} t SET ${set} WHERE ${keyIs(plan.id)}`, [
    ...key,
    ...changed.map((column) => writeText(op.patch[column.name] as Value, column.isBytes)),
  ])
}

const keyIs = (columns: readonly Column[]): string =>
  columns.map((column, i) => `t.${column.sql} = $${i + 1}::${column.cast}`).join(' AND ')

type Elements = ReadonlyMap<string, NativeRecord>

function listIn(record: NativeRecord, part: PartPlan): Elements | undefined {
  const list = record[part.use.container]
  if (list === undefined) return undefined
  const elements = (Array.isArray(list) ? list : []) as readonly NativeRecord[]
  return new Map(elements.map((element) => [String(element[part.key.name]), element]))
}

/**
 * Brings the rows of one part to `wanted` (null: none). Elements that the write does not touch are in `wanted` as they were last seen; where such a one differs, or one is
 * there that was never seen, a user was faster: nothing is written over that. Returns false then.
 */
async function writePart(
  session: Session,
  part: PartPlan,
  key: readonly string[],
  wanted: Elements | null,
  base: Elements | null,
  kind: WriteOp['kind'],
): Promise<boolean> {
  const there = kind === 'create' ? new Map<string, NativeRecord>() : await lockPart(session, part, key)
  for (const [name, expected] of base ?? []) {
    const found = there.get(name)
    if (found === undefined || !matches(found, expected)) return false
  }
  const touched = base ?? new Map<string, NativeRecord>()
  for (const [name, found] of there) {
    if (
      wanted?.has(name) === true
        ? !touched.has(name) && !matches(found, wanted.get(name) as NativeRecord)
        : kind !== 'delete' && !touched.has(name)
    )
      return false
  }
  for (const name of there.keys()) if (wanted?.has(name) !== true) await deleteElement(session, part, key, name)
  for (const [name, element] of wanted ?? []) {
    const found = there.get(name)
    if (found === undefined) await insertElement(session, part, key, element)
    else await updateElement(session, part, key, name, found, element)
  }
  return true
}

const matches = (found: NativeRecord, expected: NativeRecord): boolean =>
  Object.entries(expected).every(([name, value]) => valuesEqual(found[name] as Value, value as Value))

async function lockPart(session: Session, part: PartPlan, key: readonly string[]): Promise<Map<string, NativeRecord>> {
  const { rows } = await session.query(partsSql(part), key)
  const found = new Map<string, NativeRecord>()
  for (const row of rows) {
    const element: Record<string, NativeData> = {}
    for (const [i, column] of part.columns.entries()) {
      const text = row[i] ?? null
      element[column.name] = text === null ? null : column.read(text)
    }
    found.set(String(element[part.key.name]), element)
  }
  return found
}

async function deleteElement(session: Session, part: PartPlan, key: readonly string[], name: string): Promise<void> {
  await session.query(
    `DELETE FROM ${part.sql} t WHERE ${keyIs(part.parent)} AND t.${part.key.sql} = $${key.length + 1}::${part.key.cast}`,
    [...key, name],
  )
}

async function insertElement(
  session: Session,
  part: PartPlan,
  key: readonly string[],
  element: NativeRecord,
): Promise<void> {
  const columns = part.columns.filter(({ name }) => element[name] !== undefined)
  const all = [...part.parent, ...columns]
  const values = [...key, ...columns.map((column) => writeText(element[column.name] as Value, column.isBytes))]
  const params = all.map((column, i) => `$${i + 1}::${column.cast}`).join(', ')
  await session.query(
    `INSERT INTO ${part.sql} (${all.map((column) => column.sql).join(', ')}) VALUES (${params})`,
    values,
  )
}

async function updateElement(
  session: Session,
  part: PartPlan,
  key: readonly string[],
  name: string,
  found: NativeRecord,
  element: NativeRecord,
): Promise<void> {
  const changed = part.columns.filter(
    (column) =>
      element[column.name] !== undefined && !valuesEqual(element[column.name] as Value, found[column.name] as Value),
  )
  if (changed.length === 0) return
  const set = changed.map((column, i) => `${column.sql} = $${key.length + 2 + i}::${column.cast}`).join(', ')
  await session.query(
    `UPDATE ${part.sql} t SET ${set} WHERE ${keyIs(part.parent)} AND t.${part.key.sql} = $${key.length + 1}::${part.key.cast}`,
    [...key, name, ...changed.map((column) => writeText(element[column.name] as Value, column.isBytes))],
  )
}
