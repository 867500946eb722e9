import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { http } from '../connectors/http/config.ts'
import { defineHub, entity, key, propagate, quarantine, softDelete, sync } from '../index.ts'
import type { HubModel } from '../model/entity.ts'
import { fakePair } from './fake-pair.ts'

/** Delete policies through the whole engine, and deletions taken back. */

function modelOf(deletes: unknown): HubModel {
  const left = http({ baseUrl: 'http://left.test' })
  const right = http({ baseUrl: 'http://right.test' })
  const item = entity('item', {
    schema: z.object({ code: z.string(), title: z.string(), archived: z.boolean().nullable() }),
    match: key('code'),
  })
  const Row = z.object({
    id: z.string(),
    code: z.string(),
    title: z.string(),
    archived: z.boolean().nullable(),
    rev: z.int(),
    ext: z.string().nullable(),
  })
  const binding = {
    id: 'id',
    version: 'rev',
    externalId: 'ext',
    conditional: true,
    idempotency: 'all',
    fields: { code: 'code', title: 'title', archived: 'archived' },
  } as const
  return defineHub({
    apps: { left, right },
    sync: [
      sync(
        item,
        { left: left.resource('/a', Row, binding), right: right.resource('/b', Row, binding) },
        { deletes: deletes as 'default' },
      ),
    ],
  }).model
}

async function oneItem(deletes: unknown) {
  const pair = await fakePair(modelOf(deletes))
  const id = pair.left.create('a', { code: 'c', title: 'T', archived: false })
  await pair.settle()
  return { pair, id, other: pair.right.list('b')[0]?.id as string }
}

describe('undelete', () => {
  test('puts a record back in every application that lost it, and follows it there', async () => {
    const { pair, id, other } = await oneItem(propagate())
    await using _ = pair
    const { left, right, settle, engine } = pair
    left.remove('a', id)
    await settle()
    expect([left.list('a').length, right.list('b').length]).toEqual([0, 0])
    await engine.operate({ action: 'undelete', key: pair.record().key })
    await settle()
    expect([...left.list('a'), ...right.list('b')]).toMatchObject([{ title: 'T' }, { title: 'T' }])
    const [again] = right.list('b')
    expect(again?.id).not.toBe(other)
    right.edit('b', again?.id as string, { title: 'U' })
    await settle()
    expect(left.list('a')).toMatchObject([{ title: 'U' }])
  })

  test('of a record that is deleted nowhere changes nothing', async () => {
    const { pair } = await oneItem(propagate())
    await using _ = pair
    await pair.engine.operate({ action: 'undelete', key: pair.record().key })
    await pair.settle()
    expect([pair.left.hubWrites, pair.right.hubWrites]).toEqual([0, 1])
  })
})

describe('quarantine', () => {
  test('the others keep the record; taken back, they never noticed', async () => {
    const { pair, id, other } = await oneItem(quarantine({ days: 30 }))
    await using _ = pair
    const { left, right, settle, engine, store } = pair
    left.remove('a', id)
    await settle()
    expect(right.list('b')).toMatchObject([{ id: other, title: 'T' }])
    expect((await store.counts()).openLanes).toEqual({ waiting: 1 })
    await engine.operate({ action: 'undelete', key: pair.record().key })
    await settle()
    expect(left.list('a')).toMatchObject([{ title: 'T' }])
    expect(right.hubWrites).toBe(1)
    expect((await store.counts()).openLanes).toEqual({})
  })

  test('when its time is over the deletion is carried over, after a restart too', async () => {
    const { pair, id } = await oneItem(quarantine({ days: 100 / 86_400_000 }))
    await using _ = pair
    pair.left.remove('a', id)
    await pair.settle()
    expect(pair.right.list('b').length).toBe(1)
    await pair.engine.stop()
    await pair.start()
    while (pair.right.list('b').length > 0) await new Promise((resolve) => setTimeout(resolve, 10))
    await pair.settle()
    expect((await pair.store.counts()).openLanes).toEqual({})
  })
})

describe('softDelete', () => {
  test('the others are told by a field; set back there, the record is created again where it was deleted', async () => {
    const { pair, id, other } = await oneItem(softDelete('archived'))
    await using _ = pair
    const { left, right, settle } = pair
    left.remove('a', id)
    await settle()
    expect(right.list('b')).toMatchObject([{ id: other, archived: true }])
    expect(left.list('a')).toEqual([])
    right.edit('b', other, { archived: false, title: 'again' })
    await settle()
    expect(left.list('a')).toMatchObject([{ title: 'again', archived: false }])
    left.edit('a', left.list('a')[0]?.id as string, { title: 'more' })
    await settle()
    expect(right.list('b')).toMatchObject([{ id: other, title: 'more' }])
  })

  test('undelete sets the field back', async () => {
    const { pair, id } = await oneItem(softDelete('archived'))
    await using _ = pair
    pair.left.remove('a', id)
    await pair.settle()
    await pair.engine.operate({ action: 'undelete', key: pair.record().key })
    await pair.settle()
    expect([...pair.left.list('a'), ...pair.right.list('b')]).toMatchObject([{ archived: false }, { archived: false }])
  })
})

test('delete policies are refused where they do not fit', () => {
  expect(() => modelOf('never')).toThrow(/item\.deletes: 'never' is not a delete policy/)
  expect(() => modelOf({ kind: 'away' })).toThrow(/item\.deletes: this is not a delete policy/)
  expect(() => modelOf(quarantine({ days: -1 }))).toThrow(/-1 days is no time/)
  expect(() => modelOf(softDelete('gone' as never))).toThrow(/item\.deletes: 'gone' is not a field/)
  expect(() => modelOf(softDelete('title' as never))).toThrow(/item\.deletes\.deleted: true does not fit 'title'/)
  expect(() => modelOf(propagate({ unseen: 'lose' as never }))).toThrow(/'lose' is not a way to treat unseen changes/)
})
