import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { http } from '../connectors/http/config.ts'
import { defineHub, entity, key, sync } from '../index.ts'
import type { Change } from '../model/change.ts'
import type { HubModel, Latching } from '../model/entity.ts'
import { asAppId } from '../model/ids.ts'
import type { FakeApp } from './fake-app.ts'
import { type FakePair, fakePair } from './fake-pair.ts'

function modelOf(latching: Latching = 'memory'): HubModel {
  const left = http({ baseUrl: 'http://left.test' })
  const right = http({ baseUrl: 'http://right.test' })
  const person = entity('person', { schema: z.object({ name: z.string(), city: z.string() }), match: key('name') })
  const Row = z.object({ id: z.string(), name: z.string(), city: z.string(), rev: z.int(), ext: z.string().nullable() })
  const binding = {
    id: 'id',
    version: 'rev',
    externalId: 'ext',
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

/** A pair with one person in both, and what the hub said to each notification of the right application. */
async function ready(latching: Latching = 'memory') {
  const pair = await fakePair(modelOf(latching))
  const { left, right, engine, settle } = pair
  const id = left.create('a', { name: 'Ada', city: 'Faro' })
  await settle()
  const taken: unknown[] = []
  const told: Change[] = []
  right.notify = async (changes) => {
    told.push(...changes)
    const positions = await engine.accept(asAppId('right'), changes)
    taken.push(...positions)
  }
  const other = right.list('b')[0]?.id as string
  return { ...pair, pair, id, other, taken, told }
}

const turns = async (count = 20): Promise<void> => {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** Lets the replies of an application go on. */
async function replyNow(app: FakeApp, { settle }: FakePair): Promise<void> {
  app.releaseReplies()
  await settle()
}

describe('the latch at the door', () => {
  test('the echo of a write is acknowledged when the write has its outcome, and takes no place in the journal', async () => {
    const { pair, left, right, id, taken, engine, journalled } = await withJournal()
    await using _ = pair
    right.holdReplies = true
    left.edit('a', id, { city: 'Porto' })
    await turns()
    expect(right.get('b', 'R1')?.city).toBe('Porto')
    expect(taken).toEqual([])
    expect(engine.door.size).toBe(1)
    const before = journalled()
    await replyNow(right, pair)
    expect(taken).toMatchObject([{ verdict: 'echo' }])
    // The outcome, and nothing else.
    expect(journalled() - before).toBe(1)
    expect(engine.stats().verdicts.echo).toBeGreaterThan(0)
  })

  test('an edit of a person that comes while a write is under way is journalled, and crosses', async () => {
    const { pair, left, right, id, other, settle } = await ready()
    await using _ = pair
    right.holdReplies = true
    left.edit('a', id, { city: 'Porto' })
    await turns()
    right.edit('b', other, { name: 'Ada L.' })
    await turns()
    await replyNow(right, pair)
    await settle()
    expect(left.get('a', id)).toMatchObject({ name: 'Ada L.', city: 'Porto' })
    expect(right.get('b', other)).toMatchObject({ name: 'Ada L.', city: 'Porto' })
  })

  test('what waits at the door is journalled when the hub is told to stop', async () => {
    const { pair, left, right, id, taken, engine } = await ready()
    await using _ = pair
    right.holdReplies = true
    left.edit('a', id, { city: 'Porto' })
    await turns()
    expect(engine.door.size).toBe(1)
    await engine.stop(0)
    await turns()
    expect(taken.map((one) => typeof one)).toEqual(['number'])
  })

  test('what waits at the door of a hub that dies is never acknowledged', async () => {
    const { pair, left, right, id, taken, engine } = await ready()
    await using _ = pair
    right.holdReplies = true
    left.edit('a', id, { city: 'Porto' })
    await turns()
    engine.kill()
    await new Promise((resolve) => setTimeout(resolve, 80))
    expect(taken).toEqual([])
  })

  test('a write whose outcome is long in coming keeps no sender waiting', async () => {
    const { pair, left, right, id, taken } = await ready()
    await using _ = pair
    right.holdReplies = true
    left.edit('a', id, { city: 'Porto' })
    while (taken.length === 0) await turns(1)
    expect(typeof taken[0]).toBe('number')
    await replyNow(right, pair)
  })

  test('latching table asks the store for each, so nothing is recognised at the door', async () => {
    const { pair, left, id, taken, settle } = await ready('table')
    await using _ = pair
    left.edit('a', id, { city: 'Porto' })
    await settle()
    expect(taken.map((one) => typeof one)).toEqual(['number'])
  })

  test('what was recognised stands among the verdicts of its record once that is written again', async () => {
    const { pair, left, id, settle, store, record, engine } = await ready()
    await using _ = pair
    for (const city of ['Porto', 'Braga']) {
      left.edit('a', id, { city })
      await settle()
    }
    // The last is not written yet, and is known all the same.
    expect(engine.door.noted(record().key)).toMatchObject([{ verdict: 'echo', app: 'right' }])
    const verdicts = await store.verdicts(record().key)
    expect(verdicts.filter(({ verdict, app }) => verdict === 'echo' && app === 'right').length).toBeGreaterThan(0)
  })
})

async function withJournal() {
  const all = await ready()
  return { ...all, journalled: (): number => all.engine.journal.last() }
}
