import { SyncError } from '../../errors/index.ts'
import { systemClock, systemRandom } from '../../lib/system-clock.ts'
import type { AppId, CanonicalKey, JournalPosition } from '../../model/ids.ts'
import type { Random } from '../../ports/clock.ts'
import type { CommitBatch, LinkQuery, LoadQuery, Store, StoreInfo, StoreReader } from '../../ports/store.ts'
import { newInstanceId } from '../instance-id.ts'
import { commitCall } from './commit.ts'
import { type Connected, Connection, type PgModule, placeOf, type Row, schemaName } from './driver.ts'
import { isConnectionLost, toPortError } from './errors.ts'
import { migrate, migrationState, requireKnown } from './migrations.ts'
import * as queries from './queries.ts'
import { functionsOf, MIGRATIONS } from './schema.ts'

export interface PostgresStoreOptions {
  /** `postgres://user:password@host:port/database`. The user needs CREATE on the database, or ownership of the schema. Not through a pooler that pools transactions: the owner holds a session's lock. */
  readonly url: string
  /** Holds all tables of one hub. Default `latchwork`; two hubs in one database take two schemas. */
  readonly schema?: string
  /** For the instance id of a new store. */
  readonly random?: Random
  /** The package `pg`, when it is not to be found by import. */
  readonly pg?: PgModule
}

export const SCHEMA_DEFAULT = 'latchwork'

/** How often a commit whose connection broke asks the server again what became of it, and the pause between. */
const ASK_AGAIN_MAX = 5
const ASK_AGAIN_MS = 400
/** A session that ended with its host may hold its lock for a moment longer. */
const LOCK_TRIES = 10
const LOCK_PAUSE_MS = 300

/**
 * The store in PostgreSQL: one row per record, one round trip per batch. A commit is durable when it resolves; the connection asks for `synchronous_commit = on` whatever the server's
 * default is. Fencing is a row that every commit updates under its epoch: a newer owner waits for a commit under way, and every later one of the older owner is refused.
 */
export class PostgresStore implements Store {
  readonly #schema: string
  readonly #place: string
  readonly #random: Random
  /** The owner's connection: loads and commits in the order of their calls. */
  readonly #owner: Connection
  /** For people's queries, so that they never stand before a commit. */
  readonly #asking: Connection
  #info: StoreInfo | null = null
  /** Number of the newest commit known to be done. */
  #commits = 0

  constructor(options: PostgresStoreOptions) {
    const { url, schema = SCHEMA_DEFAULT, random = systemRandom, pg } = options
    this.#schema = schemaName(schema)
    this.#place = `${placeOf(url)} (schema ${schema})`
    this.#random = random
    const driver = pg === undefined ? {} : { pg }
    this.#owner = new Connection({ url, applicationName: 'latchwork store', ...driver }, (connection) =>
      this.#prepare(connection),
    )
    this.#asking = new Connection({ url, applicationName: 'latchwork queries', ...driver })
  }

  async open(): Promise<StoreInfo> {
    if (this.#info !== null)
      throw new SyncError('store.in-use', `${this.#place} is already open here`, { place: { database: this.#place } })
    try {
      await this.#owner.open()
      const instanceId = newInstanceId(this.#random)
      const [row] = await this.#owner.rows(
        `INSERT INTO ${this.#schema}.state AS state (instance_id, epoch) VALUES ($1, 1)
         ON CONFLICT (only_row) DO UPDATE SET epoch = state.epoch + 1
         RETURNING instance_id, generation, epoch, commits`,
        [instanceId],
      )
      const [id, generation, epoch, commits] = row as Row
      this.#commits = Number(commits)
      this.#info = {
        schemaVersion: MIGRATIONS.length,
        instanceId: id as string,
        generation: Number(generation),
        epoch: Number(epoch),
      }
      return this.#info
    } catch (error) {
      throw toPortError('store', this.#place, error)
    }
  }

  /** On every new connection of the owner: the schema, the owner's lock, durable commits. */
  async #prepare(connection: Connected): Promise<void> {
    if (this.#info === null) await prepareSchema(connection, this.#schema, this.#place)
    await connection.script("SET synchronous_commit = on; SET lock_timeout = '10s'")
    await ownerLock(connection, `${this.#schema}.store`, this.#place)
  }

  async commit(batch: CommitBatch): Promise<void> {
    this.#requireOpen()
    const { text, values } = commitCall(this.#schema, batch)
    try {
      const [row] = await this.#owner.rows(text, values, 'latchwork_commit')
      this.#commits = Number(row?.[0])
    } catch (error) {
      if (isConnectionLost(error) && (await this.#wasDone(batch.epoch))) return
      throw toPortError('store', this.#place, error)
    }
  }

  /** The connection broke while a commit was under way: the commit number, read behind the row's lock, says whether it was done. */
  async #wasDone(epoch: number): Promise<boolean> {
    for (let attempt = 0; attempt < ASK_AGAIN_MAX; attempt++) {
      try {
        const [row] = await this.#owner.rows(`SELECT epoch, commits FROM ${this.#schema}.state FOR UPDATE`)
        const [current, commits] = row as Row
        if (Number(current) !== epoch) return false
        const done = Number(commits) === this.#commits + 1
        this.#commits = Number(commits)
        return done
      } catch (error) {
        if (SyncError.is(error) || !isConnectionLost(error)) return false
        await pause(ASK_AGAIN_MS)
      }
    }
    return false
  }

  async load(query: LoadQuery): ReturnType<Store['load']> {
    return this.#ask(this.#owner, (rows) => queries.load(rows, this.#schema, query))
  }

  async cursor(consumer: string): ReturnType<Store['cursor']> {
    return this.#ask(this.#owner, (rows) => queries.cursor(rows, this.#schema, consumer))
  }

  async openLanes(
    after: { readonly key: CanonicalKey; readonly app: AppId } | null,
    max: number,
  ): ReturnType<Store['openLanes']> {
    return this.#ask(this.#owner, (rows) => queries.openLanes(rows, this.#schema, after, max))
  }

  async held(after: JournalPosition, max: number): ReturnType<Store['held']> {
    return this.#ask(this.#owner, (rows) => queries.held(rows, this.#schema, after, max))
  }

  async links(query: LinkQuery): ReturnType<Store['links']> {
    return this.#ask(this.#asking, (rows) => queries.links(rows, this.#schema, query))
  }

  async conflicts(query: Parameters<Store['conflicts']>[0]): ReturnType<Store['conflicts']> {
    return this.#ask(this.#asking, (rows) => queries.conflicts(rows, this.#schema, query))
  }

  async verdicts(key: CanonicalKey): ReturnType<Store['verdicts']> {
    return this.#ask(this.#asking, (rows) => queries.verdicts(rows, this.#schema, key))
  }

  async notes(kind: string, max: number): ReturnType<Store['notes']> {
    return this.#ask(this.#asking, (rows) => queries.notes(rows, this.#schema, kind, max))
  }

  async counts(): ReturnType<Store['counts']> {
    return this.#ask(this.#asking, (rows) => queries.counts(rows, this.#schema))
  }

  async close(): Promise<void> {
    this.#info = null
    await this.#owner.close()
    await this.#asking.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #ask<T>(connection: Connection, query: (rows: queries.Ask) => Promise<T>): Promise<T> {
    this.#requireOpen()
    try {
      return await query((text, values, name) => connection.rows(text, values, name))
    } catch (error) {
      throw toPortError('store', this.#place, error)
    }
  }

  #requireOpen(): void {
    if (this.#info !== null) return
    throw new SyncError('store.failed', `the store in ${this.#place} is not open`, {
      place: { database: this.#place },
    })
  }
}

/** Reads the store of a hub from another process, whether the hub runs or not. Takes no lock, raises no epoch and never writes. */
export async function openPostgresReader(options: PostgresStoreOptions): Promise<StoreReader> {
  const { url, schema: given = SCHEMA_DEFAULT, pg } = options
  const schema = schemaName(given)
  const place = `${placeOf(url)} (schema ${schema})`
  const connection = new Connection(
    { url, applicationName: 'latchwork reader', ...(pg === undefined ? {} : { pg }) },
    async (made) => {
      await made.script('SET default_transaction_read_only = on')
      const state = await migrationState(made, schema, MIGRATIONS)
      requireKnown(state, place)
      if (state.found > 0) return
      throw new SyncError(
        'store.failed',
        `${place} does not exist; start the hub once, or correct \`store\` in the config`,
        {
          place: { database: place },
        },
      )
    },
  )
  const ask: queries.Ask = async (text, values, name) => {
    try {
      return await connection.rows(text, values, name)
    } catch (error) {
      throw toPortError('store', place, error)
    }
  }
  const close = () => connection.close()
  return {
    load: (query) => queries.load(ask, schema, query),
    cursor: (consumer) => queries.cursor(ask, schema, consumer),
    openLanes: (after, max) => queries.openLanes(ask, schema, after, max),
    held: (after, max) => queries.held(ask, schema, after, max),
    links: (query) => queries.links(ask, schema, query),
    conflicts: (query) => queries.conflicts(ask, schema, query),
    verdicts: (key) => queries.verdicts(ask, schema, key),
    notes: (kind, max) => queries.notes(ask, schema, kind, max),
    counts: () => queries.counts(ask, schema),
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** A new database gets the schema; an older one is moved only by `latchwork migrate`, because other programs may read it. */
export async function prepareSchema(connection: Connected, schema: string, place: string): Promise<void> {
  const state = await migrationState(connection, schema, MIGRATIONS)
  requireKnown(state, place)
  if (state.found === 0) await migrate(connection, schema, MIGRATIONS, place)
  else if (state.found < state.known) {
    throw new SyncError(
      'store.version-old',
      `${place} has schema version ${state.found}, this version of Latchwork needs ${state.known}. Stop the hub, back the database up, and run \`latchwork migrate\``,
      { place: { database: place, found: state.found, known: state.known } },
    )
  }
  await withUpdateRace(() => connection.script(functionsOf(schema)))
}

/** Two openings at once may replace the same function; the server refuses one of them, which then only has to try again. */
async function withUpdateRace(run: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await run()
    } catch (error) {
      if (attempt === 5 || !/tuple concurrently updated/.test(String(error))) throw error
      await pause(50 * attempt)
    }
  }
}

/** One owner at a time: a lock of the session, which ends with it however it ends. The epoch is the proof in the data itself. */
export async function ownerLock(connection: Connected, name: string, place: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const [row] = await connection.rows('SELECT pg_try_advisory_lock(hashtextextended($1, 7120411))', [name])
    if (row?.[0] === 't' || row?.[0] === 'true') return
    if (attempt === LOCK_TRIES) {
      throw new SyncError('store.in-use', `${place} is in use by another hub; stop it first, or take another schema`, {
        place: { database: place },
      })
    }
    await pause(LOCK_PAUSE_MS)
  }
}

/** To be called once after the database was put back from a backup, before the hub starts: op ids made since the backup are not used again. */
export async function markPostgresRestored(options: PostgresStoreOptions): Promise<void> {
  const { url, schema = SCHEMA_DEFAULT, pg } = options
  const place = `${placeOf(url)} (schema ${schema})`
  const connection = new Connection(
    { url, applicationName: 'latchwork', ...(pg === undefined ? {} : { pg }) },
    (made) => ownerLock(made, `${schemaName(schema)}.store`, place),
  )
  try {
    await connection.rows(`UPDATE ${schemaName(schema)}.state SET generation = generation + 1`)
  } catch (error) {
    throw toPortError('store', place, error)
  } finally {
    await connection.close()
  }
}

export interface MigrationReport {
  readonly place: string
  readonly from: number
  readonly to: number
  readonly steps: readonly { readonly version: number; readonly what: string }[]
}

/** Moves the schema to the newest version, or with `check` only says what would be done. */
export async function migratePostgres(
  options: PostgresStoreOptions,
  { check = false }: { readonly check?: boolean } = {},
): Promise<MigrationReport> {
  const { url, schema: given = SCHEMA_DEFAULT, pg } = options
  const schema = schemaName(given)
  const place = `${placeOf(url)} (schema ${schema})`
  const report: { state?: { found: number; known: number }; steps?: MigrationReport['steps'] } = {}
  const connection = new Connection(
    { url, applicationName: 'latchwork migrate', ...(pg === undefined ? {} : { pg }) },
    async (made) => {
      const state = await migrationState(made, schema, MIGRATIONS)
      requireKnown(state, place)
      report.state = state
      if (check) return
      if (state.found > 0 && state.found < state.known) await ownerLock(made, `${schema}.store`, place)
      report.steps = await migrate(made, schema, MIGRATIONS, place)
    },
  )
  try {
    await connection.open()
    const { found = 0, known = 0 } = report.state ?? {}
    const pending = MIGRATIONS.slice(found).map(({ what }, i) => ({ version: found + i + 1, what }))
    return { place, from: found, to: known, steps: report.steps ?? pending }
  } catch (error) {
    throw toPortError('store', place, error)
  } finally {
    await connection.close()
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => systemClock.timer(ms, resolve))
