import { SyncError } from '../../errors/index.ts'
import type { Change, ReadImage } from '../../model/change.ts'
import { type AppId, asNativeId, type FeedPosition, type NativeId, type ObjectId } from '../../model/ids.ts'
import type { Source } from '../../ports/app.ts'
import type { Clock } from '../../ports/clock.ts'
import { readErrorOf } from '../tables/errors.ts'
import type { TablePlan } from '../tables/plan.ts'
import { planOf, RecordReads, type Snapshot } from '../tables/record-reads.ts'
import { scanRecords } from '../tables/records.ts'
import type { CallLimits, SqlDatabase, SqlSession } from '../tables/sql.ts'
import type { ChangeTable } from './change-table.ts'
import { type ChangeRow, changesOf, imageOf, recordRef, type StoredRecord, tokenOf } from './changes.ts'
import { addSeqs, type LogPosition, newestOf, readPosition, seqCount, writePosition } from './position.ts'
import type { ReadyChangeTable } from './setup.ts'
import { findCreated, readRows, readStored, withVersions } from './statements.ts'

export const CHANGE_FEED = 'changes'

/** `read` waits about this long for something to happen, so that a hub that stops is not kept. */
const WAIT_MS = 1_000
/** For one statement or short transaction of ours. */
const CALL_MS = 10_000
/** Confirmed rows are taken out together: each time is a transaction in the application's own database. */
const TRIM_ROWS = 256

export interface ChangeTableSourceDeps {
  readonly table: ChangeTable
  readonly database: SqlDatabase
  readonly clock: Clock
  readonly objects: readonly ObjectId[]
  /** The outcome of this write carried the record, and was handed on: its echo has nothing to add. */
  readonly isAnswered: (nativeId: NativeId, token: string) => boolean
  readonly release: () => Promise<void>
}

/**
 * Changes of an application whose triggers keep a change table: complete, in order for each record, with the record as it is in the same snapshot. States between two reads are not told apart: what is told
 * is the newest, at the number of its newest change.
 */
export function createChangeTableSource(app: AppId, deps: ChangeTableSourceDeps): Source {
  const source = new ChangeTableSource(app, deps)
  return {
    app,
    listens: [],
    feeds: [{ feed: CHANGE_FEED, everyMs: 0 }],
    accept() {
      throw new SyncError('intake.unknown-path', `${app} is a database: it sends no webhooks.`)
    },
    read: (_feed, after, max, signal) => source.read(after, max, signal),
    confirm: (_feed, position) => source.confirm(position),
    readRecords: (requests, signal) => source.reads.readRecords(requests, signal),
    findByCorrelation: (requests, signal) => source.reads.findByCorrelation(requests, signal),
    scan: (object, after, max, signal) => source.reads.scan(object, after, max, signal),
    close: deps.release,
    [Symbol.asyncDispose]: deps.release,
  }
}

interface Page {
  readonly changes: readonly Change[]
  readonly position: FeedPosition
  readonly more: boolean
}

class ChangeTableSource {
  readonly reads: RecordReads
  readonly #app: AppId
  readonly #deps: ChangeTableSourceDeps
  /** The last position whose rows were taken out: what it says was delivered need not be carried on. */
  #trimmed: FeedPosition | null = null

  constructor(app: AppId, deps: ChangeTableSourceDeps) {
    this.#app = app
    this.#deps = deps
    const { clock, database, table } = deps
    this.reads = new RecordReads(app, {
      clock,
      callMs: CALL_MS,
      within: async (what, limits, work) => {
        const ready = await (what === 'pages' ? table.listable(limits) : table.usable(limits))
        return database.read((session) => work(this.#snapshot(session, ready)), limits)
      },
    })
  }

  #snapshot(session: SqlSession, ready: ReadyChangeTable): Snapshot {
    const { dialect } = this.#deps.database
    const { names, plans } = ready
    const told = (object: ObjectId, stored: ReadonlyMap<NativeId, StoredRecord>): ReadImage[] =>
      [...stored].map(([id, one]) => this.#imageOf(ready, object, id, one))
    return {
      plans,
      images: async (plan, ids) => told(plan.use.object, await readStored(session, dialect, names, plan, ids)),
      created: async (object, correlationId) =>
        (await findCreated(session, dialect, names, object, [correlationId])).get(correlationId),
      page: async (plan, after, max) => told(plan.use.object, await this.#scanPage(session, ready, plan, after, max)),
    }
  }

  #limits(signal: AbortSignal): CallLimits {
    return { untilMs: this.#deps.clock.monotonicMs() + CALL_MS, signal }
  }

  async read(after: FeedPosition | null, max: number, signal: AbortSignal): Promise<Page> {
    try {
      const ready = await this.#deps.table.ready(this.#limits(signal))
      const from = await this.#positionFrom(ready, after, signal)
      if (from.scan !== null) return await this.#readScan(ready, from, from.scan, max, signal)
      const page = await this.#readLog(ready, from, after, max, signal)
      if (page.position !== after || signal.aborted) return page
      if (!(await this.#deps.database.changed(WAIT_MS, signal)) || signal.aborted) return page
      return await this.#readLog(ready, from, after, max, signal)
    } catch (error) {
      throw readErrorOf(this.#app, 'its change table', error)
    }
  }

  /** A position of this change table, as it is; of an earlier generation of it, the beginning; of another database, refused. */
  async #positionFrom(ready: ReadyChangeTable, after: FeedPosition | null, signal: AbortSignal): Promise<LogPosition> {
    const known = after === null ? undefined : readPosition(after)
    if (after !== null && known === undefined)
      throw new SyncError(
        'source.position-invalid',
        `${this.#app}: '${after}' is not a position of a change table. Was the application given the name of another?`,
        { place: { app: this.#app } },
      )
    await this.#deps.table.compare(ready, known, this.#limits(signal))
    // An earlier generation: the triggers were made anew, so changes may have gone unseen, and everything is read again.
    if (known?.table === ready.table) return known
    return { table: ready.table, scan: { object: 0, after: null }, delivered: [], newest: null }
  }

  async #readScan(
    ready: ReadyChangeTable,
    from: LogPosition,
    scan: NonNullable<LogPosition['scan']>,
    max: number,
    signal: AbortSignal,
  ): Promise<Page> {
    const object = this.#deps.objects[scan.object]
    if (object === undefined) return { changes: [], position: writePosition({ ...from, scan: null }), more: true }
    const plan = planOf(this.#app, ready.plans, object)
    const after = scan.after === null ? null : asNativeId(scan.after)
    const stored = await this.#deps.database.read(
      (session) => this.#scanPage(session, ready, plan, after, max),
      this.#limits(signal),
    )
    // A record with a change in the change table comes with that.
    const changes = [...stored]
      .filter(([, one]) => !one.isOpen)
      .map(([id, one]) => imageOf(this.#app, ready.generation, object, id, one))
    const last = [...stored.keys()].at(-1)
    const next =
      last === undefined || stored.size < max ? { object: scan.object + 1, after: null } : { ...scan, after: last }
    const isLast = next.object >= this.#deps.objects.length
    return { changes, position: writePosition({ ...from, scan: isLast ? null : next }), more: true }
  }

  async #scanPage(
    session: SqlSession,
    ready: ReadyChangeTable,
    plan: TablePlan,
    after: NativeId | null,
    max: number,
  ): Promise<Map<NativeId, StoredRecord>> {
    const { dialect } = this.#deps.database
    const records = await scanRecords(dialect, session, plan, after, max)
    return withVersions(session, dialect, ready.names, plan.use.object, [...records.keys()], records)
  }

  async #readLog(
    ready: ReadyChangeTable,
    from: LogPosition,
    after: FeedPosition | null,
    max: number,
    signal: AbortSignal,
  ): Promise<Page> {
    const { dialect } = this.#deps.database
    const { rows, stored } = await this.#deps.database.read(async (session) => {
      const found = await readRows(session, dialect, ready.names, from.delivered, max)
      return { rows: found, stored: await this.#storedOf(session, ready, found) }
    }, this.#limits(signal))
    if (rows.length === 0) return { changes: [], position: after ?? writePosition(from), more: false }
    const carried = after !== null && after === this.#trimmed ? [] : from.delivered
    const delivered = addSeqs(
      carried,
      rows.map((row) => row.seq),
    )
    const position = writePosition({ ...from, delivered, newest: newestOf(from.newest, rows) })
    const changes = changesOf(this.#app, ready.generation, rows, stored).filter(
      (change) => change.mark === undefined || !this.#deps.isAnswered(change.nativeId, change.token ?? ''),
    )
    return { changes, position, more: rows.length >= max }
  }

  async #storedOf(
    session: SqlSession,
    ready: ReadyChangeTable,
    rows: readonly ChangeRow[],
  ): Promise<Map<string, StoredRecord>> {
    const stored = new Map<string, StoredRecord>()
    for (const [object, group] of Map.groupBy(rows, (row) => row.object)) {
      const plan = ready.plans.get(object)
      // A table that the config named once and does not name any more: its rows are delivered as nothing.
      if (plan === undefined) continue
      const ids = [...new Set(group.map((row) => row.nativeId))]
      const { dialect } = this.#deps.database
      for (const [id, one] of await readStored(session, dialect, ready.names, plan, ids))
        stored.set(recordRef(object, id), one)
    }
    return stored
  }

  async confirm(position: FeedPosition): Promise<void> {
    const known = readPosition(position)
    if (known === undefined || seqCount(known.delivered) < TRIM_ROWS) return
    try {
      await this.#deps.table.forget(known, this.#limits(new AbortController().signal))
      this.#trimmed = position
    } catch (error) {
      // What is not taken out now is taken out with the next page: it is named in every position until then.
      throw readErrorOf(this.#app, 'its change table (to take out what is confirmed)', error)
    }
  }

  #imageOf(ready: ReadyChangeTable, object: ObjectId, nativeId: NativeId, one: StoredRecord): ReadImage {
    const base = { app: this.#app, object, nativeId, token: tokenOf(ready.generation, one.seq) }
    if (one.record === null) return { ...base, result: 'missing' }
    return {
      ...base,
      result: 'found',
      record: one.record,
      ...(one.correlationId === null ? {} : { correlationId: one.correlationId }),
      ...(one.sourceTimeMs === null ? {} : { sourceTimeMs: one.sourceTimeMs }),
    }
  }
}
