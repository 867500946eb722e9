import { SyncError } from '../../errors/index.ts'
import type { Outcome } from '../../model/change.ts'
import { asNativeId, type NativeId } from '../../model/ids.ts'
import type { WriteOp } from '../../ports/app.ts'
import { type Batch, columnTexts, idOf, valuesOfWrite } from './batches.ts'
import type { TablePlan } from './catalog.ts'
import { quoteName, quoteText } from './driver.ts'
import { failureOf } from './errors.ts'
import { MARK_PREFIX, type MarkedWrite, writeMark } from './marks.ts'
import type { PostgresAppOptions } from './options.ts'
import { writeParts } from './part-writes.ts'
import { joinKey } from './position.ts'
import { appliedOps } from './reads.ts'
import type { Session } from './sessions.ts'
import { deleteSql, insertSql, presentSql, updateSql } from './statements.ts'
import { textArray } from './values.ts'

/** An op in a table of ours is looked for only while its outcome is in doubt; a week is beyond every doubt, and keeps the table small. */
const APPLIED_KEEP = '7 days'

/** Writes one batch in one transaction: all of it is applied, or the error comes out and none of it was. */
export class BatchWriter {
  readonly #options: PostgresAppOptions
  readonly #prepared = new Map<string, { readonly name: string; readonly text: string }>()
  #hasApplied = false

  constructor(options: PostgresAppOptions) {
    this.#options = options
  }

  async write(session: Session, batch: Batch): Promise<readonly Outcome[]> {
    if (batch.kind === 'create') return this.#create(session, batch)
    if (batch.hasParts) return this.#withParts(session, batch)
    const { plan, kind, changed, base, items } = batch
    if (kind === 'update' && changed.length === 0) return this.#untouched(session, batch)
    const ops = items.map(({ op }) => op)
    const { text, name } = this.#statement(
      [plan.object, kind, ...changed.map((column) => column.name), '|', ...base.map((column) => column.name)].join(
        '\u0000',
      ),
      () => (kind === 'delete' ? deleteSql(plan, base) : updateSql(plan, changed, base)),
    )
    const { rows } = await session.query(
      text,
      [
        writeMark(ops.map((op) => ({ object: plan.object, nativeId: idOf(op), op: op.op }))),
        ...this.#keys(batch),
        ...changed.map((column) => textArray(columnTexts(column, ops, (op) => op.patch))),
        ...base.map((column) => textArray(columnTexts(column, ops, (op) => op.baseValues))),
      ],
      name,
    )
    const done = new Set(rows.map(([n]) => Number(n) - 1))
    if (done.size === items.length) return ops.map(({ op }) => ({ op, result: 'applied' }))
    const present = await this.#present(session, batch)
    return ops.map(({ op }, i) => (done.has(i) ? { op, result: 'applied' } : missed(op, present.has(i))))
  }

  /** Nothing to set: it is applied where the record is there. */
  async #untouched(session: Session, batch: Batch): Promise<readonly Outcome[]> {
    const present = await this.#present(session, batch)
    return batch.items.map(({ op }, i) => ({ op: op.op, result: present.has(i) ? 'applied' : 'gone' }))
  }

  async #present(session: Session, batch: Batch): Promise<ReadonlySet<number>> {
    const { text, name } = this.#statement(`${batch.plan.object}\u0000present`, () => presentSql(batch.plan))
    const { rows } = await session.query(text, this.#keys(batch), name)
    return new Set(rows.map(([n]) => Number(n) - 1))
  }

  #keys({ plan, items }: Batch): string[] {
    return plan.id.map((_, i) => textArray(items.map(({ key }) => key[i] ?? null)))
  }

  /** One name per text: a session prepares it once. */
  #statement(key: string, make: () => string): { readonly name: string; readonly text: string } {
    let known = this.#prepared.get(key)
    if (known === undefined) {
      known = { name: `latchwork_${this.#prepared.size}`, text: make() }
      this.#prepared.set(key, known)
    }
    return known
  }

  async #create(session: Session, batch: Batch): Promise<readonly Outcome[]> {
    const { plan } = batch
    if (plan.correlation === null) await this.#ensureApplied(session)
    const known = await this.#appliedBefore(session, batch)
    const fresh = batch.items.filter(({ op }) => !known.has(op.op))
    if (fresh.length > 0) {
      const made = await this.#insert(session, { ...batch, items: fresh })
      for (const [i, { op }] of fresh.entries()) known.set(op.op, made[i] as NativeId)
    }
    return batch.items.map(({ op }) => ({ op: op.op, result: 'applied', nativeId: known.get(op.op) as NativeId }))
  }

  /** Creates that were sent before and did happen: found by what they left in their own transaction. */
  async #appliedBefore(session: Session, { plan, items }: Batch): Promise<Map<string, NativeId>> {
    const found = new Map<string, NativeId>()
    const doubtful = items.filter(({ op }) => op.resend).map(({ op }) => op)
    if (doubtful.length === 0) return found
    if (plan.correlation !== null) {
      const key = plan.id.map((column) => `t.${column.sql}`).join(', ')
      const { rows } = await session.query(
        `SELECT t.${plan.correlation.sql}::text, ${key} FROM ${plan.sql} t WHERE t.${plan.correlation.sql} = ANY($1::text[]::${plan.correlation.cast}[])`,
        [textArray(doubtful.map(({ correlationId }) => correlationId))],
      )
      const byCorrelation = new Map(rows.map(([correlation, ...id]) => [correlation, joinKey(id as string[])]))
      for (const { op, correlationId } of doubtful) {
        const id = byCorrelation.get(correlationId)
        if (id !== undefined) found.set(op, asNativeId(id))
      }
      return found
    }
    const { rows } = await session.query(
      `SELECT op, native_id FROM ${appliedOps(this.#options)} WHERE op = ANY($1::text[])`,
      [textArray(doubtful.map(({ op }) => op))],
    )
    for (const [op, id] of rows) found.set(op ?? '', asNativeId(id ?? ''))
    return found
  }

  async #insert(session: Session, batch: Batch): Promise<readonly NativeId[]> {
    const { plan, changed, items } = batch
    const ops = items.map(({ op }) => op)
    return transaction(session, `SELECT pg_logical_emit_message(true, '${MARK_PREFIX}', '{}')`, async () => {
      const { text, name } = this.#statement(
        [plan.object, 'create', ...changed.map((column) => column.name)].join('\u0000'),
        () => insertSql(plan, changed),
      )
      const values = valuesOfWrite(plan)
      const ids: NativeId[] = []
      const { rows } = await session.query(
        text,
        changed.map((column) => textArray(columnTexts(column, ops, values))),
        name,
      )
      for (const row of rows) ids.push(asNativeId(joinKey(row as string[])))
      while (changed.length === 0 && ids.length < ops.length) {
        const more = await session.query(text, [], name)
        ids.push(asNativeId(joinKey(more.rows[0] as string[])))
      }
      if (ids.length !== ops.length) throw skipped(this.#options, plan, ops.length, ids.length)
      if (batch.hasParts) {
        for (const [i, op] of ops.entries()) await writeParts(session, plan, op, splitOf(rows[i] ?? []))
      }
      await this.#note(session, plan, ops, ids)
      return ids
    })
  }

  /** The mark that names the new records, and for the next try of the same op that it happened. */
  async #note(session: Session, plan: TablePlan, ops: readonly WriteOp[], ids: readonly NativeId[]): Promise<void> {
    const mark = writeMark(
      ops.map(
        (op, i): MarkedWrite => ({
          object: plan.object,
          nativeId: ids[i] as NativeId,
          op: op.op,
          correlationId: op.correlationId,
        }),
      ),
    )
    if (plan.correlation !== null) {
      await session.query(`SELECT pg_logical_emit_message(true, '${MARK_PREFIX}', $1)`, [mark])
      return
    }
    const { text, name } = this.#statement('note', () => noteSql(this.#options))
    await session.query(
      text,
      [
        mark,
        textArray(ops.map(({ op }) => op)),
        textArray(ops.map(() => plan.object)),
        textArray(ids),
        textArray(ops.map(({ correlationId }) => correlationId)),
      ],
      name,
    )
  }

  async #withParts(session: Session, batch: Batch): Promise<readonly Outcome[]> {
    const outcomes: Outcome[] = []
    for (const { op, key } of batch.items) {
      const mark = writeMark([{ object: batch.plan.object, nativeId: idOf(op), op: op.op }])
      let result: Outcome['result'] = 'applied'
      await transaction(
        session,
        `SELECT pg_logical_emit_message(true, '${MARK_PREFIX}', ${quoteText(mark)})`,
        async () => {
          result = await writeParts(session, batch.plan, op, key)
          // What was locked or changed on the way to a refusal is undone with the transaction.
          return result === 'applied'
        },
        (isApplied) => isApplied,
      )
      outcomes.push({ op: op.op, result })
    }
    return outcomes
  }

  /** Made with the first create, so that an application that is only read needs no right to make tables. */
  async #ensureApplied(session: Session): Promise<void> {
    if (this.#hasApplied) return
    const name = appliedOps(this.#options)
    const { rows } = await session.query('SELECT to_regclass($1) IS NOT NULL', [name])
    if (rows[0]?.[0] !== 't') await makeApplied(this.#options, session)
    else await session.run(`DELETE FROM ${name} WHERE at < now() - interval '${APPLIED_KEEP}'`)
    this.#hasApplied = true
  }
}

const noteSql = (options: PostgresAppOptions): string =>
  `WITH mark AS MATERIALIZED (SELECT pg_logical_emit_message(true, '${MARK_PREFIX}', $1)::text AS lsn)
   INSERT INTO ${appliedOps(options)} (op, object, native_id, correlation)
   SELECT v.op, v.object, v.native_id, v.correlation FROM mark, unnest($2::text[], $3::text[], $4::text[], $5::text[]) AS v(op, object, native_id, correlation) WHERE mark.lsn IS NOT NULL`

async function makeApplied(options: PostgresAppOptions, session: Session): Promise<void> {
  const schema = quoteName(options.ownSchema)
  const name = appliedOps(options)
  const statements = [
    `CREATE SCHEMA IF NOT EXISTS ${schema}`,
    `CREATE TABLE IF NOT EXISTS ${name} (op text PRIMARY KEY, object text NOT NULL, native_id text NOT NULL, correlation text NOT NULL, at timestamptz NOT NULL DEFAULT now())`,
    `CREATE INDEX IF NOT EXISTS applied_ops_native ON ${name} (object, native_id)`,
    `CREATE INDEX IF NOT EXISTS applied_ops_correlation ON ${name} (correlation)`,
  ]
  try {
    await session.run(statements.join('; '))
  } catch (error) {
    const { code } = failureOf(error)
    // 23505, 42P07: another connector makes it at the same moment.
    if (code === '23505' || code === '42P07' || code === '42P06') return
    if (code !== '42501') throw error
    throw new SyncError(
      'database.privileges',
      `${options.app}: creates are made safe by the table ${name}, and this user may not make it. An administrator runs: CREATE SCHEMA IF NOT EXISTS ${schema} AUTHORIZATION <this user>; or name a unique column that keeps the hub's id: correlation: '...'.`,
      { cause: error },
    )
  }
}

/** Begins, runs, commits; rolls back when `work` throws or `keep` says no. */
export async function transaction<T>(
  session: Session,
  first: string,
  work: () => Promise<T>,
  keep: (result: T) => boolean = () => true,
): Promise<T> {
  await session.run(`BEGIN; ${first}`)
  let result: T
  try {
    result = await work()
  } catch (error) {
    await session.run('ROLLBACK').catch(() => {})
    throw error
  }
  await session.run(keep(result) ? 'COMMIT' : 'ROLLBACK')
  return result
}

const missed = (op: WriteOp['op'], isPresent: boolean): Outcome =>
  isPresent
    ? { op, result: 'conflict', message: 'the row no longer holds the values that the write was based on' }
    : { op, result: 'gone' }

/** A trigger that leaves rows out: then nothing says which row an id belongs to. Each alone, it is said of the right one. */
const skipped = (options: PostgresAppOptions, plan: TablePlan, wanted: number, got: number): Error =>
  Object.assign(
    new Error(
      `${options.app}: ${wanted} rows were inserted into ${plan.sql}, and the database kept ${got}: a trigger leaves rows out`,
    ),
    { code: 'P0001', severity: 'ERROR' },
  )

const splitOf = (row: readonly (string | null)[]): string[] => row.map((text) => text ?? '')
