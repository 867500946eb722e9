import { describe, expect, test } from 'vitest'
import { bindingOf, classA, crm, headOf, intentOf, laneOf, recordOf } from '../merge/fake-record.ts'
import type { Capabilities } from '../model/capabilities.ts'
import type { Outcome } from '../model/change.ts'
import { asJournalPosition, asNativeId, asToken } from '../model/ids.ts'
import type { Intent, Lane } from '../model/record.ts'
import { applySent } from './overlay.ts'
import { type Settled, settleOutcome } from './settle.ts'

/** Single cases, to the letter: what the tables of settle.test.ts say in general. */
const context = { nowMs: 10_000, seq: asJournalPosition(40), jitter: 0 }
const record = recordOf({ head: headOf({ email: 'a' }), headSeq: asJournalPosition(9) })
const op = intentOf().op

function settled(
  intent: Partial<Intent>,
  outcome: Partial<Outcome>,
  lane: Partial<Lane> = {},
  letters: Partial<Capabilities> = {},
): Settled {
  const open = intentOf(intent)
  const binding = bindingOf(crm, { capabilities: { ...classA, ...letters } })
  return settleOutcome(record, laneOf({ ...lane, intent: open }), open, binding, { op, ...outcome } as Outcome, context)
}

describe('a create that was applied', () => {
  const former = {
    nativeId: null,
    exists: false,
    image: { n_phone: 'old' },
    sent: { phone: 'old' },
    token: asToken('8'),
  }
  const answer = { result: 'applied', nativeId: asNativeId('77') } as const

  test('stands on nothing of a former life', () => {
    const { lane, linked, text } = settled({ kind: 'create' }, answer, former)
    expect(lane).toMatchObject({ nativeId: '77', exists: true, image: { n_email: 'a' }, sent: { email: 'a' } })
    expect([lane.image, lane.sent, lane.token, linked]).toEqual([{ n_email: 'a' }, { email: 'a' }, null, '77'])
    expect(text).not.toContain('version')
  })

  test('names the version where the reply does', () => {
    const { lane, text } = settled({ kind: 'create' }, { ...answer, token: asToken('4') }, former)
    expect(lane.token).toBe('4')
    expect(text).toContain(', version 4')
    expect(lane.own[0]).toMatchObject({ op, token: '4', paths: ['email'], renditionSeen: false, atMs: 10_000, hops: 0 })
  })
})

test('an update that was applied stands on what was there, and leaves the rest', () => {
  const held = { image: { n_email: 'x', n_phone: 'p' }, sent: { email: 'x', phone: 'p' } }
  const { lane } = settled({}, { result: 'applied', token: asToken('4') }, held)
  expect([lane.image, lane.sent, lane.token]).toEqual([{ n_email: 'a', n_phone: 'p' }, { email: 'a', phone: 'p' }, '4'])
})

describe('what an application answers to a create that makes no sense', () => {
  test('"not found" sets it aside, with what it said', () => {
    const { lane, verdict, text } = settled({ kind: 'create' }, { result: 'gone', message: 'no such path' })
    expect([verdict, lane.park?.code, lane.intent, lane.reading]).toEqual(['parked', 'target.rejected', null, null])
    expect(text).toContain('no such path')
    expect(settled({ kind: 'create' }, { result: 'gone' }).text).toContain('check the path of the binding')
  })

  test('a refused condition is tried again', () => {
    const { lane, verdict } = settled({ kind: 'create' }, { result: 'conflict' })
    expect([verdict, lane.intent, lane.reading, lane.retry?.code]).toEqual(['retry', null, null, 'target.unavailable'])
  })
})

describe('a refused condition', () => {
  test('leads to a read from now on, the latch open', () => {
    const { lane, verdict, text } = settled({}, { result: 'conflict' })
    expect(verdict).toBe('refused')
    expect(lane.intent).toBeNull()
    expect(lane.reading).toMatchObject({ why: 'conflict', afterSeq: 40, notBeforeMs: 0, tries: 0 })
    expect(text).toContain('than 3')
    expect(settled({ baseToken: null }, { result: 'conflict' }).text).toContain('than the one we know')
  })

  test('of a write in doubt leaves it in doubt', () => {
    const { lane } = settled({ state: 'unknown', tries: 1 }, { result: 'conflict' })
    expect(lane.intent).toMatchObject({ state: 'unknown', baseToken: null })
    expect(lane.reading).toMatchObject({ why: 'unknown', afterSeq: 40 })
  })

  test('waits for the notification where there is no read', () => {
    const { lane, verdict } = settled({}, { result: 'conflict' }, {}, { read: 'R0' })
    expect([verdict, lane.reading, lane.intent, lane.retry?.code]).toEqual(['retry', null, null, 'target.unavailable'])
  })
})

test('"not found" of an update is confirmed by a read from now on', () => {
  const { lane, verdict } = settled({}, { result: 'gone' })
  expect(verdict).toBe('gone')
  expect(lane.reading).toMatchObject({ why: 'gone', afterSeq: 40, notBeforeMs: 0, tries: 0 })
})

describe('a refusal', () => {
  test('without a word has the words that there are', () => {
    const { lane } = settled({}, { result: 'refused' })
    expect(lane.retry).toEqual({ tries: 1, notBeforeMs: 10_050, code: 'target.rejected', message: 'refused' })
  })

  test('with words keeps them', () => {
    const { lane } = settled({}, { result: 'refused', code: 'target.unavailable', message: '429' })
    expect(lane.retry).toMatchObject({ code: 'target.unavailable', message: '429' })
  })

  test('pauses longer each time', () => {
    const retry = { tries: 2, notBeforeMs: 0, code: 'x', message: 'x' }
    expect(settled({}, { result: 'refused', code: 'x' }, { retry }).lane.retry).toMatchObject({
      tries: 3,
      notBeforeMs: 10_200,
    })
  })
})

describe('no answer', () => {
  test('has the words that there are', () => {
    expect(settled({}, { result: 'unknown' }).text).toContain('target.unknown: no answer')
    expect(settled({}, { result: 'unknown', code: 'c', message: 'm' }).text).toContain('c: m')
  })

  test('is one try more, some time from now', () => {
    const { lane } = settled({ tries: 1 }, { result: 'unknown' })
    expect(lane.intent).toMatchObject({ state: 'unknown', tries: 2, notBeforeMs: 10_100 })
  })

  test('of a create is looked for after the fence where it can be found, and waited for where it cannot', () => {
    const found = settled({ kind: 'create' }, { result: 'unknown' }, {}, { idempotency: 'none', create: 'K1' })
    expect(found.lane.reading).toMatchObject({ why: 'unknown', notBeforeMs: 15_000, tries: 0 })
    const waited = settled({ kind: 'create' }, { result: 'unknown' }, {}, { idempotency: 'none', create: 'K0' })
    expect([waited.lane.reading, waited.lane.intent?.notBeforeMs]).toEqual([null, 15_000])
  })

  test('of an update is read soon where a condition protects, and after the fence where none does', () => {
    const letters = { idempotency: 'none' } as const
    expect(settled({}, { result: 'unknown' }, {}, letters).lane.reading).toMatchObject({ notBeforeMs: 10_050 })
    const blind = settled({}, { result: 'unknown' }, {}, { ...letters, condition: 'C0' })
    expect(blind.lane.reading).toMatchObject({ notBeforeMs: 15_000 })
  })
})

test('what an application stands for after an element was taken out has none of its fields, and all of the others', () => {
  const before = {
    'lines[1]': true,
    'lines[1].qty': 1,
    'lines[10]': true,
    'lines[10].qty': 2,
    'lines[2].qty': 3,
    name: 'n',
  }
  expect(applySent(before, { 'lines[1]': false, name: false })).toEqual({
    'lines[1]': false,
    'lines[10]': true,
    'lines[10].qty': 2,
    'lines[2].qty': 3,
    name: false,
  })
})
