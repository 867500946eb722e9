import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { SyncError } from '../../errors/index.ts'
import { isOver, type Run, type RunState } from '../../model/flow.ts'
import { asJournalPosition, type FlowName, type JournalPosition, type RunId } from '../../model/ids.ts'
import { decodeData, encodeData } from '../../model/value.ts'
import type { RunCommit, RunCounts, RunQuery, RunStore } from '../../ports/runs.ts'
import { Checkpointer } from './checkpointer.ts'
import { type OpenDriver, openNodeSqlite, type SqlValue } from './driver.ts'
import { toPortError } from './errors.ts'
import { acquireLock, type FileLock } from './lock.ts'
import { LogSync, systemFileSync } from './log-sync.ts'
import { type Migration, migrate, readMeta, writeMeta } from './migrations.ts'
import { SYNC_OURSELVES } from './schema.ts'
import { Statements } from './statements.ts'

/** What a list shows and a recovery looks for stands in columns; the rest of a run is one JSON text. */
export const RUN_MIGRATIONS: readonly Migration[] = [
  `
  CREATE TABLE runs (
    seq INTEGER PRIMARY KEY,
    flow TEXT NOT NULL,
    state TEXT NOT NULL,
    ended_at_ms INTEGER,
    body TEXT NOT NULL
  ) STRICT;
  CREATE INDEX runs_unfinished ON runs (flow, seq) WHERE ended_at_ms IS NULL;
  CREATE INDEX runs_parked ON runs (state, seq) WHERE state NOT IN ('done', 'running');

  CREATE TABLE cursors (
    flow TEXT PRIMARY KEY,
    position INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  `,
]

export interface SqliteRunStoreOptions {
  readonly path: string
  readonly openDriver?: OpenDriver
}

/** As in the store of records: less waits for the disk here, more off the event loop. */
const SYNC_FROM_RUNS = 4

/** FULL: a commit that resolved is on the disk. */
const PRAGMAS = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  PRAGMA wal_autocheckpoint = 4000;
  PRAGMA journal_size_limit = 67108864;
  PRAGMA cache_size = -16000;
`

const UPSERT = `
  INSERT INTO runs VALUES (?, ?, ?, ?, ?)
  ON CONFLICT (seq) DO UPDATE SET state = excluded.state, ended_at_ms = excluded.ended_at_ms, body = excluded.body`

const COLUMNS = 'seq, flow, state, ended_at_ms, body'

/** The runs of flows in a SQLite file of their own, so that they share no lock and no fsync with the records. */
export class SqliteRunStore implements RunStore {
  readonly #options: SqliteRunStoreOptions
  #opened: {
    readonly lock: FileLock
    readonly sql: Statements
    /** null where SQLite itself waits for the disk. */
    readonly durable: { readonly log: LogSync; readonly checkpointer: Checkpointer } | null
  } | null = null

  constructor(options: SqliteRunStoreOptions) {
    this.#options = options
  }

  async open(): Promise<{ readonly epoch: number }> {
    const { path, openDriver = openNodeSqlite } = this.#options
    let lock: FileLock | undefined
    try {
      mkdirSync(dirname(path), { recursive: true })
      lock = acquireLock(path, openDriver)
      const database = openDriver(path, { readOnly: false })
      database.exec(PRAGMAS)
      migrate(database, RUN_MIGRATIONS, 'store', path)
      const sql = new Statements(database)
      const epoch = sql.transaction(() => {
        const next = Number(readMeta(database, 'epoch') ?? 0) + 1
        writeMeta(database, 'epoch', next)
        return next
      })
      const isOurs = openDriver === openNodeSqlite
      if (isOurs) database.exec(SYNC_OURSELVES)
      const durable = isOurs
        ? { log: new LogSync('store', path, systemFileSync), checkpointer: new Checkpointer(path, database) }
        : null
      this.#opened = { lock, sql, durable }
      return { epoch }
    } catch (error) {
      lock?.release()
      throw toPortError('store', path, error)
    }
  }

  /** HOT PATH. */
  async commit({ epoch, cursors, runs }: RunCommit): Promise<void> {
    const durable = this.#opened?.durable ?? null
    durable?.log.requireSound()
    this.#ask((sql) =>
      sql.transaction(() => {
        const current = sql.of("SELECT value FROM meta WHERE name = 'epoch'").get()?.[0]
        if (current !== epoch)
          throw new SyncError('store.fenced', `epoch ${epoch} tried to commit, the run store is at epoch ${current}`)
        for (const run of runs) sql.of(UPSERT).run(run.seq, run.flow, run.state, endOf(run), bodyOf(run))
        for (const { flow, position } of cursors)
          sql
            .of('INSERT INTO cursors VALUES (?, ?) ON CONFLICT (flow) DO UPDATE SET position = excluded.position')
            .run(flow, position)
      }),
    )
    if (durable === null) return
    durable.checkpointer.committed(runs.length)
    if (runs.length < SYNC_FROM_RUNS) durable.log.now()
    else await durable.log.later()
  }

  async cursor(flow: FlowName): Promise<JournalPosition> {
    return this.#ask((sql) => {
      const row = sql.of('SELECT position FROM cursors WHERE flow = ?').get(flow)
      return asJournalPosition((row?.[0] as number | undefined) ?? 0)
    })
  }

  async runs(ids: readonly RunId[]): Promise<readonly Run[]> {
    if (ids.length === 0) return []
    const seqs = JSON.stringify(ids.map(Number).filter(Number.isSafeInteger))
    return this.#ask((sql) =>
      sql
        .of(`SELECT ${COLUMNS} FROM runs WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq`)
        .all(seqs)
        .map(runOf),
    )
  }

  async unfinished(flow: FlowName, after: JournalPosition, max: number): Promise<readonly Run[]> {
    return this.#ask((sql) =>
      sql
        .of(`SELECT ${COLUMNS} FROM runs WHERE flow = ? AND seq > ? AND ended_at_ms IS NULL ORDER BY seq LIMIT ?`)
        .all(flow, after, max)
        .map(runOf),
    )
  }

  async list({ flow, state, before, max }: RunQuery): Promise<readonly Run[]> {
    const where = ['seq < ?']
    const values: SqlValue[] = [before === undefined ? Number.MAX_SAFE_INTEGER : Number(before)]
    if (flow !== undefined) where.push('flow = ?') && values.push(flow)
    // The state is written out, so that the partial index can be used; it is one of ours.
    if (state !== undefined) where.push(`state = '${STATES.includes(state) ? state : ''}'`)
    return this.#ask((sql) =>
      sql
        .of(`SELECT ${COLUMNS} FROM runs WHERE ${where.join(' AND ')} ORDER BY seq DESC LIMIT ?`)
        .all(...values, max)
        .map(runOf),
    )
  }

  async counts(): Promise<RunCounts> {
    const counts: Record<string, Partial<Record<RunState, number>>> = {}
    const rows = this.#ask((sql) => sql.of('SELECT flow, state, count(*) FROM runs GROUP BY flow, state').all())
    for (const [flow, state, count] of rows) (counts[flow as string] ??= {})[state as RunState] = count as number
    return counts
  }

  async prune(beforeMs: number, max: number): Promise<number> {
    return this.#ask((sql) =>
      Number(
        sql
          .of('DELETE FROM runs WHERE seq IN (SELECT seq FROM runs WHERE ended_at_ms < ? ORDER BY seq LIMIT ?)')
          .run(beforeMs, max).changes,
      ),
    )
  }

  async close(): Promise<void> {
    const opened = this.#opened
    this.#opened = null
    await opened?.durable?.checkpointer.close()
    opened?.durable?.log.close()
    opened?.sql.database.close()
    opened?.lock.release()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #ask<T>(run: (sql: Statements) => T): T {
    const { path } = this.#options
    if (this.#opened === null)
      throw new SyncError('store.failed', `the run store ${path} is not open`, { place: { path } })
    try {
      return run(this.#opened.sql)
    } catch (error) {
      throw toPortError('store', path, error)
    }
  }
}

const STATES: readonly RunState[] = ['queued', 'running', 'retry', 'doubt', 'parked', 'done', 'cancelled']

/** The partial index of unfinished runs is on this column, so it is set exactly when a run is over. */
const endOf = (run: Run): number | null => (isOver(run.state) ? (run.endedAtMs ?? 0) : null)

function bodyOf({ id, seq, flow, state, endedAtMs, ...rest }: Run): string {
  return encodeData(rest)
}

const runOf = ([seq, flow, state, endedAtMs, body]: readonly SqlValue[]): Run => ({
  ...(decodeData(body as string) as Omit<Run, 'id' | 'seq' | 'flow' | 'state' | 'endedAtMs'>),
  id: String(seq) as RunId,
  seq: seq as JournalPosition,
  flow: flow as FlowName,
  state: state as RunState,
  endedAtMs: endedAtMs as number | null,
})
