import { asNativeId, type NativeId, type ObjectId } from '../../model/ids.ts'
import type { NativeData, NativeRecord } from '../../model/value.ts'
import type { Catalog, Column, TablePlan } from './catalog.ts'
import { quoteName } from './driver.ts'
import type { PostgresAppOptions } from './options.ts'
import { joinKey, splitKey } from './position.ts'
import type { Session } from './sessions.ts'
import { parseSnapshot, type ReadSnapshot } from './snapshot.ts'
import { textArray } from './values.ts'

/** Records as they are now: a row with its parts, and the hub's id of it where we made it. */
export interface FoundRecord {
  readonly nativeId: NativeId
  readonly record: NativeRecord
  readonly correlationId: string | undefined
  readonly sourceTimeMs: number | undefined
  /** The key as the database spells it, for the next page. */
  readonly key: readonly string[]
}

export interface FoundRecords {
  readonly snapshot: ReadSnapshot
  readonly records: readonly FoundRecord[]
}

type Row = readonly (string | null)[]

export class RecordReader {
  readonly #options: PostgresAppOptions
  readonly #catalog: Catalog
  #hasApplied: boolean | null = null

  constructor(options: PostgresAppOptions, catalog: Catalog) {
    this.#options = options
    this.#catalog = catalog
  }

  plan(object: ObjectId): TablePlan | undefined {
    return this.#catalog.tables.get(object)
  }

  /** Those of the ids that are there, in any order. */
  async byIds(session: Session, plan: TablePlan, ids: readonly NativeId[]): Promise<FoundRecords> {
    const keys = ids.flatMap((id) => splitKey(id, plan.id.length) ?? [])
    const columns = plan.id.map((_, i) => keys.filter((_, at) => at % plan.id.length === i))
    const params = columns.map((_, i) => `$${i + 1}::text[]`).join(', ')
    const names = columns.map((_, i) => `k${i}`).join(', ')
    const on = plan.id.map((column, i) => `t.${column.sql} = v.k${i}::${column.cast}`).join(' AND ')
    const text = `SELECT ${selectOf(plan)} FROM unnest(${params}) AS v(${names}) JOIN ${plan.sql} t ON ${on}`
    return this.#read(session, plan, text, columns.map(textArray))
  }

  /** One page in the order of the key, after `after`. */
  async page(session: Session, plan: TablePlan, after: readonly string[] | null, max: number): Promise<FoundRecords> {
    const key = plan.id.map((column) => `t.${column.sql}`)
    const bound = plan.id.map((column, i) => `$${i + 1}::${column.cast}`)
    const where = after === null ? '' : `WHERE (${key.join(', ')}) > (${bound.join(', ')})`
    const text = `SELECT ${selectOf(plan)} FROM ${plan.sql} t ${where} ORDER BY ${key.join(', ')} LIMIT ${max}`
    return this.#read(session, plan, text, after ?? [])
  }

  /** The ids of records that hold these ids of the hub. */
  async idsByCorrelation(
    session: Session,
    plan: TablePlan,
    correlations: readonly string[],
  ): Promise<Map<string, NativeId>> {
    const found = new Map<string, NativeId>()
    if (plan.correlation !== null) {
      const key = plan.id.map((column) => `t.${column.sql}::text`).join(', ')
      const { rows } = await session.query(
        `SELECT t.${plan.correlation.sql}::text, ${key} FROM ${plan.sql} t WHERE t.${plan.correlation.sql} = ANY($1::text[]::${plan.correlation.cast}[])`,
        [textArray(correlations)],
      )
      for (const [correlation, ...id] of rows) found.set(correlation ?? '', asNativeId(joinKey(id as string[])))
      return found
    }
    if (!(await this.#applied(session))) return found
    const { rows } = await session.query(
      `SELECT correlation, native_id FROM ${appliedOps(this.#options)} WHERE object = $1 AND correlation = ANY($2::text[])`,
      [plan.object, textArray(correlations)],
    )
    for (const [correlation, id] of rows) found.set(correlation ?? '', asNativeId(id ?? ''))
    return found
  }

  /** Row, parts and the hub's ids, all of one snapshot. */
  async #read(session: Session, plan: TablePlan, text: string, values: readonly string[]): Promise<FoundRecords> {
    const before = await session.query('SELECT pg_current_wal_flush_lsn()::text')
    await session.run('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
    try {
      const seen = await session.query('SELECT pg_current_snapshot()::text, pg_current_wal_flush_lsn()::text')
      const [snapshotText, flushLsn] = seen.rows[0] ?? []
      const { rows } = await session.query(text, values)
      const places = placesOf(plan)
      const drafts = rows.map((row) => draftOf(plan, places, row))
      const byId = new Map(drafts.map((draft) => [draft.nativeId as string, draft]))
      for (const part of plan.parts) {
        for (const draft of drafts) draft.record[part.use.container] = []
        if (drafts.length > 0) await readPart(session, plan, part, drafts, byId)
      }
      if (plan.correlation === null && drafts.length > 0) await this.#addCorrelations(session, plan, byId)
      await session.run('COMMIT')
      const snapshot = parseSnapshot(snapshotText ?? '0:0:', before.rows[0]?.[0] ?? '0/0', flushLsn ?? '0/0')
      return { snapshot, records: drafts }
    } catch (error) {
      await session.run('ROLLBACK').catch(() => {})
      throw error
    }
  }

  async #addCorrelations(session: Session, plan: TablePlan, byId: ReadonlyMap<string, Draft>): Promise<void> {
    if (!(await this.#applied(session))) return
    const { rows } = await session.query(
      `SELECT native_id, correlation FROM ${appliedOps(this.#options)} WHERE object = $1 AND native_id = ANY($2::text[])`,
      [plan.object, textArray([...byId.keys()])],
    )
    for (const [id, correlation] of rows) {
      const draft = byId.get(id ?? '')
      if (draft !== undefined) draft.correlationId = correlation ?? undefined
    }
  }

  /** The table comes with the first create, so it may come later; once there it stays. */
  async #applied(session: Session): Promise<boolean> {
    if (this.#hasApplied === true) return true
    const { rows } = await session.query('SELECT to_regclass($1) IS NOT NULL', [appliedOps(this.#options)])
    this.#hasApplied = rows[0]?.[0] === 't'
    return this.#hasApplied
  }
}

export const appliedOps = (options: Pick<PostgresAppOptions, 'ownSchema'>): string =>
  `${quoteName(options.ownSchema)}."applied_ops"`

const selectOf = (plan: TablePlan): string => plan.columns.map((column) => `t.${column.sql}`).join(', ')

interface Draft {
  readonly nativeId: NativeId
  readonly key: readonly string[]
  readonly record: Record<string, NativeData>
  correlationId: string | undefined
  readonly sourceTimeMs: number | undefined
}

/** Where in a row what is wanted of it stands; -1 for what there is not. Found once for all rows of a page. */
interface Places {
  readonly id: readonly number[]
  readonly correlation: number
  readonly updatedAt: number
}

function placesOf(plan: TablePlan): Places {
  const placeOf = (name: string | null): number => plan.columns.findIndex((column) => column.name === name)
  return {
    id: plan.id.map(({ name }) => placeOf(name)),
    correlation: placeOf(plan.correlation?.name ?? null),
    updatedAt: placeOf(plan.use.updatedAt),
  }
}

/** HOT PATH of first contact and of comparisons. */
function draftOf(plan: TablePlan, places: Places, row: Row): Draft {
  const record: Record<string, NativeData> = {}
  for (let i = 0; i < plan.columns.length; i++) {
    const column = plan.columns[i] as Column
    const text = row[i] ?? null
    record[column.name] = text === null ? null : column.read(text)
  }
  const key = places.id.map((place) => row[place] ?? '')
  const time = row[places.updatedAt] ?? null
  const ms = time === null ? Number.NaN : Date.parse(time.replace(' ', 'T').replace(/\+00$/, 'Z'))
  return {
    nativeId: asNativeId(joinKey(key)),
    key,
    record,
    correlationId: row[places.correlation] ?? undefined,
    sourceTimeMs: Number.isNaN(ms) ? undefined : ms,
  }
}

async function readPart(
  session: Session,
  plan: TablePlan,
  part: TablePlan['parts'][number],
  drafts: readonly Draft[],
  byId: ReadonlyMap<string, Draft>,
): Promise<void> {
  const params = plan.id.map((_, i) => `$${i + 1}::text[]`).join(', ')
  const names = plan.id.map((_, i) => `k${i}`).join(', ')
  const on = part.parent.map((column, i) => `t.${column.sql} = v.k${i}::${column.cast}`).join(' AND ')
  const parents = part.parent.map((column) => `t.${column.sql}`).join(', ')
  const columns = part.columns.map((column) => `t.${column.sql}`).join(', ')
  const { rows } = await session.query(
    `SELECT ${parents}, ${columns} FROM unnest(${params}) AS v(${names}) JOIN ${part.sql} t ON ${on} ORDER BY t.${part.key.sql}`,
    plan.id.map((_, i) => textArray(drafts.map((draft) => draft.key[i] ?? ''))),
  )
  const width = part.parent.length
  for (const row of rows) {
    const list = byId.get(joinKey(row.slice(0, width) as string[]))?.record[part.use.container] as
      | NativeData[]
      | undefined
    const element: Record<string, NativeData> = {}
    for (let i = 0; i < part.columns.length; i++) {
      const column = part.columns[i] as Column
      const text = row[width + i] ?? null
      element[column.name] = text === null ? null : column.read(text)
    }
    list?.push(element)
  }
}
