import { SyncError } from '../../errors/index.ts'
import type { Connected } from './driver.ts'

/** One step of the schema. Steps are numbered by their place, from 1, and a released one is never changed. */
export interface Migration {
  readonly what: string
  readonly sql: (schema: string) => string
}

export interface MigrationState {
  /** 0 for a database without our schema. */
  readonly found: number
  readonly known: number
}

/** Keeps two processes from moving one schema at once; the number is arbitrary and ours. */
const MIGRATION_LOCK = 7_120_411

/** Which version a database has, without changing it. */
export async function migrationState(
  connection: Connected,
  schema: string,
  migrations: readonly Migration[],
): Promise<MigrationState> {
  const [exists] = await connection.rows('SELECT to_regclass($1)', [`${schema}.meta`])
  if (exists?.[0] == null) return { found: 0, known: migrations.length }
  const [row] = await connection.rows(`SELECT value FROM ${schema}.meta WHERE name = 'schema_version'`)
  return { found: Number(row?.[0] ?? 0), known: migrations.length }
}

/** Refuses a database of a newer version. */
export function requireKnown({ found, known }: MigrationState, place: string): void {
  if (found <= known) return
  throw new SyncError(
    'store.version-unknown',
    `${place} has schema version ${found}, this version of Latchwork knows ${known}; use the version that wrote it`,
    { place: { database: place, found, known } },
  )
}

/** Brings a schema to the newest version, each step in one transaction with its number. Returns the steps that were taken. */
export async function migrate(
  connection: Connected,
  schema: string,
  migrations: readonly Migration[],
  place: string,
): Promise<readonly { readonly version: number; readonly what: string }[]> {
  const taken: { version: number; what: string }[] = []
  await connection.rows('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK])
  try {
    // Two who begin at once would both make the schema, and CREATE SCHEMA IF NOT EXISTS is not safe against that by itself.
    await connection.script(`CREATE SCHEMA IF NOT EXISTS ${schema}`)
    await connection.script(`CREATE TABLE IF NOT EXISTS ${schema}.meta (name text PRIMARY KEY, value text NOT NULL)`)
    const state = await migrationState(connection, schema, migrations)
    requireKnown(state, place)
    for (let version = state.found + 1; version <= migrations.length; version++) {
      const { what, sql } = migrations[version - 1] as Migration
      // One script without BEGIN is one transaction: it is there with its number, or not at all.
      await connection.script(
        `${sql(schema)};
         INSERT INTO ${schema}.meta VALUES ('schema_version', '${version}')
           ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
      )
      taken.push({ version, what })
    }
  } finally {
    await connection.rows('SELECT pg_advisory_unlock($1)', [MIGRATION_LOCK])
  }
  return taken
}
