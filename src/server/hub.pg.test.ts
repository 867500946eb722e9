import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { openAccess } from '../cli/access.ts'
import { asAppId, asEntityName, asNativeId } from '../model/ids.ts'
import { environment, eventually, FakeStore, personHub, temporaryFolder } from './fixture-hub.ts'

const STORE_URL = process.env.PG_URL ?? 'postgres://postgres@127.0.0.1:5432/test'
const schema = `latchwork_hub_test_${process.pid}`
const target = new FakeStore()
let targetUrl = ''

beforeAll(async () => {
  targetUrl = await target.listen()
})
afterAll(async () => {
  await target.close()
  const client = new pg.Client({ connectionString: STORE_URL })
  await client.connect()
  await client.query(`SET client_min_messages = error; DROP SCHEMA IF EXISTS ${schema} CASCADE`)
  await client.end()
})

/** A hub as a process of its own, with its state in PostgreSQL. */
async function startProcess(dataDir: string): Promise<{ child: ChildProcess; url: string }> {
  const child = spawn(
    process.execPath,
    [
      '--conditions=latchwork-source',
      fileURLToPath(new URL('../cli/main.ts', import.meta.url)),
      'start',
      '--config',
      fileURLToPath(new URL('./fixture-hub-postgres.config.ts', import.meta.url)),
      '--data',
      dataDir,
      '--port',
      '0',
      '--json',
    ],
    {
      env: { ...process.env, ...environment(targetUrl), HUB_STORE_URL: STORE_URL, HUB_SCHEMA: schema },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  onTestFinished(() => void child.kill('SIGKILL'))
  const [line] = (await once(child.stdout as NonNullable<ChildProcess['stdout']>, 'data')) as [Buffer]
  return { child, url: (JSON.parse(String(line)) as { url: string }).url }
}

test('a hub with its state in PostgreSQL is killed in the middle, starts again, and nothing that it acknowledged is lost', async () => {
  using folder = temporaryFolder()
  const acknowledged: string[] = []
  let { child, url } = await startProcess(folder.path)
  for (let round = 0; round < 3; round++) {
    const told = Array.from({ length: 40 }, async (_, i) => {
      const id = `${round}-${i}`
      const body = JSON.stringify({ id, rev: 1, name: `Ada ${id}`, city: 'Turin', event: id })
      const response = await fetch(`${url}/hooks/shop`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      }).catch(() => null)
      if (response?.ok) acknowledged.push(`Ada ${id}`)
    })
    // After the first answers, in the middle of the rest.
    await Promise.race(told)
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
    await Promise.all(told)
    ;({ child, url } = await startProcess(folder.path))
  }
  expect(acknowledged.length).toBeGreaterThan(0)
  const names = () => [...target.records.values()].map(({ name }) => name as string)
  await eventually(
    async () => new Set(names()),
    (arrived) => acknowledged.every((name) => arrived.has(name)),
  )
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  expect(await ended).toEqual([0, null])
  // Without a hub the commands ask the database.
  const definition = personHub(STORE_URL, schema)
  await using access = await openAccess({ data: folder.path, env: {}, definition: async () => definition })
  expect(access.from).toBe('files')
  const explained = await access.explain({
    entity: asEntityName('person'),
    app: asAppId('shop'),
    nativeId: asNativeId((acknowledged[0] as string).slice(4)),
  })
  expect(explained.lanes.map(({ app }) => app).sort()).toEqual(['shop', 'store'])
})
