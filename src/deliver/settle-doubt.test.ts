import { describe, expect, test } from 'vitest'
import { bindingOf, classA, crm, erp, headOf, intentOf, laneOf, recordOf } from '../merge/fake-record.ts'
import type { Capabilities } from '../model/capabilities.ts'
import type { Outcome } from '../model/change.ts'
import { asJournalPosition, asNativeId, asToken } from '../model/ids.ts'
import { type Intent, type Lane, OWN_WRITES_MAX } from '../model/record.ts'
import { isInDoubt, isPausing, RETRY_CAP_MS, whileInDoubt } from './backoff.ts'
import { type Settled, settleOutcome } from './settle.ts'

/** How long a write may still be on its way, and what is asked meanwhile, to the millisecond. */
const NOW = 100_000
const context = { nowMs: NOW, seq: asJournalPosition(40), jitter: 0 }
const record = recordOf({ head: headOf({ email: 'a' }, { app: erp }) })
const op = intentOf().op
const ASKED_AT_ONCE = { afterSeq: 40, notBeforeMs: 0, tries: 0 }

function settled(
  intent: Partial<Intent>,
  outcome: Partial<Outcome>,
  letters: Partial<Capabilities> = {},
  lane: Partial<Lane> = {},
): Settled {
  const open = intentOf(intent)
  const binding = bindingOf(crm, { capabilities: { ...classA, ...letters } })
  return settleOutcome(record, laneOf({ ...lane, intent: open }), open, binding, { op, ...outcome } as Outcome, context)
}

describe('the version that is known after a write', () => {
  const known = { token: asToken('8') }
  const laneWith = (letters: Partial<Capabilities>, more: Partial<Intent> = {}, token?: string) => {
    const outcome = { result: 'applied', nativeId: asNativeId('7'), ...(token && { token: asToken(token) }) } as const
    return settled(more, outcome, letters, known).lane
  }

  test('is the one of the reply, or that of before where versions are ordered', () => {
    expect([laneWith({}, {}, '9').token, laneWith({}).token]).toEqual(['9', '8'])
  })

  test('is none where a version is good for one state only, or the record is new', () => {
    expect([laneWith({ token: 'T1' }).token, laneWith({}, { kind: 'create' }).token]).toEqual([null, null])
  })

  test('says nothing of who made the record, but of a create: that it was us, and when', () => {
    expect([laneWith({}).madeAtMs, laneWith({}, { kind: 'create' }).madeAtMs]).toEqual([null, NOW])
    const made = settled({}, { result: 'applied' }, {}, { madeAtMs: 5 }).lane.madeAtMs
    expect(made).toBe(5)
  })

  test('is null among our own writes where the reply names none', () => {
    expect(laneWith({}).own[0]?.token).toBeNull()
  })
})

describe('a write that was tried before', () => {
  test('and finds the record gone is looked for after a pause where a condition protects, and after the fence where none does', () => {
    const doubted = { state: 'unknown', tries: 2, doubtUntilMs: NOW + 3_000 } as const
    const looked = (condition: 'C2' | 'C0', tries = 2) => {
      const { lane } = settled({ ...doubted, tries }, { result: 'gone' }, { condition })
      return [lane.reading, lane.intent?.tries]
    }
    expect(looked('C2')).toEqual([{ why: 'unknown', ...ASKED_AT_ONCE, notBeforeMs: NOW + 200 }, 3])
    expect(looked('C0')).toEqual([{ why: 'unknown', ...ASKED_AT_ONCE, notBeforeMs: NOW + 3_000 }, 3])
    expect(looked('C0', 9)).toMatchObject([{ notBeforeMs: NOW + 25_600 }, 10])
  })

  test('and is refused for good stays in doubt for as long as the earlier try may be applied', () => {
    const intent = { state: 'unknown', tries: 1, doubtUntilMs: NOW + 3_000 } as const
    const { lane, text } = settled(intent, { result: 'refused', handling: 'park', message: 'no' })
    expect(lane.intent).toMatchObject({ state: 'unknown', tries: 2, notBeforeMs: NOW + 3_000 })
    expect(text).toContain('for 3000 ms')
  })

  test('and is refused for now is tried again after its pause', () => {
    const { lane } = settled({ state: 'unknown', tries: 2 }, { result: 'refused', handling: 'retry' })
    expect(lane.intent).toMatchObject({ tries: 3, notBeforeMs: NOW + 200 })
  })

  test('and is refused by its condition is looked at once', () => {
    expect(settled({ state: 'unknown', tries: 1 }, { result: 'conflict' }).lane.reading).toEqual({
      why: 'unknown',
      ...ASKED_AT_ONCE,
    })
  })
})

describe('what is read after an answer', () => {
  test('is asked for at once, and for the first time', () => {
    const blind = { condition: 'C0', reply: { token: false, image: false } } as const
    expect(settled({}, { result: 'applied' }, blind).lane.reading).toEqual({ why: 'readback', ...ASKED_AT_ONCE })
    expect(settled({}, { result: 'gone' }).lane.reading).toEqual({ why: 'gone', ...ASKED_AT_ONCE })
    expect(settled({}, { result: 'conflict' }).lane.reading).toEqual({ why: 'conflict', ...ASKED_AT_ONCE })
  })
})

test('a write that was certainly refused says how long it pauses', () => {
  expect(settled({}, { result: 'refused', handling: 'retry', code: 'x' }).text).toContain('tried again in 50 ms')
})

test('a write without an answer may be applied until the fence', () => {
  expect(settled({}, { result: 'unknown' }).lane.intent?.doubtUntilMs).toBe(NOW + classA.fenceMs)
})

describe('a write to a log-fed application', () => {
  const logged = { feed: 'F3', conditionOn: 'patch', mark: 'M0', correlation: false, idempotency: 'none' } as const

  test('without an answer is decided by the log, where that tells of it', () => {
    const by = (intent: Partial<Intent>, letters: Partial<Capabilities>) =>
      settled(intent, { result: 'unknown' }, { ...logged, ...letters })
    const looked = { why: 'unknown', ...ASKED_AT_ONCE, notBeforeMs: NOW + classA.fenceMs }
    expect(by({}, { read: 'R0' }).lane.reading).toEqual(looked)
    expect(by({}, { read: 'R0', condition: 'C0' }).lane).toMatchObject({ reading: looked, park: null })
    expect(by({}, {}).text).toContain('decided by what its log shows')
    expect(by({ kind: 'create' }, { create: 'K0', mark: 'M2' }).lane.reading).toEqual(looked)
  })

  test('that created a record which the log does not tell of as ours waits for its notification', () => {
    const { lane, text } = settled({ kind: 'create' }, { result: 'unknown' }, { ...logged, create: 'K0' })
    expect([lane.reading, lane.intent?.notBeforeMs]).toEqual([null, NOW + classA.fenceMs])
    expect(text).toContain('its notification is waited for')
  })

  test('that was applied is remembered with all that it was, newest first and no more than needed', () => {
    const own = Array.from({ length: OWN_WRITES_MAX }, (_, i) => ({
      op: intentOf().op,
      token: asToken(String(i)),
      paths: [],
      renditionSeen: true,
      atMs: i,
      root: asJournalPosition(1),
      hops: 0,
    }))
    const { lane, text, verdict } = settled({}, { result: 'applied', token: asToken('9') }, logged, { own })
    expect(lane.own).toHaveLength(OWN_WRITES_MAX)
    expect(lane.own[0]).toEqual({ op, token: '9', paths: ['email'], renditionSeen: false, atMs: NOW, root: 5, hops: 0 })
    expect(lane.own[1]).toBe(own[0])
    expect([verdict, lane.nativeId]).toEqual(['applied', '1'])
    expect(text).toContain(', version 9; its log')
  })

  test('that was applied without a version is waited for in the log', () => {
    const { lane, text } = settled({}, { result: 'applied' }, logged)
    expect([lane.own[0]?.token, lane.overlays.map(({ token }) => token)]).toEqual([null, [null]])
    expect(text).not.toContain('version')
  })

  test('that created what its reply does not name is shown to a person', () => {
    const { lane } = settled({ kind: 'create' }, { result: 'applied' }, logged, { nativeId: null, exists: null })
    expect(lane.park?.code).toBe('target.reply-invalid')
  })

  test('that is a create is answered like any create: a refused condition is tried again, "not found" is set aside', () => {
    const answered = (result: 'conflict' | 'gone') => settled({ kind: 'create' }, { result }, logged)
    expect(answered('conflict')).toMatchObject({ verdict: 'retry', lane: { reading: null, retry: { tries: 1 } } })
    expect(answered('gone')).toMatchObject({ verdict: 'parked', lane: { park: { code: 'target.rejected' } } })
  })

  test('that met another state than its log has shown is decided again, and one that met none says so', () => {
    const conflict = settled({}, { result: 'conflict' }, logged)
    expect([conflict.verdict, conflict.lane.reading]).toEqual(['refused', { why: 'conflict', ...ASKED_AT_ONCE }])
    const gone = settled({}, { result: 'gone' }, logged)
    expect([gone.verdict, gone.lane.overlays.map(({ kind, patch }) => [kind, patch])]).toEqual([
      'gone',
      [['delete', {}]],
    ])
  })
})

describe('an earlier try that may still be applied', () => {
  const lane = laneOf({ retry: { tries: 3, notBeforeMs: 0, code: 'x', message: '' } })

  test('holds its lane up for no longer than a fence from now, and counts as no further try', () => {
    const held = (doubtUntilMs: number, on = lane) => whileInDoubt(on, intentOf({ doubtUntilMs }), 5_000, NOW).retry
    expect(held(NOW + 3_000)).toMatchObject({ tries: 3, notBeforeMs: NOW + 3_000, sinceMs: NOW })
    expect(held(NOW + 9_000)).toMatchObject({ notBeforeMs: NOW + 5_000 })
    expect(held(NOW + 3_000, laneOf())).toMatchObject({ tries: 0 })
    expect(held(NOW)).toBe(lane.retry)
  })

  test('is none where the write was never in doubt', () => {
    expect(isInDoubt(intentOf(), 0)).toBe(false)
  })

  test('pauses for the longest pause there is, and for no longer than that', () => {
    expect([isPausing(NOW + RETRY_CAP_MS, NOW), isPausing(NOW + RETRY_CAP_MS + 1, NOW)]).toEqual([true, false])
  })
})
