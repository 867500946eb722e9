import { SyncError } from '../../errors/index.ts'
import type { Change } from '../../model/change.ts'
import { type AppId, asNativeId, asToken, type NativeId } from '../../model/ids.ts'
import type { NativeData, NativeRecord } from '../../model/value.ts'
import type { Catalog, Column, PartPlan, TablePlan } from './catalog.ts'
import { MARK_PREFIX, TransactionMarks } from './marks.ts'
import type { PgOutputHandler, Relation, Tuple } from './pgoutput.ts'
import { joinKey, type LogPlace } from './position.ts'
import type { ReadText } from './values.ts'

/** A change with its place in the log. */
export interface PlacedChange {
  readonly change: Change
  readonly index: number
  /** Of its transaction: the commit record, and for the last change the end of it. */
  readonly commitLsn: bigint
  readonly endLsn: bigint | null
}

export interface ChangeSink {
  change(placed: PlacedChange): void
  /** A transaction was received whole, with or without changes for us. */
  committed(xid: number, commitLsn: bigint, endLsn: bigint): void
}

/** How the rows of one table in the log become changes; made anew whenever the server describes the table. */
interface RelationPlan {
  readonly table: TablePlan
  readonly part: PartPlan | null
  readonly wanted: readonly boolean[]
  readonly readers: readonly (ReadText | null)[]
  readonly names: readonly string[]
  /** Where the id stands: the record's own, or in a part's row its parent's. */
  readonly id: readonly number[]
  readonly correlation: number
  readonly updatedAt: number
}

/** Of a transaction with more records that have parts, hints go out before its end. */
const HINTS_MAX = 10_000

/**
 * Puts the changes of the log together: rows to records, parts to hints about their record, a changed key to a deletion and a new record, our own transactions labelled
 * with the writes that made them. Pure but for the sink; the order of the log is kept.
 */
export class TransactionReader implements PgOutputHandler {
  readonly #app: AppId
  readonly #catalog: Catalog
  readonly #sink: ChangeSink
  readonly #after: LogPlace
  readonly #truncate: 'stop' | 'ignore'
  readonly #plans = new Map<number, RelationPlan>()

  #xid = 0
  #commitLsn = 0n
  #timeMs = 0
  #tokenPrefix = ''
  #txId = ''
  /** Rows of the transaction so far; a row takes two places, because a changed key is two changes. */
  #rows = 0
  #marks: TransactionMarks | null = null
  /** The change that may turn out to be the last of its transaction; or, in a transaction of ours, all of them. */
  readonly #pending: { change: Change; index: number }[] = []
  readonly #hints = new Map<string, { plan: TablePlan; nativeId: NativeId; isDeleted: boolean }>()

  constructor(app: AppId, catalog: Catalog, after: LogPlace, truncate: 'stop' | 'ignore', sink: ChangeSink) {
    this.#app = app
    this.#catalog = catalog
    this.#after = after
    this.#truncate = truncate
    this.#sink = sink
  }

  wanted(oid: number): readonly boolean[] | undefined {
    return this.#plans.get(oid)?.wanted
  }

  begin(commitLsn: bigint, commitTimeMs: number, xid: number): void {
    this.#xid = xid
    this.#commitLsn = commitLsn
    this.#timeMs = commitTimeMs
    this.#txId = String(commitLsn)
    this.#tokenPrefix = this.#txId + '.'
    this.#rows = 0
    this.#marks = null
    this.#pending.length = 0
    this.#hints.clear()
  }

  message(prefix: string, content: string): void {
    if (prefix !== MARK_PREFIX) return
    this.#marks ??= new TransactionMarks()
    this.#marks.add(content)
  }

  commit(endLsn: bigint): void {
    this.#sendHints()
    const { length } = this.#pending
    for (let i = 0; i < length; i++) {
      const { change, index } = this.#pending[i] as { change: Change; index: number }
      this.#send(change, index, i === length - 1 ? endLsn : null)
    }
    this.#pending.length = 0
    this.#sink.committed(this.#xid, this.#commitLsn, endLsn)
  }

  relation(relation: Relation): void {
    const plan = this.#planOf(relation)
    if (plan === undefined) this.#plans.delete(relation.oid)
    else this.#plans.set(relation.oid, plan)
  }

  #planOf(relation: Relation): RelationPlan | undefined {
    const sql = `"${relation.schema.replaceAll('"', '""')}"."${relation.table.replaceAll('"', '""')}"`
    for (const table of this.#catalog.tables.values()) {
      if (table.sql === sql) return this.#rootPlan(table, relation)
      const part = table.parts.find((one) => one.sql === sql)
      if (part !== undefined) return this.#partPlan(table, part, relation)
    }
    return undefined
  }

  #rootPlan(table: TablePlan, relation: Relation): RelationPlan {
    return {
      ...this.#commonPlan(table.sql, table.byName, relation),
      table,
      part: null,
      id: this.#places(table.sql, table.id, relation),
      correlation: table.correlation === null ? -1 : placeOf(relation, table.correlation.name),
      updatedAt: table.use.updatedAt === null ? -1 : placeOf(relation, table.use.updatedAt),
    }
  }

  #partPlan(table: TablePlan, part: PartPlan, relation: Relation): RelationPlan {
    const id = this.#places(part.sql, part.parent, relation)
    const wanted = relation.columns.map((_, i) => id.includes(i))
    return { table, part, wanted, readers: [], names: [], id, correlation: -1, updatedAt: -1 }
  }

  #commonPlan(
    sql: string,
    byName: ReadonlyMap<string, Column>,
    relation: Relation,
  ): Pick<RelationPlan, 'wanted' | 'readers' | 'names'> {
    for (const name of byName.keys()) {
      if (placeOf(relation, name) >= 0) continue
      throw new SyncError(
        'database.schema',
        `${this.#app}: the log tells of ${sql} without the column ${name}, which the config maps. It was dropped, renamed or made a generated column: nothing is set to null because of that. Correct the config or the table.`,
        { place: { app: this.#app } },
      )
    }
    const readers = relation.columns.map(({ name }) => byName.get(name)?.read ?? null)
    return { wanted: readers.map((read) => read !== null), readers, names: relation.columns.map(({ name }) => name) }
  }

  #places(sql: string, columns: readonly Column[], relation: Relation): number[] {
    return columns.map(({ name }) => {
      const place = placeOf(relation, name)
      if (place >= 0) return place
      throw new SyncError('database.schema', `${this.#app}: the log tells of ${sql} without its key column ${name}.`)
    })
  }

  insert(oid: number, row: Tuple): void {
    const plan = this.#plans.get(oid)
    if (plan === undefined) return
    this.#rows++
    const id = idIn(plan, row)
    if (plan.table.parts.length > 0) this.#hint(plan, id, false)
    else this.#image(plan, id as NativeId, row, null, 0)
  }

  update(oid: number, old: Tuple | null, row: Tuple): void {
    const plan = this.#plans.get(oid)
    if (plan === undefined) return
    this.#rows++
    const before = old === null ? undefined : idIn(plan, old)
    const id = idIn(plan, row) ?? before
    const isMoved = before !== undefined && id !== before
    if (plan.table.parts.length > 0) {
      if (isMoved) this.#hint(plan, before, plan.part === null)
      this.#hint(plan, id, false)
      return
    }
    if (isMoved) this.#add({ ...this.#base(plan, before), kind: 'deleted' }, -1)
    this.#image(plan, id as NativeId, row, old, 0)
  }

  delete(oid: number, old: Tuple): void {
    const plan = this.#plans.get(oid)
    if (plan === undefined) return
    this.#rows++
    const id = idIn(plan, old)
    if (plan.table.parts.length > 0) this.#hint(plan, id, plan.part === null)
    else this.#add({ ...this.#base(plan, id as NativeId), kind: 'deleted' }, 0)
  }

  truncate(oids: readonly number[]): void {
    for (const oid of oids) {
      const plan = this.#plans.get(oid)
      if (plan === undefined || this.#truncate === 'ignore') continue
      // What was read already of this transaction, or of later ones, is not in question again.
      if (this.#commitLsn < this.#after.lsn) continue
      throw new SyncError(
        'source.truncated',
        `${this.#app}: ${(plan.part ?? plan.table).sql} was truncated. The log does not name its records, so they are not deleted elsewhere. Set truncate: 'ignore' for ${this.#app} to go past it.`,
        { place: { app: this.#app } },
      )
    }
  }

  #base(plan: RelationPlan, nativeId: NativeId): Omit<Change, 'kind'> {
    return { app: this.#app, object: plan.table.object, nativeId, sourceTimeMs: this.#timeMs }
  }

  /** Hot path. A value that was not sent is taken from the old row where the server gave that whole; otherwise the record is partial. */
  #image(plan: RelationPlan, nativeId: NativeId, row: Tuple, old: Tuple | null, shift: 0 | -1): void {
    const record: Record<string, NativeData> = {}
    const { readers, names } = plan
    let isWhole = true
    for (let i = 0; i < readers.length; i++) {
      const read = readers[i]
      if (read === null || read === undefined) continue
      let text = row[i]
      if (text === undefined && old !== null) text = old[i] ?? undefined
      if (text === undefined) isWhole = false
      else record[names[i] as string] = text === null ? null : read(text)
    }
    const change: Change = {
      app: this.#app,
      object: plan.table.object,
      nativeId,
      kind: isWhole ? 'image' : 'partial',
      record: record as NativeRecord,
      sourceTimeMs: plan.updatedAt < 0 ? this.#timeMs : timeIn(row[plan.updatedAt], this.#timeMs),
    }
    const correlationId = plan.correlation < 0 ? undefined : row[plan.correlation]
    this.#add(typeof correlationId === 'string' ? { ...change, correlationId } : change, shift)
  }

  #add(change: Change, shift: 0 | -1): void {
    const index = this.#rows * 2 + shift
    if (this.#marks === null && this.#pending.length > 0) {
      const before = this.#pending[0] as { change: Change; index: number }
      this.#pending[0] = { change, index }
      this.#send(before.change, before.index, null)
      return
    }
    this.#pending.push({ change, index })
  }

  #hint(plan: RelationPlan, id: NativeId | undefined, isDeleted: boolean): void {
    if (id === undefined) return
    const key = plan.table.object + '\u0000' + id
    const known = this.#hints.get(key)
    // Its parts go with a deleted record; a row of it that comes later says that it is there again.
    if (known?.isDeleted === true && plan.part !== null) return
    this.#hints.delete(key)
    this.#hints.set(key, { plan: plan.table, nativeId: id, isDeleted })
    if (this.#hints.size > HINTS_MAX) this.#sendHints()
  }

  #sendHints(): void {
    if (this.#hints.size === 0) return
    for (const { plan, nativeId, isDeleted } of this.#hints.values()) {
      this.#rows++
      const base = { app: this.#app, object: plan.object, nativeId, sourceTimeMs: this.#timeMs }
      this.#add({ ...base, kind: isDeleted ? 'deleted' : 'hint' }, 0)
    }
    this.#hints.clear()
  }

  #send(change: Change, index: number, endLsn: bigint | null): void {
    if (this.#commitLsn < this.#after.lsn) return
    if (this.#commitLsn === this.#after.lsn && index <= this.#after.index) return
    const mark = this.#marks?.of(change.object, change.nativeId)
    this.#sink.change({
      change: {
        ...change,
        token: asToken(this.#tokenPrefix + index),
        sourceTx: { id: this.#txId, index, last: endLsn !== null },
        ...(mark === undefined ? {} : { mark: mark.op }),
        ...(mark?.correlationId === undefined ? {} : { correlationId: mark.correlationId }),
      },
      index,
      commitLsn: this.#commitLsn,
      endLsn,
    })
  }
}

const placeOf = (relation: Relation, name: string): number => relation.columns.findIndex((one) => one.name === name)

function idIn(plan: RelationPlan, row: Tuple): NativeId | undefined {
  const [first] = plan.id
  if (plan.id.length === 1) {
    const text = row[first as number]
    return typeof text === 'string' ? asNativeId(text) : undefined
  }
  const texts = plan.id.map((place) => row[place])
  return texts.every((text) => typeof text === 'string') ? asNativeId(joinKey(texts as string[])) : undefined
}

function timeIn(text: string | null | undefined, otherwise: number): number {
  const ms = typeof text === 'string' ? Date.parse(text.replace(' ', 'T').replace(/\+00$/, 'Z')) : Number.NaN
  return Number.isNaN(ms) ? otherwise : ms
}
