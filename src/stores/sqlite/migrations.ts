import { SyncError } from '../../errors/index.ts'
import type { SqliteDriver, SqlValue } from './driver.ts'

/** One step of a schema. Steps are numbered by their place, from 1, and a released one is never changed. */
export type Migration = string

/**
 * Brings a file to the newest schema, each step in one transaction with its number, so that a crash leaves a whole version. Refuses a file
 * from a newer version. Returns the version.
 */
export function migrate(
  database: SqliteDriver,
  migrations: readonly Migration[],
  port: 'store' | 'journal',
  path: string,
): number {
  database.exec('CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID')
  const found = schemaVersion(database)
  requireKnown(found, migrations, port, path)
  for (let version = found + 1; version <= migrations.length; version++) {
    database.exec('BEGIN IMMEDIATE')
    try {
      database.exec(migrations[version - 1] as string)
      writeMeta(database, 'schema_version', version)
      database.exec('COMMIT')
    } catch (error) {
      database.exec('ROLLBACK')
      throw error
    }
  }
  return migrations.length
}

export function requireKnown(
  found: number,
  migrations: readonly Migration[],
  port: 'store' | 'journal',
  path: string,
): void {
  if (found <= migrations.length) return
  throw new SyncError(
    `${port}.version-unknown`,
    `${path} has schema version ${found}, this version of Latchwork knows ${migrations.length}; use the version that wrote it`,
    { place: { path, found, known: migrations.length } },
  )
}

export const schemaVersion = (database: SqliteDriver): number => Number(readMeta(database, 'schema_version') ?? 0)

export function readMeta(database: SqliteDriver, name: string): SqlValue {
  return database.prepare('SELECT value FROM meta WHERE name = ?').get(name)?.[0] ?? null
}

export function writeMeta(database: SqliteDriver, name: string, value: string | number | Uint8Array): void {
  database
    .prepare('INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value')
    .run(name, value)
}
