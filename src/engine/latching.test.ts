import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { http } from '../connectors/http/config.ts'
import { SyncError } from '../errors/index.ts'
import { defineHub, entity, key, sync } from '../index.ts'
import type { HubModel, Latching } from '../model/entity.ts'
import { fakePair } from './fake-pair.ts'

/** The same traffic in each latching mode. */

function modelOf(latching: Latching, correlation = true): HubModel {
  const left = http({ baseUrl: 'http://left.test' })
  const right = http({ baseUrl: 'http://right.test' })
  const person = entity('person', { schema: z.object({ name: z.string(), city: z.string() }), match: key('name') })
  const Row = z.object({ id: z.string(), name: z.string(), city: z.string(), rev: z.int(), ext: z.string().nullable() })
  const binding = {
    id: 'id',
    version: 'rev',
    ...(correlation ? { externalId: 'ext' as const } : {}),
    conditional: true,
    idempotency: 'all',
    latching,
    fields: { name: 'name', city: 'city' },
  } as const
  return defineHub({
    apps: { left, right },
    sync: [sync(person, { left: left.resource('/a', Row, binding), right: right.resource('/b', Row, binding) })],
  }).model
}

describe.each(['memory', 'table', 'volatile'] as const)('latching %s', (latching) => {
  test('edits cross both ways, and no write of ours is answered', async () => {
    await using pair = await fakePair(modelOf(latching))
    const { left, right, settle } = pair
    const id = left.create('a', { name: 'Ada', city: 'Faro' })
    await settle()
    const other = right.list('b')[0]?.id as string
    for (let i = 0; i < 10; i++) {
      right.edit('b', other, { city: `r${i}` })
      await settle()
      left.edit('a', id, { city: `l${i}` })
      await settle()
    }
    expect([left.get('a', id)?.city, right.get('b', other)?.city]).toEqual(['l9', 'l9'])
    expect([left.hubWrites, right.hubWrites]).toEqual([10, 11])
  })

  test('bursts on both sides end equal, and one of each conflict is kept', async () => {
    await using pair = await fakePair(modelOf(latching))
    const { left, right, settle, store } = pair
    const id = left.create('a', { name: 'Ada', city: 'Faro' })
    await settle()
    const other = right.list('b')[0]?.id as string
    for (let i = 0; i < 15; i++) {
      left.edit('a', id, { city: `l${i}` })
      right.edit('b', other, { city: `r${i}` })
      if (i % 4 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    await settle()
    expect(left.get('a', id)?.city).toBe(right.get('b', other)?.city)
    expect((await store.conflicts({ max: 100 })).length).toBeGreaterThan(0)
  })

  test('a hub killed with a write under way resolves it after the restart without a second effect', async () => {
    await using pair = await fakePair(modelOf(latching))
    const { left, right, settle, start } = pair
    const id = left.create('a', { name: 'Ada', city: 'Faro' })
    await settle()
    const writes = right.hubWrites
    right.holdReplies = true
    left.edit('a', id, { city: 'Lagos' })
    while (right.hubWrites === writes) await new Promise((resolve) => setImmediate(resolve))
    pair.engine.kill()
    right.holdReplies = false
    await settle(await start())
    expect(right.list('b')).toMatchObject([{ city: 'Lagos' }])
    expect(right.hubWrites).toBe(writes + 1)
    expect(left.hubWrites).toBe(0)
  })
})

test('table asks the store for every observation, memory only for what it has not seen', async () => {
  const asked: Record<string, number> = {}
  for (const latching of ['memory', 'table'] as const) {
    let loads = 0
    const fault = (operation: string, when: string): void => {
      if (when === 'before' && (operation === 'load' || operation === 'openLanes')) loads++
    }
    await using pair = await fakePair(modelOf(latching, false), { fault })
    const id = pair.left.create('a', { name: 'Ada', city: 'Faro' })
    await pair.settle()
    loads = 0
    for (let i = 0; i < 20; i++) {
      pair.left.edit('a', id, { city: `c${i}` })
      await pair.settle()
    }
    asked[latching] = loads
  }
  expect(asked.memory).toBe(0)
  expect(asked.table).toBeGreaterThanOrEqual(80)
})

test('volatile: what was written and never committed is found by the condition of the next write, and nothing is lost', async () => {
  let failing = 0
  const fault = (operation: string, when: string): void => {
    if (operation === 'commit' && when === 'before' && failing > 0) {
      failing--
      throw new SyncError('store.failed', 'the disk is away')
    }
  }
  await using pair = await fakePair(modelOf('volatile'), { fault })
  const { left, right, settle } = pair
  const id = left.create('a', { name: 'Ada', city: 'Faro' })
  await settle()
  const writes = right.hubWrites
  failing = 1
  left.edit('a', id, { city: 'Lagos' })
  // The write leaves although the commit fails.
  while (right.hubWrites === writes) await new Promise((resolve) => setImmediate(resolve))
  left.edit('a', id, { city: 'Tavira' })
  while (right.list('b')[0]?.city !== 'Tavira') await new Promise((resolve) => setTimeout(resolve, 5))
  await settle()
  expect(left.get('a', id)).toMatchObject({ city: 'Tavira' })
  expect(left.hubWrites).toBe(0)
  expect(right.list('b').length).toBe(1)
})

test('volatile is refused where a lost latch would do harm', () => {
  const of = (options: object) => () => {
    const left = http({ baseUrl: 'http://left.test' })
    const item = entity('item', { schema: z.object({ name: z.string() }) })
    const binding = { id: 'id', fields: { name: 'name' }, latching: 'volatile', ...options } as never
    return defineHub({ apps: { left }, sync: [sync(item, { left: left.resource('/a', binding) })] })
  }
  const safe = { version: 'rev', conditional: true, idempotency: 'all' }
  expect(of(safe)).not.toThrow()
  expect(of({ ...safe, idempotency: 'none' })).toThrow(/item\.left\.latching: volatile needs idempotent creates \(K2\)/)
  expect(of({ ...safe, idempotency: 'none', createHere: false })).not.toThrow()
  expect(of({ idempotency: 'all' })).toThrow(/item\.left\.latching: volatile needs conditional writes \(C2\)/)
  expect(of({ ...safe, latching: 'disk' })).toThrow(/'disk' is not a latching mode/)
})
