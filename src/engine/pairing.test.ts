import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { http } from '../connectors/http/config.ts'
import { defineHub, entity, key, latest, sync } from '../index.ts'
import type { HubModel } from '../model/entity.ts'
import { asAppId, asNativeId } from '../model/ids.ts'
import type { RecordState } from '../model/record.ts'
import { candidatesOf } from '../server/candidates.ts'
import type { FakeApp } from './fake-app.ts'
import { type FakePair, fakePair } from './fake-pair.ts'

/** People who say that two records are one, and that they are not, through the whole engine. */

function modelOf(): HubModel {
  const left = http({ baseUrl: 'http://left.test' })
  const right = http({ baseUrl: 'http://right.test' })
  const person = entity('person', {
    schema: z.object({ email: z.string().nullable(), name: z.string(), phone: z.string().nullable() }),
    match: key('email'),
    hints: [['phone'], ['name', 'email']],
  })
  const Row = z.object({
    id: z.string(),
    email: z.string().nullable(),
    name: z.string(),
    phone: z.string().nullable(),
    rev: z.int(),
    ext: z.string().nullable(),
  })
  const binding = {
    id: 'id',
    version: 'rev',
    externalId: 'ext',
    conditional: true,
    idempotency: 'all',
    fields: { email: 'email', name: 'name', phone: 'phone' },
  } as const
  return defineHub({
    apps: { left, right },
    sync: [
      sync(
        person,
        { left: left.resource('/a', Row, binding), right: right.resource('/b', Row, binding) },
        { conflicts: { default: latest({ skewMs: 0 }) } },
      ),
    ],
  }).model
}

const named = (pair: FakePair, app: FakeApp, nativeId: string) => ({
  key: recordOf(pair, app, nativeId).key,
  app: asAppId(app.name),
  nativeId: asNativeId(nativeId),
})

function recordOf({ store }: FakePair, app: FakeApp, nativeId: string): RecordState {
  const found = [...store.records()].find((record) => record.lanes[app.name as never]?.nativeId === nativeId)
  if (found === undefined) throw new Error(`no record has ${app.name}:${nativeId}`)
  return found
}

type Named = readonly [FakeApp, string]

async function say(pair: FakePair, action: 'link' | 'separate', [a, idA]: Named, [b, idB]: Named): Promise<void> {
  await pair.engine.operate({ action, ...named(pair, a, idA), other: named(pair, b, idB) })
  await pair.settle()
}

/** Ada in both applications under no common key: the hub has made a copy of each in the other. */
async function twoAdas(pair: FakePair): Promise<{ l: string; r: string }> {
  const l = pair.left.create('a', { email: 'ada@x', name: 'Ada', phone: '1' })
  await pair.settle()
  const r = pair.right.create('b', { email: 'ada@y', name: 'Ada L', phone: '1' })
  await pair.settle()
  expect([pair.left.list('a').length, pair.right.list('b').length]).toEqual([2, 2])
  return { l, r }
}

describe('link', () => {
  test('two records become one: our copies are taken back, the values are merged with the losers kept, and edits go both ways', async () => {
    await using pair = await fakePair(modelOf())
    const { left, right, settle, store } = pair
    const { l, r } = await twoAdas(pair)
    await say(pair, 'link', [left, l], [right, r])
    const [one] = left.list('a')
    expect(left.list('a')).toMatchObject([{ id: l, name: 'Ada L' }])
    expect(right.list('b')).toMatchObject([{ id: r, name: one?.name, email: one?.email }])
    const lost = await store.conflicts({ max: 10 })
    expect(lost.map(({ path, loserValue }) => [path, loserValue]).sort()).toEqual([
      ['email', 'ada@x'],
      ['name', 'Ada'],
    ])
    left.edit('a', l, { phone: '2' })
    await settle()
    right.edit('b', r, { name: 'Ada Lovelace' })
    await settle()
    expect(left.list('a')).toMatchObject([{ phone: '2', name: 'Ada Lovelace' }])
    expect(right.list('b')).toMatchObject([{ phone: '2', name: 'Ada Lovelace' }])
    expect((await store.counts()).openLanes).toEqual({})
  })

  test('survives a restart: no write, and the one record goes on', async () => {
    await using pair = await fakePair(modelOf())
    const { left, right } = pair
    const { l, r } = await twoAdas(pair)
    await say(pair, 'link', [left, l], [right, r])
    const before = [left.hubWrites, right.hubWrites]
    await pair.engine.stop()
    await pair.settle(await pair.start())
    expect([left.hubWrites, right.hubWrites]).toEqual(before)
    left.edit('a', l, { name: 'A' })
    await pair.settle()
    expect(right.list('b')).toMatchObject([{ id: r, name: 'A' }])
  })

  test('a copy that its users change before it is taken back becomes a record of its own, with their value', async () => {
    await using pair = await fakePair(modelOf())
    const { left, right, settle, engine } = pair
    const { l, r } = await twoAdas(pair)
    const copy = left.list('a').find(({ id }) => id !== l)?.id as string
    const asked = engine.operate({ action: 'link', ...named(pair, left, l), other: named(pair, right, r) })
    left.edit('a', copy, { phone: '99' })
    await asked
    await settle()
    expect(left.get('a', copy)).toMatchObject({ phone: '99' })
    expect(right.list('b')).toMatchObject([{ id: r }])
    expect(recordOf(pair, left, copy)).toMatchObject({ lanes: { right: { park: { code: 'resolve.separated' } } } })
    expect(recordOf(pair, left, copy).mergedInto).toBeUndefined()
  })

  test("a copy that was edited is nobody's to take back, and two of one application are two", async () => {
    await using pair = await fakePair(modelOf())
    const { left, right, settle } = pair
    const { l, r } = await twoAdas(pair)
    const copy = left.list('a').find(({ id }) => id !== l)?.id as string
    left.edit('a', copy, { phone: '7' })
    await settle()
    const before = [left.hubWrites, right.hubWrites]
    await say(pair, 'link', [left, l], [right, r])
    await say(pair, 'link', [left, l], [left, copy])
    expect([left.list('a').length, right.list('b').length]).toEqual([2, 2])
    expect([left.hubWrites, right.hubWrites]).toEqual(before)
    const said = await pair.store.verdicts(recordOf(pair, left, l).key)
    expect(said.slice(0, 2).map(({ text }) => text)).toEqual([
      expect.stringContaining('both are in left'),
      expect.stringContaining('not merely our copy'),
    ])
  })

  test('while a write is under way nothing is done, and it is said', async () => {
    await using pair = await fakePair(modelOf())
    const { left, right, settle, engine } = pair
    const { l, r } = await twoAdas(pair)
    right.holdReplies = true
    left.edit('a', l, { phone: '5' })
    await new Promise((resolve) => setTimeout(resolve, 20))
    await engine.operate({ action: 'link', ...named(pair, left, l), other: named(pair, right, r) })
    await new Promise((resolve) => setTimeout(resolve, 20))
    right.releaseReplies()
    await settle()
    expect([left.list('a').length, right.list('b').length]).toEqual([2, 2])
    const said = await pair.store.verdicts(recordOf(pair, left, l).key)
    expect(said.some(({ text }) => text.includes('something is under way in right'))).toBe(true)
  })
})

describe('separate', () => {
  test('takes a record out into one of its own: no write, no copy, and no edit goes over', async () => {
    await using pair = await fakePair(modelOf())
    const { left, right, settle, store } = pair
    const l = left.create('a', { email: 'ada@x', name: 'Ada', phone: '1' })
    await settle()
    const r = right.list('b')[0]?.id as string
    expect([left.list('a').length, right.list('b').length]).toEqual([1, 1])
    const before = [left.hubWrites, right.hubWrites]
    await say(pair, 'separate', [left, l], [right, r])
    expect(recordOf(pair, left, l).key).not.toBe(recordOf(pair, right, r).key)
    left.edit('a', l, { name: 'Ada of the left' })
    right.edit('b', r, { phone: '2' })
    await settle()
    expect(left.list('a')).toMatchObject([{ name: 'Ada of the left', phone: '1' }])
    expect(right.list('b')).toMatchObject([{ name: 'Ada', phone: '2' }])
    expect([left.hubWrites, right.hubWrites]).toEqual(before)
    expect((await store.counts()).openLanes).toEqual({ parked: 2 })
  })

  test('each is created where the other is once a person releases it, under an id of its own', async () => {
    await using pair = await fakePair(modelOf())
    const { left, right, settle, engine } = pair
    const l = left.create('a', { email: 'ada@x', name: 'Ada', phone: '1' })
    await settle()
    const r = right.list('b')[0]?.id as string
    await say(pair, 'separate', [left, l], [right, r])
    await engine.operate({ action: 'release', key: recordOf(pair, left, l).key, app: asAppId('right') })
    await settle()
    expect(right.list('b')).toMatchObject([{ id: r }, { name: 'Ada' }])
    expect(left.list('a').length).toBe(1)
    left.edit('a', l, { name: 'Ada 2' })
    await settle()
    expect(right.list('b')).toMatchObject([{ name: 'Ada' }, { name: 'Ada 2' }])
  })

  test('what was separated is linked again, with what was edited meanwhile', async () => {
    await using pair = await fakePair(modelOf())
    const { left, right, settle, store } = pair
    const l = left.create('a', { email: 'ada@x', name: 'Ada', phone: '1' })
    await settle()
    const r = right.list('b')[0]?.id as string
    await say(pair, 'separate', [left, l], [right, r])
    left.edit('a', l, { name: 'Ada 2' })
    right.edit('b', r, { phone: '2' })
    await settle()
    await say(pair, 'link', [right, r], [left, l])
    expect([...left.list('a'), ...right.list('b')].map(({ name, phone }) => [name, phone])).toEqual([
      ['Ada 2', '2'],
      ['Ada 2', '2'],
    ])
    expect((await store.counts()).openLanes).toEqual({})
    await pair.engine.stop()
    await pair.settle(await pair.start())
    left.edit('a', l, { name: 'Ada 3' })
    await pair.settle()
    expect(right.list('b')).toMatchObject([{ name: 'Ada 3' }])
  })
})

describe('hints', () => {
  const pairsOf = async ({ store }: FakePair) =>
    (await candidatesOf(store)).map(({ records, hints, differs }) => ({
      ids: records.map(({ ids }) => ids[0]),
      hints,
      differs: differs.map(({ path }) => path),
    }))

  test('a record that nothing matches is created, and shown beside the one that shares a hint with it', async () => {
    await using pair = await fakePair(modelOf())
    const { l, r } = await twoAdas(pair)
    expect(await pairsOf(pair)).toEqual([
      { ids: [`left:${l}`, `right:${r}`], hints: [['phone']], differs: ['email', 'name'] },
    ])
    const said = await pair.store.verdicts(recordOf(pair, pair.right, r).key)
    expect(said.find(({ verdict }) => verdict === 'candidate')?.text).toContain('may be the same person as left:L1')
  })

  test('a pair that is linked, or that a person said to be two, is gone, and after a restart too', async () => {
    await using pair = await fakePair(modelOf())
    const { left, right, settle } = pair
    const { l, r } = await twoAdas(pair)
    await say(pair, 'separate', [left, l], [right, r])
    expect(await pairsOf(pair)).toEqual([])
    await pair.engine.stop()
    await settle(await pair.start())
    const more = right.create('b', { email: 'ada@z', name: 'A', phone: '1' })
    await settle()
    // With each of the two that share it, and neither with what was decided.
    expect((await pairsOf(pair)).map(({ ids }) => ids)).toEqual([[`left:${l}`, `right:${more}`]])
  })

  test('a value that too many share tells nothing, and says so', async () => {
    await using pair = await fakePair(modelOf())
    const { left, right, settle } = pair
    for (let i = 0; i < 22; i++) left.create('a', { email: `${i}@x`, name: `N${i}`, phone: '0' })
    await settle()
    const last = right.create('b', { email: 'new@x', name: 'New', phone: '0' })
    await settle()
    expect(await pairsOf(pair)).toEqual([])
    const said = await pair.store.verdicts(recordOf(pair, right, last).key)
    expect(said.find(({ verdict }) => verdict === 'candidate')?.text).toContain('more than 20 records share its phone')
  })
})
