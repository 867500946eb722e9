/**
 * An application whose data are a PostgreSQL database. People write through it; programs may write the tables past it, and it shows what they wrote.
 */

import pg from 'pg'
import type { AppDescription, Id, ObjectDescription, Row, SeedRecord } from '../app-kit/description.ts'
import { type Body, parseGiven, parseNew } from '../app-kit/fields.ts'
import type { AppStore, Reply, StoredRow, WriteContext } from '../app-kit/port.ts'
import { invalidField, RequestProblem } from '../app-kit/problem.ts'
import { PostgresRows } from './rows.ts'
import { parentColumn, quote, schemaSql } from './schema.ts'

const CONNECTIONS_MAX = 10
/** A transaction that met others at the same rows is begun again: nothing of it was done. */
const TRIES_MAX = 5
const INT8 = 20

type Done = { readonly status: 200 | 201 | 204; readonly id: Id }

/** Whole numbers of this database are ids, cents and counts, all below 2^53. */
const types = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') =>
    oid === INT8 ? Number : pg.types.getTypeParser(oid, format as 'text'),
} as pg.CustomTypesConfig

export class PostgresStore implements AppStore {
  readonly app: AppDescription
  readonly legacy = false
  readonly #pool: pg.Pool
  readonly #listening: pg.Client
  readonly #tables = new Map<string, PostgresRows>()
  readonly #listeners: (() => void)[] = []
  #rev = 0

  private constructor(app: AppDescription, pool: pg.Pool, listening: pg.Client) {
    this.app = app
    this.#pool = pool
    this.#listening = listening
    for (const object of app.objects) this.#tables.set(object.name, new PostgresRows(pool, app, object))
  }

  /** Makes the tables where there are none. */
  static async open(app: AppDescription, url: string): Promise<PostgresStore> {
    const pool = new pg.Pool({ connectionString: url, max: CONNECTIONS_MAX, types })
    const listening = new pg.Client({ connectionString: url })
    pool.on('error', (error) => console.error(error))
    listening.on('error', (error) => console.error(error))
    const store = new PostgresStore(app, pool, listening)
    const { rows } = await pool.query(`SELECT to_regclass('write_log') IS NOT NULL AS is_there`)
    if (rows[0].is_there !== true) await store.#transaction((db) => db.query(schemaSql(app)))
    await listening.connect()
    listening.on('notification', ({ payload }) => store.#changed(Number(payload)))
    await listening.query('LISTEN changed')
    const newest = await pool.query('SELECT coalesce(max(rev), 0) AS rev FROM documents')
    store.#rev = newest.rows[0].rev
    return store
  }

  get rev(): number {
    return this.#rev
  }

  table(name: string): PostgresRows | undefined {
    return this.#tables.get(name)
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener)
  }

  #changed(rev: number): void {
    this.#rev = Math.max(this.#rev, rev)
    for (const listener of this.#listeners) listener()
  }

  /** Nobody is told: whoever wants to know reads the log of the database. */
  webhooksPending(): number {
    return 0
  }

  create(object: ObjectDescription, body: Body, context: WriteContext): Promise<Reply> {
    return this.#write(object, context, async (db) => {
      const fields = this.#withoutReference(parseNew(object, body, { app: this.app, now: new Date().toISOString() }))
      const id = await insertDocument(db, object, fields)
      return { status: 201, id }
    })
  }

  modify(object: ObjectDescription, id: Id, body: Body, whole: boolean, context: WriteContext): Promise<Reply> {
    return this.#write(object, context, async (db) => {
      const { row } = await this.#held(db, object, id, context)
      const options = { app: this.app, now: new Date().toISOString() }
      const given = this.#withoutReference(whole ? parseNew(object, body, options) : parseGiven(object, body, options))
      const changed = Object.entries(given).filter(([name, value]) => !isEqual(value, row[name]))
      await updateDocument(db, object, id, Object.fromEntries(changed))
      return { status: 200, id }
    })
  }

  delete(object: ObjectDescription, id: Id, context: WriteContext): Promise<Reply> {
    return this.#write(object, context, async (db) => {
      await this.#held(db, object, id, context)
      await db.query(`DELETE FROM ${quote(object.name)} WHERE ${quote(object.idField)} = $1`, [id])
      return { status: 204, id }
    })
  }

  async live(object: ObjectDescription, id: Id, on?: pg.PoolClient): Promise<StoredRow> {
    const stored = await this.#rows(object).get(id, on)
    if (!stored) throw new RequestProblem(404, 'not-found', `There is no ${object.one} ${id}.`)
    if (stored.deleted) throw new RequestProblem(410, 'gone', `The ${object.one} ${id} has been deleted.`)
    return stored
  }

  seed(records: readonly SeedRecord[]): Promise<void> {
    return this.#transaction(async (db) => {
      await db.query(`SELECT set_config('app.actor', 'seed', true)`)
      for (const { object: name, body } of records) {
        const { object } = this.#tables.get(name)!
        await insertDocument(db, object, parseNew(object, body, { app: this.app, now: new Date().toISOString() }))
      }
    })
  }

  async logJson(afterSeq: number, limit: number): Promise<string> {
    const { rows } = await this.#pool.query('SELECT * FROM write_log WHERE seq > $1 ORDER BY seq LIMIT $2', [
      afterSeq,
      limit,
    ])
    return JSON.stringify({ items: rows, next: rows.at(-1)?.seq ?? afterSeq })
  }

  visible(row: Row): Row {
    return row
  }

  tombstone(object: ObjectDescription, row: Row, revision: number): Row & { deleted: true } {
    const { rev, extRef } = this.app.names
    const tombstone = {
      [object.idField]: row[object.idField]!,
      [rev]: revision,
      [extRef]: null,
      deleted: true as const,
    }
    return tombstone as unknown as Row & { deleted: true }
  }

  async close(): Promise<void> {
    await Promise.all([this.#pool.end(), this.#listening.end()])
  }

  #rows(object: ObjectDescription): PostgresRows {
    return this.#tables.get(object.name)!
  }

  /** The row stays as it is until the transaction ends. */
  async #held(db: pg.PoolClient, object: ObjectDescription, id: Id, { ifMatch }: WriteContext): Promise<StoredRow> {
    await db.query(`SELECT 1 FROM ${quote(object.name)} WHERE ${quote(object.idField)} = $1 FOR UPDATE`, [id])
    const stored = await this.live(object, id, db)
    if (ifMatch === null || ifMatch === 'any' || ifMatch.includes(stored.rev)) return stored
    const detail = `The record has changed since; it is at revision ${stored.rev} now.`
    throw new RequestProblem(412, 'stale', detail, {}, { etag: `"${stored.rev}"` })
  }

  async #write(
    object: ObjectDescription,
    context: WriteContext,
    work: (db: pg.PoolClient) => Promise<Done>,
  ): Promise<Reply> {
    if (context.idempotencyKey !== null)
      throw new RequestProblem(400, 'not-supported', 'Programs write the tables of this application, not its pages.')
    try {
      return await this.#transaction(async (db) => {
        await db.query(`SELECT set_config('app.actor', $1, true), set_config('app.client_tag', $2, true)`, [
          context.actor,
          context.clientTag ?? '',
        ])
        const { status, id } = await work(db)
        // What would be written down at the commit is needed for the reply.
        await db.query('SET CONSTRAINTS ALL IMMEDIATE')
        if (status === 204) return { status, body: '', rev: null, location: null, replayed: false }
        const { row, rev } = await this.live(object, id, db)
        const location = status === 201 ? `/${object.name}/${id}` : null
        return { status, body: JSON.stringify(row), rev, location, replayed: false }
      })
    } catch (error) {
      throw await this.#problemOf(object, error)
    }
  }

  async #transaction<T>(work: (db: pg.PoolClient) => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      const db = await this.#pool.connect()
      try {
        await db.query('BEGIN')
        const result = await work(db)
        await db.query('COMMIT')
        return result
      } catch (error) {
        await db.query('ROLLBACK').catch(() => {})
        if (tries === TRIES_MAX || !['40P01', '40001'].includes(codeOf(error))) throw error
      } finally {
        db.release()
      }
    }
  }

  /** What the database refuses, in the words of the application. */
  async #problemOf(object: ObjectDescription, error: unknown): Promise<unknown> {
    const { detail = '' } = error as { detail?: string }
    if (codeOf(error) === '23505') {
      const [, name = '', value = ''] = /\(lower\("?(\w+)"?\)\)=\((.*)\)/.exec(detail) ?? []
      const existing = await this.#rows(object).find(name, value)
      const members = { field: name, existing_id: existing?.row[object.idField] ?? null }
      return new RequestProblem(409, 'duplicate', `Another ${object.one} has this ${name}.`, members)
    }
    if (codeOf(error) !== '23503') return error
    if (/is still referenced/.test(detail))
      return new RequestProblem(409, 'referenced', `Other records refer to the ${object.one}.`)
    const [, name = '', id = '', target = ''] = /\((\w+)\)=\((.*)\) is not present in table "(\w+)"/.exec(detail) ?? []
    return invalidField(name, `there is no live record ${id} in ${target}`, 'unknown-reference')
  }

  /** Of an external reference there is no column: it belongs to programs that have no other place for it. */
  #withoutReference(row: Row): Row {
    const { [this.app.names.extRef]: reference, ...rest } = row
    if (reference !== undefined && reference !== null)
      throw invalidField(this.app.names.extRef, 'is not kept by this application', 'unknown-field')
    return rest
  }
}

async function insertDocument(db: pg.PoolClient, object: ObjectDescription, row: Row): Promise<Id> {
  const names = object.fields.map(({ name }) => name)
  const { rows } = await db.query(
    `INSERT INTO ${quote(object.name)} (${names.map(quote).join(', ')}) VALUES (${names.map((_, i) => `$${i + 1}`).join(', ')}) RETURNING ${quote(object.idField)} AS id`,
    names.map((name) => row[name]),
  )
  await insertLines(db, object, rows[0].id, row)
  return rows[0].id
}

async function insertLines(db: pg.PoolClient, object: ObjectDescription, id: Id, row: Row): Promise<void> {
  const { lines } = object
  if (lines === undefined) return
  const names = lines.fields.map(({ name }) => name)
  for (const line of row[lines.name] as Row[]) {
    await db.query(
      `INSERT INTO ${quote(lines.table)} (${[parentColumn(object), ...names].map(quote).join(', ')}) VALUES ($1, ${names.map((_, i) => `$${i + 2}`).join(', ')})`,
      [id, ...names.map((name) => line[name])],
    )
  }
}

/** A write that changes nothing is a write all the same, and stands in the journal as one. */
async function updateDocument(db: pg.PoolClient, object: ObjectDescription, id: Id, changed: Row): Promise<void> {
  const { name, idField, lines } = object
  const names = object.fields.map((field) => field.name).filter((field) => field in changed)
  if (names.length > 0)
    await db.query(
      `UPDATE ${quote(name)} SET ${names.map((field, i) => `${quote(field)} = $${i + 2}`).join(', ')} WHERE ${quote(idField)} = $1`,
      [id, ...names.map((field) => changed[field])],
    )
  if (lines !== undefined && lines.name in changed) {
    await db.query(`DELETE FROM ${quote(lines.table)} WHERE ${quote(parentColumn(object))} = $1`, [id])
    await insertLines(db, object, id, changed)
  }
  if (Object.keys(changed).length === 0)
    await db.query('INSERT INTO touched VALUES (pg_current_xact_id(), $1, $2) ON CONFLICT DO NOTHING', [name, id])
}

const codeOf = (error: unknown): string => String((error as { code?: unknown } | null)?.code ?? '')
const isEqual = (a: Row[string] | undefined, b: Row[string] | undefined): boolean =>
  a === b || (typeof a === 'object' && JSON.stringify(a) === JSON.stringify(b))
