import { hash } from 'node:crypto'
import type { PartPlan, TablePlan } from '../tables/plan.ts'
import type { SqlSession } from '../tables/sql.ts'

/**
 * What a change table is made of, and the words of each database for it. Four small tables beside the application's own, and triggers on each table that is followed. The triggers write which record was touched, and
 * nothing of its content: that is read later, in one snapshot with the rows, so a trigger costs its user one narrow insert and no value passes through a second encoding.
 */

export interface Names {
  /** Rows that were not confirmed yet: `seq` is given in the order in which one record's changes happen. */
  readonly changes: string
  /** The number of each record's newest confirmed change. */
  readonly versions: string
  /** Writes of ours, from their own transaction: idempotency key, mark and correlation id in one row. */
  readonly ops: string
  readonly meta: string
}

/** Two hubs that follow one database need two change tables: each takes out what it has confirmed. */
export const namesOf = (prefix: string): Names => ({
  changes: `${prefix}_changes`,
  versions: `${prefix}_versions`,
  ops: `${prefix}_ops`,
  meta: `${prefix}_meta`,
})

/** A trigger as a database keeps it: its name, the table that it is on, and the statement that makes it. */
export interface TriggerSpec {
  readonly name: string
  readonly table: string
  readonly sql: string
  /** Makes what the trigger itself needs, for example a function. */
  readonly before?: string
}

export interface ChangeTableDdl {
  /** Statements that make the four tables where they are missing; safe to run again. */
  tables(names: Names): readonly string[]
  /** A text that no other database has, for `meta`. */
  readonly randomText: string
  triggers(names: Names, plan: TablePlan): readonly TriggerSpec[]
  /** The triggers with this prefix that stand now, by name. Compared by name and table; their text is remembered as a digest in `meta`. */
  existing(session: SqlSession, prefix: string): Promise<ReadonlyMap<string, string>>
  drop(trigger: { readonly name: string; readonly table: string }): string
  /** Inserts or raises versions: takes `object, native_id, seq` for each row. */
  raiseVersions(names: Names, rows: number): string
}

/** The longest name that all databases take. */
const NAME_CHARS_MAX = 60

/** `latchwork$customers$insert`: what stands before the first `$` tells whose it is. A name that would be too long ends in a digest. */
export function triggerName(prefix: string, object: string, table: string, when: string): string {
  const full = `${prefix}$${object === table ? table : `${object}.${table}`}$${when}`
  if (full.length <= NAME_CHARS_MAX && /^[\x20-\x7e]*$/.test(full)) return full
  return `${prefix}$${hash('sha256', full, 'hex').slice(0, 20)}$${when}`
}

/** Every table that a plan follows, with the column that holds the record's id. */
export function followed(
  plan: TablePlan,
): readonly { readonly table: string; readonly id: string; readonly part: PartPlan | null }[] {
  return [
    { table: plan.use.table, id: plan.use.id, part: null },
    ...plan.parts.map((part) => ({ table: part.use.table, id: part.use.parent, part })),
  ]
}

/** The columns whose change is a change of the record. */
export const watched = (plan: TablePlan, part: PartPlan | null): readonly string[] =>
  part === null
    ? plan.columns.map((column) => column.name)
    : [...new Set([part.use.parent, ...part.columns.map((column) => column.name)])]
