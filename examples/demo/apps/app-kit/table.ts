/** The rows of one object. Deleted rows stay, marked, so that an id is never given twice and 410 can be told from 404. */

import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import type { AppDescription, Id, Line, ObjectDescription, Row, Scalar } from './description.ts'
import { referencesTo } from './description.ts'
import type { AppRows, StoredRow } from './port.ts'

type Columns = Record<string, Scalar>

export class Table implements AppRows {
  readonly object: ObjectDescription
  readonly #db: DatabaseSync
  readonly #app: AppDescription
  readonly #writable: readonly string[]
  readonly #columns: readonly string[]
  readonly #select: string
  readonly #byId: StatementSync
  readonly #afterId: StatementSync
  readonly #fromStart: StatementSync
  readonly #afterRev: StatementSync
  readonly #byField = new Map<string, StatementSync>()
  readonly #insert: StatementSync
  readonly #update: StatementSync
  readonly #delete: StatementSync
  readonly #sequence: StatementSync
  readonly #count: StatementSync
  readonly #lines: LinesTable | undefined
  readonly #references: readonly StatementSync[]

  constructor(db: DatabaseSync, app: AppDescription, object: ObjectDescription) {
    const { rev, changedAt, extRef } = app.names
    const id = object.idField
    this.object = object
    this.#db = db
    this.#app = app
    this.#writable = [...object.fields.map((field) => field.name), rev, changedAt, extRef]
    this.#columns = [id, ...this.#writable]
    const columns = this.#columns.map((name) => `"${name}"`).join(', ')
    this.#select = `SELECT ${columns}, deleted, written_by FROM "${object.name}"`
    this.#byId = db.prepare(`${this.#select} WHERE "${id}" = ?`)
    this.#afterId = db.prepare(`${this.#select} WHERE deleted = 0 AND "${id}" > ? ORDER BY "${id}" LIMIT ?`)
    this.#fromStart = db.prepare(`${this.#select} WHERE deleted = 0 ORDER BY "${id}" LIMIT ?`)
    this.#afterRev = db.prepare(`${this.#select} WHERE "${rev}" > ? ORDER BY "${rev}" LIMIT ?`)
    for (const name of [extRef, ...object.fields.filter((field) => field.unique).map((field) => field.name)]) {
      this.#byField.set(name, db.prepare(`${this.#select} WHERE deleted = 0 AND "${name}" = ?`))
    }
    this.#insert = db.prepare(
      `INSERT INTO "${object.name}" (${columns}, sequence, deleted, written_by)
       VALUES (${this.#columns.map(() => '?').join(', ')}, ?, 0, ?)`,
    )
    const assignments = this.#writable.map((name) => `"${name}" = ?`).join(', ')
    this.#update = db.prepare(`UPDATE "${object.name}" SET ${assignments}, written_by = ? WHERE "${id}" = ?`)
    this.#delete = db.prepare(
      `UPDATE "${object.name}" SET deleted = 1, "${rev}" = ?, "${changedAt}" = ?, written_by = ? WHERE "${id}" = ?`,
    )
    this.#sequence = db.prepare(`SELECT coalesce(max(sequence), 0) + 1 AS next FROM "${object.name}"`)
    this.#count = db.prepare(`SELECT count(*) AS count FROM "${object.name}" WHERE deleted = 0`)
    this.#lines =
      object.lines &&
      new LinesTable(
        db,
        object.lines.table,
        object.lines.fields.map((field) => field.name),
        object.lines.key,
      )
    this.#references = referencesTo(app, object.name).map(({ table, field, ofLines }) =>
      db.prepare(`SELECT 1 FROM "${table}" WHERE "${field}" = ?${ofLines ? '' : ' AND deleted = 0'} LIMIT 1`),
    )
  }

  get(id: Id): StoredRow | undefined {
    return this.#stored(this.#byId.get(id))
  }

  isLive(id: Id): boolean {
    const columns = this.#byId.get(id)
    return columns !== undefined && columns.deleted === 0
  }

  list(afterId: Id | null, limit: number): Row[] {
    const rows = afterId === null ? this.#fromStart.all(limit) : this.#afterId.all(afterId, limit)
    return rows.map((columns) => this.#row(columns as Columns))
  }

  changes(afterRev: number, limit: number): StoredRow[] {
    return this.#afterRev.all(afterRev, limit).map((columns) => this.#stored(columns)!)
  }

  find(field: string, value: Scalar): StoredRow | undefined {
    return this.#stored(this.#byField.get(field)!.get(value))
  }

  search(text: string, limit: number): { items: StoredRow[]; total: number } {
    if (text === '') {
      const newest = this.#db.prepare(`${this.#select} WHERE deleted = 0 ORDER BY sequence DESC LIMIT ?`)
      return { items: newest.all(limit).map((columns) => this.#stored(columns)!), total: this.count() }
    }
    const pattern = `%${text.replace(/[\\%_]/g, '\\$&')}%`
    const columns = [this.object.idField, ...this.object.fields.map((field) => field.name)]
    const where = `deleted = 0 AND (${columns.map((name) => `"${name}" LIKE ?1 ESCAPE '\\'`).join(' OR ')})`
    const found = this.#db.prepare(`${this.#select} WHERE ${where} ORDER BY sequence DESC LIMIT ?2`).all(pattern, limit)
    const { count } = this.#db
      .prepare(`SELECT count(*) AS count FROM "${this.object.name}" WHERE ${where}`)
      .get(pattern) as { count: number }
    return { items: found.map((row) => this.#stored(row)!), total: count }
  }

  count(): number {
    return (this.#count.get() as { count: number }).count
  }

  nextSequence(): number {
    return (this.#sequence.get() as { next: number }).next
  }

  insert(row: Row, sequence: number, writtenBy: string): void {
    this.#insert.run(...this.#values(this.#columns, row), sequence, writtenBy)
    if (this.#lines) this.#lines.write(this.#id(row), row[this.object.lines!.name] as Line[])
  }

  update(row: Row, writtenBy: string, linesChanged: boolean): void {
    this.#update.run(...this.#values(this.#writable, row), writtenBy, this.#id(row))
    if (this.#lines && linesChanged) this.#lines.write(this.#id(row), row[this.object.lines!.name] as Line[])
  }

  delete(id: Id, rev: number, changedAt: string, writtenBy: string): void {
    this.#delete.run(rev, changedAt, writtenBy, id)
    this.#lines?.write(id, [])
  }

  isReferenced(id: Id): boolean {
    return this.#references.some((statement) => statement.get(id) !== undefined)
  }

  #id(row: Row): Id {
    return row[this.object.idField] as Id
  }

  #values(names: readonly string[], row: Row): SQLInputValue[] {
    return names.map((name) => row[name] as Scalar)
  }

  #stored(columns: unknown): StoredRow | undefined {
    if (columns === undefined) return undefined
    const values = columns as Columns
    const rev = values[this.#app.names.rev] as number
    return { row: this.#row(values), rev, deleted: values.deleted === 1, writtenBy: values.written_by as string }
  }

  /** Members in the order in which the application shows them: id, fields, lines, rev, time, external reference. */
  #row(columns: Columns): Row {
    const row: Row = { [this.object.idField]: columns[this.object.idField]! }
    for (const field of this.object.fields) row[field.name] = columns[field.name]!
    if (this.#lines) row[this.object.lines!.name] = this.#lines.read(columns[this.object.idField] as Id)
    const { rev, changedAt, extRef } = this.#app.names
    row[rev] = columns[rev]!
    row[changedAt] = columns[changedAt]!
    row[extRef] = columns[extRef]!
    return row
  }
}

class LinesTable {
  readonly #fields: readonly string[]
  readonly #read: StatementSync
  readonly #clear: StatementSync
  readonly #insert: StatementSync

  constructor(db: DatabaseSync, table: string, fields: readonly string[], key: string) {
    const columns = fields.map((name) => `"${name}"`).join(', ')
    this.#fields = fields
    this.#read = db.prepare(`SELECT ${columns} FROM "${table}" WHERE document = ? ORDER BY "${key}"`)
    this.#clear = db.prepare(`DELETE FROM "${table}" WHERE document = ?`)
    this.#insert = db.prepare(
      `INSERT INTO "${table}" (document, ${columns}) VALUES (?, ${fields.map(() => '?').join(', ')})`,
    )
  }

  read(document: Id): Line[] {
    return this.#read.all(document) as Line[]
  }

  write(document: Id, lines: readonly Line[]): void {
    this.#clear.run(document)
    for (const line of lines) this.#insert.run(document, ...this.#fields.map((name) => line[name]!))
  }
}
