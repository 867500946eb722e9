import { hash } from 'node:crypto'
import { SyncError } from '../../errors/index.ts'
import type { Change } from '../../model/change.ts'
import {
  type AppId,
  asNativeId,
  asToken,
  type FeedPosition,
  type NativeId,
  type ObjectId,
  type Token,
} from '../../model/ids.ts'
import { encodeData, type NativeRecord } from '../../model/value.ts'
import type { Source } from '../../ports/app.ts'
import type { Clock, Log } from '../../ports/clock.ts'
import type { Names } from '../change-table/ddl.ts'
import { snapshotOf } from '../change-table/snapshot.ts'
import { findOps } from '../change-table/statements.ts'
import { readErrorOf } from '../tables/errors.ts'
import type { TablePlan, TablePlans } from '../tables/plan.ts'
import { planOf, RecordReads } from '../tables/record-reads.ts'
import { idParam, idText, readRecords } from '../tables/records.ts'
import type { CallLimits, SqlDatabase, SqlSession } from '../tables/sql.ts'
import { absenceOf } from './absent.ts'
import type { PollingOptions } from './options.ts'
import { type PollPosition, readPollPosition, writePollPosition } from './position.ts'

const CALL_MS = 20_000
/** Ids that are kept to notice deletions by: 10 million of them are some hundred megabytes, and no table to be polled. */
const KNOWN_MAX = 2_000_000
const SWEEP_PAGE = 5_000

export interface ReadyPolling {
  readonly plans: TablePlans
  readonly names: Names
}

export interface PollingSourceDeps {
  readonly database: SqlDatabase
  readonly clock: Clock
  readonly log: Log
  readonly polling: PollingOptions
  readonly objects: readonly ObjectId[]
  readonly ready: (limits: CallLimits) => Promise<ReadyPolling>
  readonly release: () => Promise<void>
}

/** Changes of an application whose tables are asked again and again, because nothing else is allowed: one feed for each table. */
export function createPollingSource(app: AppId, deps: PollingSourceDeps): Source {
  const polls = new Map(deps.objects.map((object) => [object as string, new TablePoll(app, object, deps)]))
  const { clock, database } = deps
  const reads = new RecordReads(app, {
    clock,
    callMs: CALL_MS,
    within: async (_what, limits, work) => {
      const ready = await deps.ready(limits)
      const versionIn = (plan: TablePlan, record: NativeRecord | undefined): Token | undefined =>
        record === undefined ? undefined : versionOf(plan, record)
      return database.read((session) => work(snapshotOf(app, database.dialect, session, ready, versionIn)), limits)
    },
  })
  return {
    app,
    listens: [],
    feeds: deps.objects.map((object) => ({ feed: object, everyMs: deps.polling.everyMs })),
    accept() {
      throw new SyncError('intake.unknown-path', `${app} is a database: it sends no webhooks.`)
    },
    read: (feed, after, max, signal) => {
      const poll = polls.get(feed)
      if (poll === undefined) throw new SyncError('internal.bug', `${app} has no feed ${feed}`)
      return poll.read(after, max, signal)
    },
    async confirm() {},
    readRecords: (requests, signal) => reads.readRecords(requests, signal),
    findByCorrelation: (requests, signal) => reads.findByCorrelation(requests, signal),
    scan: (object, after, max, signal) => reads.scan(object, after, max, signal),
    close: deps.release,
    [Symbol.asyncDispose]: deps.release,
  }
}

interface Page {
  readonly changes: readonly Change[]
  readonly position: FeedPosition
  readonly more: boolean
}

/**
 * One table, by (time of change, id). A pass begins the overlap before the greatest time seen so far, because a transaction that was open then may have committed since under an older time (hazard 18); rows that were told
 * already, and are as they were, are not told again. Rows that share a time are told apart by their id.
 */
class TablePoll {
  readonly #app: AppId
  readonly #object: ObjectId
  readonly #deps: PollingSourceDeps
  /** The last form in which each row of the overlap was told. Compared with the last only: a value that came back is a change. */
  #told = new Map<NativeId, string>()
  #toldNow = new Map<NativeId, string>()
  /** What a pass that is over changes here, once it is known that its last page was taken. */
  #pending: {
    readonly position: FeedPosition
    readonly told: Map<NativeId, string>
    readonly asked: readonly NativeId[]
  } | null = null
  #known: Set<NativeId> | null = null
  #missing: ReadonlySet<NativeId> = new Set()
  #sweptAtMs = 0

  constructor(app: AppId, object: ObjectId, deps: PollingSourceDeps) {
    this.#app = app
    this.#object = object
    this.#deps = deps
  }

  async read(after: FeedPosition | null, max: number, signal: AbortSignal): Promise<Page> {
    const limits = { untilMs: this.#deps.clock.monotonicMs() + CALL_MS, signal }
    try {
      const from = after === null ? { seen: null, pass: 0, within: null } : readPollPosition(after)
      if (from === undefined)
        throw new SyncError(
          'source.position-invalid',
          `${this.#app}: '${after}' is not a place of a poll. Was \`changes\` another way before?`,
          {
            place: { app: this.#app, object: this.#object },
          },
        )
      if (after !== null && this.#pending?.position === after) {
        this.#told = this.#pending.told
        for (const id of this.#pending.asked) this.#known?.delete(id)
      }
      this.#pending = null
      if (from.within === null) this.#toldNow = new Map()
      const ready = await this.#deps.ready(limits)
      const plan = planOf(this.#app, ready.plans, this.#object)
      const page = await this.#deps.database.read((session) => this.#page(session, ready, plan, from, max), limits)
      const suspects = page.isOver ? await this.#sweep(plan, limits) : []
      const changes = [...page.changes, ...suspects.map((nativeId) => hint(this.#app, this.#object, nativeId))]
      const pass = page.isOver && changes.length > 0 ? from.pass + 1 : from.pass
      const position = writePollPosition({ ...page.position, pass })
      if (page.isOver) this.#pending = { position, told: this.#toldNow, asked: suspects }
      return { changes, position, more: !page.isOver }
    } catch (error) {
      throw readErrorOf(this.#app, this.#object, error)
    }
  }

  async #page(
    session: SqlSession,
    ready: ReadyPolling,
    plan: TablePlan,
    from: PollPosition,
    max: number,
  ): Promise<{ readonly changes: readonly Change[]; readonly position: PollPosition; readonly isOver: boolean }> {
    const { dialect } = this.#deps.database
    const time = dialect.quote(plan.use.updatedAt ?? '')
    const id = dialect.quote(plan.use.id)
    const within = from.within
    const where =
      within !== null
        ? `where ${time} > ? or (${time} = ? and ${id} > ?)`
        : from.seen !== null
          ? `where ${time} >= ${dialect.earlier(this.#deps.polling.overlapMs)}`
          : ''
    const params =
      within !== null
        ? [within.time, within.time, idParam(dialect, plan, asNativeId(within.id))]
        : from.seen !== null
          ? [from.seen]
          : []
    const { rows } = await session.run(
      `select ${id}, ${time} from ${dialect.quote(plan.use.table)} ${where} order by ${time}, ${id} limit ${max}`,
      params,
    )
    const ids = rows.map(([key]) => asNativeId(idText(dialect.read(key, plan.id))))
    const records = await readRecords(dialect, session, plan, ids, false)
    const ops = await findOps(session, dialect, ready.names, this.#object, ids)
    const changes: Change[] = []
    for (const nativeId of ids) {
      const record = records.get(nativeId)
      if (record === undefined || !this.#isNew(nativeId, record)) continue
      const correlationId = ops.get(nativeId)?.correlation ?? null
      changes.push({
        ...image(this.#app, plan, nativeId, record),
        ...(correlationId === null ? {} : { correlationId }),
      })
    }
    for (const nativeId of ids) this.#known?.add(nativeId)
    const last = rows.at(-1)
    const max_ = last === undefined ? (within?.max ?? from.seen) : String(last[1])
    if (rows.length >= max && last !== undefined) {
      const next = { time: String(last[1]), id: ids.at(-1) as string, max: String(last[1]) }
      return { changes, position: { ...from, within: next }, isOver: false }
    }
    return { changes, position: { ...from, seen: max_ ?? null, within: null }, isOver: true }
  }

  #isNew(nativeId: NativeId, record: NativeRecord): boolean {
    const form = hash('sha256', encodeData(record), 'base64')
    this.#toldNow.set(nativeId, form)
    return this.#told.get(nativeId) !== form
  }

  /** Now and then all ids are compared with those that were there before: what is missing twice is asked for by id (hazard 19). */
  async #sweep(plan: TablePlan, limits: CallLimits): Promise<readonly NativeId[]> {
    const { clock, polling, log } = this.#deps
    if (this.#known !== null && clock.monotonicMs() - this.#sweptAtMs < polling.deletesEveryMs) return []
    this.#sweptAtMs = clock.monotonicMs()
    const there = await this.#ids(plan, limits)
    if (this.#known === null) {
      this.#known = there
      return []
    }
    const { suspects, missing, isMass } = absenceOf(this.#known, there, this.#missing)
    if (isMass)
      log.log(
        'warn',
        `${this.#app}: ${missing.size} of ${this.#known.size} records of ${this.#object} are missing at once; nothing is taken for deleted while so many are. Look whether the hub may still see them all.`,
        { app: this.#app, object: this.#object },
      )
    this.#missing = missing
    for (const id of there) this.#known.add(id)
    return suspects
  }

  async #ids(plan: TablePlan, limits: CallLimits): Promise<Set<NativeId>> {
    const { dialect } = this.#deps.database
    const id = dialect.quote(plan.use.id)
    const ids = new Set<NativeId>()
    let after: NativeId | null = null
    for (;;) {
      const from: string = after === null ? '' : `where ${id} > ?`
      const params = after === null ? [] : [idParam(dialect, plan, after)]
      const { rows } = await this.#deps.database.read(
        (session) =>
          session.run(
            `select ${id} from ${dialect.quote(plan.use.table)} ${from} order by ${id} limit ${SWEEP_PAGE}`,
            params,
          ),
        limits,
      )
      for (const [key] of rows) ids.add((after = asNativeId(idText(dialect.read(key, plan.id)))))
      if (rows.length < SWEEP_PAGE) return ids
      if (ids.size > KNOWN_MAX)
        throw new SyncError(
          'database.schema',
          `${this.#app}: ${this.#object} has more than ${KNOWN_MAX} records; deletions cannot be noticed by comparing ids. Use its log or triggers.`,
        )
    }
  }
}

const hint = (app: AppId, object: ObjectId, nativeId: NativeId): Change => ({ app, object, nativeId, kind: 'hint' })

function image(app: AppId, plan: TablePlan, nativeId: NativeId, record: NativeRecord): Change {
  const token = versionOf(plan, record)
  return { app, object: plan.use.object, nativeId, kind: 'image', record, ...(token === undefined ? {} : { token }) }
}

/** The column whose number grows with every change, where there is one. */
export function versionOf(plan: TablePlan, record: NativeRecord): Token | undefined {
  const value = plan.use.version === null ? undefined : record[plan.use.version]
  return value === undefined || value === null ? undefined : asToken(String(value))
}
