import { describe, expect, test } from 'vitest'
import { SyncError } from '../errors/index.ts'
import type { EntityModel, Policy } from '../model/entity.ts'
import { asJournalPosition } from '../model/ids.ts'
import type { RecordState } from '../model/record.ts'
import type { Value } from '../model/value.ts'
import { foldDelete } from './delete.ts'
import { bindingOf, crm, entityOf, erp, headOf, laneOf, recordOf, references } from './fake-record.ts'
import { foldImage } from './fold.ts'
import type { FoldResult, OwnWriteSeen } from './folding.ts'

/** A value of `phone` that erp gave, `base` that crm last agreed to, and what crm holds now. */
interface Case {
  readonly policy: Policy
  readonly base?: Value
  readonly current: Value
  readonly incoming: Value
  readonly validate?: (value: Value) => Value
  readonly own?: OwnWriteSeen
  readonly record?: Partial<RecordState>
}

function entityWith({ policy, validate }: Pick<Case, 'policy' | 'validate'>): EntityModel {
  const entity = entityOf({ policies: { phone: policy } })
  const phone = {
    ...(entity.fields.phone as EntityModel['fields'][string]),
    ...(validate === undefined ? {} : { validate }),
  }
  return { ...entity, fields: { ...entity.fields, phone } }
}

function meet(one: Case): FoldResult {
  const sent = one.base === undefined ? {} : { phone: one.base }
  const image = one.base === undefined ? {} : { n_phone: one.base }
  const lane = laneOf({ sent, image })
  return foldImage({
    entity: entityWith(one),
    binding: bindingOf(crm),
    record: recordOf({
      head: headOf({ phone: one.current }, { app: erp, timeMs: 900 }),
      lanes: { [crm]: lane },
      ...one.record,
    }),
    lane,
    image: { n_phone: one.incoming },
    seq: asJournalPosition(20),
    atMs: 1000,
    sourceTimeMs: undefined,
    own: one.own ?? null,
    references,
  })
}

const phone = (result: FoldResult): Value | undefined => result.record.head.phone?.value

describe('counter', () => {
  const policy: Policy = { kind: 'counter' }

  test('both differences count, and the application that was overtaken needs a write', () => {
    const result = meet({ policy, base: 10, current: 7, incoming: 12 })
    expect(phone(result)).toBe(9)
    expect(result.lane.sent.phone).toBe(12)
    expect(result.conflicts).toEqual([])
    expect(result.merged).toEqual(['phone'])
  })

  test('two people who take the same from it take it twice', () => {
    const result = meet({ policy, base: 5, current: 4, incoming: 4 })
    expect(phone(result)).toBe(3)
  })

  test('the echo of our own write counts nothing', () => {
    const own: OwnWriteSeen = { how: 'exact', patch: { phone: 4 }, native: { n_phone: 4 }, origin: null, headSeq: null }
    expect(phone(meet({ policy, base: 5, current: 4, incoming: 4, own }))).toBe(4)
  })

  test('a difference that cannot be told because a write of ours is in doubt is a person’s to decide', () => {
    const own: OwnWriteSeen = {
      how: 'included',
      patch: { phone: 7 },
      native: { n_phone: 7 },
      origin: null,
      headSeq: null,
    }
    const result = meet({ policy, base: 5, current: 7, incoming: 8, own })
    expect(result.record.parkedPaths.phone).toMatchObject({ code: 'merge.in-doubt', apps: [crm] })
    expect(phone(result)).toBe(7)
  })

  test('without a base there is no difference: the later stands and the other is kept in the log', () => {
    const result = meet({ policy, current: 7, incoming: 12 })
    expect(phone(result)).toBe(12)
    expect(result.conflicts).toMatchObject([{ loserValue: 7, reason: 'first-contact' }])
  })

  test('a sum outside the schema sets the field aside', () => {
    const positive = (value: Value): Value => {
      if ((value as number) < 0) throw new SyncError('config.value-invalid', 'below 0')
      return value
    }
    const result = meet({ policy, base: 5, current: 1, incoming: 2, validate: positive })
    expect(result.record.parkedPaths.phone?.code).toBe('merge.value-invalid')
    expect([phone(result), result.lane.sent.phone]).toEqual([1, 2])
  })
})

describe('addRemove', () => {
  const policy: Policy = { kind: 'addRemove' }

  test('takes both sides in', () => {
    const result = meet({ policy, base: ['a', 'b'], current: ['a', 'b', 'c'], incoming: ['b', 'd'] })
    expect(phone(result)).toEqual(['b', 'c', 'd'])
    expect(result.conflicts).toEqual([])
  })

  test('another order of the same set is no change', () => {
    const result = meet({ policy, base: ['a', 'b'], current: ['a', 'b'], incoming: ['b', 'a'] })
    expect(result.record.headSeq).toBe(9)
    expect(result.lane.sent.phone).toEqual(['a', 'b'])
  })
})

describe('merge(fn)', () => {
  const longer: Policy = {
    kind: 'merge',
    merge: ({ current, incoming }) =>
      String(current.value).length >= String(incoming.value).length ? current.value : incoming.value,
  }

  test('the function decides; what it left out is kept in the log', () => {
    const result = meet({ policy: longer, base: 'x', current: 'long', incoming: 'hi' })
    expect(phone(result)).toBe('long')
    expect(result.conflicts).toMatchObject([{ loserApp: crm, loserValue: 'hi', winnerValue: 'long', policy: 'merge' }])
  })

  test('where it chooses what stands already, the head keeps its version: nobody else has to agree again', () => {
    const result = meet({ policy: longer, base: 'x', current: 'long', incoming: 'hi' })
    expect(result.record.head.phone?.origin).toMatchObject({ app: erp, timeMs: 900 })
    expect([result.record.headSeq, result.lane.sent.phone]).toEqual([9, 'hi'])
  })

  test('a throw sets the field aside, keeps both values, and lets the rest of the record go on', () => {
    const policy: Policy = {
      kind: 'merge',
      merge: () => {
        throw new TypeError('boom')
      },
    }
    const result = meet({ policy, base: 'x', current: 'l', incoming: 'r' })
    expect(result.record.parkedPaths.phone).toMatchObject({
      code: 'merge.function-failed',
      message: expect.stringContaining('boom'),
      apps: [crm],
    })
    expect([phone(result), result.lane.sent.phone]).toEqual(['l', 'r'])
  })

  test('a value that is none does not get into the head', () => {
    const invalid = (value: Value): Value => {
      if (typeof value !== 'string') throw new SyncError('config.value-invalid', 'not a text')
      return value
    }
    const policy: Policy = { kind: 'merge', merge: () => undefined as never }
    const result = meet({ policy, base: 'x', current: 'l', incoming: 'r', validate: invalid })
    expect(result.record.parkedPaths.phone?.code).toBe('merge.value-invalid')
    expect(phone(result)).toBe('l')
  })
})

describe('manual', () => {
  const policy: Policy = { kind: 'manual' }

  test('each keeps its own: nothing is written, nothing is lost', () => {
    const result = meet({ policy, base: 'x', current: 'l', incoming: 'r' })
    expect(result.record.parkedPaths.phone).toMatchObject({ code: 'merge.manual', apps: [crm], sinceMs: 1000 })
    expect([phone(result), result.lane.sent.phone]).toEqual(['l', 'r'])
    expect(result.conflicts).toEqual([])
  })

  test('a change that only one side made is no conflict', () => {
    expect(phone(meet({ policy, base: 'l', current: 'l', incoming: 'r' }))).toBe('r')
  })

  test('taken up again by itself when the applications come to the same value', () => {
    const aside = { phone: { code: 'merge.manual', message: '', apps: [crm] } }
    const agrees = meet({ policy, base: 'r', current: 'l', incoming: 'l', record: { parkedPaths: aside } })
    expect(agrees.record.parkedPaths).toEqual({})
    const another = meet({ policy, base: 'r', current: 'l', incoming: 'q', record: { parkedPaths: aside } })
    expect(another.record.parkedPaths.phone?.apps).toEqual([crm])
    expect(another.lane.sent.phone).toBe('q')
  })

  test('a write of ours that was under way replaces the value that was kept: it goes to the log, and nothing is set aside any more', () => {
    const aside = { phone: { code: 'merge.manual', message: '', apps: [crm] } }
    const own: OwnWriteSeen = {
      how: 'exact',
      patch: { phone: 'l' },
      native: { n_phone: 'l' },
      origin: null,
      headSeq: null,
    }
    const result = meet({ policy, base: 'r', current: 'l', incoming: 'l', own, record: { parkedPaths: aside } })
    expect(result.conflicts).toMatchObject([{ loserApp: crm, loserValue: 'r', winnerValue: 'l' }])
    expect(result.record.parkedPaths).toEqual({})
  })

  test('the same where the value that stands is another by then: the application is behind, and claims nothing', () => {
    const aside = { phone: { code: 'merge.manual', message: '', apps: [crm] } }
    const own: OwnWriteSeen = {
      how: 'exact',
      patch: { phone: 'older' },
      native: { n_phone: 'older' },
      origin: null,
      headSeq: null,
    }
    const result = meet({ policy, base: 'r', current: 'l', incoming: 'older', own, record: { parkedPaths: aside } })
    expect(result.conflicts).toMatchObject([{ loserApp: crm, loserValue: 'r' }])
    expect([result.record.parkedPaths, result.lane.sent.phone]).toEqual([{}, 'older'])
  })

  test('a write of ours that took the whole element away takes the value that was kept in it to the log', () => {
    const item = 'lines[1]'
    const image = { items: true, 'items[1]': true, 'items[1].n_qty': 3 }
    const lane = laneOf({ sent: { [item]: true, [`${item}.qty`]: 3 }, image })
    const result = foldImage({
      entity: entityWith({ policy }),
      binding: bindingOf(crm),
      record: recordOf({
        head: headOf({ [item]: true, [`${item}.qty`]: 1 }),
        lanes: { [crm]: lane },
        parkedPaths: { [`${item}.qty`]: { code: 'merge.manual', message: '', apps: [crm] } },
      }),
      lane,
      image: { items: true },
      seq: asJournalPosition(20),
      atMs: 1000,
      sourceTimeMs: undefined,
      own: {
        how: 'exact',
        patch: { [item]: false },
        native: { items: true, 'items[1]': false },
        origin: null,
        headSeq: null,
      },
      references,
    })
    expect(result.conflicts).toMatchObject([{ path: 'lines[1].qty', loserApp: crm, loserValue: 3 }])
    expect(result.record.parkedPaths).toEqual({})
  })

  test('a removed element takes what was set aside of it along, and the other side’s value goes to the log', () => {
    const item = 'lines[1]'
    const lane = laneOf({ sent: { [item]: true, [`${item}.qty`]: 1 }, image: { items: true, 'items[1]': true } })
    const other = laneOf({ app: erp, sent: { [item]: true, [`${item}.qty`]: 3 } })
    const result = foldImage({
      entity: entityWith({ policy }),
      binding: bindingOf(crm),
      record: recordOf({
        head: headOf({ [item]: true, [`${item}.qty`]: 1 }),
        lanes: { [crm]: lane, [erp]: other },
        parkedPaths: { [`${item}.qty`]: { code: 'merge.manual', message: '', apps: [erp] } },
      }),
      lane,
      image: { items: true },
      seq: asJournalPosition(20),
      atMs: 1000,
      sourceTimeMs: undefined,
      own: null,
      references,
    })
    expect(result.record.parkedPaths).toEqual({})
    expect(result.conflicts).toMatchObject([{ path: 'lines[1].qty', loserApp: erp, loserValue: 3, reason: 'unseen' }])
  })

  test('the other side’s value goes to the log when the record is deleted', () => {
    const lane = laneOf({ sent: { phone: 'l' }, app: erp })
    const record = recordOf({
      head: headOf({ phone: 'l' }, { app: erp }),
      lanes: { [erp]: lane, [crm]: laneOf({ sent: { phone: 'r' } }) },
      parkedPaths: { phone: { code: 'merge.manual', message: '', apps: [crm] } },
    })
    const entity = entityOf({ deletes: 'delete-wins' })
    const result = foldDelete(entity, bindingOf(erp), record, lane, { seq: asJournalPosition(30), atMs: 5 })
    expect(result.conflicts).toMatchObject([{ loserApp: crm, loserValue: 'r', path: 'phone' }])
    expect(result.record.parkedPaths).toEqual({})
  })
})
