import type { Command } from 'commander'
import { SyncError } from '../errors/index.ts'
import { resolveApp } from '../server/secrets.ts'
import { requireHub } from './access.ts'
import { loadConfig } from './config-file.ts'
import { EXIT } from './exit-codes.ts'
import type { Action, CommandContext } from './program.ts'

/** The commands about applications that are databases. */
export function addDatabases(program: Command, choose: (action: Action) => void): void {
  program
    .command('feed')
    .description('the log that is read from a database')
    .command('reset <app>')
    .description('read everything anew: its tables from the beginning, then the log from now on')
    .action((app: string) => choose((context) => resetFeed(context, app)))
  program
    .command('introspect [app]')
    .description('write the row types of a PostgreSQL database, for postgres<Db>(...)')
    .option('--database <url>', 'the database, instead of that of an application of the config')
    .option('--schema <schema>', 'the schema of the tables', 'public')
    .option('--name <name>', 'the name of the type', 'Db')
    .action((app: string | undefined, own: { database?: string; schema: string; name: string }) =>
      choose((context) => introspect(context, app, own)),
    )
}

async function resetFeed(context: CommandContext, app: string): Promise<number> {
  const hub = requireHub({ ...context.options, env: context.process.env })
  const done = await hub.post(`/api/apps/${encodeURIComponent(app)}/feeds/reset`)
  context.terminal.result(
    done,
    () => `${app} is read anew from its beginning; \`latchwork status\` shows how far it is`,
  )
  return EXIT.ok
}

async function introspect(
  context: CommandContext,
  app: string | undefined,
  own: { readonly database?: string; readonly schema: string; readonly name: string },
): Promise<number> {
  if ((app === undefined) === (own.database === undefined))
    throw new SyncError('query.invalid', 'name an application of the config, or give --database <url>')
  const url = own.database ?? (await urlOf(context, app as string))
  const { introspectPostgres } = await import('../connectors/postgres/introspect.ts')
  const found = await introspectPostgres(url, own.schema, own.name)
  context.terminal.result({ tables: found.tables, source: found.source }, () => found.source)
  return EXIT.ok
}

async function urlOf({ options, process }: CommandContext, app: string): Promise<string> {
  const { apps } = await loadConfig(options.config)
  const definition = [...apps].find(([name]) => name === app)?.[1]
  if (definition?.kind !== 'postgres')
    throw new SyncError('query.invalid', `${app.slice(0, 100)} is not a PostgreSQL application of ${options.config}`)
  const resolved = resolveApp(definition, process.env).definition
  return resolved.kind === 'postgres' && typeof resolved.options.url === 'string' ? resolved.options.url : ''
}
