import { describe, expect, test } from 'vitest'
import type { BindingModel, EntityModel } from '../model/entity.ts'
import { asJournalPosition } from '../model/ids.ts'
import type { Lane, RecordState } from '../model/record.ts'
import { foldDelete } from './delete.ts'
import { bindingOf, crm, entityOf, erp, frozen, headOf, laneOf, recordOf, shop } from './fake-record.ts'

/** Deletions that do not take the record away at once: as a value of a field, or after a while. And what the log keeps of a deletion. */
const at = { seq: asJournalPosition(30), atMs: 7000 }
const run = (entity: Partial<EntityModel>, record: RecordState, lane: Lane, binding: BindingModel = bindingOf()) =>
  foldDelete(entityOf(entity), binding, frozen(record), frozen(lane), at)
const seen = laneOf({ sent: { email: 'new' } })
const record = recordOf({ head: headOf({ email: 'new' }, { app: erp }) })

describe('a soft deletion', () => {
  const softDelete = { field: 'phone', deleted: 'gone', live: 'there' }
  const soft = (more: Partial<RecordState> = {}, binding?: BindingModel) =>
    run({ softDelete }, { ...record, ...more }, laneOf({ ...seen, intent: null }), binding)

  test('is a newer value of its field, by who deleted, and the record is not followed there any more', () => {
    const result = soft()
    expect(result).toMatchObject({ effect: 'soft', conflicts: [], lane: { detached: true, exists: false, sent: {} } })
    expect(result.record).toMatchObject({ deleted: false, headSeq: 30, head: { email: record.head.email } })
    expect(result.record.head.phone).toEqual({
      value: 'gone',
      origin: { seq: 30, app: crm, timeMs: 7000, root: 30, hops: 0 },
    })
  })

  test('makes no newer version where the field says so already, or said another value of it', () => {
    const said = { ...record.head, ...headOf({ phone: 'gone' }) }
    expect(soft({ head: said }).record.head).toEqual(said)
    expect(soft({ head: said })).toMatchObject({ effect: 'soft', record: { headSeq: 9 } })
    const live = { ...record.head, ...headOf({ phone: 'there' }) }
    expect(soft({ head: live }).record.head.phone?.value).toBe('gone')
  })

  test('does not reach others where the deletions of this application are not followed', () => {
    const result = soft({}, bindingOf(crm, { deletes: 'ignore' }))
    expect(result).toMatchObject({ effect: 'detached', record: { headSeq: 9 } })
  })
})

describe('a deletion in quarantine', () => {
  test('is known at once, and due after that time', () => {
    const result = run({ quarantineMs: 500 }, record, seen)
    expect(result.effect).toBe('quarantined')
    expect(result.record).toMatchObject({ deleted: true, deletion: { app: crm, atMs: 7000, untilMs: 7500 } })
  })

  test('is due at once where the entity has none', () => {
    const result = run({}, record, seen)
    expect(result.effect).toBe('deleted')
    expect(result.record.deletion).toEqual({ app: crm, atMs: 7000 })
  })
})

describe('the log of a deletion', () => {
  const later = (value: string) =>
    recordOf({
      head: headOf({ email: value }, { app: erp, seq: asJournalPosition(12) }),
      headSeq: asJournalPosition(12),
    })

  test('keeps a value that the deleter had by chance, and others came back to without their knowledge', () => {
    const result = run({}, later('new'), seen)
    expect([result.effect, result.conflicts]).toMatchObject([
      'deleted',
      [{ path: 'email', loserApp: erp, loserValue: 'new', winnerApp: crm, winnerValue: null }],
    ])
    const current = { ...seen, basis: asJournalPosition(12) }
    expect(run({}, later('new'), current).conflicts).toEqual([])
    expect(run({}, later('new'), { ...current, byChance: ['email'] }).conflicts).toHaveLength(1)
  })

  test('names each lost value once, and only those that the deleter had not seen', () => {
    const head = {
      ...headOf({ email: 'new', 'lines[1]': true }, { app: erp }),
      ...headOf({ phone: 'p', fax: 'f' }, { app: erp, seq: asJournalPosition(12) }),
    }
    const held = laneOf({ sent: { email: 'new', phone: 'p', 'lines[1]': true } })
    const result = run({}, recordOf({ head, headSeq: asJournalPosition(12) }), held)
    expect(result.conflicts.map(({ path }) => path).sort()).toEqual(['fax', 'phone'])
  })

  test('keeps what stands in fields of elements that the deleter only tells, and never sees', () => {
    const [lines] = bindingOf().parts
    const [qty, text] = lines!.fields
    const told = bindingOf(crm, { parts: [{ ...lines!, fields: [{ ...qty!, direction: 'in' }, text!] }] })
    const fields = { 'lines[1]': true, 'lines[1].qty': 4, 'lines[1].text': 't' }
    const held = laneOf({ sent: { 'lines[1]': true, 'lines[1].text': 't' } })
    const result = run({}, recordOf({ head: headOf(fields, { app: erp }) }), held, told)
    expect([result.effect, result.conflicts.map(({ path }) => path)]).toEqual(['deleted', ['lines[1].qty']])
  })

  test('keeps parts that the deleter does not have at all', () => {
    const fields = { 'lines[1]': true, 'lines[1].qty': 4 }
    const result = run({}, recordOf({ head: headOf(fields, { app: erp }) }), laneOf(), bindingOf(crm, { parts: [] }))
    expect([result.effect, result.conflicts.map(({ path }) => path)]).toEqual(['deleted', ['lines[1]', 'lines[1].qty']])
  })
})

test('by default data is kept for an application that holds it, and not for one that was let go or has lost it', () => {
  const unseen = laneOf({ sent: { email: 'old' } })
  const effectWith = (more: Partial<Lane>) => {
    const lanes = { [erp]: laneOf({ app: erp, ...more }), [shop]: laneOf({ app: shop, exists: false, detached: true }) }
    return run({ deletes: 'default' }, { ...record, lanes }, unseen).effect
  }
  expect([
    effectWith({}),
    effectWith({ exists: null }),
    effectWith({ detached: true }),
    effectWith({ exists: false }),
  ]).toEqual(['detached', 'detached', 'deleted', 'deleted'])
  const after = run({ deletes: 'default' }, record, unseen).lane
  expect([after.detached, after.exists]).toEqual([true, false])
})
