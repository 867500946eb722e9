import type { NativeId } from '../../model/ids.ts'
import type { Value } from '../../model/value.ts'
import type { WriteOp } from '../../ports/app.ts'
import type { Column, TablePlan } from './catalog.ts'
import { splitKey } from './position.ts'
import { writeText } from './values.ts'

/** Ops that one statement can carry: of one table and kind, changing the same columns on the same known old values. Pure. */
export interface Batch {
  readonly plan: TablePlan
  readonly kind: WriteOp['kind']
  readonly changed: readonly Column[]
  readonly base: readonly Column[]
  readonly items: readonly BatchItem[]
  /** Rows of part tables are written too; such records go one by one. */
  readonly hasParts: boolean
}

export interface BatchItem {
  /** Its place in the call. */
  readonly at: number
  readonly op: WriteOp
  readonly key: readonly string[]
}

/** Why an op can be sent to no statement, in the words of the outcome. */
export type Misfit = { readonly at: number; readonly why: string }

export function batchesOf(
  ops: readonly WriteOp[],
  planOf: (op: WriteOp) => TablePlan | undefined,
): { readonly batches: readonly Batch[]; readonly misfits: readonly Misfit[] } {
  const groups = new Map<string, { batch: Omit<Batch, 'items'>; items: BatchItem[] }>()
  const misfits: Misfit[] = []
  for (const [at, op] of ops.entries()) {
    const plan = planOf(op)
    if (plan === undefined) {
      misfits.push({ at, why: `no table ${op.object} is declared` })
      continue
    }
    const key = op.nativeId === null ? [] : splitKey(op.nativeId, plan.id.length)
    if (key === undefined || (op.kind !== 'create' && key.length === 0)) {
      misfits.push({ at, why: `its id does not have ${plan.id.length} columns` })
      continue
    }
    const shape = shapeOf(op, plan)
    if (typeof shape === 'string') {
      misfits.push({ at, why: shape })
      continue
    }
    const { changed, base, hasParts } = shape
    const name = [op.object, op.kind, names(changed), names(base), hasParts].join('\u0000')
    let group = groups.get(name)
    if (group === undefined)
      groups.set(name, (group = { batch: { plan, kind: op.kind, changed, base, hasParts }, items: [] }))
    group.items.push({ at, op, key })
  }
  return { batches: [...groups.values()].map(({ batch, items }) => ({ ...batch, items })), misfits }
}

const names = (columns: readonly Column[]): string => columns.map(({ name }) => name).join(',')

function shapeOf(
  op: WriteOp,
  plan: TablePlan,
): { changed: readonly Column[]; base: readonly Column[]; hasParts: boolean } | string {
  const given = op.kind === 'delete' ? {} : op.kind === 'create' ? { ...op.full, ...op.patch } : op.patch
  const changed: Column[] = []
  let hasParts = op.kind === 'delete' && plan.parts.length > 0
  for (const name in given) {
    if (plan.parts.some((part) => part.use.container === name)) {
      hasParts = true
      continue
    }
    const column = plan.byName.get(name)
    if (column === undefined) return `the table has no mapped column ${name}`
    changed.push(column)
  }
  const base: Column[] = []
  if (op.kind !== 'create') {
    for (const name in op.baseValues) {
      const column = plan.byName.get(name)
      if (column !== undefined && (op.kind === 'delete' || name in given)) base.push(column)
    }
  }
  if (op.kind === 'create' && plan.correlation !== null && !changed.includes(plan.correlation))
    changed.push(plan.correlation)
  return { changed: changed.sort(byName), base: base.sort(byName), hasParts }
}

const byName = (a: Column, b: Column): number => (a.name < b.name ? -1 : 1)

/** The parameter of one column: its value in every op. */
export function columnTexts(
  column: Column,
  ops: readonly WriteOp[],
  valuesOf: (op: WriteOp) => Readonly<Record<string, unknown>>,
): (string | null)[] {
  return ops.map((op) => writeText((valuesOf(op)[column.name] ?? null) as Value, column.isBytes))
}

/** What a create or an update writes; a create with a correlation column carries the hub's id there. */
export function valuesOfWrite(plan: TablePlan): (op: WriteOp) => Readonly<Record<string, unknown>> {
  const name = plan.correlation?.name
  return (op) => {
    if (op.kind !== 'create') return op.patch
    const values = { ...op.full, ...op.patch }
    return name === undefined ? values : { ...values, [name]: op.correlationId }
  }
}

export const idOf = (op: WriteOp): NativeId => op.nativeId as NativeId
