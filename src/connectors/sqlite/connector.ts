import { SyncError } from '../../errors/index.ts'
import type { Connector } from '../../ports/app.ts'
import type { Clock } from '../../ports/clock.ts'
import { createChangeTableApp } from '../change-table/app.ts'
import { SQLITE_CAPABILITIES } from './capabilities.ts'
import { SqliteDatabase } from './database.ts'
import { sqliteDdl } from './ddl.ts'
import { sqliteDialect } from './dialect.ts'
import type { SqliteAppOptions } from './options.ts'

/** An application that keeps its data in a SQLite file, as the engine holds it. */
export function createSqliteConnector(options: SqliteAppOptions, deps: { readonly clock: Clock }): Connector {
  const { app, file, prefix, pollMs, tables } = options
  if (typeof file !== 'string')
    throw new SyncError('internal.bug', `${app}: the environment variables of the config have not been read`)
  const { source, target } = createChangeTableApp({
    app,
    dialect: sqliteDialect,
    ddl: sqliteDdl,
    prefix,
    uses: tables,
    clock: deps.clock,
    open: (onReplaced) => new SqliteDatabase({ path: file, pollMs, clock: deps.clock, onReplaced }),
  })
  const objects = new Set(tables.map((table) => table.object))
  return {
    app,
    source,
    target,
    capabilities: (object) => {
      if (objects.has(object)) return SQLITE_CAPABILITIES
      throw new SyncError('config.invalid', `${app} declares no table ${object}.`)
    },
  }
}
