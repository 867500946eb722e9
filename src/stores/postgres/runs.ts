import { SyncError } from '../../errors/index.ts'
import { systemClock } from '../../lib/system-clock.ts'
import { isOver, type Run, type RunState } from '../../model/flow.ts'
import { asJournalPosition, type FlowName, type JournalPosition, type RunId } from '../../model/ids.ts'
import { decodeData, encodeData } from '../../model/value.ts'
import type { RunCommit, RunCounts, RunQuery, RunStore } from '../../ports/runs.ts'
import { type Connected, Connection, placeOf, type Row, schemaName } from './driver.ts'
import { isConnectionLost, toPortError } from './errors.ts'
import { ownerLock, type PostgresStoreOptions, prepareSchema, SCHEMA_DEFAULT } from './store.ts'

/** How often a commit whose connection broke asks the server again what became of it, and the pause between. */
const ASK_AGAIN_MAX = 5
const ASK_AGAIN_MS = 400

const COLUMNS = 'seq, flow, state, ended_at_ms, body'

/**
 * The runs of flows in the schema of the store. A commit is one call and one transaction, fenced like the store's: by a row of its own, so that runs and records do not wait for each
 * other's commits. What a list shows and a recovery looks for stands in columns; the rest of a run is one JSON text.
 */
export class PostgresRunStore implements RunStore {
  readonly #schema: string
  readonly #place: string
  readonly #owner: Connection
  #epoch: number | null = null
  /** Number of the newest commit known to be done. */
  #commits = 0

  constructor({ url, schema = SCHEMA_DEFAULT, pg }: PostgresStoreOptions) {
    this.#schema = schemaName(schema)
    this.#place = `${placeOf(url)} (schema ${schema})`
    this.#owner = new Connection(
      { url, applicationName: 'latchwork runs', ...(pg === undefined ? {} : { pg }) },
      (connection) => this.#prepare(connection),
    )
  }

  async open(): Promise<{ readonly epoch: number }> {
    if (this.#epoch !== null)
      throw new SyncError('store.in-use', `the runs of ${this.#place} are already open here`, {
        place: { database: this.#place },
      })
    try {
      await this.#owner.open()
      const [row] = await this.#owner.rows(
        `UPDATE ${this.#schema}.run_state SET epoch = epoch + 1 RETURNING epoch, commits`,
      )
      const [epoch, commits] = row as Row
      this.#commits = Number(commits)
      this.#epoch = Number(epoch)
      return { epoch: this.#epoch }
    } catch (error) {
      throw toPortError('store', this.#place, error)
    }
  }

  /** On every new connection: the schema, the owner's lock, durable commits. */
  async #prepare(connection: Connected): Promise<void> {
    if (this.#epoch === null) await prepareSchema(connection, this.#schema, this.#place)
    await connection.script("SET synchronous_commit = on; SET lock_timeout = '10s'")
    await ownerLock(connection, `${this.#schema}.runs`, this.#place)
  }

  /** HOT PATH. */
  async commit({ epoch, cursors, runs }: RunCommit): Promise<void> {
    this.#requireOpen()
    const values = [
      epoch,
      runs.map(({ seq }) => seq),
      runs.map(({ flow }) => flow),
      runs.map(({ state }) => state),
      runs.map(endOf),
      runs.map(bodyOf),
      cursors.map(({ flow }) => flow),
      cursors.map(({ position }) => position),
    ]
    try {
      const [row] = await this.#owner.rows(
        `SELECT ${this.#schema}.commit_runs($1, $2, $3, $4, $5, $6, $7, $8)`,
        values,
        'latchwork_commit_runs',
      )
      this.#commits = Number(row?.[0])
    } catch (error) {
      if (isConnectionLost(error) && (await this.#wasDone(epoch))) return
      throw toPortError('store', this.#place, error)
    }
  }

  /** The connection broke while a commit was under way: the commit number, read behind the row's lock, says whether it was done. */
  async #wasDone(epoch: number): Promise<boolean> {
    for (let attempt = 0; attempt < ASK_AGAIN_MAX; attempt++) {
      try {
        const [row] = await this.#owner.rows(`SELECT epoch, commits FROM ${this.#schema}.run_state FOR UPDATE`)
        const [current, commits] = row as Row
        if (Number(current) !== epoch) return false
        const done = Number(commits) === this.#commits + 1
        this.#commits = Number(commits)
        return done
      } catch (error) {
        if (SyncError.is(error) || !isConnectionLost(error)) return false
        await new Promise<void>((resolve) => systemClock.timer(ASK_AGAIN_MS, resolve))
      }
    }
    return false
  }

  async cursor(flow: FlowName): Promise<JournalPosition> {
    const [row] = await this.#ask(`SELECT position FROM ${this.#schema}.run_cursors WHERE flow = $1`, [flow])
    return asJournalPosition(Number(row?.[0] ?? 0))
  }

  async runs(ids: readonly RunId[]): Promise<readonly Run[]> {
    const seqs = ids.map(Number).filter(Number.isSafeInteger)
    if (seqs.length === 0) return []
    const text = `SELECT ${COLUMNS} FROM ${this.#schema}.runs WHERE seq = ANY($1::bigint[]) ORDER BY seq`
    return (await this.#ask(text, [seqs])).map(runOf)
  }

  async unfinished(flow: FlowName, after: JournalPosition, max: number): Promise<readonly Run[]> {
    const text = `SELECT ${COLUMNS} FROM ${this.#schema}.runs WHERE flow = $1 AND seq > $2 AND ended_at_ms IS NULL ORDER BY seq LIMIT $3`
    return (await this.#ask(text, [flow, after, max])).map(runOf)
  }

  async list({ flow, state, before, max }: RunQuery): Promise<readonly Run[]> {
    const text = `SELECT ${COLUMNS} FROM ${this.#schema}.runs
      WHERE seq < $1 AND ($2::text IS NULL OR flow = $2) AND ($3::text IS NULL OR state = $3) ORDER BY seq DESC LIMIT $4`
    const first = before === undefined ? Number.MAX_SAFE_INTEGER : Number(before)
    return (await this.#ask(text, [first, flow ?? null, state ?? null, max])).map(runOf)
  }

  async counts(): Promise<RunCounts> {
    const counts: Record<string, Partial<Record<RunState, number>>> = {}
    const rows = await this.#ask(`SELECT flow, state, count(*) FROM ${this.#schema}.runs GROUP BY flow, state`)
    for (const [flow, state, count] of rows) (counts[flow as string] ??= {})[state as RunState] = Number(count)
    return counts
  }

  async prune(beforeMs: number, max: number): Promise<number> {
    const rows = await this.#ask(
      `DELETE FROM ${this.#schema}.runs WHERE seq IN (SELECT seq FROM ${this.#schema}.runs WHERE ended_at_ms < $1 ORDER BY seq LIMIT $2) RETURNING seq`,
      [beforeMs, max],
    )
    return rows.length
  }

  async close(): Promise<void> {
    this.#epoch = null
    await this.#owner.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #requireOpen(): void {
    if (this.#epoch === null)
      throw new SyncError('store.failed', `the runs of ${this.#place} are not open`, {
        place: { database: this.#place },
      })
  }

  async #ask(text: string, values: readonly unknown[] = []): Promise<readonly Row[]> {
    this.#requireOpen()
    try {
      return await this.#owner.rows(text, values)
    } catch (error) {
      throw toPortError('store', this.#place, error)
    }
  }
}

/** The index of unfinished runs is on this column, so it is set exactly when a run is over. */
const endOf = (run: Run): number | null => (isOver(run.state) ? (run.endedAtMs ?? 0) : null)

function bodyOf({ id, seq, flow, state, endedAtMs, ...rest }: Run): string {
  return encodeData(rest)
}

const runOf = ([seq, flow, state, endedAtMs, body]: Row): Run => ({
  ...(decodeData(body as string) as Omit<Run, 'id' | 'seq' | 'flow' | 'state' | 'endedAtMs'>),
  id: String(seq) as RunId,
  seq: asJournalPosition(Number(seq)),
  flow: flow as FlowName,
  state: state as RunState,
  endedAtMs: endedAtMs === null || endedAtMs === undefined ? null : Number(endedAtMs),
})
