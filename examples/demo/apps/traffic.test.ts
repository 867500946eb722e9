import { expect, test } from 'vitest'
import { orderDesk } from './order-desk.ts'
import { orderDeskSeed, warehouseSeed } from './seed.ts'
import type { Json } from './testing.ts'
import { openApp } from './testing.ts'
import { startTraffic } from './traffic.ts'
import { warehouse } from './warehouse.ts'

test('users work on both sides, write every text once, and never under the name of the api', async () => {
  await using desk = await openApp(orderDesk, { seed: orderDeskSeed(16) })
  await using app = await openApp(warehouse, { seed: warehouseSeed(16) })
  const options = { deskUrl: desk.url, warehouseUrl: app.url, rate: 400, seed: 7, thinkMsMax: 5, tag: 'run' }
  const traffic = startTraffic(options)
  await expect.poll(() => traffic.stats().actions, { timeout: 5000 }).toBeGreaterThan(400)
  const { outcomes, pairEdits } = await traffic.stop()
  expect(outcomes.unreachable + outcomes.refused).toBe(0)
  expect(pairEdits).toBeGreaterThan(0)
  const notes = new Set<unknown>()
  for (const { call } of [desk, app]) {
    const { items } = (await call('GET', '/_log?limit=1000')).body as { items: Json[] }
    const writes = items.filter(({ actor }) => actor !== 'seed')
    expect(writes.length).toBeGreaterThan(50)
    for (const { actor, before, after, op } of writes) {
      expect(actor).toMatch(/^user:\d+$/)
      if (op !== 'update') continue
      for (const name of [
        'full_name',
        'displayName',
        'phone',
        'phoneNumber',
        'note',
        'remark',
        'title',
        'description',
      ]) {
        const value = (after as Json)[name]
        if (value === (before as Json)[name]) continue
        expect(notes.has(value)).toBe(false)
        notes.add(value)
      }
    }
  }
})

test('goes on while an application is away, and works in it once it is back', async () => {
  await using desk = await openApp(orderDesk, { seed: orderDeskSeed(8) })
  const away = await openApp(warehouse)
  await away[Symbol.asyncDispose]()
  const traffic = startTraffic({ deskUrl: desk.url, warehouseUrl: away.url, rate: 100, seed: 1, thinkMsMax: 1 })
  await expect.poll(() => traffic.stats().outcomes.written, { timeout: 5000 }).toBeGreaterThan(10)
  expect(await traffic.editBothSides()).toBeNull()
  await using back = await openApp(warehouse, { port: Number(new URL(away.url).port), seed: warehouseSeed(8) })
  const writes = async () =>
    ((await back.call('GET', '/_log?limit=1000')).body.items as Json[]).filter(({ actor }) => actor !== 'seed')
  await expect.poll(async () => (await writes()).length, { timeout: 5000 }).toBeGreaterThan(5)
  await traffic.stop()
})

test('two users edit one record on both sides at once', async () => {
  await using desk = await openApp(orderDesk, { seed: orderDeskSeed(8) })
  await using app = await openApp(warehouse, { seed: warehouseSeed(8) })
  const traffic = startTraffic({ deskUrl: desk.url, warehouseUrl: app.url, rate: 0, seed: 1 })
  await expect
    .poll(() => traffic.editBothSides(), { timeout: 5000 })
    .toMatchObject({ desk: { status: 200 }, warehouse: { status: 200 } })
  await traffic.stop()
})
