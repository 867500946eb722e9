import { asAppId, asCanonicalKey, asEntityName, asJournalPosition, asNativeId, asObjectId } from '../../model/ids.ts'
import type { Note } from '../../model/record.ts'
import type { Store } from '../../ports/store.ts'
import {
  AT_MS,
  CUSTOMER,
  newRecord,
  ORDERS,
  sampleConflict,
  sampleHeld,
  sampleLink,
  sampleOpenLane,
  sampleRecord,
  WAREHOUSE,
} from './samples.ts'
import { type Expect, type Test, wholeBatch } from './store-bench.ts'

export function recovery(test: Test, expect: Expect): void {
  test('every open lane is listed once, in pages, in the order of key and app', async (at) => {
    const keys = Array.from({ length: 23 }, (_, i) => `k${String(i).padStart(2, '0')}`)
    const lanes = keys.flatMap((key) => [sampleOpenLane(key, ORDERS), sampleOpenLane(key, WAREHOUSE, 'unknown')])
    for (const key of [...keys].reverse()) {
      const openLanes = lanes.filter((lane) => lane.key === key)
      await at.commit({ records: [newRecord(sampleRecord(key), { openLanes })] })
    }
    await at.reopen()
    const listed = []
    for (
      let page = await at.store.openLanes(null, 5);
      page.length > 0;
      page = await at.store.openLanes(listed.at(-1)!, 5)
    ) {
      expect(page.length <= 5).toBe(true)
      listed.push(...page)
    }
    expect(listed).toEqual(lanes)
  })

  test('the open lanes of a record replace those of before; null leaves them', async (at) => {
    const write = (rev: number, openLanes: Parameters<typeof newRecord>[1]) =>
      at.commit({ records: [newRecord(sampleRecord('k1', { rev }), openLanes)] })
    await write(1, { openLanes: [sampleOpenLane('k1', ORDERS), sampleOpenLane('k1', WAREHOUSE)] })
    await write(2, { openLanes: null })
    expect((await at.store.openLanes(null, 9)).length).toBe(2)
    await write(3, { openLanes: [sampleOpenLane('k1', WAREHOUSE, 'parked')] })
    expect(await at.store.openLanes(null, 9)).toEqual([sampleOpenLane('k1', WAREHOUSE, 'parked')])
    await write(4, { openLanes: [] })
    expect(await at.store.openLanes(null, 9)).toEqual([])
  })

  test('held entries come back whole and in order; a page never ends inside one seq', async (at) => {
    const contact = asEntityName('contact')
    const held = [sampleHeld(3), sampleHeld(8, { entity: contact }), sampleHeld(8), sampleHeld(11)]
    await at.commit({ held: [...held].reverse() })
    await at.reopen()
    expect(await at.store.held(asJournalPosition(0), 100)).toEqual(held)
    expect(await at.store.held(asJournalPosition(0), 2)).toEqual(held.slice(0, 3))
    expect(await at.store.held(asJournalPosition(8), 2)).toEqual(held.slice(3))
  })

  test('an entry that is done for one entity stays held for the other', async (at) => {
    const contact = asEntityName('contact')
    await at.commit({ held: [sampleHeld(8, { entity: contact }), sampleHeld(8)] })
    await at.commit({ heldDone: [{ seq: asJournalPosition(8), entity: contact }] })
    expect(await at.store.held(asJournalPosition(0), 9)).toEqual([sampleHeld(8)])
  })

  test('an entry that a batch both finishes and holds again stays held', async (at) => {
    await at.commit({ held: [sampleHeld(8)] })
    const again = sampleHeld(8, { waitsOn: 'reference', waitsFor: ['customer:7'] })
    await at.commit({ held: [again], heldDone: [{ seq: asJournalPosition(8), entity: CUSTOMER }] })
    expect(await at.store.held(asJournalPosition(0), 9)).toEqual([again])
  })
}

export function forPeople(test: Test, expect: Expect): void {
  test('the cross-reference says for every native record whether its latch is closed', async (at) => {
    const openLanes = [sampleOpenLane('k1', ORDERS, 'unknown'), sampleOpenLane('k1', WAREHOUSE, 'parked')]
    await at.commit({
      records: [newRecord(sampleRecord('k1'), { openLanes })],
      links: [sampleLink('n1', 'k1'), sampleLink('w1', 'k1', { app: WAREHOUSE }), sampleLink('n2', 'k2')],
    })
    const rows = await at.store.links({ max: 9 })
    expect(rows.map((row) => [row.app, row.nativeId, row.latchClosed])).toEqual([
      ['orders', 'n1', true],
      ['orders', 'n2', false],
      ['warehouse', 'w1', false],
    ])
  })

  test('links are listed in pages that lose none, also where a native record has several entities', async (at) => {
    const contact = asEntityName('contact')
    const links = Array.from({ length: 12 }, (_, i) => String(i).padStart(2, '0')).flatMap((id) => [
      sampleLink(id, 'c' + id, { entity: contact }),
      sampleLink(id, 'k' + id),
    ])
    await at.commit({ links })
    const listed = []
    for (let page = await at.store.links({ max: 3 }); page.length > 0; ) {
      listed.push(...page)
      page = await at.store.links({ max: 3, after: listed.at(-1)! })
    }
    expect(listed).toEqual(links.map((link) => ({ ...link, latchClosed: false })))
  })

  test('links are found by each of app, object, entity, native id and canonical key', async (at) => {
    const gone = sampleLink('n2', 'k1', { state: 'tombstone' })
    await at.commit({ links: [sampleLink('n1', 'k1'), gone, sampleLink('n1', 'k1', { app: WAREHOUSE })] })
    const found = async (query: Parameters<Store['links']>[0]) =>
      (await at.store.links(query)).map(({ app, nativeId }) => `${app}:${nativeId}`)
    expect(await found({ app: ORDERS, max: 9 })).toEqual(['orders:n1', 'orders:n2'])
    expect(await found({ nativeId: asNativeId('n1'), max: 9 })).toEqual(['orders:n1', 'warehouse:n1'])
    expect(await found({ nativeId: asNativeId('n1'), app: WAREHOUSE, max: 9 })).toEqual(['warehouse:n1'])
    expect(await found({ key: asCanonicalKey('k1'), max: 9 })).toEqual(['orders:n1', 'orders:n2', 'warehouse:n1'])
    expect(await found({ object: asObjectId('other'), max: 9 })).toEqual([])
    expect(await found({ entity: CUSTOMER, app: asAppId('orders'), max: 1 })).toEqual(['orders:n1'])
  })

  test('conflicts are kept whole, listed newest first, by record or entity, in pages', async (at) => {
    const conflicts = Array.from({ length: 7 }, (_, i) => sampleConflict(i % 2 === 0 ? 'k1' : 'k2', { path: `p${i}` }))
    for (const conflict of conflicts) await at.commit({ conflicts: [conflict] })
    const paths = async (query: Parameters<Store['conflicts']>[0]) =>
      (await at.store.conflicts(query)).map(({ path }) => path)
    expect(await paths({ max: 3 })).toEqual(['p6', 'p5', 'p4'])
    const [newest] = await at.store.conflicts({ max: 1 })
    expect(newest).toEqual({ ...conflicts[6], id: newest?.id })
    expect(await paths({ max: 2, before: newest!.id })).toEqual(['p5', 'p4'])
    expect(await paths({ key: asCanonicalKey('k2'), max: 9 })).toEqual(['p5', 'p3', 'p1'])
    expect(await paths({ entity: asEntityName('contact'), max: 9 })).toEqual([])
  })

  test('notes are kept by kind and id, replaced as a whole, and taken away by a body of null', async (at) => {
    const note = (kind: string, id: string, body: Note['body']): Note => ({ kind, id, atMs: AT_MS, body })
    const kept = [
      note('brake', 'a', { big: 2n ** 60n, text: 'x' }),
      note('brake', 'b', {}),
      note('other', 'a', { n: 1 }),
    ]
    await at.commit({ notes: [...kept].reverse() })
    expect(await at.store.notes('brake', 9)).toEqual(kept.slice(0, 2))
    expect(await at.store.notes('brake', 1)).toEqual(kept.slice(0, 1))
    await at.commit({ notes: [note('brake', 'a', null), note('brake', 'b', { seen: true }), note('none', 'x', null)] })
    await at.reopen()
    expect(await at.store.notes('brake', 9)).toEqual([note('brake', 'b', { seen: true })])
    expect(await at.store.notes('other', 9)).toEqual([kept[2]])
  })

  test('counts say what is there', async (at) => {
    await at.commit(wholeBatch())
    await at.commit({ links: [sampleLink('n5', null)] })
    expect(await at.store.counts()).toEqual({
      records: 1,
      links: 1,
      held: 1,
      conflicts: 1,
      openLanes: { intent: 1 },
    })
  })
}
