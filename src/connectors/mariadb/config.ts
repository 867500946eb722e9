import type { AppConnector, AppDescription, AppHandle, BindingSpec } from '../../config/app.ts'
import { checkKeys, isPlainObject, refuse, refuseUnknown } from '../../config/refuse.ts'
import type { AppId } from '../../model/ids.ts'
import { checkPolled } from '../polling/config.ts'
import type { PollingOptions } from '../polling/options.ts'
import { bindTable, type TableBinder, tableUses } from '../tables/config.ts'
import { mariadbCapabilities } from './capabilities.ts'
import type { ConfigText, MariadbAppOptions } from './options.ts'

/** How an application that keeps its data in MariaDB is described in a config. */
export interface MariadbOptions {
  /** `mysql://user:password@host:port/database`; the server that takes writes, never a replica. */
  readonly url: ConfigText
  /** `binlog` reads the server's log; `triggers` needs no right to it and makes a change table; `polling(...)` asks the tables again and again. */
  readonly changes?: 'binlog' | 'triggers' | PollingOptions
  /** What the hub's own tables and triggers are named by, `latchwork` unless given. Two hubs on one database need two. */
  readonly prefix?: string
  /** How often the change table is looked at, 20 ms unless given. */
  readonly pollMs?: number
  /** Which replica the hub says that it is; two readers of one server's log need two. */
  readonly serverId?: number
  /** Connections at once. */
  readonly connectionsMax?: number
  /** How long a write waits for a row that somebody else holds. */
  readonly lockTimeoutMs?: number
  readonly statementTimeoutMs?: number
}

const DEFAULTS = {
  changes: 'binlog',
  prefix: 'latchwork',
  pollMs: 20,
  // Far from the small numbers that people give to replicas.
  serverId: 4_800_001,
  connectionsMax: 5,
  lockTimeoutMs: 2_000,
  statementTimeoutMs: 20_000,
} as const

export interface MariadbApp extends AppHandle, TableBinder {}

/** An application that keeps its data in MariaDB 10.5 or later. */
export function mariadb(options: MariadbOptions): MariadbApp {
  checkKeys('mariadb()', options, ['url', ...Object.keys(DEFAULTS)])
  const { url } = options
  if (!(typeof url === 'string' && url !== '') && !(isPlainObject(url) && typeof url.env === 'string'))
    refuse('mariadb().url', 'a url is needed', "Give it, or env('NAME') for what stands in the environment.")
  const given = { ...DEFAULTS, ...options }
  if (typeof given.changes === 'string' && given.changes !== 'binlog' && given.changes !== 'triggers')
    refuseUnknown('mariadb().changes', 'a way to notice changes', String(given.changes), ['binlog', 'triggers'])
  if (!/^[a-z][a-z0-9_]{0,30}$/.test(given.prefix))
    refuse(
      'mariadb().prefix',
      `'${given.prefix}' is not a prefix`,
      'Give a short name of small letters, digits and underscores.',
    )
  for (const name of ['pollMs', 'serverId', 'connectionsMax', 'lockTimeoutMs', 'statementTimeoutMs'] as const) {
    if (!Number.isSafeInteger(given[name]) || given[name] < 1)
      refuse(`mariadb().${name}`, `${String(given[name])} is not a whole number above 0`, 'Give one.')
  }
  if (given.connectionsMax < 2)
    refuse('mariadb().connectionsMax', 'one connection cannot both read and write', 'Give at least 2.')
  const connector: AppConnector = {
    kind: 'mariadb',
    describe: (app, bindings) => describe(app, given, bindings),
  }
  const table = (name: string, ...rest: unknown[]): unknown => bindTable(connector, name, rest)
  return { connector, table: table as MariadbApp['table'] }
}

function describe(app: AppId, given: Required<MariadbOptions>, bindings: readonly BindingSpec[]): AppDescription {
  const tables = tableUses(`apps.${app}`, bindings)
  const options: MariadbAppOptions = { ...given, app, tables }
  if (typeof given.changes !== 'string') checkPolled(`apps.${app}`, tables)
  return {
    definition: { kind: 'mariadb', options },
    capabilities: new Map(tables.map((table) => [table.object, mariadbCapabilities(options, table)])),
    listens: [],
  }
}
