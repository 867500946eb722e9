import { type ErrorCode, SyncError } from '../../errors/index.ts'
import type { AppId, ObjectId } from '../../model/ids.ts'
import type { PartTable, TableUse } from './options.ts'
import type { Column, Dialect, SqlSession, TableShape } from './sql.ts'

/** Tables as they are in the database, compared with what the config says of them. Everything that is wrong is said at once, with where and what to do. */

export interface PartPlan {
  readonly use: PartTable
  readonly parent: Column
  readonly key: Column
  /** The mapped columns, the key first. */
  readonly columns: readonly Column[]
  readonly byName: ReadonlyMap<string, Column>
  /** Sets of columns that are unique, for triggers that must see rows which a REPLACE pushes out. */
  readonly keys: TableShape['keys']
}

export interface TablePlan {
  readonly use: TableUse
  readonly id: Column
  /** The mapped columns, the id first. */
  readonly columns: readonly Column[]
  readonly byName: ReadonlyMap<string, Column>
  readonly parts: readonly PartPlan[]
  readonly keys: TableShape['keys']
  readonly unique: TableShape['unique']
}

export type TablePlans = ReadonlyMap<ObjectId, TablePlan>

/** Reads the tables' shapes and checks them against the config. Throws SyncError `database.schema`, which names all that does not fit. */
export async function planTables(
  app: AppId,
  dialect: Dialect,
  session: SqlSession,
  uses: readonly TableUse[],
): Promise<TablePlans> {
  const plans = new Map<ObjectId, TablePlan>()
  const wrong: Wrong[] = []
  for (const use of uses) {
    const shape = await dialect.describe(session, use.table)
    const parts: { part: PartTable; shape: TableShape | null }[] = []
    for (const part of use.parts) parts.push({ part, shape: await dialect.describe(session, part.table) })
    const plan = planTable(use, shape, parts, wrong)
    if (plan !== undefined) plans.set(use.object, plan)
  }
  if (wrong.length === 0) return plans
  const [first] = wrong as [Wrong, ...Wrong[]]
  throw new SyncError(
    first.code,
    `${app}: ${wrong.map(({ text }) => text).join('; ')}. Correct the config or the database.`,
    { place: { app }, retryAfterMs: LOOK_AGAIN_MS },
  )
}

interface Wrong {
  readonly code: ErrorCode
  readonly text: string
}

/** What a person has to put right is looked at again so often. */
const LOOK_AGAIN_MS = 10_000

const schema = (text: string): Wrong => ({ code: 'database.schema', text })
const noKey = (text: string): Wrong => ({ code: 'database.no-key', text })

function planTable(
  use: TableUse,
  shape: TableShape | null,
  parts: readonly { readonly part: PartTable; readonly shape: TableShape | null }[],
  wrong: Wrong[],
): TablePlan | undefined {
  const before = wrong.length
  if (shape === null) {
    wrong.push(schema(`there is no table ${use.table}, or this user may not see it`))
    return undefined
  }
  const extra = [use.id, use.updatedAt, use.version].filter((name) => name !== null)
  const columns = checkColumns(use.table, shape, use.columns, extra, wrong)
  if (columns.has(use.id) && !isUnique(shape, [use.id]))
    wrong.push(
      noKey(
        `${use.table}.${use.id} is the id of its records, but neither its primary key nor a unique key without nulls: make it one`,
      ),
    )
  const plans = parts.flatMap(({ part, shape: child }) => {
    const plan = planPart(part, child, wrong)
    return plan === undefined ? [] : [plan]
  })
  if (wrong.length > before) return undefined
  return {
    use,
    id: columns.get(use.id) as Column,
    columns: [...columns.values()],
    byName: columns,
    parts: plans,
    keys: shape.keys,
    unique: shape.unique,
  }
}

function planPart(part: PartTable, shape: TableShape | null, wrong: Wrong[]): PartPlan | undefined {
  const before = wrong.length
  if (shape === null) {
    wrong.push(schema(`there is no table ${part.table} (the part ${part.container}), or this user may not see it`))
    return undefined
  }
  const columns = checkColumns(part.table, shape, part.columns, [part.key], wrong)
  const parent = shape.columns.find((column) => column.name === part.parent)
  if (parent === undefined) wrong.push(schema(`${part.table} has no column ${part.parent}${near(part.parent, shape)}`))
  if (parent !== undefined && columns.has(part.key) && !isUnique(shape, [part.parent, part.key]))
    wrong.push(
      noKey(
        `${part.table}: ${part.parent} and ${part.key} together tell its rows apart, but no primary or unique key says so: make one`,
      ),
    )
  if (wrong.length > before) return undefined
  return {
    use: part,
    parent: parent as Column,
    key: columns.get(part.key) as Column,
    columns: [...columns.values()],
    byName: columns,
    keys: shape.keys,
  }
}

function checkColumns(
  table: string,
  shape: TableShape,
  uses: readonly { readonly name: string; readonly written: boolean }[],
  first: readonly string[],
  wrong: Wrong[],
): Map<string, Column> {
  const known = new Map(shape.columns.map((column) => [column.name, column]))
  const found = new Map<string, Column>()
  const wanted = [...first.map((name) => ({ name, written: false })), ...uses]
  for (const { name, written } of wanted) {
    const column = known.get(name)
    if (column === undefined) wrong.push(schema(`${table} has no column ${name}${near(name, shape)}`))
    else if (written && column.generated)
      wrong.push({
        code: 'database.generated',
        text: `${table}.${name} is computed by the database and cannot be written: map it with readOnly()`,
      })
    else found.set(name, column)
  }
  return found
}

const near = (name: string, shape: TableShape): string => {
  const same = shape.columns.find((column) => column.name.toLowerCase() === name.toLowerCase())
  return same === undefined
    ? ` (it has ${shape.columns.map((column) => column.name).join(', ')})`
    : ` (it has ${same.name}: names are compared exactly)`
}

/** Whether these columns, or some of them, are a key without nulls. */
const isUnique = (shape: TableShape, columns: readonly string[]): boolean =>
  shape.keys.some((key) => key.length > 0 && key.every((name) => columns.includes(name)))
