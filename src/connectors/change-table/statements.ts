import {
  asCorrelationId,
  asNativeId,
  asObjectId,
  asOpId,
  type CorrelationId,
  type NativeId,
  type ObjectId,
} from '../../model/ids.ts'
import type { NativeRecord } from '../../model/value.ts'
import type { WriteOp } from '../../ports/app.ts'
import type { TablePlan } from '../tables/plan.ts'
import { readRecords } from '../tables/records.ts'
import { type Dialect, marks, type SqlSession } from '../tables/sql.ts'
import type { AppliedOp, Bookkeeping } from '../tables/write-batch.ts'
import { type ChangeRow, recordRef, type StoredRecord, tokenOf } from './changes.ts'
import type { ChangeTableDdl, Names } from './ddl.ts'
import type { SeqRange } from './position.ts'
import type { ReadyChangeTable } from './setup.ts'

/** Everything that is said to a change table. */

const IDS_MAX = 400

/** Rows in the order of their numbers, without those that a position says were delivered. */
export async function readRows(
  session: SqlSession,
  dialect: Dialect,
  names: Names,
  delivered: readonly SeqRange[],
  max: number,
): Promise<ChangeRow[]> {
  const params: bigint[] = []
  const not = delivered.map(({ from, to }) => {
    params.push(from, to)
    return 'seq between ? and ?'
  })
  const where = not.length === 0 ? '' : `where not (${not.join(' or ')})`
  const { rows } = await session.run(
    `select seq, object, native_id, kind, at_ms from ${dialect.quote(names.changes)} ${where} order by seq limit ${max}`,
    params,
  )
  return rows.map(([seq, object, nativeId, kind, atMs]) => ({
    seq: BigInt(seq as bigint),
    object: asObjectId(String(object)),
    nativeId: asNativeId(String(nativeId)),
    gone: kind === 'd',
    atMs: Number(atMs),
  }))
}

/** Records of one object as they are in this transaction, with their versions; also those that are not there. */
export async function readStored(
  session: SqlSession,
  dialect: Dialect,
  names: Names,
  plan: TablePlan,
  ids: readonly NativeId[],
): Promise<Map<NativeId, StoredRecord>> {
  const records = await readRecords(dialect, session, plan, ids, false)
  return withVersions(session, dialect, names, plan.use.object, ids, records)
}

export async function withVersions(
  session: SqlSession,
  dialect: Dialect,
  names: Names,
  object: ObjectId,
  ids: readonly NativeId[],
  records: ReadonlyMap<NativeId, NativeRecord>,
): Promise<Map<NativeId, StoredRecord>> {
  const newest = await newestOf(session, dialect, names, object, ids)
  const ops = await findOps(session, dialect, names, object, ids)
  const stored = new Map<NativeId, StoredRecord>()
  for (const id of ids) {
    const { seq, atMs } = newest.get(id) ?? { seq: 0n, atMs: null }
    const own = ops.get(id)
    stored.set(id, {
      record: records.get(id) ?? null,
      seq,
      mark: seq === 0n ? null : (own?.bySeq.get(seq) ?? null),
      correlationId: own?.correlation ?? null,
      sourceTimeMs: atMs,
      isOpen: atMs !== null,
    })
  }
  return stored
}

interface Newest {
  readonly seq: bigint
  /** When it was made; null for one that was confirmed already. */
  readonly atMs: number | null
}

/** The number of each record's newest change: of those in the change table, otherwise of those confirmed. */
async function newestOf(
  session: SqlSession,
  dialect: Dialect,
  names: Names,
  object: ObjectId,
  ids: readonly NativeId[],
): Promise<Map<NativeId, Newest>> {
  const found = new Map<NativeId, Newest>()
  for (let i = 0; i < ids.length; i += IDS_MAX) {
    const some = ids.slice(i, i + IDS_MAX)
    const confirmed = await session.run(
      `select native_id, seq from ${dialect.quote(names.versions)} where object = ? and native_id in (${marks(some.length)})`,
      [object, ...some],
    )
    for (const [id, seq] of confirmed.rows)
      found.set(asNativeId(String(id)), { seq: BigInt(seq as bigint), atMs: null })
    const open = await session.run(
      `select native_id, max(seq), max(at_ms) from ${dialect.quote(names.changes)} where object = ? and native_id in (${marks(some.length)}) group by native_id`,
      [object, ...some],
    )
    for (const [id, seq, atMs] of open.rows)
      found.set(asNativeId(String(id)), { seq: BigInt(seq as bigint), atMs: Number(atMs) })
  }
  return found
}

export interface OpsOfRecord {
  readonly bySeq: Map<bigint, string>
  correlation: string | null
}

export async function findOps(
  session: SqlSession,
  dialect: Dialect,
  names: Names,
  object: ObjectId,
  ids: readonly NativeId[],
): Promise<Map<NativeId, OpsOfRecord>> {
  const found = new Map<NativeId, OpsOfRecord>()
  for (let i = 0; i < ids.length; i += IDS_MAX) {
    const some = ids.slice(i, i + IDS_MAX)
    const { rows } = await session.run(
      `select native_id, op, kind, correlation, seq from ${dialect.quote(names.ops)} where object = ? and native_id in (${marks(some.length)})`,
      [object, ...some],
    )
    for (const [nativeId, op, kind, correlation, seq] of rows) {
      const id = asNativeId(String(nativeId))
      const own = found.get(id) ?? { bySeq: new Map<bigint, string>(), correlation: null }
      found.set(id, own)
      own.bySeq.set(BigInt(seq as bigint), String(op))
      if (kind === 'create') own.correlation = String(correlation)
    }
  }
  return found
}

/** The ids of records that our creates made under these canonical keys. */
export async function findCreated(
  session: SqlSession,
  dialect: Dialect,
  names: Names,
  object: ObjectId,
  keys: readonly CorrelationId[],
): Promise<Map<CorrelationId, NativeId>> {
  const found = new Map<CorrelationId, NativeId>()
  for (let i = 0; i < keys.length; i += IDS_MAX) {
    const some = keys.slice(i, i + IDS_MAX)
    const { rows } = await session.run(
      `select correlation, native_id from ${dialect.quote(names.ops)} where object = ? and kind = 'create' and correlation in (${marks(some.length)})`,
      [object, ...some],
    )
    for (const [correlation, nativeId] of rows)
      found.set(asCorrelationId(String(correlation)), asNativeId(String(nativeId)))
  }
  return found
}

/** Rows whose delivery is durable leave the change table; the newest number of each record stays in the versions, except of one that is gone. */
export async function forget(
  session: SqlSession,
  dialect: Dialect,
  ddl: ChangeTableDdl,
  names: Names,
  ranges: readonly SeqRange[],
): Promise<void> {
  const changes = dialect.quote(names.changes)
  for (const { from, to } of ranges) {
    const { rows } = await session.run(
      `select object, native_id, kind, seq from ${changes} where seq between ? and ? order by seq`,
      [from, to],
    )
    const newest = new Map<string, readonly unknown[]>()
    for (const row of rows) newest.set(recordRef(row[0] as ObjectId, row[1] as NativeId), row)
    const living = [...newest.values()].filter(([, , kind]) => kind !== 'd')
    for (let i = 0; i < living.length; i += IDS_MAX / 4) {
      const some = living.slice(i, i + IDS_MAX / 4)
      await session.run(
        ddl.raiseVersions(names, some.length),
        some.flatMap(([object, nativeId, , seq]) => [String(object), String(nativeId), BigInt(seq as bigint)]),
      )
    }
    for (const [object, group] of Map.groupBy(
      [...newest.values()].filter(([, , kind]) => kind === 'd'),
      ([object]) => String(object),
    )) {
      for (let i = 0; i < group.length; i += IDS_MAX) {
        const some = group.slice(i, i + IDS_MAX)
        await session.run(
          `delete from ${dialect.quote(names.versions)} where object = ? and native_id in (${marks(some.length)})`,
          [object, ...some.map(([, nativeId]) => String(nativeId))],
        )
      }
    }
    await session.run(`delete from ${changes} where seq between ? and ?`, [from, to])
  }
}

/** Versions and remembered writes of a database with a change table. */
export function bookkeeping(dialect: Dialect, ready: () => ReadyChangeTable, nowMs: () => number): Bookkeeping {
  return {
    async tokensOf(session, plan, ids) {
      const { names, generation } = ready()
      const newest = await newestOf(session, dialect, names, plan.use.object, ids)
      return new Map(ids.map((id) => [id, tokenOf(generation, newest.get(id)?.seq ?? 0n)]))
    },
    applied: (session, ops) => appliedBefore(session, dialect, ready(), ops),
    async remember(session, plan, ops) {
      const { names } = ready()
      const row = '(?, ?, ?, ?, ?, ?, ?)'
      for (let i = 0; i < ops.length; i += 100) {
        const some = ops.slice(i, i + 100)
        await session.run(
          `insert into ${dialect.quote(names.ops)} (op, object, native_id, kind, correlation, seq, at_ms) values ${some.map(() => row).join(', ')}`,
          some.flatMap(({ op, nativeId, kind, correlation, token }) => [
            op,
            plan.use.object,
            nativeId,
            kind,
            correlation,
            BigInt(token?.split('.')[1] ?? 0),
            nowMs(),
          ]),
        )
      }
    },
  }
}

async function appliedBefore(
  session: SqlSession,
  dialect: Dialect,
  { names, generation }: ReadyChangeTable,
  ops: readonly WriteOp[],
): Promise<Map<AppliedOp['op'], AppliedOp>> {
  const found = new Map<AppliedOp['op'], AppliedOp>()
  for (let i = 0; i < ops.length; i += IDS_MAX) {
    const some = ops.slice(i, i + IDS_MAX)
    const { rows } = await session.run(
      `select op, native_id, kind, correlation, seq from ${dialect.quote(names.ops)} where op in (${marks(some.length)})`,
      some.map(({ op }) => op),
    )
    for (const [op, nativeId, kind, correlation, seq] of rows) {
      const id = asOpId(String(op))
      found.set(id, {
        op: id,
        nativeId: asNativeId(String(nativeId)),
        kind: String(kind) as WriteOp['kind'],
        correlation: asCorrelationId(String(correlation)),
        token: tokenOf(generation, BigInt(seq as bigint)),
      })
    }
  }
  return found
}
