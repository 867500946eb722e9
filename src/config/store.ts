import type { ConfigText } from './env.ts'
import { checkKeys, refuse } from './refuse.ts'

/** Where the hub keeps its state and its journal. */
export type StoreDefinition =
  | { readonly kind: 'sqlite' }
  | { readonly kind: 'postgres'; readonly url: ConfigText; readonly schema: string }

export interface PostgresStoreConfig {
  /** `postgres://user:password@host:port/database`, usually `env('STORE_URL')`. */
  readonly url: ConfigText
  /** Holds all tables of this hub. Default `latchwork`; hubs that share a database take one each. */
  readonly schema?: string
}

export const SQLITE_STORE: StoreDefinition = { kind: 'sqlite' }

/** Keeps the hub's state and journal in PostgreSQL instead of files in the data folder. Needs the package `pg`. */
export function postgresStore(options: PostgresStoreConfig): StoreDefinition {
  checkKeys('postgresStore', options, ['url', 'schema'])
  const { url, schema = 'latchwork' } = options
  if (typeof url !== 'string' && typeof url?.env !== 'string')
    refuse('postgresStore.url', 'the URL of the database is missing', "Give url: env('STORE_URL').")
  if (!/^[a-z_][a-z0-9_]{0,40}$/.test(schema))
    refuse(
      'postgresStore.schema',
      `${JSON.stringify(schema)} cannot be used`,
      'Use at most 41 lower-case letters, digits and underscores.',
    )
  return { kind: 'postgres', url, schema }
}

export function readStore(given: unknown): StoreDefinition {
  if (given === undefined) return SQLITE_STORE
  const kind = typeof given === 'object' && given !== null && 'kind' in given ? given.kind : undefined
  if (kind !== 'postgres' && kind !== 'sqlite')
    refuse('store', 'this is not a store', "Give postgresStore({ url: env('STORE_URL') }), or leave it out for SQLite.")
  return given as StoreDefinition
}
