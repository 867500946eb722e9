import { SyncError } from '../../errors/index.ts'
import type { Change, ReadImage } from '../../model/change.ts'
import { type AppId, asNativeId, type FeedPosition, type NativeId, type ObjectId } from '../../model/ids.ts'
import { type NativeData, type NativeRecord, type Value, valuesEqual } from '../../model/value.ts'
import type { Source } from '../../ports/app.ts'
import type { Clock } from '../../ports/clock.ts'
import { snapshotOf } from '../change-table/snapshot.ts'
import { readErrorOf } from '../tables/errors.ts'
import type { TablePlan } from '../tables/plan.ts'
import { RecordReads } from '../tables/record-reads.ts'
import { idText } from '../tables/records.ts'
import { type CallLimits, type Column, SqlFailure } from '../tables/sql.ts'
import type { Binlog, ReadyBinlog } from './binlog.ts'
import {
  advanced,
  type BinlogPosition,
  changeToken,
  doneText,
  endToken,
  readBinlogPosition,
  writeBinlogPosition,
} from './binlog-position.ts'
import { type BinlogStream, type Gtid, gtidText, type LoggedRow, type LoggedTransaction } from './binlog-stream.ts'
import { loggedValue } from './binlog-values.ts'
import type { MariadbDatabase } from './database.ts'
import { mariadbDialect } from './dialect.ts'
import { mariadbFailure } from './errors.ts'

export const BINLOG_FEED = 'binlog'

const WAIT_MS = 1_000
const CALL_MS = 10_000
/** A place that many transactions of others have gone by is written down, so that the log behind it may go. */
const PASS_EVERY_MS = 10_000

export interface BinlogSourceDeps {
  readonly binlog: Binlog
  readonly database: MariadbDatabase
  readonly clock: Clock
  readonly objects: readonly ObjectId[]
  readonly isAnswered: (nativeId: NativeId, token: string) => boolean
  readonly release: () => Promise<void>
}

/** Changes out of MariaDB's log: every one, in order, with the row as it was after it. A row of a part leads to a read of its whole record. */
export function createBinlogSource(app: AppId, deps: BinlogSourceDeps): Source {
  const source = new BinlogSource(app, deps)
  const close = async (): Promise<void> => {
    source.stop()
    await deps.release()
  }
  return {
    app,
    listens: [],
    feeds: [{ feed: BINLOG_FEED, everyMs: 0 }],
    accept() {
      throw new SyncError('intake.unknown-path', `${app} is a database: it sends no webhooks.`)
    },
    read: (_feed, after, max, signal) => source.read(after, max, signal),
    async confirm() {},
    readRecords: (requests, signal) => source.reads.readRecords(requests, signal),
    findByCorrelation: (requests, signal) => source.reads.findByCorrelation(requests, signal),
    scan: (object, after, max, signal) => source.reads.scan(object, after, max, signal),
    close,
    [Symbol.asyncDispose]: close,
  }
}

interface Page {
  readonly changes: readonly Change[]
  readonly position: FeedPosition
  readonly more: boolean
}

class BinlogSource {
  readonly reads: RecordReads
  readonly #app: AppId
  readonly #deps: BinlogSourceDeps
  #stream: BinlogStream | null = null
  /** Where the stream stands: a read from elsewhere begins another. */
  #at: FeedPosition | null = null
  /** Changes of the transaction that is being handed on. */
  #open: { readonly transaction: LoggedTransaction; readonly changes: readonly Change[]; told: number } | null = null
  #passedAtMs = 0

  constructor(app: AppId, deps: BinlogSourceDeps) {
    this.#app = app
    this.#deps = deps
    const { binlog, clock, database } = deps
    this.reads = new RecordReads(app, {
      clock,
      callMs: CALL_MS,
      within: async (what, limits, work) => {
        const ready = await (what === 'pages' ? binlog.listable(limits) : binlog.usable(limits))
        return database.read(async (session) => {
          const token = await binlog.snapshotToken(session)
          return work(snapshotOf(app, mariadbDialect, session, ready, () => token))
        }, limits)
      },
    })
  }

  #limits(signal: AbortSignal): CallLimits {
    return { untilMs: this.#deps.clock.monotonicMs() + CALL_MS, signal }
  }

  async read(after: FeedPosition | null, max: number, signal: AbortSignal): Promise<Page> {
    try {
      const known = after === null ? null : readBinlogPosition(after)
      if (known === undefined)
        throw new SyncError(
          'source.position-invalid',
          `${this.#app}: '${after}' is not a place in MariaDB's log. Was the application given the name of another, or was \`changes\` another way before?`,
          { place: { app: this.#app } },
        )
      const ready = await this.#deps.binlog.ready(this.#limits(signal))
      await this.#deps.binlog.compare(known, this.#limits(signal))
      if (known === null) return this.#begin(ready)
      if (known.scan !== null) return await this.#readScan(known, known.scan, max, signal)
      return await this.#readLog(ready, known, after as FeedPosition, max, signal)
    } catch (error) {
      this.stop()
      throw readErrorOf(this.#app, 'its log', this.#said(error))
    }
  }

  /** The place in the log is taken before anything is read, so that nothing falls between. */
  #begin(ready: ReadyBinlog): Page {
    const position = writeBinlogPosition({ scan: { object: 0, after: null }, done: ready.end, within: null })
    return { changes: [], position, more: true }
  }

  async #readScan(
    from: BinlogPosition,
    scan: NonNullable<BinlogPosition['scan']>,
    max: number,
    signal: AbortSignal,
  ): Promise<Page> {
    const object = this.#deps.objects[scan.object]
    if (object === undefined) return { changes: [], position: writeBinlogPosition({ ...from, scan: null }), more: true }
    const page = await this.reads.page(object, scan.after === null ? null : asNativeId(scan.after), max, signal)
    const last = page.at(-1)?.nativeId
    const next =
      last === undefined || page.length < max ? { object: scan.object + 1, after: null } : { ...scan, after: last }
    const isLast = next.object >= this.#deps.objects.length
    return {
      changes: page.map((image) => imageChange(image)),
      position: writeBinlogPosition({ ...from, scan: isLast ? null : next }),
      more: true,
    }
  }

  async #readLog(
    ready: ReadyBinlog,
    from: BinlogPosition,
    after: FeedPosition,
    max: number,
    signal: AbortSignal,
  ): Promise<Page> {
    if (this.#stream === null || this.#at !== after) await this.#restart(from)
    const stream = this.#stream as BinlogStream
    if (this.#open === null && stream.peek() === undefined) await stream.wait(WAIT_MS, signal)
    const changes: Change[] = []
    let { done, within } = from
    while (changes.length < max) {
      this.#open ??= this.#next(ready, stream, within)
      if (this.#open === null) break
      const { transaction, changes: all, told } = this.#open
      const some = all.slice(told, told + max - changes.length)
      changes.push(...some)
      const toldNow = told + some.length
      if (toldNow < all.length) {
        this.#open.told = toldNow
        within = { gtid: transaction.gtid, told: transaction.from + toldNow }
        break
      }
      this.#open = null
      within = transaction.isLast ? null : { gtid: transaction.gtid, told: transaction.from + all.length }
      if (transaction.isLast) done = advanced(done, transaction.gtid)
    }
    const nothing = changes.length === 0 && done === from.done && within === from.within
    if (nothing) return this.#pass(from, after, stream)
    const position = writeBinlogPosition({ scan: null, done, within })
    this.#at = position
    this.#passedAtMs = this.#deps.clock.monotonicMs()
    return { changes, position, more: this.#open !== null || stream.peek() !== undefined }
  }

  /** Nothing of ours went by; now and then the place is moved on all the same. */
  #pass(from: BinlogPosition, after: FeedPosition, stream: BinlogStream): Page {
    const { passed } = stream
    const now = this.#deps.clock.monotonicMs()
    if (passed === null || now - this.#passedAtMs < PASS_EVERY_MS || stream.peek() !== undefined)
      return { changes: [], position: after, more: false }
    this.#passedAtMs = now
    this.#at = writeBinlogPosition({ ...from, done: advanced(from.done, passed) })
    return { changes: [], position: this.#at, more: false }
  }

  /** The next transaction as changes, without those of it that were told before. */
  #next(
    ready: ReadyBinlog,
    stream: BinlogStream,
    within: BinlogPosition['within'],
  ): { readonly transaction: LoggedTransaction; readonly changes: readonly Change[]; told: number } | null {
    const transaction = stream.peek()
    if (transaction === undefined) return null
    stream.shift()
    const changes = new Transaction(this.#app, ready, transaction, this.#deps.isAnswered).changes()
    const isWithin = within !== null && gtidText(within.gtid) === gtidText(transaction.gtid)
    const told = isWithin ? Math.max(0, Math.min(within.told - transaction.from, changes.length)) : 0
    return { transaction, changes, told }
  }

  async #restart(from: BinlogPosition): Promise<void> {
    this.stop()
    const stream = this.#deps.binlog.stream()
    this.#stream = stream
    this.#deps.binlog.streaming = stream
    this.#at = writeBinlogPosition(from)
    await stream.start(doneText(from.done))
  }

  stop(): void {
    this.#stream?.stop()
    this.#stream = null
    this.#deps.binlog.streaming = null
    this.#open = null
    this.#at = null
  }

  /** What the log's reader throws, judged: the server's number 1236 says that the place asked for is not there. */
  #said(error: unknown): unknown {
    if (SyncError.is(error) || error instanceof SqlFailure) return error
    if ((error as { errno?: unknown } | null)?.errno === 1236) {
      const words = error instanceof Error ? error.message : String(error)
      return new SyncError(
        'source.log-purged',
        `${this.#app}: the server does not have the part of its log that is to be read next (${words}).`,
        { place: { app: this.#app }, cause: error, retryAfterMs: CALL_MS },
      )
    }
    const failure = mariadbFailure(error)
    if (failure instanceof SqlFailure) {
      if (failure.kind === 'denied') return this.#deps.binlog.denied(failure)
      return failure
    }
    return new SqlFailure('lost', error instanceof Error ? error.message : String(error), { cause: error })
  }
}

function imageChange({ app, object, nativeId, record, token, correlationId }: ReadImage): Change {
  return {
    app,
    object,
    nativeId,
    kind: 'image',
    record: record ?? {},
    ...(token === undefined ? {} : { token }),
    ...(correlationId === undefined ? {} : { correlationId }),
  }
}

/** What one transaction of the log says. Pure. */
class Transaction {
  readonly #app: AppId
  readonly #ready: ReadyBinlog
  readonly #transaction: LoggedTransaction
  readonly #isAnswered: BinlogSourceDeps['isAnswered']
  readonly #changes: Change[] = []
  /** Our own writes in it, by record: they stand in the log beside the rows that they changed. */
  readonly #own = new Map<string, { readonly op: string; readonly kind: string; readonly correlation: string }>()

  constructor(
    app: AppId,
    ready: ReadyBinlog,
    transaction: LoggedTransaction,
    isAnswered: BinlogSourceDeps['isAnswered'],
  ) {
    this.#app = app
    this.#ready = ready
    this.#transaction = transaction
    this.#isAnswered = isAnswered
  }

  changes(): readonly Change[] {
    const { rows, from, gtid, isLast } = this.#transaction
    for (const row of rows) if (row.table === this.#ready.names.ops) this.#noteOwn(row)
    for (const [i, row] of rows.entries()) this.#take(row, from + i)
    const last = this.#changes.length - 1
    return this.#changes.map((change, i) => ({
      ...change,
      sourceTx: { id: gtidText(gtid), index: from + i, last: isLast && i === last },
    }))
  }

  #noteOwn({ after }: LoggedRow): void {
    if (after === null) return
    const [op, object, nativeId, kind, correlation] = ['op', 'object', 'native_id', 'kind', 'correlation'].map((name) =>
      String(after[name]),
    ) as [string, string, string, string, string]
    this.#own.set(`${object}\u0000${nativeId}`, { op, kind, correlation })
  }

  #take(row: LoggedRow, index: number): void {
    for (const plan of this.#ready.plans.values()) {
      if (plan.use.table === row.table) this.#takeParent(plan, row, index)
      for (const part of plan.parts)
        if (part.use.table === row.table) this.#takePart(plan, part.use.parent, part.parent, row, index)
    }
  }

  #takeParent(plan: TablePlan, { before, after, atMs }: LoggedRow, index: number): void {
    const old = before === null ? null : this.#idOf(plan, before)
    const now = after === null ? null : this.#idOf(plan, after)
    if (old !== null && old !== now) this.#add(plan, old, index, atMs, { kind: 'deleted' })
    if (now === null || after === null) return
    // The whole record is more than this row: it is read, and one read answers all that its transaction changed.
    if (plan.parts.length > 0) return this.#add(plan, now, index, atMs, { kind: 'hint' })
    const record = recordOf(plan.columns, after)
    if (before !== null && old === now && same(record, recordOf(plan.columns, before))) return
    this.#add(plan, now, index, atMs, { kind: 'image', record })
  }

  #takePart(plan: TablePlan, name: string, column: Column, { before, after, atMs }: LoggedRow, index: number): void {
    const ids = [before, after].flatMap((row) =>
      row === null || row[name] == null ? [] : [loggedValue(row[name], column)],
    )
    for (const id of new Set(ids.map(idText))) this.#add(plan, asNativeId(id), index, atMs, { kind: 'hint' })
  }

  #idOf(plan: TablePlan, row: Readonly<Record<string, unknown>>): NativeId {
    return asNativeId(idText(loggedValue(row[plan.use.id], plan.id)))
  }

  #add(plan: TablePlan, nativeId: NativeId, index: number, atMs: number, what: Pick<Change, 'kind' | 'record'>): void {
    const { object } = plan.use
    const { seq } = this.#transaction.gtid
    const own = this.#own.get(`${object}\u0000${nativeId}`)
    if (own !== undefined && this.#isAnswered(nativeId, endToken(seq))) return
    const last = this.#changes.at(-1)
    if (what.kind === 'hint' && last?.kind === 'hint' && last.nativeId === nativeId && last.object === object) return
    this.#changes.push({
      app: this.#app,
      object,
      nativeId,
      ...what,
      ...(what.kind === 'hint' ? {} : { token: changeToken(seq, index) }),
      sourceTimeMs: atMs,
      deliveryId: `${gtidText(this.#transaction.gtid)}:${index}:${nativeId}`,
      ...(own === undefined ? {} : { mark: own.op }),
      ...(own?.kind === 'create' ? { correlationId: own.correlation } : {}),
    })
  }
}

function recordOf(columns: readonly Column[], row: Readonly<Record<string, unknown>>): NativeRecord {
  const record: Record<string, NativeData> = {}
  for (const column of columns)
    if (Object.hasOwn(row, column.name)) record[column.name] = loggedValue(row[column.name], column) as NativeData
  return record
}

const same = (a: NativeRecord, b: NativeRecord): boolean =>
  Object.keys(a).every((name) => valuesEqual(a[name] as Value, b[name] as Value))

export type { Gtid }
