import { afterEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { bearer, http } from '../connectors/http/index.ts'
import { cents, decimal, decimalText, defineHub, entity, key, latest, reference, sync } from '../index.ts'
import { systemClock, systemRandom } from '../lib/system-clock.ts'
import { asAppId, asNativeId } from '../model/ids.ts'
import { MemoryJournal, MemoryStore } from '../stores/memory/index.ts'
import { Engine } from './engine.ts'
import { FakeApp } from './fake-app.ts'

const left = http({ baseUrl: 'http://left.test', auth: bearer('x') })
const right = http({ baseUrl: 'http://right.test', auth: bearer('x') })
const person = entity('person', {
  schema: z.object({ name: z.string(), email: z.string(), credit: decimal(2) }),
  match: key('email'),
})
const basket = entity('basket', {
  schema: z.object({ owner: reference(person), note: z.string().nullable() }),
  parts: { lines: { key: 'no', schema: z.object({ no: z.int(), qty: z.int() }) } },
})
const Row = z.object({
  id: z.string(),
  full_name: z.string(),
  email: z.string(),
  credit_cents: z.int(),
  rev: z.int(),
  ext: z.string().nullable(),
})
const RightRow = z.object({
  id: z.string(),
  title: z.string(),
  mail: z.string(),
  credit: z.string(),
  rev: z.int(),
  ext: z.string().nullable(),
})
const BasketRow = z.object({
  id: z.string(),
  person: z.string(),
  note: z.string().nullable(),
  lines: z.array(z.object({ n: z.int(), quantity: z.int() })),
  rev: z.int(),
  ext: z.string().nullable(),
})
const common = { id: 'id', version: 'rev', externalId: 'ext', conditional: true, idempotency: 'all' } as const

const definition = defineHub({
  apps: { left, right },
  sync: [
    sync(
      person,
      {
        left: left.resource('/people', Row, {
          ...common,
          fields: { name: 'full_name', email: 'email', credit: ['credit_cents', cents] },
        }),
        right: right.resource('/persons', RightRow, {
          ...common,
          fields: { name: 'title', email: 'mail', credit: ['credit', decimalText(2)] },
        }),
      },
      { conflicts: { default: latest() } },
    ),
    sync(basket, {
      left: left.resource('/baskets', BasketRow, {
        ...common,
        fields: { owner: 'person', note: 'note' },
        parts: { lines: { from: 'lines', key: 'n', fields: { qty: 'quantity' } } },
      }),
      right: right.resource('/carts', BasketRow, {
        ...common,
        fields: { owner: 'person', note: 'note' },
        parts: { lines: { from: 'lines', key: 'n', fields: { qty: 'quantity' } } },
      }),
    }),
  ],
})

const running: Engine[] = []
afterEach(async () => {
  for (const engine of running.splice(0)) await engine.stop()
})

async function pair() {
  const store = new MemoryStore({ instanceId: 'test' })
  const journal = new MemoryJournal()
  const apps = { left: new FakeApp('left', 'L'), right: new FakeApp('right', 'R', { trim: true, unique: 'mail' }) }
  const start = async (): Promise<Engine> => {
    const connectors = new Map(Object.values(apps).map((app) => [asAppId(app.name), app.connector(definition.model)]))
    const engine = new Engine({
      model: definition.model,
      connectors,
      store,
      journal,
      clock: systemClock,
      random: systemRandom,
      log: { log: () => {} },
    })
    running.push(engine)
    await engine.start()
    for (const app of Object.values(apps)) app.notify = (changes) => engine.accept(asAppId(app.name), changes)
    return engine
  }
  const settle = async (engine: Engine): Promise<void> => {
    for (let quiet = 0; quiet < 3; ) {
      await new Promise((resolve) => setImmediate(resolve))
      quiet = engine.isIdle() && Object.values(apps).every((app) => app.isQuiet) ? quiet + 1 : 0
    }
  }
  const engine = await start()
  return { ...apps, store, journal, engine, start, settle }
}

describe('engine', () => {
  test('a record created in one application appears in the other, once, and its echo changes nothing', async () => {
    const { left, right, engine, settle, store } = await pair()
    const id = left.create('people', { full_name: 'Ada', email: 'ada@example.test', credit_cents: 1250 })
    await settle(engine)
    expect(right.list('persons')).toMatchObject([{ title: 'Ada', mail: 'ada@example.test', credit: '12.50' }])
    expect(left.hubWrites).toBe(0)
    expect(right.hubWrites).toBe(1)
    const links = await store.links({ max: 10 })
    expect(links.map((link) => [link.app, link.latchClosed])).toEqual([
      ['left', false],
      ['right', false],
    ])
    expect(links[0]?.key).toBe(links[1]?.key)
    expect(links.some((link) => link.nativeId === asNativeId(id))).toBe(true)
  })

  test('edits cross in both directions and no write of ours is answered by another', async () => {
    const { left, right, engine, settle } = await pair()
    const id = left.create('people', { full_name: 'Ada', email: 'ada@example.test', credit_cents: 0 })
    await settle(engine)
    const other = right.list('persons')[0]?.id as string
    right.edit('persons', other, { title: 'Ada L.' })
    await settle(engine)
    expect(left.get('people', id)).toMatchObject({ full_name: 'Ada L.' })
    left.edit('people', id, { credit_cents: 999 })
    await settle(engine)
    expect(right.get('persons', other)).toMatchObject({ title: 'Ada L.', credit: '9.99' })
    expect(left.hubWrites).toBe(1)
    expect(right.hubWrites).toBe(2)
  })

  test('the same field edited on both sides at once: one value everywhere, the other in the conflict log', async () => {
    const { left, right, engine, settle, store } = await pair()
    const id = left.create('people', { full_name: 'Ada', email: 'ada@example.test', credit_cents: 0 })
    await settle(engine)
    const other = right.list('persons')[0]?.id as string
    left.edit('people', id, { full_name: 'Left' })
    right.edit('persons', other, { title: 'Right' })
    await settle(engine)
    const values = [left.get('people', id)?.full_name, right.get('persons', other)?.title]
    expect(values[0]).toBe(values[1])
    const conflicts = await store.conflicts({ max: 10 })
    expect(conflicts.map((conflict) => conflict.loserValue)).toEqual([values[0] === 'Left' ? 'Right' : 'Left'])
  })

  test('a target that stores values in its own form is not answered', async () => {
    const { left, right, engine, settle } = await pair()
    const id = left.create('people', { full_name: '  Ada  ', email: 'ada@example.test', credit_cents: 0 })
    await settle(engine)
    expect(right.list('persons')).toMatchObject([{ title: 'Ada' }])
    expect(left.get('people', id)).toMatchObject({ full_name: '  Ada  ' })
    expect(left.hubWrites).toBe(0)
  })

  test('a deletion crosses, and the echo of our deletion changes nothing', async () => {
    const { left, right, engine, settle } = await pair()
    const id = left.create('people', { full_name: 'Ada', email: 'ada@example.test', credit_cents: 0 })
    await settle(engine)
    left.remove('people', id)
    await settle(engine)
    expect(right.list('persons')).toEqual([])
    expect(right.hubWrites).toBe(2)
  })

  test('the same person created in both applications at once is matched, not doubled', async () => {
    const { left, right, engine, settle } = await pair()
    left.create('people', { full_name: 'Ada', email: 'ada@example.test', credit_cents: 5 })
    right.create('persons', { title: 'Ada', mail: 'ADA@example.test', credit: '0.05' })
    await settle(engine)
    expect(left.list('people').length).toBe(1)
    expect(right.list('persons').length).toBe(1)
  })

  test('parts and references cross: an order arrives after its customer, lines are added, changed and removed', async () => {
    const { left, right, engine, settle } = await pair()
    const owner = left.create('people', { full_name: 'Ada', email: 'ada@example.test', credit_cents: 0 })
    const id = left.create('baskets', {
      person: owner,
      note: null,
      lines: [
        { n: 1, quantity: 2 },
        { n: 2, quantity: 3 },
      ],
    })
    await settle(engine)
    const person = right.list('persons')[0]?.id
    expect(right.list('carts')).toMatchObject([
      {
        person,
        note: null,
        lines: [
          { n: 1, quantity: 2 },
          { n: 2, quantity: 3 },
        ],
      },
    ])
    const other = right.list('carts')[0]?.id as string
    right.edit('carts', other, {
      lines: [
        { n: 2, quantity: 4 },
        { n: 3, quantity: 1 },
      ],
    })
    await settle(engine)
    expect(left.get('baskets', id)).toMatchObject({
      lines: [
        { n: 2, quantity: 4 },
        { n: 3, quantity: 1 },
      ],
    })
  })

  test('edits while the target is down become one write when it is back', async () => {
    const { left, right, engine, settle } = await pair()
    const id = left.create('people', { full_name: 'Ada', email: 'ada@example.test', credit_cents: 0 })
    await settle(engine)
    right.isDown = true
    for (let i = 1; i <= 20; i++) left.edit('people', id, { credit_cents: i })
    for (let turns = 0; turns < 50; turns++) await new Promise((resolve) => setImmediate(resolve))
    right.isDown = false
    await settle(engine)
    expect(right.list('persons')).toMatchObject([{ credit: '0.20' }])
    expect(right.hubWrites).toBeLessThanOrEqual(3)
  })

  test('a hub killed with a write under way resolves it after the restart without a second effect', async () => {
    const { left, right, engine, settle, start } = await pair()
    right.holdReplies = true
    left.create('people', { full_name: 'Ada', email: 'ada@example.test', credit_cents: 0 })
    while (right.hubWrites === 0) await new Promise((resolve) => setImmediate(resolve))
    engine.kill()
    right.holdReplies = false
    const again = await start()
    await settle(again)
    expect(right.list('persons').length).toBe(1)
    expect(left.hubWrites).toBe(0)
  })

  test('a record that does not fit the schema is parked, listed, and superseded by a corrected one', async () => {
    const { left, right, engine, settle, store } = await pair()
    const id = left.create('people', {
      full_name: 'Ada',
      email: 'ada@example.test',
      credit_cents: 'many' as unknown as number,
    })
    left.create('people', { full_name: 'Bob', email: 'bob@example.test', credit_cents: 1 })
    await settle(engine)
    expect(right.list('persons')).toMatchObject([{ title: 'Bob' }])
    expect(await store.held(0 as never, 10)).toMatchObject([{ waitsOn: 'operator', nativeId: id }])
    left.edit('people', id, { credit_cents: 3 })
    await settle(engine)
    expect(right.list('persons').length).toBe(2)
    expect(await store.held(0 as never, 10)).toEqual([])
  })
})
