import { existsSync } from 'node:fs'
import { SyncError } from '../errors/index.ts'
import { hubFilePath, isAlive, readHubFile, statePath } from '../server/hub-file.ts'
import { postgresOptions } from '../server/storage.ts'
import { loadConfig } from './config-file.ts'
import { EXIT } from './exit-codes.ts'
import type { CommandContext } from './program.ts'

/** Brings the hub's store to the schema of this version, or with `check` only says what would be done. */
export async function migrate({ options, process, terminal }: CommandContext, check: boolean): Promise<number> {
  const running = readHubFile(options.data)
  if (!check && running !== null && isAlive(running.pid)) {
    throw new SyncError('store.in-use', `the hub of ${options.data} runs (process ${running.pid}); stop it first`, {
      place: { file: hubFilePath(options.data) },
    })
  }
  const report = await migrated(options.config, options.data, process.env, check)
  terminal.result(report, () => {
    const { place, from, to, steps } = report
    if (steps.length === 0) return `${place} has schema version ${to}, the newest that this version knows`
    const list = steps.map(({ version, what }) => `  ${version}  ${what}`).join('\n')
    return `${place}: ${check ? 'would go' : 'went'} from schema version ${from} to ${to}\n${list}`
  })
  return EXIT.ok
}

async function migrated(
  config: string,
  data: string,
  env: Readonly<Record<string, string | undefined>>,
  check: boolean,
) {
  const store = existsSync(config) ? (await loadConfig(config)).store : { kind: 'sqlite' as const }
  if (store.kind === 'postgres') {
    const { migratePostgres } = await import('../stores/postgres/index.ts')
    return migratePostgres(postgresOptions(store, env), { check })
  }
  const { migrateSqlite } = await import('../stores/sqlite/index.ts')
  return migrateSqlite(statePath(data), { check })
}
