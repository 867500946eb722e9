import { describe, expect, test } from 'vitest'
import { bindingOf, classA, crm, headOf, intentOf, laneOf, recordOf, references } from '../merge/fake-record.ts'
import { type Capabilities, isLogFed } from '../model/capabilities.ts'
import { asJournalPosition, asNativeId, asToken } from '../model/ids.ts'
import type { Overlay } from '../model/record.ts'
import { isPausing } from './backoff.ts'
import { overlayOf, settleSilent, withOverlays } from './overlay.ts'
import { planLane } from './plan.ts'
import { settleOutcome } from './settle.ts'

const logged: Capabilities = {
  ...classA,
  feed: 'F3',
  conditionOn: 'patch',
  mark: 'M2',
  reply: { token: false, image: false },
}
const blind: Capabilities = { ...logged, condition: 'C0', create: 'K1', idempotency: 'none' }
const binding = bindingOf(crm, { capabilities: logged })
const blindBinding = bindingOf(crm, { capabilities: blind })
const at = { nowMs: 10_000, seq: asJournalPosition(40), jitter: 0.5 }
const context = {
  ...at,
  epoch: 1,
  opPrefix: 'i.1',
  takeSlot: () => true,
  nativeOf: references.nativeOf,
  referenceDeadlineMs: 60_000,
  isGone: () => false,
  isPausing: (notBeforeMs: number) => isPausing(notBeforeMs, 10_000),
  blocked: false,
  fresh: false,
}
const record = recordOf({ head: headOf({ email: 'b', phone: '1' }) })
const lane = laneOf({ sent: { email: 'a', phone: '1' }, image: { n_email: 'a', n_phone: '1' } })
const intent = intentOf({ patch: { email: 'b' }, native: { n_email: 'b' } })
const overlay = (more: Partial<Overlay> = {}): Overlay => ({ ...overlayOf(intent, null, at.seq, at.nowMs), ...more })
const applied = { op: intent.op, result: 'applied' as const, token: asToken('9') }

describe('a write to a log-fed application', () => {
  test('leaves what the log has shown as it is, and lies over it', () => {
    for (const capabilities of [logged, blind]) {
      const settled = settleOutcome(record, { ...lane, intent }, intent, bindingOf(crm, { capabilities }), applied, at)
      expect([settled.lane.image, settled.lane.sent, settled.lane.token]).toEqual([lane.image, lane.sent, lane.token])
      expect(settled.lane.overlays.map(({ op }) => op)).toEqual([intent.op])
      expect(withOverlays(settled.lane, binding).sent).toEqual({ email: 'b', phone: '1' })
    }
  })

  test('is not needed again while it lies there, and the next one is based on it', () => {
    const held = { ...lane, overlays: [overlay()] }
    expect(planLane(record, held, binding, context)).toMatchObject({ next: 'idle', lane: { intent: null } })
    const moved = recordOf({ head: headOf({ email: 'c', phone: '1' }) })
    const { next, lane: planned } = planLane(moved, held, binding, context)
    expect([next, planned.intent?.patch, planned.intent?.baseImage]).toEqual([
      'intent',
      { email: 'c' },
      { n_email: 'b' },
    ])
    expect(planned.image).toEqual(lane.image)
  })

  test('is not read for: no version is missed, and nothing is proved by a read', () => {
    expect(planLane(record, { ...lane, token: null }, binding, context).next).toBe('intent')
    expect(planLane(record, lane, blindBinding, context).next).toBe('intent')
  })

  test('that was refused by its condition waits until the log has been read past it', () => {
    const settled = settleOutcome(
      record,
      { ...lane, intent },
      intent,
      binding,
      { op: intent.op, result: 'conflict' },
      at,
    )
    expect(settled.lane).toMatchObject({ intent: null, reading: { why: 'conflict' }, token: lane.token })
  })

  test('that was refused by its condition while an earlier try may still be applied pauses until that is over', () => {
    const doubted = { ...intent, tries: 1, state: 'unknown' as const, doubtUntilMs: at.nowMs + 5000 }
    const answer = { op: intent.op, result: 'conflict' as const }
    const { lane: paused } = settleOutcome(record, { ...lane, intent: doubted }, doubted, binding, answer, at)
    expect(paused).toMatchObject({ intent: null, retry: { notBeforeMs: at.nowMs + 5000 } })
    const over = { ...doubted, doubtUntilMs: at.nowMs }
    expect(settleOutcome(record, { ...lane, intent: over }, over, binding, answer, at).lane.retry).toBeNull()
  })

  test('that finds the record gone stops, and leaves the deletion to the log', () => {
    const settled = settleOutcome(record, { ...lane, intent }, intent, binding, { op: intent.op, result: 'gone' }, at)
    expect(settled.lane).toMatchObject({ exists: true, intent: null, reading: null, image: lane.image })
    expect(planLane(record, settled.lane, binding, context)).toMatchObject({ next: 'idle', lane: { intent: null } })
  })

  test('in doubt is decided by the log after the fence, or sent again under its key', () => {
    const unknown = { op: intent.op, result: 'unknown' as const }
    const byKey = settleOutcome(record, { ...lane, intent }, intent, binding, unknown, at)
    expect([byKey.lane.reading, byKey.lane.intent?.state]).toEqual([null, 'unknown'])
    const byLog = settleOutcome(record, { ...lane, intent }, intent, blindBinding, unknown, at)
    expect(byLog.lane.reading).toMatchObject({ why: 'unknown', notBeforeMs: at.nowMs + blind.fenceMs })
  })

  test('that created a record is all that is known of it until the log shows it', () => {
    const create = intentOf({ kind: 'create', patch: { email: 'b' }, native: { n_email: 'b' } })
    const fresh = laneOf({ nativeId: null, exists: null, token: null, intent: create })
    const outcome = { ...applied, op: create.op, nativeId: asNativeId('77') }
    const settled = settleOutcome(record, fresh, create, binding, outcome, at)
    expect(settled.linked).toBe('77')
    expect(settled.lane).toMatchObject({ nativeId: '77', exists: true, image: {}, sent: {}, token: null })
    expect(withOverlays(settled.lane, binding).sent).toEqual({ email: 'b' })
  })

  test('whose position the log has passed already is not waited for', () => {
    const late = settleOutcome(record, { ...lane, token: asToken('9'), intent }, intent, binding, applied, at)
    expect(late.lane.overlays).toEqual([])
  })
})

describe('parts', () => {
  const items = (...keys: string[]) =>
    Object.fromEntries([['items', true], ...keys.map((key) => [`items[${key}]`, true])])
  const lines = (...keys: string[]) => Object.fromEntries(keys.map((key) => [`lines[${key}]`, true]))

  test('were written whole, so what a write did not carry is gone under it', () => {
    const held = laneOf({
      sent: lines('1', '3'),
      image: items('1', '3'),
      overlays: [overlay({ patch: lines('1', '2'), native: items('1', '2') })],
    })
    const { image, sent } = withOverlays(held, binding)
    expect([image, sent]).toEqual([items('1', '2'), lines('1', '2')])
  })

  test('are written with all that they hold, and on the condition that they hold it', () => {
    const head = headOf({ ...lines('1', '2'), 'lines[1].qty': 5 })
    const held = laneOf({ sent: { ...lines('1'), 'lines[1].qty': 5 }, image: { ...items('1'), 'items[1].n_qty': 5 } })
    const { intent: open } = planLane(recordOf({ head }), held, binding, context).lane
    expect(open?.patch).toEqual({ ...lines('1', '2'), 'lines[1].qty': 5 })
    expect(open?.native).toEqual({ ...items('1', '2'), 'items[1].n_qty': 5 })
    expect(open?.baseImage).toEqual({ ...items('1'), 'items[1].n_qty': 5 })
  })
})

test('a write that left nothing in the log stands for what the application holds, where that may be its form of it', () => {
  const held = laneOf({ sent: { email: 'x', phone: '1' }, image: { n_email: 'B ', n_phone: '1' } })
  expect(settleSilent(held, overlay(), binding).sent.email).toBe('b')
  expect(settleSilent({ ...held, image: { n_email: 'z' } }, overlay(), binding).sent.email).toBe('x')
})

test('only an ordered, complete log with conditions that leave room for unread edits makes an application log-fed', () => {
  expect(
    [logged, blind, classA, { ...logged, conditionOn: 'record' as const }, { ...logged, feed: 'F2' as const }].map(
      isLogFed,
    ),
  ).toEqual([true, true, false, false, false])
})
