import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { http } from '../connectors/http/config.ts'
import { addRemove, counter, defineHub, entity, key, manual, merge, sync } from '../index.ts'
import { systemClock, systemRandom } from '../lib/system-clock.ts'
import { asAppId } from '../model/ids.ts'
import type { RecordState } from '../model/record.ts'
import { MemoryJournal, MemoryStore } from '../stores/memory/index.ts'
import { Engine } from './engine.ts'
import { FakeApp } from './fake-app.ts'

/** The conflict policies through the whole engine: two applications edit one field before either has seen the other's edit. */

const left = http({ baseUrl: 'http://left.test' })
const right = http({ baseUrl: 'http://right.test' })
const article = entity('article', {
  schema: z.object({
    sku: z.string(),
    title: z.string().nullable(),
    stock: z.int(),
    tags: z.array(z.string()),
    text: z.string(),
  }),
  match: key('sku'),
})
const Row = z.object({
  id: z.string(),
  sku: z.string(),
  title: z.string().nullable(),
  stock: z.int(),
  tags: z.array(z.string()),
  text: z.string(),
  rev: z.int(),
  ext: z.string().nullable(),
})
const binding = {
  id: 'id',
  version: 'rev',
  externalId: 'ext',
  conditional: true,
  idempotency: 'all',
  fields: { sku: 'sku', title: 'title', stock: 'stock', tags: 'tags', text: 'text' },
} as const
const { model } = defineHub({
  apps: { left, right },
  sync: [
    sync(
      article,
      { left: left.resource('/a', Row, binding), right: right.resource('/b', Row, binding) },
      {
        conflicts: {
          fields: {
            title: manual(),
            stock: counter(),
            tags: addRemove(),
            text: merge(({ current, incoming }) => [current.value, incoming.value].sort().join(' ')),
          },
        },
      },
    ),
  ],
})

const running: Engine[] = []
afterEach(async () => {
  for (const engine of running.splice(0)) await engine.stop()
})

async function meeting() {
  const store = new MemoryStore({ instanceId: 'test' })
  const apps = { left: new FakeApp('left', 'L'), right: new FakeApp('right', 'R') }
  const engine = new Engine({
    model,
    connectors: new Map(Object.values(apps).map((app) => [asAppId(app.name), app.connector(model)])),
    store,
    journal: new MemoryJournal(),
    clock: systemClock,
    random: systemRandom,
    log: { log: () => {} },
  })
  running.push(engine)
  await engine.start()
  for (const app of Object.values(apps)) app.notify = (changes) => engine.accept(asAppId(app.name), changes)
  const settle = async (): Promise<void> => {
    for (let quiet = 0; quiet < 3; ) {
      await new Promise((resolve) => setImmediate(resolve))
      quiet = engine.isIdle() && Object.values(apps).every((app) => app.isQuiet) ? quiet + 1 : 0
    }
  }
  const id = apps.left.create('a', { sku: 's', title: 'T', stock: 10, tags: ['a'], text: 'old' })
  await settle()
  const other = apps.right.list('b')[0]?.id as string
  /** Both save before the hub has carried either over. */
  const both = async (atLeft: Record<string, unknown>, atRight: Record<string, unknown>): Promise<void> => {
    apps.left.edit('a', id, atLeft)
    apps.right.edit('b', other, atRight)
    await settle()
  }
  const values = (name: string): unknown[] => [apps.left.get('a', id)?.[name], apps.right.get('b', other)?.[name]]
  const record = (): RecordState => [...store.records()][0] as RecordState
  return { ...apps, id, other, engine, store, settle, both, values, record }
}

describe('what both sides changed', () => {
  test('counter: a stock counts every piece that either side took', async () => {
    const { both, values, store, left, right } = await meeting()
    const writes = left.hubWrites + right.hubWrites
    await both({ stock: 7 }, { stock: 9 })
    expect(values('stock')).toEqual([6, 6])
    expect(await store.conflicts({ max: 10 })).toEqual([])
    expect(left.hubWrites + right.hubWrites - writes).toBeLessThanOrEqual(3)
    await both({ stock: 5 }, { stock: 5 })
    expect(values('stock')).toEqual([4, 4])
  })

  test('addRemove: a set keeps what either side added', async () => {
    const { both, values } = await meeting()
    await both({ tags: ['a', 'b'] }, { tags: ['c'] })
    expect(values('tags')).toEqual([
      ['b', 'c'],
      ['b', 'c'],
    ])
  })

  test('merge: the function has the last word, and nothing loops', async () => {
    const { both, values, settle } = await meeting()
    await both({ text: 'x' }, { text: 'y' })
    expect(values('text')).toEqual(['x y', 'x y'])
    await settle()
    expect(values('text')).toEqual(['x y', 'x y'])
  })

  test('manual: both values are kept until a person decides; everything else goes on', async () => {
    const { both, values, engine, settle, store, record } = await meeting()
    await both({ title: 'L' }, { title: 'R', stock: 11 })
    expect(values('title')).toEqual(['L', 'R'])
    expect(values('stock')).toEqual([11, 11])
    expect((await store.counts()).openLanes).toEqual({ parked: 1 })
    const aside = record()
    expect(aside.parkedPaths.title?.code).toBe('merge.manual')
    await engine.operate({ action: 'resolve', key: aside.key, path: 'title', choice: { take: asAppId('right') } })
    await settle()
    expect(values('title')).toEqual(['R', 'R'])
    expect(record().parkedPaths).toEqual({})
    expect((await store.counts()).openLanes).toEqual({})
    expect(await store.conflicts({ max: 10 })).toMatchObject([{ loserApp: 'left', loserValue: 'L', winnerValue: 'R' }])
  })

  test('manual: an empty value can be taken, too', async () => {
    const { both, values, engine, settle, record } = await meeting()
    await both({ title: null }, { title: 'R' })
    const choice = { take: asAppId('left') }
    await engine.operate({ action: 'resolve', key: record().key, path: 'title', choice })
    await settle()
    expect(values('title')).toEqual([null, null])
  })

  test('manual: a value of the person’s own; one that does not fit changes nothing', async () => {
    const { both, values, engine, settle, record } = await meeting()
    await both({ title: 'L' }, { title: 'R' })
    const { key: canonical } = record()
    await engine.operate({ action: 'resolve', key: canonical, path: 'title', choice: { value: 12 } })
    await settle()
    expect(values('title')).toEqual(['L', 'R'])
    await engine.operate({ action: 'resolve', key: canonical, path: 'title', choice: { value: 'new' } })
    await settle()
    expect(values('title')).toEqual(['new', 'new'])
  })

  test('manual: when the people agree by themselves, it is taken up again', async () => {
    const { both, values, right, other, settle, record } = await meeting()
    await both({ title: 'L' }, { title: 'R' })
    right.edit('b', other, { title: 'L' })
    await settle()
    expect(record().parkedPaths).toEqual({})
    right.edit('b', other, { title: 'next' })
    await settle()
    expect(values('title')).toEqual(['next', 'next'])
  })
})

describe('counters', () => {
  test('what either side added counts, in whatever order the hub hears of it', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.boolean(), fc.integer({ min: -5, max: 5 }), fc.integer({ min: 0, max: 3 })), {
          maxLength: 25,
        }),
        async (edits) => {
          const { left, right, id, other, values, settle } = await meeting()
          let sum = 10
          for (const [atLeft, by, turns] of edits) {
            const [app, object, record] = atLeft ? ([left, 'a', id] as const) : ([right, 'b', other] as const)
            app.edit(object, record, { stock: Number(app.get(object, record)?.stock) + by })
            sum += by
            for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve))
          }
          await settle()
          expect(values('stock')).toEqual([sum, sum])
        },
      ),
      { numRuns: 40 },
    )
  })
})
