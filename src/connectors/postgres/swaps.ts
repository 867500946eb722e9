import { type Batch, columnTexts, idOf } from './batches.ts'
import { quoteText } from './driver.ts'
import { failureOf, meaningOf } from './errors.ts'
import { MARK_PREFIX, writeMark } from './marks.ts'
import type { Session } from './sessions.ts'
import { asideSql, updateSql } from './statements.ts'
import { textArray } from './values.ts'
import { transaction } from './writes.ts'

/** Updates of one row each, that wait for each other's unique values. */
export type Ring = readonly Batch[]

/** Whether a row of the batch has a unique value to give up. */
export const canMoveAside = ({ kind, changed, hasParts }: Batch): boolean =>
  kind === 'update' && !hasParts && changed.some(({ aside }) => aside !== null)

/**
 * One transaction in which each row gives up its unique values, and then takes what it is to have: no order of single updates can do it. Nobody sees what is between. Returns
 * the place in the ring of the row that was in the way, for which nothing was written; null when all of it is done.
 */
export async function swap(session: Session, ring: Ring): Promise<number | null> {
  let at = 0
  const work = async (): Promise<number | null> => {
    for (at = 0; at < ring.length; at++) if (!(await giveUp(session, ring[at] as Batch, at + 1))) return at
    for (at = 0; at < ring.length; at++) if (!(await take(session, ring[at] as Batch))) return at
    await session.run('SET CONSTRAINTS ALL IMMEDIATE')
    return null
  }
  try {
    return await transaction(session, beginning(ring), work, (stuck) => stuck === null)
  } catch (error) {
    if (meaningOf(failureOf(error))?.split !== true) throw error
    return Math.min(at, ring.length - 1)
  }
}

/** The mark stands before the first row, and a constraint that may be looked at later is. */
function beginning(ring: Ring): string {
  const writes = ring.flatMap(({ plan, items }) =>
    items.map(({ op }) => ({ object: plan.object, nativeId: idOf(op), op: op.op })),
  )
  return `SET CONSTRAINTS ALL DEFERRED; SELECT pg_logical_emit_message(true, '${MARK_PREFIX}', ${quoteText(writeMark(writes))})`
}

/** False when the row no longer has the values that the write was based on. */
async function giveUp(session: Session, batch: Batch, place: number): Promise<boolean> {
  const moved = batch.changed.filter(({ aside }) => aside !== null)
  const { rows } = await session.query(asideSql(batch.plan, moved, batch.base), [
    String(place),
    ...keysOf(batch),
    ...batch.base.map((column) => textArray(columnTexts(column, opsOf(batch), (op) => op.baseValues))),
  ])
  return rows.length === 1
}

/** The row is held since it gave up its values: its others need not be compared again. */
async function take(session: Session, batch: Batch): Promise<boolean> {
  const { rows } = await session.query(updateSql(batch.plan, batch.changed, []), [
    '{}',
    ...keysOf(batch),
    ...batch.changed.map((column) => textArray(columnTexts(column, opsOf(batch), (op) => op.patch))),
  ])
  return rows.length === 1
}

const opsOf = (batch: Batch) => batch.items.map(({ op }) => op)
const keysOf = ({ plan, items }: Batch): string[] =>
  plan.id.map((_, i) => textArray(items.map(({ key }) => key[i] ?? null)))
