import { readFileSync } from 'node:fs'
import { resolveText } from '../config/env.ts'
import type { StoreDefinition } from '../config/store.ts'
import type { Journal } from '../ports/journal.ts'
import type { RunStore } from '../ports/runs.ts'
import type { Store, StoreReader } from '../ports/store.ts'
import type { PostgresStoreOptions } from '../stores/postgres/index.ts'
import { openSqliteReader, SqliteJournal, SqliteRunStore, SqliteStore } from '../stores/sqlite/index.ts'
import { journalFolder, runsPath, statePath } from './hub-file.ts'
import type { Environment } from './secrets.ts'

/** The hub's store and the runs of its flows, not opened yet, and its journal, opened: the journal's lock says at once whether another hub is there. */
export interface Storage {
  readonly store: Store
  readonly journal: Journal
  readonly runs: RunStore
  /** Texts that nobody may read in a log. */
  readonly secrets: readonly string[]
}

export async function openStorage(definition: StoreDefinition, dataDir: string, env: Environment): Promise<Storage> {
  if (definition.kind === 'sqlite') {
    const journal = await SqliteJournal.open({ folder: journalFolder(dataDir) })
    const runs = new SqliteRunStore({ path: runsPath(dataDir) })
    return { store: new SqliteStore({ path: statePath(dataDir) }), journal, runs, secrets: [] }
  }
  const options = postgresOptions(definition, env)
  const { PostgresJournal, PostgresRunStore, PostgresStore } = await import('../stores/postgres/index.ts')
  const journal = await PostgresJournal.open(options)
  return { store: new PostgresStore(options), journal, runs: new PostgresRunStore(options), secrets: [options.url] }
}

/** For commands that ask without a running hub. */
export async function openStorageReader(
  definition: StoreDefinition,
  dataDir: string,
  env: Environment,
): Promise<StoreReader> {
  if (definition.kind === 'sqlite') return openSqliteReader(statePath(dataDir))
  const { openPostgresReader } = await import('../stores/postgres/index.ts')
  return openPostgresReader(postgresOptions(definition, env))
}

export function postgresOptions(
  { url, schema }: Extract<StoreDefinition, { kind: 'postgres' }>,
  env: Environment,
): PostgresStoreOptions {
  return { url: resolveText(url, env, (path) => readFileSync(path, 'utf8')), schema }
}
