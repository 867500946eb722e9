import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import type { HubDefinition } from '../config/define-hub.ts'
import { http, unverified, webhook } from '../connectors/http/index.ts'
import { defineHub, entity, env, key, manual, sync } from '../index.ts'
import { collectingLog, environment, eventually, FakeStore, temporaryFolder } from '../server/fixture-hub.ts'
import { type RunningHub, startHub } from '../server/hub.ts'
import type { HubStatus } from '../server/status.ts'
import { run } from './program.ts'

/** The commands with which people decide, against a real hub between a shop that only tells and a store that takes writes over HTTP. */

function decidingHub(): HubDefinition {
  const shop = http({ baseUrl: env('SHOP_URL') })
  const store = http({ baseUrl: env('STORE_URL') })
  const person = entity('person', {
    schema: z.object({ name: z.string().min(1), city: z.string() }),
    match: key('name'),
  })
  const common = {
    id: 'id',
    version: 'rev',
    conditional: true,
    idempotency: 'all',
    fields: { name: 'name', city: 'city' },
  } as const
  return defineHub({
    apps: { shop, store },
    sync: [
      sync(
        person,
        {
          shop: shop.resource('/persons', {
            ...common,
            createHere: false,
            notify: webhook('/hooks/shop', { verify: unverified() }),
          }),
          store: store.resource('/people', {
            ...common,
            notify: webhook('/hooks/store', { verify: unverified() }),
          }),
        },
        { conflicts: { fields: { city: manual() } } },
      ),
    ],
  })
}

const store = new FakeStore()
let storeUrl = ''
beforeAll(async () => {
  storeUrl = await store.listen()
})
afterAll(() => store.close())

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

async function command(...args: readonly string[]): Promise<Ended> {
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

const tell = (hub: RunningHub, app: 'shop' | 'store', record: object): Promise<Response> =>
  fetch(`${hub.url}/hooks/${app}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(record),
  })

const statusOf = async (hub: RunningHub): Promise<HubStatus> =>
  (await fetch(`${hub.url}/api/status`)).json() as Promise<HubStatus>

describe('resolve', () => {
  test('a field that two people changed is shown with both values and decided by a command', async () => {
    using folder = temporaryFolder()
    await using hub = await startHub({
      definition: decidingHub(),
      dataDir: folder.path,
      env: environment(storeUrl),
      log: collectingLog(),
      port: 0,
    })
    const data = ['--data', folder.path, '--config', 'none.ts']
    await tell(hub, 'shop', { id: 1, rev: 1, name: 'Ada', city: 'Faro' })
    await eventually(
      () => statusOf(hub),
      (now) => now.counts.links === 2 && now.idle,
    )
    const [id] = [...store.records.keys()]
    // The store's own record moves on before the shop's change reaches it: two changes of one field.
    store.records.set(id as string, { id, rev: 50, name: 'Ada', city: 'Tavira' })
    await tell(hub, 'store', { id, rev: 50, name: 'Ada', city: 'Tavira' })
    await tell(hub, 'shop', { id: 1, rev: 2, name: 'Ada', city: 'Lagos' })
    const parked = await eventually(
      () => statusOf(hub),
      (now) => now.parkedLanes.length > 0,
    )
    expect(parked.parkedLanes[0]).toMatchObject({ code: 'merge.manual', message: expect.stringContaining('city') })

    const explained = await command('explain', 'person', 'shop:1', ...data)
    expect(explained.stdout).toMatch(/city is set aside \(merge\.manual\)/)
    expect(explained.stdout).toMatch(/shop holds "Lagos"/)
    expect(explained.stdout).toMatch(/store holds "Tavira"/)

    const refused = [
      await command('resolve', 'person', 'shop:1', 'city', ...data),
      await command('resolve', 'person', 'shop:1', 'name', '--take', 'shop', ...data),
      await command('resolve', 'person', 'shop:1', 'city', '--take', 'nobody', ...data),
      await command('resolve', 'person', 'shop:1', 'city', '--value', 'false', ...data),
    ]
    expect(refused.map(({ code, stderr }) => [code, stderr])).toEqual([
      [2, expect.stringContaining('either --take <app> or --value')],
      [1, expect.stringContaining('is not set aside; set aside of it: city')],
      [2, expect.stringContaining("'nobody' holds no city")],
      [2, expect.stringContaining('the value does not fit city')],
    ])

    const resolved = await command('resolve', 'person', 'shop:1', 'city', '--take', 'shop', ...data)
    expect(resolved).toMatchObject({ code: 0, stdout: expect.stringContaining('decided') })
    await eventually(
      () => statusOf(hub),
      (now) => now.parkedLanes.length === 0 && now.idle,
    )
    expect(store.records.get(id as string)).toMatchObject({ city: 'Lagos' })
    const conflicts = await command('conflicts', '--json', ...data)
    expect(JSON.parse(conflicts.stdout)).toMatchObject({
      items: [{ loserApp: 'store', loserValue: 'Tavira', winnerValue: 'Lagos', policy: 'resolved by a person' }],
    })
  })
})
