import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import type { HubDefinition } from '../config/define-hub.ts'
import { http, unverified, webhook } from '../connectors/http/index.ts'
import { defineHub, entity, env, key, sync } from '../index.ts'
import { collectingLog, environment, eventually, FakeStore, temporaryFolder } from '../server/fixture-hub.ts'
import { type RunningHub, startHub } from '../server/hub.ts'
import type { HubStatus } from '../server/status.ts'
import { run } from './program.ts'

/** People who say what is one and what is not, against a real hub between a shop that only tells and a store that takes writes over HTTP. */

function pairingHub(): HubDefinition {
  const shop = http({ baseUrl: env('SHOP_URL') })
  const store = http({ baseUrl: env('STORE_URL') })
  const person = entity('person', {
    schema: z.object({ email: z.string(), name: z.string().min(1) }),
    match: key('email'),
  })
  const common = {
    id: 'id',
    version: 'rev',
    conditional: true,
    idempotency: 'all',
    fields: { name: 'name', email: 'email' },
  } as const
  const notify = (app: string) => webhook(`/hooks/${app}`, { verify: unverified() })
  return defineHub({
    apps: { shop, store },
    sync: [
      sync(person, {
        shop: shop.resource('/persons', { ...common, createHere: false, notify: notify('shop') }),
        store: store.resource('/people', { ...common, notify: notify('store') }),
      }),
    ],
  })
}

const store = new FakeStore()
let storeUrl = ''
beforeAll(async () => {
  storeUrl = await store.listen()
})
afterAll(() => store.close())

async function command(...args: readonly string[]) {
  const said = { stdout: '', stderr: '' }
  const output = (name: 'stdout' | 'stderr') => ({
    isTTY: false,
    columns: 100,
    write: (text: string) => void (said[name] += text),
  })
  const process = { env: {}, stdout: output('stdout'), stderr: output('stderr'), on: () => {} }
  const exit = (): never => {
    throw new Error('the command ended the process')
  }
  return { code: await run(args, { ...process, exit }), ...said }
}

const tell = (hub: RunningHub, app: 'shop' | 'store', record: object): Promise<Response> =>
  fetch(`${hub.url}/hooks/${app}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(record),
  })

const settled = (hub: RunningHub, links: number): Promise<HubStatus> =>
  eventually(
    async () => (await fetch(`${hub.url}/api/status`)).json() as Promise<HubStatus>,
    (now) => now.counts.links === links && now.idle,
  )

test('two records are linked and separated by commands, which say what came of it', async () => {
  using folder = temporaryFolder()
  await using hub = await startHub({
    definition: pairingHub(),
    dataDir: folder.path,
    env: environment(storeUrl),
    log: collectingLog(),
    port: 0,
  })
  const data = ['--data', folder.path, '--config', 'none.ts']
  await tell(hub, 'shop', { id: 1, rev: 1, name: 'Ada', email: 'ada@shop' })
  await settled(hub, 2)
  store.records.set('own', { id: 'own', rev: 50, name: 'Ada', email: 'ada@store' })
  await tell(hub, 'store', { id: 'own', rev: 50, name: 'Ada', email: 'ada@store' })
  await settled(hub, 3)

  const refused = [
    await command('link', 'person', 'shop:1', 'store', ...data),
    await command('link', 'person', 'shop:1', 'store:nobody', ...data),
    await command('link', 'person', 'store:own', 'store:S1', ...data),
  ]
  expect(refused.map(({ code, stderr }) => [code, stderr])).toEqual([
    [2, expect.stringContaining('store')],
    [1, expect.stringContaining('store:nobody belongs to no record')],
    [1, expect.stringContaining('both are in store')],
  ])

  const linked = await command('link', 'person', 'shop:1', 'store:own', ...data)
  expect(linked).toMatchObject({ code: 0, stdout: expect.stringContaining('shop:1 and store:own are one person') })
  await settled(hub, 2)
  expect([...store.records.keys()]).toEqual(['own'])
  const explained = await command('explain', 'person', 'store:own', ...data)
  expect(explained.stdout).toContain('a person said that shop:1 and store:own are one person')

  const separated = await command('separate', 'person', 'shop:1', 'store:own', '--json', ...data)
  const { keys } = JSON.parse(separated.stdout).separated as { keys: string[] }
  expect(keys[0]).not.toBe(keys[1])
  await tell(hub, 'shop', { id: 1, rev: 2, name: 'Ada of the shop', email: 'ada@shop' })
  const after = await settled(hub, 2)
  expect(store.records.get('own')).toMatchObject({ name: 'Ada' })
  expect(after.parkedLanes).toMatchObject([{ app: 'store', code: 'resolve.separated' }])
  const released = await command('release', 'person', 'shop:1', ...data)
  expect(released.code).toBe(0)
  await settled(hub, 3)
  expect([...store.records.values()]).toMatchObject([{ id: 'own' }, { name: 'Ada of the shop' }])
})
