import { describe, expect, test } from 'vitest'
import type { EntityModel, MergeSide, Policy } from '../model/entity.ts'
import { asJournalPosition } from '../model/ids.ts'
import type { RecordState } from '../model/record.ts'
import type { Fields, Image, Value } from '../model/value.ts'
import { bindingOf, crm, entityOf, erp, frozen, headOf, laneOf, origin, recordOf, references } from './fake-record.ts'
import { foldImage } from './fold.ts'
import type { FoldInput, FoldResult } from './folding.ts'

/** What is set aside, counted, merged or taken out: who claims what afterwards, and what the log keeps. */
const why = { code: 'merge.manual', message: '' }
const seq = asJournalPosition(20)
const entityWith = (policy: Policy): EntityModel => entityOf({ policies: { phone: policy } })
const fold = (more: Partial<FoldInput> & Pick<FoldInput, 'image'>): FoldResult =>
  foldImage(
    frozen({
      entity: entityOf(),
      binding: bindingOf(crm),
      record: recordOf(),
      lane: laneOf(),
      seq,
      atMs: 1000,
      sourceTimeMs: undefined,
      own: null,
      references,
      ...more,
    }),
  )

describe('a field that is set aside', () => {
  const agreed = laneOf({ sent: { phone: 'l' }, image: { n_phone: 'l' } })
  const contested = (apps: readonly ('crm' | 'erp')[], ofErp: Value): RecordState =>
    recordOf({
      head: headOf({ phone: 'l' }, { app: erp }),
      lanes: { [erp]: laneOf({ app: erp, sent: { phone: ofErp } }) },
      parkedPaths: { phone: { ...why, apps: apps.map((app) => (app === 'crm' ? crm : erp)) } },
    })

  test('is taken up again when a person enters what the other side holds, and stays so for any other value', () => {
    const enters = (value: Value) =>
      fold({ record: contested(['erp'], 'q'), lane: agreed, image: { n_phone: value } }).record.parkedPaths
    expect(enters('q')).toEqual({})
    expect(enters('z').phone?.apps).toEqual([erp])
  })

  test('is no claim any more of the application whose newer value stands', () => {
    const held = laneOf({ sent: { phone: 'r' }, image: { n_phone: 'r' } })
    const result = fold({ record: contested(['crm'], 'l'), lane: held, image: { n_phone: 'newer' }, atMs: 9000 })
    expect([result.won, result.record.parkedPaths]).toEqual([['phone'], {}])
  })

  test('names itself among what this observation set aside', () => {
    const held = laneOf({ sent: { phone: 'r' }, image: { n_phone: 'r' } })
    const record = recordOf({ head: headOf({ phone: 'l' }, { app: erp }) })
    const result = fold({ entity: entityWith({ kind: 'manual' }), record, lane: held, image: { n_phone: 'q' } })
    expect([result.setAside, result.conflicts]).toEqual([['phone'], []])
  })

  test('stays set aside, and nothing is lost, where our own write shows the value that was kept', () => {
    const held = laneOf({ sent: { phone: 'r' }, image: { n_phone: 'r' } })
    const own = { how: 'exact' as const, patch: { phone: 'r' }, native: { n_phone: 'r' }, origin: null, headSeq: null }
    const result = fold({ record: contested(['crm'], 'l'), lane: held, image: { n_phone: 'R' }, own })
    expect([result.conflicts, result.record.parkedPaths.phone?.apps]).toEqual([[], [crm]])
  })

  test('says why in the log when a write of ours replaces the value that was kept', () => {
    const held = laneOf({ sent: { phone: 'r' }, image: { n_phone: 'r' } })
    const own = { how: 'exact' as const, patch: { phone: 'l' }, native: { n_phone: 'l' }, origin: null, headSeq: null }
    const result = fold({ record: contested(['crm'], 'l'), lane: held, image: { n_phone: 'l' }, own })
    expect(result.conflicts).toMatchObject([{ reason: 'both-changed', policy: 'overwritten while set aside' }])
  })
})

describe('an element that is taken out', () => {
  const fields: Fields = {
    'lines[1]': true,
    'lines[1].qty': 1,
    'lines[2]': true,
    'lines[2].qty': 2,
    phone: 'l',
  }
  const image: Image = {
    items: true,
    'items[1]': true,
    'items[1].n_qty': 1,
    'items[2]': true,
    'items[2].n_qty': 2,
    n_phone: 'l',
  }
  const without1: Image = { items: true, 'items[2]': true, 'items[2].n_qty': 2 }
  const lane = laneOf({ sent: fields, image })
  const aside = { 'lines[1].qty': { ...why, apps: [erp, crm] }, phone: { ...why, apps: [crm, erp] } }
  const lanes = { [crm]: lane, [erp]: laneOf({ app: erp, sent: { ...fields, 'lines[1].qty': 3 } }) }
  const record = recordOf({ head: headOf(fields), lanes, parkedPaths: aside })

  test('by its application takes along what was set aside in it, and nothing else; only what others hold goes to the log', () => {
    const result = fold({ record, lane, image: without1 })
    expect(result.record.parkedPaths).toEqual({ phone: aside.phone })
    expect(result.conflicts).toMatchObject([
      { path: 'lines[1].qty', loserApp: erp, loserValue: 3, winnerApp: crm, reason: 'unseen', policy: 'delete' },
    ])
    expect(result.conflicts).toHaveLength(1)
  })

  test('by our own write takes along what was set aside in it, and nothing else', () => {
    const native = { items: true, 'items[1]': false }
    const own = { how: 'exact' as const, patch: { 'lines[1]': false }, native, origin: null, headSeq: null }
    const result = fold({ record, lane, image: without1, own })
    expect(result.record.parkedPaths).toEqual({ phone: aside.phone })
    expect(result.lane.sent).toEqual({ 'lines[1]': false, 'lines[2]': true, 'lines[2].qty': 2, phone: 'l' })
  })

  test('in vain claims nothing in it any more, and keeps all else that it holds and claims', () => {
    const newer = origin({ app: erp, seq: asJournalPosition(12), timeMs: 9000 })
    const kept = {
      ...record,
      headSeq: asJournalPosition(12),
      head: { ...record.head, 'lines[1]': { value: true, origin: newer } },
    }
    const result = fold({ record: kept, lane, image: without1 })
    expect(result.lost).toEqual(['lines[1]'])
    expect(result.record.parkedPaths).toEqual({ 'lines[1].qty': { ...why, apps: [erp] }, phone: aside.phone })
    expect(result.lane.sent).toEqual({ 'lines[1]': false, 'lines[2]': true, 'lines[2].qty': 2, phone: 'l' })
  })

  test('against a change that its users had not seen is in the log once, and so is each unseen field', () => {
    const unseen = origin({ app: erp, seq: asJournalPosition(12), timeMs: 500 })
    const head = {
      ...record.head,
      'lines[1]': { value: true, origin: unseen },
      'lines[1].qty': { value: 4, origin: unseen },
    }
    const result = fold({ record: recordOf({ head, headSeq: asJournalPosition(12) }), lane, image: without1 })
    expect(result.won).toEqual(['lines[1]'])
    expect(result.conflicts.map(({ path, policy }) => [path, policy])).toEqual([
      ['lines[1]', 'latest'],
      ['lines[1].qty', 'delete'],
    ])
  })

  test('by another: a later edit in it is in the log as lost to the deletion', () => {
    const gone = recordOf({ head: headOf({ 'lines[1]': false, 'lines[2]': true, 'lines[2].qty': 2 }) })
    const result = fold({ record: gone, lane, image: { ...image, 'items[1].n_qty': 7 } })
    expect(result.conflicts).toMatchObject([{ path: 'lines[1].qty', winnerApp: erp, policy: 'delete' }])
  })
})

test('what is told of a deleted record is listed as lost to who said it last, or to nobody else', () => {
  const record = recordOf({ deleted: true, head: headOf({ email: 'a' }, { app: erp }) })
  const result = fold({ record, image: { n_email: 'b', n_phone: 'p' } })
  expect(result.lost).toEqual(['email', 'phone'])
  expect(result.conflicts.map(({ path, winnerApp, policy }) => [path, winnerApp, policy])).toEqual([
    ['email', erp, 'delete'],
    ['phone', crm, 'delete'],
  ])
})

describe('a counter in an application that keeps numbers in a form of its own', () => {
  const entity = entityWith({ kind: 'counter' })
  const record = recordOf({ head: headOf({ phone: '11.25' }, { seq: asJournalPosition(12), app: erp }) })
  const rounded = laneOf({ sent: { phone: '10.25' }, image: { n_email: 'x', n_phone: '10.3' } })
  const counted = (more: Partial<FoldInput> = {}) =>
    fold({ entity, record, lane: rounded, image: { n_phone: '11.3' }, ...more })

  test('counts what was added there, not what it had rounded away', () => {
    expect(counted().record.head.phone?.value).toBe('12.25')
  })

  test('counts from what we sent where what it held before is not known', () => {
    const lane = laneOf({ sent: { phone: '10.25' }, image: {} })
    expect(counted({ lane }).record.head.phone?.value).toBe('12.30')
  })

  test('has no difference at first contact, even if an older state is known: the later value stands', () => {
    const lane = laneOf({ sent: {}, image: { n_phone: '10.3' } })
    expect(counted({ lane, atMs: 9000 })).toMatchObject({ won: ['phone'], merged: [] })
  })
})

describe('a merge function', () => {
  const held = laneOf({ sent: { phone: 'Ann' }, image: { n_phone: 'ANN' } })
  const record = recordOf({
    head: headOf({ phone: 'l' }, { app: erp }),
    parkedPaths: { phone: { ...why, apps: [crm] } },
  })
  const mergedBy = (merge: Extract<Policy, { kind: 'merge' }>['merge']) =>
    fold({ entity: entityWith({ kind: 'merge', merge }), record, lane: held, image: { n_phone: 'r' } })

  test('is given what was agreed on, not the application’s own form of that', () => {
    let given: { base: Value | undefined; current: MergeSide; incoming: MergeSide } | undefined
    mergedBy((sides) => {
      given = sides
      return sides.current.value
    })
    expect(given).toEqual({
      base: 'Ann',
      current: { value: 'l', app: erp, atMs: 1000 },
      incoming: { value: 'r', app: crm, atMs: 1000 },
    })
  })

  test('that makes a third value of two leaves both in the log', () => {
    const result = mergedBy(({ current, incoming }) => `${current.value}${incoming.value}`)
    expect(
      result.conflicts.map(({ loserApp, loserValue, winnerValue }) => [loserApp, loserValue, winnerValue]),
    ).toEqual([
      [erp, 'l', 'lr'],
      [crm, 'r', 'lr'],
    ])
  })

  test('that takes one side leaves only the other in the log', () => {
    const losers = (side: 'current' | 'incoming') =>
      mergedBy((sides) => sides[side].value).conflicts.map((one) => one.loserValue)
    expect([losers('current'), losers('incoming')]).toEqual([['r'], ['l']])
  })

  test('that takes what stands ends the claim of the application that was set aside', () => {
    const result = mergedBy(({ current }) => current.value)
    expect([result.record.parkedPaths, result.merged]).toEqual([{}, ['phone']])
  })
})

test('a list that holds the same in another order agrees, and the application counts as holding what stands', () => {
  const lane = laneOf({ sent: { phone: ['x'] }, image: { n_phone: ['x'] } })
  const record = recordOf({ head: headOf({ phone: ['a', 'b'] }, { seq: asJournalPosition(12) }) })
  const result = fold({ entity: entityWith({ kind: 'addRemove' }), record, lane, image: { n_phone: ['b', 'a'] } })
  expect([result.convergent, result.lane.sent.phone, result.record]).toEqual([['phone'], ['a', 'b'], record])
})
