import type { AppConnector, AppDescription, AppHandle, BindingSpec } from '../../config/app.ts'
import { checkKeys, isPlainObject, refuse } from '../../config/refuse.ts'
import type { AppId } from '../../model/ids.ts'
import { bindTable, type TableBinder, tableUses } from '../tables/config.ts'
import { SQLITE_CAPABILITIES } from './capabilities.ts'
import type { ConfigText, SqliteAppOptions } from './options.ts'

/** How an application that keeps its data in a SQLite file is described in a config. */
export interface SqliteOptions {
  /** The file. It must exist; the hub makes its own tables and triggers in it. */
  readonly file: ConfigText
  /** What the hub's own tables and triggers are named by, `latchwork` unless given. Two hubs on one file need two. */
  readonly prefix?: string
  /** How often it is looked whether another connection has committed, 10 ms unless given. Looking is a read of shared memory. */
  readonly pollMs?: number
}

const POLL_MS = 10

export interface SqliteApp extends AppHandle, TableBinder {}

/** An application that keeps its data in a SQLite file, followed by triggers into a change table. */
export function sqlite(options: SqliteOptions): SqliteApp {
  checkKeys('sqlite()', options, ['file', 'prefix', 'pollMs'])
  const { file, prefix = 'latchwork', pollMs = POLL_MS } = options
  if (!(typeof file === 'string' && file !== '') && !(isPlainObject(file) && typeof file.env === 'string'))
    refuse('sqlite().file', 'a path is needed', "Give it, or env('NAME').")
  if (!/^[a-z][a-z0-9_]{0,30}$/.test(prefix))
    refuse(
      'sqlite().prefix',
      `'${prefix}' is not a prefix`,
      'Give a short name of small letters, digits and underscores.',
    )
  if (!Number.isSafeInteger(pollMs) || pollMs < 1)
    refuse('sqlite().pollMs', `${String(pollMs)} is not a whole number above 0`, 'Give one.')
  const connector: AppConnector = {
    kind: 'sqlite',
    describe: (app, bindings) => describe(app, { file, prefix, pollMs }, bindings),
  }
  const table = (name: string, ...rest: unknown[]): unknown => bindTable(connector, name, rest)
  return { connector, table: table as SqliteApp['table'] }
}

function describe(app: AppId, given: Required<SqliteOptions>, bindings: readonly BindingSpec[]): AppDescription {
  const tables = tableUses(`apps.${app}`, bindings)
  const options: SqliteAppOptions = { app, ...given, tables }
  return {
    definition: { kind: 'sqlite', options },
    capabilities: new Map(tables.map((table) => [table.object, SQLITE_CAPABILITIES])),
    listens: [],
  }
}
