import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { http } from '../connectors/http/index.ts'
import { emptyLane } from '../engine/record-work.ts'
import { defineHub, entity, idIn, status, sync } from '../index.ts'
import { intentOf } from '../merge/fake-record.ts'
import { advanceBasis, heldAt } from '../model/basis.ts'
import type { EntityModel } from '../model/entity.ts'
import { asAppId, asEntityName, asJournalPosition, asNativeId } from '../model/ids.ts'
import type { Lane, RecordState } from '../model/record.ts'
import { deriveWritebacks } from './writeback.ts'

const shop = asAppId('shop')
const store = asAppId('store')

function model(): EntityModel {
  const apps = { shop: http({ baseUrl: 'http://a.test' }), store: http({ baseUrl: 'http://b.test' }) }
  const thing = entity('thing', { schema: z.object({ name: z.string() }) })
  const Row = z.object({ id: z.string(), name: z.string(), store_no: z.int().nullable(), state: z.string().nullable() })
  const things = sync(thing, {
    shop: apps.shop.resource('/things', Row, {
      id: 'id',
      fields: { name: 'name' },
      writeback: { store_no: idIn('store'), state: status({ synced: 'ok' }) },
    }),
    store: apps.store.resource('/items', { id: 'id', fields: { name: 'name' } }),
  })
  return defineHub({ apps, sync: [things] }).model.entities.get(asEntityName('thing')) as EntityModel
}

const entityModel = model()

function record(lane: Partial<Lane> | null): RecordState {
  const at = { seq: asJournalPosition(3), app: shop, timeMs: 1, root: asJournalPosition(3), hops: 0 }
  const lanes = lane === null ? {} : { [store]: { ...emptyLane(entityModel.bindings.get(store) as never), ...lane } }
  return {
    key: 'k',
    entity: 'thing',
    shard: 0,
    rev: 1,
    deleted: false,
    mappingVersion: 1,
    head: { name: { value: 'Lamp', origin: at } },
    headSeq: at.seq,
    lanes,
    matchKey: null,
    parkedPaths: {},
  } as unknown as RecordState
}

const derived = (state: RecordState): Record<string, unknown> => {
  const { head } = deriveWritebacks(entityModel, state, { seq: asJournalPosition(9), atMs: 5 })
  return Object.fromEntries(
    Object.entries(head)
      .filter(([path]) => path.startsWith('@'))
      .map(([path, cell]) => [path, cell.value]),
  )
}

describe('what is written back', () => {
  test('nothing before there is anything to say', () => {
    expect(derived(record(null))).toEqual({})
  })

  test('the id in the other application, and that it has everything', () => {
    const inStep = { nativeId: asNativeId('17'), exists: true, sent: { name: 'Lamp' } }
    expect(derived(record(inStep))).toEqual({ '@shop.store_no': '17', '@shop.state': 'ok' })
  })

  test('the state stays while a write is needed, and says when a person is', () => {
    const behind = record({ nativeId: asNativeId('17'), exists: true, sent: { name: 'Old' } })
    expect(derived(behind)).toEqual({ '@shop.store_no': '17' })
    const park = { code: 'target.rejected', message: 'no', atMs: 1, headSeq: asJournalPosition(3) }
    expect(derived(record({ nativeId: asNativeId('17'), exists: true, sent: { name: 'Old' }, park }))).toMatchObject({
      '@shop.state': 'failed',
    })
  })

  test('no state while the record has yet to come to the other application, and one where it never will', () => {
    const told = (lane: Partial<Lane> | null, more: Partial<RecordState> = {}) =>
      derived({ ...record(lane), ...more })['@shop.state']
    expect([told(null), told({ exists: false }), told({ exists: null })]).toEqual([undefined, undefined, undefined])
    expect([told({ exists: false, detached: true }), told({ exists: false }, { deleted: true })]).toEqual(['ok', 'ok'])
    const stillDetached = { exists: true, detached: true, sent: { name: 'Old' } }
    expect(told(stillDetached)).toBe('ok')
  })

  test('no state while a write is under way, and no id while it is not known whether the record is gone', () => {
    const intent = intentOf()
    const inStep = { nativeId: asNativeId('17'), exists: true, sent: { name: 'Lamp' } }
    expect(derived(record({ ...inStep, intent }))).toEqual({ '@shop.store_no': '17' })
    const known = deriveWritebacks(entityModel, record(inStep), { seq: asJournalPosition(9), atMs: 5 })
    const asked = { ...known, lanes: record({ ...inStep, exists: false, intent }).lanes }
    expect(derived(asked)['@shop.store_no']).toBe('17')
    expect(derived({ ...known, lanes: {} })['@shop.store_no']).toBeNull()
  })

  test('is nobody’s change: its root is itself, and no application is behind it', () => {
    const inStep = { nativeId: asNativeId('17'), exists: true, sent: { name: 'Lamp' } }
    const { head } = deriveWritebacks(entityModel, record(inStep), { seq: asJournalPosition(9), atMs: 5 })
    expect(head['@shop.store_no']?.origin).toEqual({ seq: 9, app: shop, timeMs: 5, root: 9, hops: 0 })
  })

  test('null when the record is gone from there, and nothing new when nothing changed', () => {
    const before = deriveWritebacks(
      entityModel,
      record({ nativeId: asNativeId('17'), exists: true, sent: { name: 'Lamp' } }),
      { seq: asJournalPosition(9), atMs: 5 },
    )
    expect(deriveWritebacks(entityModel, before, { seq: asJournalPosition(12), atMs: 6 })).toBe(before)
    const lane = before.lanes[store] as Lane
    const gone = { ...before, lanes: { ...before.lanes, [store]: { ...lane, exists: false } } }
    const after = deriveWritebacks(entityModel, gone, { seq: asJournalPosition(9), atMs: 7 })
    expect(after.head['@shop.store_no']).toMatchObject({ value: null, origin: { seq: 10 } })
  })

  test('a number id is written as a number, and the mapping tells of nobody', () => {
    const mapping = entityModel.bindings.get(shop)?.fields.find((field) => field.field === '@shop.store_no')
    expect([mapping?.direction, mapping?.encode?.('17'), mapping?.encode?.(null)]).toEqual([
      'out',
      { store_no: 17 },
      { store_no: null },
    ])
  })

  test('a writeback that names nobody, or itself, is refused with the place', () => {
    const app = http({ baseUrl: 'http://a.test' })
    const thing = entity('thing', { schema: z.object({ name: z.string() }) })
    const hub = (from: string): unknown =>
      defineHub({
        apps: { app },
        sync: [
          sync(thing, {
            app: app.resource('/t', { id: 'id', fields: { name: 'name' }, writeback: { x: idIn(from) } }),
          }),
        ],
      })
    expect(() => hub('nowhere')).toThrow(/thing\.app\.writeback\.x: .*nowhere/)
    expect(() => hub('app')).toThrow(/it is app itself/)
  })
})

test('what is written back is never held by chance: a record at rest is not read again and again for it', () => {
  const state = deriveWritebacks(entityModel, record({ nativeId: asNativeId('7'), exists: true }), {
    seq: asJournalPosition(9),
    atMs: 5,
  })
  const held = Object.fromEntries(Object.entries(state.head).map(([path, { value }]) => [path, value]))
  const lane = { ...emptyLane(entityModel.bindings.get(shop) as never), basis: asJournalPosition(3), sent: held }
  expect(held['@shop.store_no']).toBe('7')
  expect(advanceBasis(state, lane, heldAt(state.headSeq)).byChance).toEqual([])
})
