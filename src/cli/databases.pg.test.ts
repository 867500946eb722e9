import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, expect, test } from 'vitest'
import { createDatabase, stopServers } from '../connectors/postgres/fixture-postgres.ts'
import { collectingLog, eventually } from '../server/fixture-hub.ts'
import { startHub } from '../server/hub.ts'
import { loadConfig } from './config-file.ts'
import { run } from './program.ts'

afterAll(stopServers)

async function command(...args: readonly string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const said = { stdout: '', stderr: '' }
  const output = (name: 'stdout' | 'stderr') => ({
    isTTY: false,
    columns: 100,
    write: (text: string) => void (said[name] += text),
  })
  const code = await run(args, {
    env: {},
    stdout: output('stdout'),
    stderr: output('stderr'),
    on: () => {},
    exit: () => {
      throw new Error('the command ended the process')
    },
  })
  return { code, ...said }
}

const src = (path: string): string => pathToFileURL(join(import.meta.dirname, '..', path)).href

test('introspect writes row types; feed reset goes past a lost slot and reads what was missed', async () => {
  await using database = await createDatabase(18)
  const { schema, url } = database
  await database.one(
    `CREATE TYPE mood AS ENUM ('so so', 'fine'); CREATE TABLE items (id bigint PRIMARY KEY, name text NOT NULL, tags text[], m mood, "odd name" numeric(12,2) NOT NULL)`,
  )
  const folder = mkdtempSync(join(tmpdir(), 'latchwork-feed-'))
  try {
    const config = join(folder, 'latchwork.config.ts')
    const own = `latchwork_${schema}`
    writeFileSync(
      config,
      `import { defineHub, entity, sync } from '${src('index.ts')}'
       import { postgres } from '${src('connectors/postgres/index.ts')}'
       import { z } from '${import.meta.resolve('zod')}'
       const shop = postgres({ url: '${url}', schema: '${schema}', slot: '${own}', publication: '${own}', ownSchema: '${own}' })
       const item = entity('item', { schema: z.object({ name: z.string() }) })
       export default defineHub({ apps: { shop }, sync: [sync(item, { shop: shop.table('items', { id: 'id', fields: { name: 'name' } }) })] })`,
    )
    const types = await command('introspect', 'shop', '--config', config, '--schema', schema)
    expect(types.stdout).toContain(`export interface Db {
  readonly items: {
    readonly id: number | bigint
    readonly name: string
    readonly tags: readonly (string | null)[] | null
    readonly m: "so so" | "fine" | null
    readonly "odd name": string
  }
}`)
    expect(await command('introspect')).toMatchObject({ code: 2, stderr: expect.stringContaining('--database') })

    await database.one("INSERT INTO items VALUES (1, 'first', NULL, NULL, 1)")
    const log = collectingLog()
    await using hub = await startHub({ definition: await loadConfig(config), dataDir: folder, env: {}, log, port: 0 })
    const links = async (): Promise<number> =>
      ((await (await fetch(`${hub.url}/api/xref`)).json()) as { items: unknown[] }).items.length
    await eventually(links, (count) => count === 1)
    const ended = `SELECT pg_terminate_backend(active_pid, 3000) FROM pg_replication_slots WHERE slot_name = '${own}'`
    const dropped = async (): Promise<boolean> => {
      await database.one(ended)
      return database.one(`SELECT pg_drop_replication_slot('${own}')`).then(
        () => true,
        () => false,
      )
    }
    await eventually(dropped, (done) => done)
    await database.one("INSERT INTO items VALUES (2, 'in the gap', NULL, NULL, 1)")
    await eventually(
      async () => log.lines.some((line) => line.includes('source.slot-missing')),
      (told) => told,
    )
    const reset = await command('feed', 'reset', 'shop', '--data', folder)
    expect(reset).toMatchObject({ code: 0, stdout: expect.stringContaining('read anew') })
    await eventually(links, (count) => count === 2)
    expect(await command('feed', 'reset', 'nobody', '--data', folder)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('shop'),
    })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}, 90_000)
