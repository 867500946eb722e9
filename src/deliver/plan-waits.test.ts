import { describe, expect, test } from 'vitest'
import {
  agent,
  bindingOf,
  classA,
  crm,
  erp,
  frozen,
  headOf,
  intentOf,
  laneOf,
  recordOf,
  references,
} from '../merge/fake-record.ts'
import type { Capabilities } from '../model/capabilities.ts'
import type { BindingModel } from '../model/entity.ts'
import { asCanonicalKey, asJournalPosition, asNativeId, asToken } from '../model/ids.ts'
import type { Lane, RecordState } from '../model/record.ts'
import { isPausing, STILL_IN_DOUBT } from './backoff.ts'
import { overlayOf } from './overlay.ts'
import { isLostWhenUnknown, type PlanContext, planLane } from './plan.ts'

/** When a lane with a need waits, for what, and until when. */
const NOW = 100_000
const seq = asJournalPosition(20)
const contextOf = (more: Partial<PlanContext> = {}): PlanContext => ({
  nowMs: NOW,
  seq,
  epoch: 3,
  opPrefix: 'i.1',
  takeSlot: () => true,
  nativeOf: references.nativeOf,
  referenceDeadlineMs: 60_000,
  isGone: () => false,
  isPausing: (notBeforeMs) => isPausing(notBeforeMs, more.nowMs ?? NOW),
  blocked: false,
  fresh: false,
  ...more,
})
const plan = (record: RecordState, lane: Lane, binding: BindingModel = bindingOf(), more: Partial<PlanContext> = {}) =>
  planLane(frozen(record), frozen(lane), binding, contextOf(more))
const withLetters = (letters: Partial<Capabilities>) => bindingOf(crm, { capabilities: { ...classA, ...letters } })
const logged = withLetters({ feed: 'F3', conditionOn: 'patch', mark: 'M2', reply: { token: false, image: false } })

const record = recordOf({ head: headOf({ email: 'new' }) })
const behind = laneOf({ sent: { email: 'old' }, image: { n_email: 'old' } })
const parkOf = (code: string, headSeq = 9) => ({ code, message: 'no', atMs: 1, headSeq: asJournalPosition(headSeq) })

describe('a lane that is behind', () => {
  test('waits without a word where its state is known to be old, and goes on reading where it reads', () => {
    expect(plan(record, behind, bindingOf(), { blocked: true })).toEqual({ lane: behind, next: 'idle' })
    const reading = { why: 'hint' as const, afterSeq: seq, notBeforeMs: 0, tries: 0 }
    expect(plan(record, { ...behind, reading })).toEqual({ lane: { ...behind, reading }, next: 'read' })
  })

  test('of a log-fed application waits for the reply that is under way; any other decides by what it knows', () => {
    expect(plan(record, behind, logged, { inFlight: true })).toEqual({ lane: behind, next: 'waiting' })
    expect(plan(record, behind, logged).next).toBe('intent')
    expect(plan(record, behind, bindingOf(), { inFlight: true }).next).toBe('intent')
  })

  test('waits for the log to show what our create has made, where a condition needs the values beside ours', () => {
    const overlays = [overlayOf(intentOf({ kind: 'create' }), null, seq, NOW)]
    const made = { ...behind, token: null, overlays }
    expect(plan(record, made, logged)).toEqual({ lane: made, next: 'idle' })
    expect(plan(record, { ...made, overlays: [] }, logged).next).toBe('intent')
    expect(plan(record, { ...made, token: asToken('4') }, logged).next).toBe('intent')
    expect(plan(record, made, withLetters({ feed: 'F3', condition: 'C0' })).next).toBe('intent')
  })

  test('gets no more writes once its log has 32 of them yet to show', () => {
    const overlays = Array.from({ length: 32 }, () => overlayOf(intentOf({ patch: {}, native: {} }), null, seq, NOW))
    expect(plan(record, { ...behind, overlays }, logged).next).toBe('waiting')
    expect(plan(record, { ...behind, overlays: overlays.slice(1) }, logged).next).toBe('intent')
  })

  test('says that it waits while it pauses', () => {
    const retry = { tries: 1, notBeforeMs: NOW + 1, code: 'target.unavailable', message: '' }
    expect(plan(record, { ...behind, retry })).toEqual({ lane: { ...behind, retry }, next: 'waiting' })
  })

  test('is written again after its pause, and that pause does not begin again when the clock is set back', () => {
    const retry = { tries: 1, notBeforeMs: NOW - 1, code: 'target.unavailable', message: '' }
    expect(plan(record, { ...behind, retry }).lane).toMatchObject({ intent: {}, retry: { tries: 1, notBeforeMs: 0 } })
    expect(plan(record, behind).lane.retry).toBeNull()
  })

  test('asks for the newest state of what it has no version of, from now on and at once', () => {
    expect(plan(record, { ...behind, token: null }).lane.reading).toEqual({
      why: 'fresh',
      afterSeq: seq,
      notBeforeMs: 0,
      tries: 0,
      headSeq: record.headSeq,
    })
  })

  test('is written without a read where there is none, or where versions do not exist', () => {
    const next = (letters: Partial<Capabilities>) => plan(record, { ...behind, token: null }, withLetters(letters)).next
    expect([next({ read: 'R0' }), next({ token: 'T0' }), next({ condition: 'C0', read: 'R0' })]).toEqual([
      'intent',
      'intent',
      'intent',
    ])
  })
})

describe('a lane that refers to a record which is not there', () => {
  const refers = recordOf({ head: headOf({ owner: 'zz' }) })
  const waiting = (sinceMs: number) => ({
    ...laneOf(),
    waitsFor: { entity: agent, key: asCanonicalKey('zz'), sinceMs },
  })

  test('waits unseen within the deadline, and is shown to a person from then on, still waiting', () => {
    const at = (sinceMs: number) => plan(refers, waiting(sinceMs))
    expect(at(NOW - 59_999)).toMatchObject({
      next: 'waiting',
      lane: { park: null, waitsFor: { sinceMs: NOW - 59_999 } },
    })
    expect(at(NOW - 60_000)).toMatchObject({
      next: 'waiting',
      lane: {
        waitsFor: { sinceMs: NOW - 60_000 },
        park: { code: 'resolve.reference-missing', message: expect.stringContaining('within the deadline') },
      },
    })
    expect(plan(refers, laneOf()).lane.park).toBeNull()
  })

  test('says that the other was deleted, where it was', () => {
    const { park } = plan(refers, laneOf(), bindingOf(), { isGone: () => true }).lane
    expect(park?.message).toContain('which was deleted in crm')
  })

  test('shows what its application refused for good, even when what it waited for comes', () => {
    const park = parkOf('target.rejected')
    const came = plan(record, { ...behind, waitsFor: waiting(NOW).waitsFor, park }, bindingOf(), {
      takeSlot: () => false,
    })
    expect(came).toMatchObject({ next: 'behind', lane: { waitsFor: null, park } })
  })
})

describe('a new record whose reference is about to come', () => {
  const told = (knownAtMs: number) => laneOf({ app: erp, unfolded: ['n_owner'], knownAtMs })
  const fresh = laneOf({ nativeId: null, exists: null, token: null })
  const at = (nowMs: number, lane: Lane, knownAtMs: number) =>
    plan(recordOf({ head: headOf({ email: 'b' }), lanes: { [erp]: told(knownAtMs) } }), lane, bindingOf(), { nowMs })

  test('waits once for two seconds, from when it began to', () => {
    const first = at(NOW, fresh, NOW - 500)
    expect(first.lane.retry).toMatchObject({ tries: 0, notBeforeMs: NOW + 2_000 })
    expect(at(NOW + 1_000, first.lane, NOW + 900).lane.retry?.notBeforeMs).toBe(NOW + 2_000)
    expect(at(NOW + 2_000, first.lane, NOW + 1_900)).toMatchObject({ next: 'intent', lane: { retry: null } })
  })
})

describe('a lane in step', () => {
  const inStep = { ...behind, sent: { email: 'new' }, image: { n_email: 'new' } }

  test('is not set aside any more, whatever it was set aside for', () => {
    expect(plan(record, { ...inStep, park: parkOf('target.rejected') }).lane.park).toBeNull()
    const retry = { tries: 1, notBeforeMs: NOW + 500, code: STILL_IN_DOUBT, message: '' }
    expect(plan(record, { ...inStep, retry, park: parkOf('target.rejected') }).lane).toMatchObject({
      park: null,
      retry,
    })
  })

  test('has agreed with the head as it is now, if it has the record at all', () => {
    const old = { ...inStep, sent: {}, basis: asJournalPosition(3) }
    const elsewhere = recordOf({ head: headOf({ fax: 'x' }, { seq: asJournalPosition(8) }) })
    expect(plan(elsewhere, old).lane.basis).toBe(9)
    const nowhere = { ...old, exists: null, nativeId: null }
    expect(plan(elsewhere, nowhere, bindingOf(crm, { createHere: false })).lane.basis).toBe(3)
  })

  test('whose value is the head’s by chance is read from now on, at once', () => {
    const byChance = { ...inStep, byChance: ['email'] }
    expect(plan(record, byChance).lane.reading).toEqual({
      why: 'verify',
      afterSeq: seq,
      notBeforeMs: 0,
      tries: 0,
      headSeq: record.headSeq,
    })
  })

  test('of a log-fed application is not taken for settled while writes of ours have yet to show', () => {
    const held = {
      ...behind,
      image: { n_email: 'new' },
      overlays: [overlayOf(intentOf({ patch: {}, native: {} }), null, seq, NOW)],
    }
    expect(plan(record, held, logged)).toMatchObject({ next: 'idle', lane: { sent: { email: 'old' }, intent: null } })
    expect(plan(record, { ...held, overlays: [] }, logged).lane.sent).toEqual({ email: 'new' })
  })
})

describe('a write in doubt that nobody can be asked about', () => {
  const lost = (kind: 'create' | 'update', state: 'open' | 'unknown') =>
    laneOf({ nativeId: null, exists: null, intent: intentOf({ kind, state, notBeforeMs: NOW }) })
  const k0 = withLetters({ create: 'K0', idempotency: 'none' })

  test('is shown to a person only if it is a create, and has been tried', () => {
    expect(plan(record, lost('create', 'unknown'), k0).lane.park?.code).toBe('target.create-unknown')
    for (const lane of [lost('create', 'open'), lost('update', 'unknown')])
      expect(plan(record, lane, k0).lane).toBe(lane)
  })

  test('can be asked about by an idempotency key, or by a search', () => {
    expect(
      [k0, withLetters({ create: 'K0' }), withLetters({ create: 'K1', idempotency: 'none' })].map(isLostWhenUnknown),
    ).toEqual([true, false, false])
  })
})

describe('a deletion', () => {
  const deletion = { app: erp, atMs: 1, untilMs: NOW + 1 }
  const deleted = recordOf({ deleted: true, head: headOf({ email: 'new' }), deletion })
  const held = { ...behind, park: parkOf('target.rejected', 3) }

  test('in quarantine is written nowhere until its time is over, and nothing is set aside meanwhile', () => {
    expect(plan(deleted, held)).toMatchObject({ next: 'waiting', lane: { intent: null, park: null } })
    expect(plan(deleted, held, bindingOf(), { nowMs: NOW + 1 })).toMatchObject({
      next: 'intent',
      lane: { intent: { kind: 'delete', patch: {}, native: {} } },
    })
  })

  test('without quarantine is written at once, where the record is and deletions are followed', () => {
    const { deletion: _, ...atOnce } = deleted
    expect(plan(atOnce, behind).lane.intent?.kind).toBe('delete')
    expect(plan(atOnce, behind, bindingOf(), { nowMs: 0 }).lane.intent?.kind).toBe('delete')
    expect(plan(atOnce, behind, bindingOf(crm, { deletes: 'ignore' }))).toMatchObject({
      next: 'idle',
      lane: { intent: null },
    })
    expect(plan(atOnce, { ...behind, exists: false }).next).toBe('idle')
  })

  test('does not hold up what is to be written to a record that lives', () => {
    expect(plan({ ...deleted, deleted: false }, behind).lane.intent?.kind).toBe('update')
  })
})

describe('a record that a person took back', () => {
  const withdrawn = { ...behind, withdrawn: true, nativeId: asNativeId('1') }
  const ofErp = recordOf({ head: headOf({ email: 'new' }, { app: erp }) })

  test('is deleted where we had made it', () => {
    expect(plan(ofErp, withdrawn).lane.intent?.kind).toBe('delete')
  })

  test('is neither deleted again nor created again once it is gone there', () => {
    for (const nativeId of [asNativeId('1'), null])
      expect(plan(ofErp, { ...withdrawn, exists: false, nativeId })).toMatchObject({
        next: 'idle',
        lane: { intent: null },
      })
  })

  test('stays where its own users have changed it since, and follows deletions like any other', () => {
    const theirs = recordOf({
      head: { ...headOf({ email: 'new' }, { app: erp }), ...headOf({ phone: 'p' }, { app: crm }) },
    })
    expect(plan(theirs, withdrawn).lane.intent?.kind).toBe('update')
    expect(plan({ ...ofErp, deleted: true }, withdrawn, bindingOf(crm, { deletes: 'ignore' })).lane.intent).toBeNull()
  })
})
