import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  bindingOf,
  blindC,
  classA,
  crm,
  erp,
  frozen,
  headOf,
  imageOf,
  intentOf,
  laneOf,
  recordOf,
  references,
  SEED,
  states,
} from '../merge/fake-record.ts'
import type { BindingModel } from '../model/entity.ts'
import { asJournalPosition, asToken } from '../model/ids.ts'
import type { Lane, RecordState } from '../model/record.ts'
import { valuesEqual } from '../model/value.ts'
import { isPausing } from './backoff.ts'
import { needOf } from './need.ts'
import { applySent } from './overlay.ts'
import { isBlind, type PlanContext, planLane } from './plan.ts'

fc.configureGlobal({ seed: SEED })

const seq = asJournalPosition(20)
const contextOf = (more: Partial<PlanContext> = {}): PlanContext => ({
  nowMs: 1000,
  seq,
  epoch: 3,
  opPrefix: 'i.1',
  takeSlot: () => true,
  nativeOf: references.nativeOf,
  referenceDeadlineMs: 60_000,
  isGone: () => false,
  isPausing: (notBeforeMs) => isPausing(notBeforeMs, more.nowMs ?? 1000),
  blocked: false,
  fresh: false,
  ...more,
})
const plan = (record: RecordState, lane: Lane, binding: BindingModel, more: Partial<PlanContext> = {}) =>
  planLane(frozen(record), frozen(lane), binding, contextOf(more))

const reading = { why: 'hint' as const, afterSeq: seq, notBeforeMs: 0, tries: 0 }
const park = { code: 'target.rejected', message: 'no', atMs: 1 }
const retry = (notBeforeMs: number) => ({ tries: 1, notBeforeMs, code: 'target.unavailable', message: '' })

const bindings = fc.constantFrom<BindingModel[]>(
  bindingOf(),
  bindingOf(crm, { capabilities: blindC }),
  bindingOf(crm, { capabilities: { ...classA, token: 'T1' } }),
  bindingOf(crm, { capabilities: { ...blindC, read: 'R0', create: 'K0' } }),
  bindingOf(crm, { createHere: false, deletes: 'ignore' }),
  bindingOf(crm, { createNeeds: ['email'], onCreate: { n_kind: 'k' } }),
)
const situations = fc
  .record({
    state: states,
    binding: bindings,
    deleted: fc.boolean(),
    lane: fc.record({
      exists: fc.constantFrom(true, true, false, null),
      nativeId: fc.constantFrom(laneOf().nativeId, null),
      token: fc.constantFrom(asToken('3'), null),
      intent: fc.constantFrom(null, null, null, intentOf(), intentOf({ kind: 'create', state: 'unknown' })),
      reading: fc.constantFrom(null, null, null, reading),
      park: fc.constantFrom(
        null,
        null,
        { ...park, headSeq: asJournalPosition(8) },
        { ...park, headSeq: asJournalPosition(9) },
      ),
      retry: fc.constantFrom(null, null, retry(999), retry(1001)),
      detached: fc.constantFrom(false, false, false, true),
    }),
    blocked: fc.constantFrom(false, false, true),
    fresh: fc.boolean(),
    free: fc.constantFrom(true, true, false),
  })
  .map(({ state, lane, deleted, ...rest }) => ({
    ...rest,
    record: { ...state.record, deleted },
    lane: { ...state.lane, ...lane },
  }))

describe('planning a lane', () => {
  test('never decides a second write while one is open', () => {
    fc.assert(
      fc.property(situations, ({ record, lane, binding, blocked, fresh }) => {
        if (lane.intent === null) return
        const planned = plan(record, lane, binding, { blocked, fresh })
        expect(planned.next).toBe('intent')
        expect(planned.lane.intent).toBe(lane.intent)
        expect(planned.lane.nextOp).toBe(lane.nextOp)
      }),
    )
  })

  test('never decides a write on a lane that is blocked, being read, parked at this head, detached, or pausing', () => {
    fc.assert(
      fc.property(situations, ({ record, lane, binding, blocked, fresh, free }) => {
        if (lane.intent !== null) return
        const planned = plan(record, lane, binding, { blocked, fresh, takeSlot: () => free })
        const isParked = lane.park !== null && lane.park.headSeq >= record.headSeq
        const isPausing = lane.retry !== null && lane.retry.notBeforeMs > 1000
        if (blocked || lane.reading !== null || isParked || lane.detached || isPausing || !free)
          expect(planned.lane.intent).toBeNull()
      }),
      { numRuns: 200 },
    )
  })

  test('reads a blind target before it writes to it, and a conditional one of which no version is known', () => {
    fc.assert(
      fc.property(situations, ({ record, lane, binding, free }) => {
        if (lane.intent !== null) return
        const planned = plan(record, lane, binding, { takeSlot: () => free, fresh: false })
        const { token, condition } = binding.capabilities
        const lacksToken = condition === 'C2' && token !== 'T0' && lane.token === null
        if (planned.lane.intent !== null && planned.lane.intent.kind !== 'create')
          expect(isBlind(binding) || lacksToken).toBe(false)
        if (planned.next === 'read') expect(planned.lane.reading).not.toBeNull()
      }),
      { numRuns: 200 },
    )
  })

  test('says what it decided, and asks for a slot only for a write that could leave at once', () => {
    fc.assert(
      fc.property(situations, ({ record, lane, binding, blocked, fresh, free }) => {
        let asked = 0
        const planned = plan(record, lane, binding, { blocked, fresh, takeSlot: () => ++asked > 0 && free })
        expect(planned.next === 'intent').toBe(planned.lane.intent !== null && !(blocked && lane.intent === null))
        expect(asked).toBe((planned.next === 'intent' && lane.intent === null) || planned.next === 'behind' ? 1 : 0)
        if (planned.next === 'behind') expect(free).toBe(false)
      }),
      { numRuns: 200 },
    )
  })

  test('writes exactly what is needed, based on what is known, under an op id of its own', () => {
    fc.assert(
      fc.property(situations, ({ record, lane, binding, fresh }) => {
        const { intent, nextOp } = plan(record, lane, binding, { fresh }).lane
        if (intent === null || lane.intent !== null) return
        expect([intent.op, nextOp, intent.state, intent.epoch, intent.baseToken]).toEqual([
          `i.1.c1.crm.${lane.nextOp}`,
          lane.nextOp + 1,
          'open',
          3,
          lane.token,
        ])
        for (const path of Object.keys(intent.baseImage))
          expect(valuesEqual(intent.baseImage[path], lane.image[path])).toBe(true)
        if (intent.kind === 'delete') expect([record.deleted, lane.exists, intent.patch]).toEqual([true, true, {}])
        else {
          expect(intent.patch).toEqual(needOf(binding, record, lane, intent.kind === 'create')?.patch)
          expect([record.deleted, lane.exists === true]).toEqual([false, intent.kind === 'update'])
        }
      }),
      { numRuns: 200 },
    )
  })

  test('decides nothing once the application took what was written', () => {
    fc.assert(
      fc.property(situations, ({ record, lane, binding }) => {
        const { intent } = plan(record, lane, binding, { fresh: true }).lane
        if (intent === null || lane.intent !== null || intent.kind === 'delete') return
        const after = {
          ...lane,
          nativeId: laneOf().nativeId,
          exists: true,
          intent: null,
          retry: null,
          sent: applySent(intent.kind === 'create' ? {} : lane.sent, intent.patch),
        }
        expect(plan(record, after, binding)).toMatchObject({
          next: 'idle',
          lane: { intent: null, retry: null, park: null },
        })
      }),
    )
  })

  test('never deletes without a deletion, and never creates where it may not', () => {
    fc.assert(
      fc.property(situations, ({ record, lane, binding, fresh }) => {
        const { intent } = plan(record, lane, binding, { fresh }).lane
        if (intent === null || lane.intent !== null) return
        if (intent.kind === 'delete') expect(record.deleted && binding.deletes === 'propagate').toBe(true)
        if (intent.kind === 'create') expect(binding.createHere && lane.nativeId === null).toBe(true)
      }),
    )
  })
})

describe('a lane with a need', () => {
  const record = recordOf({ head: headOf({ email: 'new', owner: 'a1' }) })
  const behind = laneOf({ sent: { email: 'old', owner: 'a1' }, image: imageOf({ email: 'old', owner: 'a1' }) })

  test('whose application says so already is in step without a write', () => {
    const lane = {
      ...behind,
      image: { ...behind.image, n_email: 'new' },
      retry: retry(0),
      park: { ...park, headSeq: asJournalPosition(1) },
    }
    const planned = plan(record, lane, bindingOf())
    expect(planned).toMatchObject({
      next: 'idle',
      lane: { intent: null, retry: null, park: null, sent: { email: 'new', owner: 'a1' } },
    })
  })

  test('that was parked makes one fresh attempt for a newer head', () => {
    const parkedAt = (headSeq: number) =>
      plan(record, { ...behind, park: { ...park, headSeq: asJournalPosition(headSeq) } }, bindingOf())
    expect(parkedAt(9)).toMatchObject({ next: 'idle', lane: { intent: null, park: { headSeq: 9 } } })
    expect(parkedAt(8)).toMatchObject({ next: 'intent', lane: { park: null } })
  })

  test('waits for the record it refers to, since when it did first, and no longer than needed', () => {
    const refers = recordOf({ head: headOf({ owner: 'zz' }) })
    const first = plan(refers, laneOf(), bindingOf())
    expect(first).toMatchObject({
      next: 'waiting',
      lane: { intent: null, waitsFor: { entity: 'agent', key: 'zz', sinceMs: 1000 } },
    })
    expect(plan(refers, first.lane, bindingOf(), { nowMs: 5000 }).lane.waitsFor?.sinceMs).toBe(1000)
    expect(plan(record, { ...behind, waitsFor: first.lane.waitsFor }, bindingOf())).toMatchObject({
      next: 'intent',
      lane: { waitsFor: null },
    })
    expect(
      plan(record, laneOf({ sent: { email: 'new', owner: 'a1' }, waitsFor: first.lane.waitsFor }), bindingOf()).lane
        .waitsFor,
    ).toBeNull()
  })

  test('waits anew when the clock was set back: not for as long as that', () => {
    const refers = recordOf({ head: headOf({ owner: 'zz' }) })
    const first = plan(refers, laneOf(), bindingOf(), { nowMs: 9000 })
    expect(plan(refers, first.lane, bindingOf(), { nowMs: 500 }).lane.waitsFor?.sinceMs).toBe(500)
  })

  test('is set aside while it refers to a record that was deleted there, and goes on when it refers to another', () => {
    const refers = recordOf({ head: headOf({ owner: 'zz' }) })
    const gone = plan(refers, laneOf(), bindingOf(), { isGone: () => true })
    expect(gone).toMatchObject({
      next: 'waiting',
      lane: { intent: null, waitsFor: { key: 'zz' }, park: { code: 'resolve.reference-missing', atMs: 1000 } },
    })
    expect(plan(refers, gone.lane, bindingOf(), { isGone: () => true, nowMs: 2000 }).lane.park?.atMs).toBe(1000)
    expect(plan(recordOf({ head: headOf({ owner: 'a1' }) }), gone.lane, bindingOf())).toMatchObject({
      next: 'intent',
      lane: { park: null, waitsFor: null },
    })
  })

  test('goes on when what it was set aside for has come, even if no slot is free at that moment', () => {
    const gone = plan(recordOf({ head: headOf({ owner: 'zz' }) }), laneOf(), bindingOf(), { isGone: () => true })
    const comes = plan(recordOf({ head: headOf({ owner: 'a1' }) }), gone.lane, bindingOf(), { takeSlot: () => false })
    expect(comes).toMatchObject({ next: 'behind', lane: { park: null, waitsFor: null } })
  })

  test('goes on pausing while an earlier write may still be applied, even if nothing is needed; any other pause ends with the need', () => {
    const inStep = laneOf({ sent: { email: 'new', owner: 'a1' } })
    const retry = { tries: 0, notBeforeMs: 1500, message: '' }
    const doubted = { ...inStep, retry: { ...retry, code: 'target.unknown' } }
    expect(plan(record, doubted, bindingOf()).lane.retry).toEqual(doubted.retry)
    expect(plan(record, doubted, bindingOf(), { nowMs: 1500 }).lane.retry).toBeNull()
    expect(plan(record, { ...inStep, retry: { ...retry, code: 'x' } }, bindingOf()).lane.retry).toBeNull()
  })

  test('whose value is the head’s by chance is looked at: read, or its log read to its end', () => {
    const record = recordOf({ head: headOf({ email: 'a' }) })
    const lane = laneOf({ sent: { email: 'a' }, image: { n_email: 'a' }, byChance: ['email'] })
    const log = { ...classA, feed: 'F3' as const, condition: 'C0' as const, read: 'R0' as const }
    const found = [classA, log, { ...classA, read: 'R0' as const }].map((capabilities) =>
      plan(record, lane, bindingOf(crm, { capabilities })),
    )
    expect(found.map(({ next, lane: after }) => [next, after.reading?.why])).toEqual([
      ['read', 'verify'],
      ['read', 'verify'],
      ['idle', undefined],
    ])
  })

  test('that is detached is left alone', () => {
    expect(plan(record, { ...behind, detached: true }, bindingOf())).toMatchObject({
      next: 'idle',
      lane: { intent: null },
    })
  })

  test('is created with what a create needs, and only then', () => {
    const lane = laneOf({ nativeId: null, exists: null })
    const needs = bindingOf(crm, {
      createNeeds: ['email', 'phone'],
      onCreate: { n_kind: 'person', n_email: 'default' },
    })
    expect(plan(record, lane, needs)).toMatchObject({ next: 'waiting', lane: { intent: null } })
    const whole = recordOf({ head: headOf({ email: 'new', phone: null }) })
    expect(plan(whole, lane, needs).lane.intent).toMatchObject({
      kind: 'create',
      native: { n_kind: 'person', n_email: 'new', n_phone: null },
    })
  })

  test('reads once, then writes in the decision on what was read', () => {
    const blind = bindingOf(crm, { capabilities: blindC })
    expect(plan(record, behind, blind)).toMatchObject({
      next: 'read',
      lane: { intent: null, reading: { why: 'fresh', afterSeq: seq } },
    })
    expect(plan(record, behind, blind, { fresh: true })).toMatchObject({
      next: 'intent',
      lane: { intent: { kind: 'update', patch: { email: 'new' } } },
    })
    const noVersion = { ...behind, token: null }
    expect([
      plan(record, noVersion, bindingOf()).next,
      plan(record, noVersion, bindingOf(), { fresh: true }).next,
    ]).toEqual(['read', 'intent'])
  })
})

describe('a create in doubt that nobody can be asked about', () => {
  const k0 = bindingOf(crm, { capabilities: { ...classA, create: 'K0', idempotency: 'none', correlation: false } })
  const lost = laneOf({
    nativeId: null,
    exists: null,
    intent: intentOf({ kind: 'create', state: 'unknown', notBeforeMs: 1000 }),
  })
  const record = recordOf({ head: headOf({ email: 'a' }) })

  test('is shown to a person after the fence, and its intent stays', () => {
    expect(plan(record, lost, k0, { nowMs: 999 }).lane.park).toBeNull()
    expect(plan(record, lost, k0, { nowMs: 1000 }).lane).toMatchObject({
      intent: lost.intent,
      park: { code: 'target.create-unknown', headSeq: record.headSeq },
    })
  })

  test('is not parked where it can be asked about', () => {
    expect(plan(record, lost, bindingOf()).lane).toBe(lost)
    expect(plan(record, { ...lost, reading }, k0).lane.park).toBeNull()
  })
})

test('a new record waits a moment for a reference that is about to come, and is then created without it', () => {
  const told = laneOf({ app: erp, unfolded: ['n_owner'], knownAtMs: 9_000 })
  const record = recordOf({ head: headOf({ email: 'b' }), lanes: { [erp]: told } })
  const lane = laneOf({ nativeId: null, exists: null, token: null })
  const at = (nowMs: number, over: Partial<RecordState> = {}) =>
    planLane({ ...record, ...over }, lane, bindingOf(), contextOf({ nowMs }))
  expect(at(10_000)).toMatchObject({ next: 'waiting', lane: { retry: { notBeforeMs: 12_000 }, intent: null } })
  expect(at(11_001).next).toBe('intent')
  const waiting = at(10_000).lane
  const known = { ...record, lanes: { [erp]: { ...told, unfolded: [] } } }
  expect(planLane(known, waiting, bindingOf(), contextOf({ nowMs: 10_100 })).next).toBe('intent')
})
