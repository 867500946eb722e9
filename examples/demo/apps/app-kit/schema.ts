/** The SQLite file of an application: one table per object, one per kind of lines, and four tables that every application has. */

import { DatabaseSync } from 'node:sqlite'
import type { AppDescription, FieldDescription, ObjectDescription } from './description.ts'
import { referencesTo } from './description.ts'

/**
 * `synchronous=NORMAL` with a write-ahead log: a commit survives the death of the process, and may be lost with the power.
 */
export function openDatabase(file: string, app: AppDescription): DatabaseSync {
  const db = new DatabaseSync(file)
  db.exec(
    'PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=5000; PRAGMA cache_size=-65536; PRAGMA temp_store=MEMORY',
  )
  db.exec('BEGIN IMMEDIATE')
  for (const object of app.objects) db.exec(objectSql(app, object))
  for (const object of app.objects) db.exec(referenceIndexesSql(app, object))
  db.exec(commonSql)
  db.exec('COMMIT')
  return db
}

function objectSql(app: AppDescription, object: ObjectDescription): string {
  const { names } = app
  const idType = app.idKind === 'integer' ? 'INTEGER' : 'TEXT'
  const uniqueFields = object.fields.filter((field) => field.unique)
  let sql = `
    CREATE TABLE IF NOT EXISTS "${object.name}" (
      sequence INTEGER PRIMARY KEY,
      "${object.idField}" ${idType} NOT NULL UNIQUE,
      ${object.fields.map((field) => columnSql(app, field)).join(',\n      ')},
      "${names.rev}" INTEGER NOT NULL UNIQUE,
      "${names.changedAt}" TEXT NOT NULL,
      "${names.extRef}" TEXT,
      deleted INTEGER NOT NULL,
      written_by TEXT NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX IF NOT EXISTS "${object.name}_ext_ref" ON "${object.name}" ("${names.extRef}")
      WHERE deleted = 0 AND "${names.extRef}" IS NOT NULL;`
  for (const { name } of uniqueFields) {
    sql += `
    CREATE UNIQUE INDEX IF NOT EXISTS "${object.name}_${name}" ON "${object.name}" ("${name}") WHERE deleted = 0;`
  }
  if (object.lines) {
    const { table, key, fields } = object.lines
    sql += `
    CREATE TABLE IF NOT EXISTS "${table}" (
      document ${idType} NOT NULL,
      ${fields.map((field) => columnSql(app, field)).join(',\n      ')},
      PRIMARY KEY (document, "${key}")
    ) STRICT, WITHOUT ROWID;`
  }
  return sql
}

function columnSql(app: AppDescription, field: FieldDescription): string {
  const isInteger =
    field.kind === 'cents' || field.kind === 'integer' || (field.kind === 'reference' && app.idKind === 'integer')
  const collation = field.unique ? ' COLLATE NOCASE' : ''
  return `"${field.name}" ${isInteger ? 'INTEGER' : 'TEXT'}${field.optional ? '' : ' NOT NULL'}${collation}`
}

function referenceIndexesSql(app: AppDescription, object: ObjectDescription): string {
  const references = referencesTo(app, object.name)
  return references
    .map(({ table, field }) => `CREATE INDEX IF NOT EXISTS "${table}_${field}" ON "${table}" ("${field}");`)
    .join('\n')
}

const commonSql = `
  CREATE TABLE IF NOT EXISTS write_log (
    seq INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    actor TEXT NOT NULL,
    object TEXT NOT NULL,
    id ANY NOT NULL,
    op TEXT NOT NULL,
    base_rev INTEGER,
    rev INTEGER NOT NULL,
    before_json TEXT,
    after_json TEXT,
    changed INTEGER NOT NULL,
    client_tag TEXT
  ) STRICT;
  CREATE TABLE IF NOT EXISTS idempotency (
    key TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    status INTEGER NOT NULL,
    body TEXT NOT NULL,
    rev INTEGER,
    location TEXT
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS idempotency_at ON idempotency (at_ms);
  CREATE TABLE IF NOT EXISTS outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    object TEXT NOT NULL,
    record TEXT NOT NULL,
    event_id TEXT NOT NULL,
    body TEXT NOT NULL
  ) STRICT;`
