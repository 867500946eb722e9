import type { Outcome } from '../../model/change.ts'
import type { AppId, CorrelationId, NativeId, OpId, Token } from '../../model/ids.ts'
import { type NativeData, type NativeRecord, type Value, valuesEqual } from '../../model/value.ts'
import type { WriteOp } from '../../ports/app.ts'
import { outcomeOf } from './errors.ts'
import { canMoveAside, moveAside, type Waiting } from './make-room.ts'
import type { PartPlan, TablePlan, TablePlans } from './plan.ts'
import { idParam, idText, readRecords } from './records.ts'
import { type Column, type Dialect, marks, SqlFailure, type SqlParam, type SqlSession } from './sql.ts'
import { type Chain, isInTheWay, unchain } from './unchain.ts'

/** One batch of writes inside one transaction: what is there is locked and compared first, then each operation is written, then what they made is read back. */

/** A write of ours that the database remembers, from the same transaction (PROTOCOL: applied_ops). */
export interface AppliedOp {
  readonly op: OpId
  readonly nativeId: NativeId
  readonly kind: WriteOp['kind']
  readonly correlation: CorrelationId
  readonly token: Token | null
}

/** How a database knows a record's version, and which writes of ours it has taken. */
export interface Bookkeeping {
  /** Versions of locked records. Absent: this application has none, and writes are conditional on the values that they were based on. */
  tokensOf?(session: SqlSession, plan: TablePlan, ids: readonly NativeId[]): Promise<ReadonlyMap<NativeId, Token>>
  /** Those of these operations that were applied before. */
  applied(session: SqlSession, ops: readonly WriteOp[]): Promise<ReadonlyMap<OpId, AppliedOp>>
  remember(session: SqlSession, plan: TablePlan, ops: readonly AppliedOp[]): Promise<void>
}

export interface WriteContext {
  readonly app: AppId
  readonly dialect: Dialect
  readonly plans: TablePlans
  readonly books: Bookkeeping
  /** What was written is read back with locks, so that it is what stands when the transaction ends. */
  readonly locksReads: boolean
  readonly versionOf?: ((plan: TablePlan, record: NativeRecord) => Token | undefined) | undefined
}

export interface Batch {
  readonly outcomes: readonly Outcome[]
  /** Operations that this transaction applied; the others were refused, or applied before. */
  readonly written: ReadonlySet<OpId>
}

/** Thrown when one operation of several failed: nothing of the transaction may stand, and each operation is tried by itself. */
export class OneFailed extends Error {}

/**
 * Writes the batch. `careful`: each operation inside a savepoint, so that one that fails takes only itself along; otherwise a failure ends all with OneFailed, which is
 * the faster way as long as nothing fails.
 */
export async function writeBatch(
  session: SqlSession,
  context: WriteContext,
  ops: readonly WriteOp[],
  careful: boolean,
): Promise<Batch> {
  const outcomes = new Map<OpId, Outcome>()
  const written = new Set<OpId>()
  for (const [object, group] of Map.groupBy(ops, (op) => op.object)) {
    const plan = context.plans.get(object)
    for (const op of plan === undefined ? group : []) outcomes.set(op.op, noTable(context.app, op))
    if (plan !== undefined) await new TableBatch(session, context, plan, careful, outcomes, written).run(group)
  }
  return { outcomes: ops.map((op) => outcomes.get(op.op) as Outcome), written }
}

const noTable = (app: AppId, op: WriteOp): Outcome => ({
  op: op.op,
  result: 'refused',
  handling: 'park',
  code: 'target.rejected',
  message: `${app} declares no table ${op.object}`,
})

/** What was written, and what id it has. */
interface Done {
  readonly op: WriteOp
  readonly nativeId: NativeId
}

class TableBatch {
  readonly #session: SqlSession
  readonly #context: WriteContext
  readonly #plan: TablePlan
  readonly #careful: boolean
  readonly #outcomes: Map<OpId, Outcome>
  readonly #written: Set<OpId>

  constructor(
    session: SqlSession,
    context: WriteContext,
    plan: TablePlan,
    careful: boolean,
    outcomes: Map<OpId, Outcome>,
    written: Set<OpId>,
  ) {
    this.#session = session
    this.#context = context
    this.#plan = plan
    this.#careful = careful
    this.#outcomes = outcomes
    this.#written = written
  }

  async run(ops: readonly WriteOp[]): Promise<void> {
    const before = await this.#appliedBefore(ops)
    const fresh = ops.filter((op) => !before.has(op.op))
    const named = fresh.flatMap((op) => (op.nativeId === null ? [] : [op.nativeId]))
    const current =
      named.length === 0
        ? new Map<NativeId, NativeRecord>()
        : await readRecords(this.#context.dialect, this.#session, this.#plan, named, true)
    const tokens = await this.#tokens([...current.keys()])
    const done: Done[] = []
    const write = async (op: WriteOp): Promise<void> => {
      const nativeId = await this.#guarded(op, () => this.#one(op, current, tokens))
      if (nativeId !== undefined) done.push({ op, nativeId })
    }
    for (const op of fresh) await write(op)
    if (this.#careful) await this.#unchain(fresh, current, done, write)
    await this.#answer(done, before)
  }

  async #unchain(
    ops: readonly WriteOp[],
    current: ReadonlyMap<NativeId, NativeRecord>,
    done: Done[],
    write: (op: WriteOp) => Promise<void>,
  ): Promise<void> {
    const codeOf = (op: WriteOp): string | undefined => this.#outcomes.get(op.op)?.code
    const chain: Chain<WriteOp> = {
      left: () => ops.filter((op) => isInTheWay(codeOf(op))),
      write: (op) => {
        this.#outcomes.delete(op.op)
        return write(op)
      },
      canMoveAside: (op) => codeOf(op) === 'target.unique' && canMoveAside(this.#plan, op),
      together: async (ops) => {
        const ring = ops.map((op): Waiting => {
          const nativeId = op.nativeId as NativeId
          return { op, nativeId, record: current.get(nativeId) as NativeRecord }
        })
        const stuck = await this.#together(ring)
        if (stuck !== null) return stuck
        for (const { op } of ring) this.#outcomes.delete(op.op)
        done.push(...ring)
        return null
      },
    }
    await unchain(chain, done.length > 0)
  }

  /** The place in the ring of the one that could not; then nothing of it stands. */
  async #together(ring: readonly Waiting[]): Promise<number | null> {
    let at = 0
    await this.#session.run('savepoint latchwork_swap')
    try {
      for (at = 0; at < ring.length; at++)
        await moveAside(this.#session, this.#context.dialect, this.#plan, ring[at] as Waiting, at + 1)
      for (at = 0; at < ring.length; at++) {
        const { op, nativeId, record } = ring[at] as Waiting
        await this.#update(nativeId, op.patch, record)
      }
      await this.#session.run('release savepoint latchwork_swap')
      return null
    } catch (error) {
      if (!isAboutThisOp(error)) throw error
      await this.#session.run('rollback to savepoint latchwork_swap')
      await this.#session.run('release savepoint latchwork_swap')
      return at
    }
  }

  async #appliedBefore(ops: readonly WriteOp[]): Promise<ReadonlyMap<OpId, AppliedOp>> {
    const again = ops.filter((op) => op.resend)
    return again.length === 0 ? new Map() : this.#context.books.applied(this.#session, again)
  }

  async #tokens(ids: readonly NativeId[]): Promise<ReadonlyMap<NativeId, Token>> {
    const { books } = this.#context
    return ids.length === 0 || books.tokensOf === undefined ? new Map() : books.tokensOf(this.#session, this.#plan, ids)
  }

  /** The native id of what was written; undefined when the outcome stands already. */
  async #one(
    op: WriteOp,
    current: ReadonlyMap<NativeId, NativeRecord>,
    tokens: ReadonlyMap<NativeId, Token>,
  ): Promise<NativeId | undefined> {
    if (op.kind === 'create') return this.#create(op)
    const nativeId = op.nativeId as NativeId
    const record = current.get(nativeId)
    if (record === undefined) {
      this.#outcomes.set(op.op, { op: op.op, result: 'gone' })
      return undefined
    }
    if (this.#isStale(op, record, tokens.get(nativeId))) {
      this.#outcomes.set(op.op, { op: op.op, result: 'conflict' })
      return undefined
    }
    if (op.kind === 'delete') await this.#delete(nativeId)
    else await this.#update(nativeId, op.patch, record)
    return nativeId
  }

  /** Step 13: by the version where there is one, otherwise by all values that the write was based on. */
  #isStale(op: WriteOp, record: NativeRecord, token: Token | undefined): boolean {
    if (this.#context.books.tokensOf !== undefined) return op.baseToken !== null && op.baseToken !== token
    return !holds(record, { ...op.full, ...op.baseValues }, Object.keys(op.patch), op.baseValues)
  }

  async #create(op: WriteOp): Promise<NativeId> {
    const { dialect } = this.#context
    const { use, id } = this.#plan
    const containers = new Set(this.#plan.parts.map((part) => part.use.container))
    const names = Object.keys(op.patch).filter((name) => !containers.has(name))
    const columns = names.map((name) => this.#column(use.table, this.#plan.byName, name))
    const values = columns.map((column) => dialect.write(op.patch[column.name], column))
    const into = names.length === 0 ? this.#noColumns() : `(${names.map((name) => dialect.quote(name)).join(', ')})`
    const what = names.length === 0 ? '' : ` values (${marks(names.length)})`
    const { rows } = await this.#session.run(
      `insert into ${dialect.quote(use.table)} ${into}${what} returning ${dialect.select(dialect.quote(use.id), id)}`,
      values,
    )
    const nativeId = idText(dialect.read(rows[0]?.[0], id)) as NativeId
    for (const part of this.#plan.parts) {
      const elements = op.patch[part.use.container]
      if (Array.isArray(elements))
        for (const element of elements) await this.#insertChild(part, nativeId, element as NativeRecord)
    }
    return nativeId
  }

  #noColumns(): string {
    return this.#context.dialect.name === 'mariadb' ? '() values ()' : 'default values'
  }

  #column(table: string, byName: ReadonlyMap<string, Column>, name: string): Column {
    const column = byName.get(name)
    if (column !== undefined) return column
    throw new SqlFailure('rejected', `no column ${name} of ${table} is mapped, so nothing is written to it`)
  }

  async #update(nativeId: NativeId, patch: NativeRecord, record: NativeRecord): Promise<void> {
    const { dialect } = this.#context
    const { use, parts } = this.#plan
    const containers = new Map(parts.map((part) => [part.use.container, part]))
    const names = Object.keys(patch).filter((name) => !containers.has(name))
    if (names.length > 0) {
      const columns = names.map((name) => this.#column(use.table, this.#plan.byName, name))
      await this.#session.run(
        `update ${dialect.quote(use.table)} set ${columns.map((column) => `${dialect.quote(column.name)} = ?`).join(', ')} where ${dialect.quote(use.id)} = ?`,
        [...columns.map((column) => dialect.write(patch[column.name], column)), idParam(dialect, this.#plan, nativeId)],
      )
    }
    for (const [container, part] of containers) {
      if (!Object.hasOwn(patch, container)) continue
      await this.#updateChildren(part, nativeId, listOf(patch[container]), listOf(record[container]))
    }
  }

  /** Brings the rows of a part to the elements that are wanted, touching only what differs. */
  async #updateChildren(
    part: PartPlan,
    nativeId: NativeId,
    wanted: readonly NativeRecord[],
    current: readonly NativeRecord[],
  ): Promise<void> {
    const { dialect } = this.#context
    const byKey = new Map(current.map((element) => [idText(element[part.use.key]), element]))
    const keep = new Set(wanted.map((element) => idText(element[part.use.key])))
    const table = dialect.quote(part.use.table)
    const where = `where ${dialect.quote(part.use.parent)} = ? and ${dialect.quote(part.use.key)} = ?`
    const place = (key: NativeData): SqlParam[] => [
      idParam(dialect, this.#plan, nativeId),
      dialect.write(key, part.key),
    ]
    for (const [key, element] of byKey) {
      if (!keep.has(key))
        await this.#session.run(`delete from ${table} ${where}`, place(element[part.use.key] as NativeData))
    }
    for (const element of wanted) {
      const before = byKey.get(idText(element[part.use.key]))
      if (before === undefined) {
        await this.#insertChild(part, nativeId, element)
        continue
      }
      const names = Object.keys(element).filter(
        (name) => name !== part.use.key && !valuesEqual(element[name] as Value, before[name] as Value),
      )
      if (names.length === 0) continue
      const columns = names.map((name) => this.#column(part.use.table, part.byName, name))
      await this.#session.run(
        `update ${table} set ${columns.map((column) => `${dialect.quote(column.name)} = ?`).join(', ')} ${where}`,
        [
          ...columns.map((column) => dialect.write(element[column.name], column)),
          ...place(element[part.use.key] as NativeData),
        ],
      )
    }
  }

  async #insertChild(part: PartPlan, nativeId: NativeId, element: NativeRecord): Promise<void> {
    const { dialect } = this.#context
    const columns = Object.keys(element).map((name) => this.#column(part.use.table, part.byName, name))
    const names = [part.use.parent, ...columns.map((column) => column.name)]
    await this.#session.run(
      `insert into ${dialect.quote(part.use.table)} (${names.map((name) => dialect.quote(name)).join(', ')}) values (${marks(names.length)})`,
      [idParam(dialect, this.#plan, nativeId), ...columns.map((column) => dialect.write(element[column.name], column))],
    )
  }

  async #delete(nativeId: NativeId): Promise<void> {
    const { dialect } = this.#context
    const id = idParam(dialect, this.#plan, nativeId)
    for (const { use } of this.#plan.parts)
      await this.#session.run(`delete from ${dialect.quote(use.table)} where ${dialect.quote(use.parent)} = ?`, [id])
    const { use } = this.#plan
    await this.#session.run(`delete from ${dialect.quote(use.table)} where ${dialect.quote(use.id)} = ?`, [id])
  }

  async #guarded<T>(op: WriteOp, run: () => Promise<T>): Promise<T | undefined> {
    if (this.#careful) await this.#session.run('savepoint latchwork_op')
    try {
      const result = await run()
      if (this.#careful) await this.#session.run('release savepoint latchwork_op')
      return result
    } catch (error) {
      if (!isAboutThisOp(error)) throw error
      if (!this.#careful) throw new OneFailed()
      await this.#session.run('rollback to savepoint latchwork_op')
      await this.#session.run('release savepoint latchwork_op')
      this.#outcomes.set(op.op, outcomeOf(this.#context.app, op, error))
      return undefined
    }
  }

  /** Reads back what was written, remembers it, and says so; what was applied before is answered as it was then. */
  async #answer(done: readonly Done[], before: ReadonlyMap<OpId, AppliedOp>): Promise<void> {
    const { books, dialect } = this.#context
    const ids = [...done.map((one) => one.nativeId), ...[...before.values()].map((one) => one.nativeId)]
    if (ids.length === 0) return
    const living = done.flatMap(({ op, nativeId }) => (op.kind === 'delete' ? [] : [nativeId]))
    const again = [...before.values()].flatMap(({ kind, nativeId }) => (kind === 'delete' ? [] : [nativeId]))
    const wanted = [...living, ...again]
    const records =
      wanted.length === 0
        ? new Map<NativeId, NativeRecord>()
        : await readRecords(dialect, this.#session, this.#plan, wanted, this.#context.locksReads)
    const tokens = await this.#tokens(ids)
    const remembered = done.map(({ op, nativeId }) => ({
      op: op.op,
      nativeId,
      kind: op.kind,
      correlation: op.correlationId,
      token: tokens.get(nativeId) ?? null,
    }))
    if (remembered.length > 0) await books.remember(this.#session, this.#plan, remembered)
    for (const one of remembered) {
      const record = records.get(one.nativeId)
      const version = record === undefined ? undefined : this.#context.versionOf?.(this.#plan, record)
      this.#outcomes.set(one.op, appliedOutcome({ ...one, token: version ?? one.token }, record))
      this.#written.add(one.op)
    }
    for (const one of before.values()) {
      // The reply is of its own time: where the record has moved on since, only its version of then is told.
      const same = books.tokensOf !== undefined && tokens.get(one.nativeId) === one.token
      this.#outcomes.set(one.op, appliedOutcome(one, same ? records.get(one.nativeId) : undefined))
    }
  }
}

function appliedOutcome(one: AppliedOp, record: NativeRecord | undefined): Outcome {
  return {
    op: one.op,
    result: 'applied',
    nativeId: one.nativeId,
    ...(one.token === null ? {} : { token: one.token }),
    ...(record === undefined ? {} : { record }),
  }
}

/** Failures of the content of one operation; anything else ends the transaction. */
function isAboutThisOp(error: unknown): boolean {
  return (
    error instanceof SqlFailure &&
    (error.kind === 'duplicate' ||
      error.kind === 'reference' ||
      error.kind === 'rejected' ||
      error.kind === 'too-large' ||
      error.kind === 'denied')
  )
}

const listOf = (data: NativeData | undefined): readonly NativeRecord[] =>
  Array.isArray(data) ? (data as readonly NativeRecord[]) : []

/** Whether a record still holds the values that a write was based on: of all mapped fields, those of the patch as they were before it. A value whose base is not known is not compared. */
function holds(
  record: NativeRecord,
  base: NativeRecord,
  patched: readonly string[],
  baseValues: NativeRecord,
): boolean {
  for (const name of Object.keys(base)) {
    if (patched.includes(name) && !Object.hasOwn(baseValues, name)) continue
    if (!dataEqual(record[name], base[name])) return false
  }
  return true
}

function dataEqual(a: NativeData | undefined, b: NativeData | undefined): boolean {
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((one, i) => dataEqual(one, b[i]))
  if (isRecord(a) && isRecord(b)) return Object.keys(b).every((name) => dataEqual(a[name], b[name]))
  if (valuesEqual(a as Value | undefined, b as Value | undefined)) return true
  // What was written as text (a reference's id) and has not been read back yet is a number there.
  return isScalar(a) && isScalar(b) && typeof a !== typeof b && String(a) === String(b)
}

const isScalar = (data: NativeData | undefined): boolean =>
  typeof data === 'string' || typeof data === 'number' || typeof data === 'bigint'

const isRecord = (data: NativeData | undefined): data is NativeRecord =>
  typeof data === 'object' && data !== null && !Array.isArray(data)
