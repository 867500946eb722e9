import type { Column, PartPlan, TablePlan } from './catalog.ts'
import { MARK_PREFIX } from './marks.ts'

/**
 * The statements of set-based writes. Every value is a text[] parameter, cast to the column's type row by row; a statement names its columns, so that there is one
 * prepared statement per set of changed columns.
 *
 * The mark is part of the statement itself: one round trip, one transaction, and the join makes the server write it before the first row.
 */

const MARK = `mark AS MATERIALIZED (SELECT pg_logical_emit_message(true, '${MARK_PREFIX}', $1)::text AS lsn)`

/** `changed` are written where `base` still has the values given with it. */
export function updateSql(
  plan: Pick<TablePlan, 'sql' | 'id'>,
  changed: readonly Column[],
  base: readonly Column[],
): string {
  const names = [...plan.id.map((_, i) => `k${i}`), ...changed.map((_, i) => `c${i}`), ...base.map((_, i) => `b${i}`)]
  const set = changed.map((column, i) => `${column.sql} = v.c${i}::${column.cast}`).join(', ')
  return `WITH ${MARK} UPDATE ${plan.sql} t SET ${set} FROM mark, ${rows(2, names)} WHERE mark.lsn IS NOT NULL AND ${keyIs(plan.id)}${baseIs(base)} RETURNING v.n`
}

/** Gives up the unique values of one row for a moment, where it still has the values given with it. $1 tells the rows of one transaction apart. */
export function asideSql(
  plan: Pick<TablePlan, 'sql' | 'id'>,
  moved: readonly Column[],
  base: readonly Column[],
): string {
  const names = [...plan.id.map((_, i) => `k${i}`), ...base.map((_, i) => `b${i}`)]
  const set = moved.map((column) => `${column.sql} = ${asideValue(plan, column)}`).join(', ')
  return `UPDATE ${plan.sql} t SET ${set} FROM ${rows(2, names)} WHERE $1::integer > 0 AND ${keyIs(plan.id)}${baseIs(base)} RETURNING v.n`
}

function asideValue({ sql }: Pick<TablePlan, 'sql'>, column: Column): string {
  if (column.aside === 'text') return `t.${column.sql}::text || '~' || $1::integer`
  if (column.aside === 'number') return `(SELECT max(x.${column.sql}) FROM ${sql} x) + $1::integer`
  if (column.aside === 'own') return `t.${column.sql}`
  return column.aside === 'uuid' ? 'gen_random_uuid()' : 'NULL'
}

export function deleteSql(plan: Pick<TablePlan, 'sql' | 'id'>, base: readonly Column[]): string {
  const names = [...plan.id.map((_, i) => `k${i}`), ...base.map((_, i) => `b${i}`)]
  return `WITH ${MARK} DELETE FROM ${plan.sql} t USING mark, ${rows(2, names)} WHERE mark.lsn IS NOT NULL AND ${keyIs(plan.id)}${baseIs(base)} RETURNING v.n`
}

/** Which of the keys are there: tells a record that is gone from one that holds other values. */
export function presentSql(plan: Pick<TablePlan, 'sql' | 'id'>): string {
  const names = plan.id.map((_, i) => `k${i}`)
  return `SELECT v.n FROM ${rows(1, names)} JOIN ${plan.sql} t ON ${keyIs(plan.id)}`
}

/** Rows in the order given, and in that order their ids come back. */
export function insertSql(plan: Pick<TablePlan, 'sql' | 'id'>, columns: readonly Column[]): string {
  const returning = plan.id.map((column) => column.sql).join(', ')
  if (columns.length === 0) {
    // A record of defaults alone: there is no column to unnest.
    return `INSERT INTO ${plan.sql} DEFAULT VALUES RETURNING ${returning}`
  }
  const names = columns.map((_, i) => `c${i}`)
  const values = columns.map((column, i) => `v.c${i}::${column.cast}`).join(', ')
  const overriding = columns.some((column) => column.isIdentityAlways) ? ' OVERRIDING SYSTEM VALUE' : ''
  return `INSERT INTO ${plan.sql} (${columns.map((column) => column.sql).join(', ')})${overriding} SELECT ${values} FROM ${rows(1, names)} ORDER BY v.n RETURNING ${returning}`
}

/** The row of a record with parts, held until the transaction ends; its old values are looked at by the caller. */
export const lockSql = (plan: Pick<TablePlan, 'sql' | 'id'>, columns: readonly Column[]): string =>
  `SELECT ${columns.length === 0 ? '1' : columns.map((column) => `t.${column.sql}`).join(', ')} FROM ${plan.sql} t WHERE ${plan.id.map((column, i) => `t.${column.sql} = $${i + 1}::${column.cast}`).join(' AND ')} FOR UPDATE`

export const partsSql = (part: PartPlan): string =>
  `SELECT ${part.columns.map((column) => `t.${column.sql}`).join(', ')} FROM ${part.sql} t WHERE ${part.parent.map((column, i) => `t.${column.sql} = $${i + 1}::${column.cast}`).join(' AND ')} FOR UPDATE`

const rows = (from: number, names: readonly string[]): string =>
  `unnest(${names.map((_, i) => `$${from + i}::text[]`).join(', ')}) WITH ORDINALITY AS v(${[...names, 'n'].join(', ')})`

const keyIs = (id: readonly Column[]): string =>
  id.map((column, i) => `t.${column.sql} = v.k${i}::${column.cast}`).join(' AND ')

/**
 * A comparison must see every difference that a person could have made: text is compared byte by byte, because collations and citext take different texts for
 * equal; json has no equality of its own.
 */
const baseIs = (base: readonly Column[]): string =>
  base
    .map((column, i) =>
      column.compare === 'text'
        ? ` AND t.${column.sql}::text COLLATE "C" IS NOT DISTINCT FROM v.b${i} COLLATE "C"`
        : ` AND t.${column.sql} IS NOT DISTINCT FROM v.b${i}::${column.cast}`,
    )
    .join('')
