import { describe, expect, test } from 'vitest'
import { overlayOf } from '../deliver/overlay.ts'
import { asJournalPosition } from '../model/ids.ts'
import type { Fields, Image } from '../model/value.ts'
import { bindingOf, crm, entityOf, erp, frozen, headOf, intentOf, laneOf, recordOf, references } from './fake-record.ts'
import { foldImage } from './fold.ts'
import type { FoldInput, FoldResult, OwnWriteSeen } from './folding.ts'

/** What of an observation is our own write, and what a person did meanwhile. */
const seq = asJournalPosition(20)
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
const ownOf = (patch: Fields, native: Image, more: Partial<OwnWriteSeen> = {}): OwnWriteSeen => ({
  how: 'included',
  patch,
  native,
  origin: null,
  headSeq: null,
  ...more,
})
const told = ({ accepted, won, lost, convergent, rendition }: FoldResult) => [
  accepted,
  won,
  lost,
  convergent,
  rendition,
]
const NOTHING = [[], [], [], [], []]

test('an old write of ours that is applied after it was given up is nobody’s change: the head stays, and the application is behind it', () => {
  const record = recordOf({ head: headOf({ email: 'b', phone: 'p' }) })
  const lane = laneOf({ sent: { email: 'b', phone: 'p' }, image: { n_email: 'b', n_phone: 'p' } })
  const own = ownOf({ email: 'a' }, { n_email: 'a' }, { how: 'late' })
  const result = fold({ record, lane, image: { n_email: 'a', n_phone: 'q' }, own })
  expect([result.record, told(result), result.conflicts]).toEqual([record, NOTHING, []])
  expect(result.lane.sent).toEqual({ email: 'a', phone: 'q' })
})

describe('a part that we wrote whole', () => {
  const head: Fields = {
    'lines[1]': true,
    'lines[1].qty': 5,
    'lines[1].text': 't',
    'lines[2]': true,
    'lines[2].qty': 2,
    email: 'e',
  }
  const record = recordOf({ head: headOf(head) })
  const lane = laneOf({
    sent: { ...head, 'lines[1].qty': 1, 'lines[1].text': 'before' },
    image: {
      n_email: 'e',
      items: true,
      'items[1]': true,
      'items[1].n_qty': 1,
      'items[1].n_text': 'before',
      'items[2]': true,
      'items[2].n_qty': 2,
    },
  })
  const written = { items: true, 'items[1]': true, 'items[1].n_qty': 5, 'items[1].n_text': 't' }
  const own = ownOf({ 'lines[1].qty': 5 }, written, { whole: true })
  const met = (image: Image, by: OwnWriteSeen = own) => fold({ record, lane, image, own: by })

  test('is ours in all that it carried, and takes out what it did not carry', () => {
    const result = met(written)
    expect([result.record, told(result), result.conflicts]).toEqual([record, NOTHING, []])
    expect(result.lane.sent).toEqual({
      'lines[1]': true,
      'lines[1].qty': 5,
      'lines[1].text': 't',
      'lines[2]': false,
      email: 'e',
    })
  })

  test('is not ours where the write carried only single fields of it', () => {
    const { record: after } = met(written, ownOf({ 'lines[1].qty': 5 }, written))
    expect(after.head['lines[2]']).toMatchObject({ value: false, origin: { app: crm } })
  })

  test('does not hide what people did to it and beside it: values of their own, elements that they added or took out', () => {
    expect(met({ ...written, 'items[1].n_text': 'mine' }).conflicts).toMatchObject([
      { path: 'lines[1].text', loserValue: 't', winnerValue: 'mine' },
    ])
    expect(met({ ...written, 'items[3]': true, 'items[3].n_qty': 9 }).accepted).toEqual(['lines[3]', 'lines[3].qty'])
    expect(met({ ...written, n_email: 'f' }).accepted).toEqual(['email'])
    expect(met({ items: true }).accepted).toContain('lines[1]')
  })

  test('is left alone by a write that carried none of it', () => {
    const other = ownOf({ email: 'f' }, { n_email: 'f' }, { whole: true })
    const result = met({ ...lane.image, n_email: 'f', 'items[2].n_qty': 7 }, other)
    expect(result.accepted).toEqual(['lines[2].qty'])
    const { 'items[2]': _, 'items[2].n_qty': __, ...without2 } = lane.image
    expect(met(without2, other).accepted).toEqual(['lines[2]'])
  })

  test('has lost the fields that it did not carry; other elements and fields are as they were', () => {
    const exact = ownOf({ 'lines[1].qty': 5 }, { items: true, 'items[1]': true, 'items[1].n_qty': 5 }, { whole: true })
    const { 'items[1].n_text': _, ...rest } = lane.image
    expect(met({ n_email: 'e' }, exact).lane.image).toEqual(rest)
  })
})

describe('a removal of ours that is in doubt', () => {
  const back = headOf({ 'lines[1]': true }, { seq: asJournalPosition(12), app: erp })
  const record = recordOf({ head: back, headSeq: asJournalPosition(12) })
  const lane = laneOf({ sent: { 'lines[1]': true }, image: { items: true, 'items[1]': true } })

  test('has happened where a read does not show the element: nobody else took it out', () => {
    const own = ownOf({ 'lines[1]': false }, { items: true, 'items[1]': false })
    const result = fold({ record, lane, image: { items: true }, own })
    expect([result.record, told(result), result.conflicts]).toEqual([record, NOTHING, []])
    expect(result.lane.sent['lines[1]']).toBe(false)
  })

  test('explains no removal of an element that we wrote', () => {
    const own = ownOf({ 'lines[1]': true }, { items: true, 'items[1]': true })
    expect(fold({ record, lane, image: { items: true }, own }).conflicts).toMatchObject([{ path: 'lines[1]' }])
  })
})

describe('a write of ours that names the version it wrote', () => {
  const record = recordOf({ head: headOf({ email: 'a', phone: 'p' }, { seq: asJournalPosition(8) }) })
  const lane = laneOf({
    basis: asJournalPosition(3),
    sent: { email: 'a', phone: 'p' },
    image: { n_email: 'a', n_phone: 'p' },
  })
  const seenAt = (headSeq: number | null, patch: Fields = { email: 'a' }) => {
    const own = ownOf(patch, {}, { how: 'exact', headSeq: headSeq === null ? null : asJournalPosition(headSeq) })
    return fold({ record, lane, image: { n_email: 'a' }, own }).lane.byChance
  }

  test('has shown it to the users of the application, in the fields that it carried', () => {
    expect([seenAt(8), seenAt(8, { phone: 'p', email: 'a' })]).toEqual([['phone'], []])
  })

  test('has not shown them a newer one, and says nothing where it names none', () => {
    expect([seenAt(7), seenAt(null)]).toEqual([
      ['email', 'phone'],
      ['email', 'phone'],
    ])
  })
})

describe('an application that comes to the value of the head by itself', () => {
  const record = recordOf({ head: headOf({ email: 'a', phone: 'p' }, { seq: asJournalPosition(8) }) })
  const lane = laneOf({
    basis: asJournalPosition(3),
    sent: { email: 'x', phone: 'p' },
    image: { n_email: 'x', n_phone: 'p' },
  })
  const asOf = asJournalPosition(8)

  test('has had it since a read that is no older, whatever else that read shows', () => {
    const { accepted, convergent, lane: after } = fold({ record, lane, image: { n_email: 'a', n_phone: 'q' }, asOf })
    expect(after.byChance).toEqual([])
    expect([accepted, convergent]).toEqual([[], ['email']])
    const agreed = { ...lane, basis: asJournalPosition(8) }
    const other = recordOf({
      head: {
        ...record.head,
        email: { value: 'a', origin: { ...record.head.phone!.origin, seq: asJournalPosition(9) } },
      },
    })
    const both = fold({
      record: other,
      lane: agreed,
      image: { n_email: 'a', n_phone: 'q' },
      asOf: asJournalPosition(9),
    })
    expect([both.accepted, both.convergent, both.lane.byChance]).toEqual([['phone'], ['email'], []])
  })

  test('is not known to have had it while a write of ours to that field has yet to show in its log', () => {
    const overlays = [overlayOf(intentOf({ patch: { email: 'a' } }), null, seq, 0)]
    expect(fold({ record, lane: { ...lane, overlays }, image: { n_email: 'a' }, asOf }).lane.byChance).toContain(
      'email',
    )
  })

  test('agrees at first contact: nobody had seen anybody', () => {
    const result = fold({ record, lane: laneOf({ basis: asJournalPosition(3) }), image: { n_email: 'a' } })
    expect([result.convergent, result.lane.byChance]).toEqual([['email'], []])
  })
})

describe('what an application makes by itself beside a write of ours in doubt', () => {
  const record = recordOf({ head: headOf({ email: 'x' }, { seq: asJournalPosition(8) }) })
  const lane = laneOf({ basis: asJournalPosition(3) })
  const own = ownOf({ phone: '1' }, { n_phone: '1' })
  const beside = (n_email: string | null, more: Partial<FoldInput> = {}) =>
    fold({ record, lane, image: { n_phone: '1', n_email }, own, ...more })

  test('is its default where it is empty and was never told: it claims nothing against a person', () => {
    const result = beside(null)
    expect([result.conflicts, result.record.head.email?.value, result.lane.sent.email]).toEqual([[], 'x', null])
  })

  test('is a person’s where it is a value, or was emptied', () => {
    expect(beside('v').conflicts).toHaveLength(1)
    const held = { ...lane, sent: { email: 'old' }, image: { n_email: 'old' } }
    expect(beside(null, { lane: held }).conflicts).toHaveLength(1)
  })

  test('is decided by the policy against what another application has made by itself', () => {
    const derived = recordOf({ head: headOf({ email: 'x' }, { seq: asJournalPosition(8), hops: 1 }) })
    const caused = { ...own, how: 'exact' as const, origin: { root: asJournalPosition(3), hops: 0 } }
    expect(beside('v', { record: derived, own: caused }).conflicts).toHaveLength(1)
    expect(beside('v', { own: caused }).conflicts).toEqual([])
  })

  test('is no empty default any more where the application had told a value of it', () => {
    const byDefault = recordOf({ head: headOf({ email: null }, { seq: asJournalPosition(8), hops: 1 }) })
    const held = { ...lane, sent: { email: 'old' }, image: { n_email: 'old' } }
    const result = fold({ record: byDefault, lane: held, image: { n_email: 'late' }, sourceTimeMs: 0 })
    expect([result.won, result.lost]).toEqual([[], ['email']])
  })
})
