/** The documents of one object in PostgreSQL. */

import type { Pool, PoolClient } from 'pg'
import type { AppDescription, Id, ObjectDescription, Row, Scalar } from '../app-kit/description.ts'
import type { AppRows, StoredRow } from '../app-kit/port.ts'
import { quote } from './schema.ts'

type Columns = {
  readonly image: Row
  readonly rev: number
  readonly is_deleted: boolean
  readonly changed_at: Date
  readonly written_by: string
}

const COLUMNS = 'd.image, d.rev, d.is_deleted, d.changed_at, d.written_by'

export class PostgresRows implements AppRows {
  readonly object: ObjectDescription
  readonly #app: AppDescription
  readonly #pool: Pool

  constructor(pool: Pool, app: AppDescription, object: ObjectDescription) {
    this.#pool = pool
    this.#app = app
    this.object = object
  }

  async get(id: Id, on: Pool | PoolClient = this.#pool): Promise<StoredRow | undefined> {
    const { rows } = await on.query(`SELECT ${COLUMNS} FROM documents d WHERE d.object = $1 AND d.id = $2`, [
      this.object.name,
      id,
    ])
    return rows[0] && this.#stored(rows[0])
  }

  /** From the tables themselves, so that a comparison sees what they hold and not what is noted of them. */
  async list(afterId: Id | null, limit: number): Promise<Row[]> {
    const { name, idField } = this.object
    const id = `t.${quote(idField)}`
    const { rows } = await this.#pool.query(
      `SELECT ${quote(`${name}_document`)}(${id}) AS image, d.rev, d.is_deleted, d.changed_at, d.written_by
       FROM ${quote(name)} t JOIN documents d ON d.object = $1 AND d.id = ${id} WHERE ${id} > $2 ORDER BY ${id} LIMIT $3`,
      [name, afterId ?? 0, limit < 0 ? null : limit],
    )
    return rows.map((columns) => this.#stored(columns).row)
  }

  async changes(afterRev: number, limit: number): Promise<StoredRow[]> {
    const { rows } = await this.#pool.query(
      `SELECT ${COLUMNS} FROM documents d WHERE d.object = $1 AND d.rev > $2 ORDER BY d.rev LIMIT $3`,
      [this.object.name, afterRev, limit],
    )
    return rows.map((columns) => this.#stored(columns))
  }

  async find(field: string, value: Scalar): Promise<StoredRow | undefined> {
    const { name, idField, fields } = this.object
    if (!fields.some((candidate) => candidate.name === field && candidate.unique)) return undefined
    const { rows } = await this.#pool.query(
      `SELECT ${COLUMNS} FROM ${quote(name)} t JOIN documents d ON d.object = $1 AND d.id = t.${quote(idField)} WHERE lower(t.${quote(field)}) = lower($2)`,
      [name, value],
    )
    return rows[0] && this.#stored(rows[0])
  }

  async search(text: string, limit: number): Promise<{ items: StoredRow[]; total: number }> {
    const where = `d.object = $1 AND NOT d.is_deleted AND ($2 = '' OR EXISTS (SELECT 1 FROM json_each_text(d.image) m WHERE json_typeof(d.image->m.key) <> 'array' AND strpos(lower(m.value), lower($2)) > 0))`
    const [found, counted] = await Promise.all([
      this.#pool.query(`SELECT ${COLUMNS} FROM documents d WHERE ${where} ORDER BY d.id DESC LIMIT $3`, [
        this.object.name,
        text,
        limit,
      ]),
      this.#pool.query(`SELECT count(*) AS total FROM documents d WHERE ${where}`, [this.object.name, text]),
    ])
    return { items: found.rows.map((columns) => this.#stored(columns)), total: counted.rows[0].total }
  }

  async count(): Promise<number> {
    return (await this.#pool.query(`SELECT count(*) AS count FROM ${quote(this.object.name)}`)).rows[0].count
  }

  #stored({ image, rev, is_deleted, changed_at, written_by }: Columns): StoredRow {
    const { names } = this.#app
    const row: Row = { ...image, [names.rev]: rev, [names.changedAt]: changed_at.toISOString(), [names.extRef]: null }
    return { row, rev, deleted: is_deleted, writtenBy: written_by }
  }
}
