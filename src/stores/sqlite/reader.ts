import { existsSync } from 'node:fs'
import { SyncError } from '../../errors/index.ts'
import type { AppId, CanonicalKey, JournalPosition } from '../../model/ids.ts'
import type { LinkQuery, LoadQuery, Store, StoreReader } from '../../ports/store.ts'
import { type OpenDriver, openNodeSqlite } from './driver.ts'
import { toPortError } from './errors.ts'
import { requireKnown, schemaVersion } from './migrations.ts'
import * as queries from './queries.ts'
import { STORE_MIGRATIONS } from './schema.ts'
import { Statements } from './statements.ts'

/**
 * Reads the state file of a hub from another process, whether the hub runs or not. Takes no lock, raises no epoch and never
 * changes the file; it sees every commit that was finished when it asks.
 */
export function openSqliteReader(path: string, openDriver: OpenDriver = openNodeSqlite): StoreReader {
  if (!existsSync(path)) {
    throw new SyncError('store.failed', `${path} does not exist; start the hub once, or name its data folder`, {
      place: { path },
    })
  }
  try {
    const database = openDriver(path, { readOnly: true })
    requireKnown(schemaVersion(database), STORE_MIGRATIONS, 'store', path)
    return new SqliteReader(new Statements(database), path)
  } catch (error) {
    throw toPortError('store', path, error)
  }
}

/** The queries on a connection, with errors mapped. */
export class SqliteReader implements StoreReader {
  readonly #sql: Statements
  readonly #path: string
  #closed = false

  constructor(sql: Statements, path: string) {
    this.#sql = sql
    this.#path = path
  }

  async load(query: LoadQuery): ReturnType<Store['load']> {
    return this.#ask((sql) => queries.load(sql, query))
  }

  async cursor(consumer: string): ReturnType<Store['cursor']> {
    return this.#ask((sql) => queries.cursor(sql, consumer))
  }

  async openLanes(
    after: { readonly key: CanonicalKey; readonly app: AppId } | null,
    max: number,
  ): ReturnType<Store['openLanes']> {
    return this.#ask((sql) => queries.openLanes(sql, after, max))
  }

  async held(after: JournalPosition, max: number): ReturnType<Store['held']> {
    return this.#ask((sql) => queries.held(sql, after, max))
  }

  async links(query: LinkQuery): ReturnType<Store['links']> {
    return this.#ask((sql) => queries.links(sql, query))
  }

  async conflicts(query: Parameters<Store['conflicts']>[0]): ReturnType<Store['conflicts']> {
    return this.#ask((sql) => queries.conflicts(sql, query))
  }

  async verdicts(key: CanonicalKey): ReturnType<Store['verdicts']> {
    return this.#ask((sql) => queries.verdicts(sql, key))
  }

  async notes(kind: string, max: number): ReturnType<Store['notes']> {
    return this.#ask((sql) => queries.notes(sql, kind, max))
  }

  async counts(): ReturnType<Store['counts']> {
    return this.#ask(queries.counts)
  }

  async close(): Promise<void> {
    if (!this.#closed) this.#sql.database.close()
    this.#closed = true
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #ask<T>(query: (sql: Statements) => T): T {
    try {
      return query(this.#sql)
    } catch (error) {
      throw toPortError('store', this.#path, error)
    }
  }
}
