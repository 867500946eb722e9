import { SyncError } from '../../errors/index.ts'
import type { Capabilities } from '../../model/capabilities.ts'
import type { ObjectId } from '../../model/ids.ts'
import type { Connector } from '../../ports/app.ts'
import type { Clock, Log } from '../../ports/clock.ts'
import { createPostgresTriggers, type PostgresTriggersOptions } from '../change-table/postgres-database.ts'
import { postgresCapabilities } from './capabilities.ts'
import { type Catalog, readCatalog } from './catalog.ts'
import type { PostgresAppOptions } from './options.ts'
import { bearOrigin } from './origin.ts'
import { OwnWrites } from './own-writes.ts'
import { Sessions } from './sessions.ts'
import { createPostgresSource } from './source.ts'
import { createPostgresTarget } from './target.ts'

/** Reads of records and the looks at the catalog and the slot. */
const READ_SESSIONS = 2
const CATALOG_DEADLINE_MS = 30_000

/** A PostgreSQL database as the engine holds it. The url is text by now. Nothing is connected before it is needed. */
export function createPostgresConnector(
  options: PostgresAppOptions,
  deps: { readonly clock: Clock; readonly log: Log },
): Connector {
  if (typeof options.url !== 'string')
    throw new SyncError('internal.bug', `the url of ${options.app} was not resolved before its connector was made.`)
  const { app, url } = options
  const capabilities = new Map<ObjectId, Capabilities>()
  for (const table of options.tables) capabilities.set(table.object, postgresCapabilities(options, table))
  const capabilitiesOf = (object: ObjectId): Capabilities => {
    const found = capabilities.get(object)
    if (found === undefined) throw new SyncError('config.invalid', `${app} declares no table ${object}.`)
    return found
  }
  if (options.changes === 'triggers')
    return { app, ...createPostgresTriggers(triggersOf(options, url), deps), capabilities: capabilitiesOf }
  const writes = new Sessions({
    url,
    app,
    max: options.connectionsMax,
    settings: {
      statement_timeout: options.statementTimeoutMs,
      lock_timeout: options.lockTimeoutMs,
      // Batches find their rows by key; a plan that reads the whole table instead is never better here.
      enable_hashjoin: 'off',
      enable_mergejoin: 'off',
      plan_cache_mode: 'force_generic_plan',
      jit: 'off',
    },
    clock: deps.clock,
    ...(options.origin == null ? {} : { prepare: bearOrigin(options, options.origin) }),
  })
  const reads = new Sessions({
    url,
    app,
    max: READ_SESSIONS,
    settings: { statement_timeout: options.statementTimeoutMs, jit: 'off' },
    clock: deps.clock,
  })
  const catalog = new CatalogCache(options, reads)
  const own = new OwnWrites(deps.clock)
  return {
    app,
    source: createPostgresSource(options, {
      ...deps,
      own,
      url,
      sessions: reads,
      catalog: () => catalog.get(),
      forgetCatalog: () => catalog.forget(),
      release: () => reads.close(),
    }),
    target: createPostgresTarget(options, {
      ...deps,
      own,
      sessions: writes,
      catalog: () => catalog.get(),
      release: () => writes.close(),
    }),
    capabilities: capabilitiesOf,
  }
}

/** How often the change table is looked at. */
const TRIGGERS_POLL_MS = 20

const triggersOf = (options: PostgresAppOptions, url: string): PostgresTriggersOptions => ({
  ...options,
  url,
  schema: options.schema ?? 'public',
  prefix: 'latchwork',
  pollMs: TRIGGERS_POLL_MS,
  connectionsMax: options.connectionsMax + 1,
  tables: options.tables.map(({ object, table, id, columns, parts, updatedAt }) => ({
    object,
    table,
    id: id[0] as string,
    idType: 'text',
    columns,
    parts: parts.map(({ parent, ...part }) => ({ ...part, parent: parent?.[0] ?? '' })),
    updatedAt,
    version: null,
  })),
})

/** The tables' shapes, read once and again when the log is opened anew. A failure is not kept. */
class CatalogCache {
  readonly #options: PostgresAppOptions
  readonly #sessions: Sessions
  #catalog: Promise<Catalog> | null = null

  constructor(options: PostgresAppOptions, sessions: Sessions) {
    this.#options = options
    this.#sessions = sessions
  }

  get(): Promise<Catalog> {
    if (this.#catalog === null) {
      const read = this.#sessions.use((session) => readCatalog(this.#options, session), CATALOG_DEADLINE_MS)
      this.#catalog = read
      read.catch(() => {
        if (this.#catalog === read) this.#catalog = null
      })
    }
    return this.#catalog
  }

  forget(): void {
    this.#catalog = null
  }
}
