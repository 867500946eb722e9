import { describe, expect, test } from 'vitest'
import { bindingOf, classA, crm, frozen, headOf, intentOf, laneOf, recordOf, references } from '../merge/fake-record.ts'
import type { Capabilities } from '../model/capabilities.ts'
import type { Outcome, ReadImage } from '../model/change.ts'
import { asJournalPosition, asNativeId, asObjectId, asOpId, asToken } from '../model/ids.ts'
import { type Intent, type Lane, OWN_WRITES_MAX } from '../model/record.ts'
import { isPausing, RETRY_CAP_MS } from './backoff.ts'
import { afterPatch } from './overlay.ts'
import { planLane } from './plan.ts'
import { readFailed, type Settled, settleOutcome } from './settle.ts'

const context = { nowMs: 10_000, seq: asJournalPosition(40), jitter: 0.5 }
const record = recordOf({ head: headOf({ email: 'a', phone: 'p' }), headSeq: asJournalPosition(9) })
const planning = {
  nowMs: 10_000,
  seq: context.seq,
  epoch: 1,
  opPrefix: 'i.1',
  takeSlot: () => true,
  nativeOf: references.nativeOf,
  referenceDeadlineMs: 60_000,
  isGone: () => false,
  isPausing: (notBeforeMs: number) => isPausing(notBeforeMs, 10_000),
  blocked: false,
  fresh: true,
}

interface Case {
  readonly intent: Intent
  readonly lane: Lane
  readonly capabilities: Capabilities
  readonly outcome: Outcome
}

const product = <T>(lists: { readonly [K in keyof T]: readonly T[K][] }): T[] =>
  Object.entries(lists).reduce<object[]>(
    (all, [name, values]) => all.flatMap((one) => (values as unknown[]).map((value) => ({ ...one, [name]: value }))),
    [{}],
  ) as T[]

const letters = product<Pick<Capabilities, 'condition' | 'create' | 'read' | 'idempotency' | 'token'>>({
  condition: ['C2', 'C0'],
  create: ['K2', 'K1', 'K0'],
  read: ['R2', 'R0'],
  idempotency: ['all', 'create', 'none'],
  token: ['T2', 'T1', 'T0'],
})
const writes = product<Pick<Intent, 'kind' | 'state' | 'tries'>>({
  kind: ['create', 'update', 'delete'],
  state: ['open', 'unknown'],
  tries: [0, 3],
})
const op = intentOf().op
const answers: readonly Outcome[] = [
  { op, result: 'applied' },
  { op, result: 'applied', nativeId: asNativeId('77'), token: asToken('4') },
  { op, result: 'applied', nativeId: asNativeId('77'), token: asToken('4'), record: { n_email: 'A' } },
  { op, result: 'conflict' },
  { op, result: 'gone' },
  { op, result: 'refused' },
  { op, result: 'refused', handling: 'retry', code: 'target.unreachable' },
  { op, result: 'refused', handling: 'retry', code: 'target.unavailable', retryAfterMs: 60_000 },
  { op, result: 'refused', handling: 'park', code: 'target.rejected', message: 'no' },
  { op, result: 'unknown' },
]
/** Every result, of every kind of write, under every combination of letters that the rules look at. */
const table: readonly Case[] = letters.flatMap((some) =>
  writes.flatMap((write) =>
    answers.map((outcome) => {
      const intent = intentOf({
        ...write,
        patch: write.kind === 'delete' ? {} : { email: 'a' },
        native: write.kind === 'delete' ? {} : { n_email: 'a' },
      })
      const isCreate = write.kind === 'create'
      const lane = laneOf({
        intent,
        nativeId: isCreate ? null : asNativeId('1'),
        exists: isCreate ? null : true,
        sent: isCreate ? {} : { email: 'old', phone: 'p' },
        image: isCreate ? {} : { n_email: 'old', n_phone: 'p' },
      })
      return frozen({ intent, lane, capabilities: { ...classA, ...some }, outcome })
    }),
  ),
)
const settle = ({ lane, intent, capabilities, outcome }: Case): Settled =>
  settleOutcome(record, lane, intent, bindingOf(crm, { capabilities }), outcome, context)
const shown = ({ intent, capabilities, outcome }: Case): string =>
  JSON.stringify([intent.kind, intent.state, intent.tries, outcome, capabilities])
const each = (holds: (one: Case) => boolean, check: (one: Case, settled: Settled) => boolean): string[] =>
  table
    .filter(holds)
    .filter((one) => !check(one, settle(one)))
    .map(shown)
const isOutstanding = (lane: Lane): boolean =>
  lane.intent !== null || lane.retry !== null || lane.park !== null || lane.reading !== null

describe('the outcome of a write, for every result, kind and combination of capabilities', () => {
  test(`is one of ${table.length} that are all decided`, () => {
    expect(
      each(
        () => true,
        (_, settled) => settled.text.length > 0 && settled.verdict.length > 0,
      ),
    ).toEqual([])
  })

  test('never leaves a lane that is still needed with nothing outstanding', () => {
    const notApplied = ({ outcome }: Case) => outcome.result !== 'applied'
    expect(each(notApplied, (_, settled) => isOutstanding(settled.lane) || settled.gone === 'ours')).toEqual([])
  })

  test('that is unknown is never taken for applied', () => {
    const unknown = ({ outcome }: Case) => outcome.result === 'unknown'
    expect(
      each(unknown, ({ lane }, { lane: after, verdict, fold, linked, gone }) => {
        const same =
          after.sent === lane.sent &&
          after.image === lane.image &&
          after.token === lane.token &&
          after.exists === lane.exists &&
          after.nativeId === lane.nativeId &&
          after.own === lane.own
        return same && verdict !== 'applied' && fold === undefined && linked === undefined && gone === undefined
      }),
    ).toEqual([])
  })

  test('that is unknown is never taken for refused: the write stays in doubt, or is shown to a person where nothing can be asked', () => {
    const unknown = ({ outcome }: Case) => outcome.result === 'unknown'
    expect(
      each(unknown, ({ intent, capabilities }, { lane }) => {
        const nobodyToAsk =
          capabilities.read === 'R0' &&
          capabilities.condition === 'C0' &&
          capabilities.idempotency !== 'all' &&
          intent.kind !== 'create'
        if (nobodyToAsk) return lane.park?.code === 'target.unknown'
        return (
          lane.intent?.op === intent.op &&
          lane.intent.state === 'unknown' &&
          lane.intent.patch === intent.patch &&
          lane.intent.notBeforeMs > context.nowMs &&
          lane.retry === null
        )
      }),
    ).toEqual([])
  })

  test('that is unknown is resolved by evidence: the same key again, a read, or its notification after the fence', () => {
    const unknown = ({ outcome }: Case) => outcome.result === 'unknown'
    expect(
      each(unknown, ({ intent, capabilities }, { lane }) => {
        if (lane.intent === null) return true
        const resend =
          capabilities.idempotency === 'all' || (intent.kind === 'create' && capabilities.idempotency === 'create')
        if (resend) return lane.reading === null
        const fence = intent.kind === 'create' || capabilities.condition === 'C0' ? capabilities.fenceMs : 0
        if (lane.reading !== null)
          return lane.reading.why === 'unknown' && lane.reading.notBeforeMs >= context.nowMs + fence
        return (
          (intent.kind === 'create' &&
            capabilities.create === 'K0' &&
            lane.intent.notBeforeMs >= context.nowMs + fence) ||
          (intent.kind !== 'create' && capabilities.condition === 'C2')
        )
      }),
    ).toEqual([])
  })

  test('that is not "applied" never moves what the application is known to hold', () => {
    expect(
      each(
        ({ outcome }) => outcome.result !== 'applied',
        ({ lane }, { lane: after, linked, fold }) =>
          after.sent === lane.sent &&
          after.image === lane.image &&
          after.token === lane.token &&
          after.own === lane.own &&
          linked === undefined &&
          fold === undefined,
      ),
    ).toEqual([])
  })

  test('of a write in doubt that is refused for now leaves it in doubt', () => {
    const holds = ({ intent, outcome }: Case) =>
      intent.state === 'unknown' && outcome.result === 'refused' && outcome.handling !== 'park'
    expect(
      each(
        holds,
        ({ intent }, { lane }) =>
          lane.intent?.state === 'unknown' && lane.intent.op === intent.op && lane.intent.tries === intent.tries + 1,
      ),
    ).toEqual([])
  })

  test('that was refused by its condition leads to a read, never to a write on a fresher version', () => {
    const holds = ({ intent, outcome, capabilities }: Case) =>
      outcome.result === 'conflict' && intent.kind !== 'create' && capabilities.read === 'R2'
    expect(
      each(holds, ({ intent }, { lane }) => {
        const doubtful = intent.state === 'unknown' || intent.tries > 0
        const kept = doubtful
          ? lane.intent?.state === 'unknown' && lane.intent.baseToken === null
          : lane.intent === null
        return kept && lane.reading !== null && lane.reading.afterSeq === context.seq
      }),
    ).toEqual([])
  })

  test('that is refused while an earlier try may still be applied stays in doubt until the fence', () => {
    const intent = intentOf({ kind: 'create', state: 'unknown', tries: 1, doubtUntilMs: 14_000 })
    const refusal: Outcome = { op, result: 'refused', handling: 'park', code: 'target.duplicate' }
    const early = settleOutcome(record, laneOf({ intent }), intent, bindingOf(), refusal, context)
    expect([early.verdict, early.lane.intent?.state, early.lane.intent?.notBeforeMs, early.lane.park]).toEqual([
      'unknown',
      'unknown',
      14_000,
      null,
    ])
    const late = settleOutcome(record, laneOf({ intent }), intent, bindingOf(), refusal, { ...context, nowMs: 14_001 })
    expect([late.verdict, late.lane.intent]).toEqual(['parked', null])
  })

  test('"gone" is confirmed by a read before it counts as a deletion', () => {
    const holds = ({ intent, outcome }: Case) => outcome.result === 'gone' && intent.kind === 'update'
    expect(
      each(holds, ({ intent, capabilities }, { lane, gone }) => {
        // What an earlier try has done is in what is read, too, if anything is there.
        const isDoubted = (intent.state === 'unknown' || intent.tries > 0) && capabilities.read !== 'R0'
        const [state, why] = isDoubted ? ['unknown', 'unknown'] : [undefined, 'gone']
        const found = [lane.intent?.state, lane.reading?.why]
        return gone === undefined && found.join() === [state, why].join() && lane.exists === true
      }),
    ).toEqual([])
  })

  test('of a delete that is applied, or finds nothing, is done', () => {
    const holds = ({ intent, outcome }: Case) =>
      intent.kind === 'delete' && (outcome.result === 'applied' || outcome.result === 'gone')
    expect(each(holds, (_, { lane, gone }) => gone === 'ours' && !isOutstanding(lane))).toEqual([])
  })

  test('"applied" stands for the patch, names the native id of a create, and remembers its own write', () => {
    const holds = ({ intent, outcome }: Case) =>
      outcome.result === 'applied' && outcome.nativeId !== undefined && intent.kind !== 'delete'
    expect(
      each(holds, ({ intent, outcome }, { lane, linked }) => {
        const isCreate = intent.kind === 'create'
        const known =
          lane.sent.email === 'a' && lane.image.n_email === 'a' && lane.sent.phone === (isCreate ? undefined : 'p')
        return (
          known &&
          lane.exists === true &&
          lane.token === outcome.token &&
          lane.own[0]?.op === intent.op &&
          lane.own[0].token === outcome.token &&
          (linked === outcome.nativeId) === isCreate
        )
      }),
    ).toEqual([])
  })

  test('"applied" blindly without a record in the reply is read back, the lane still closed', () => {
    const holds = ({ intent, outcome, capabilities }: Case) =>
      outcome.result === 'applied' &&
      outcome.nativeId !== undefined &&
      outcome.record === undefined &&
      intent.kind !== 'delete' &&
      capabilities.read === 'R2'
    expect(
      each(holds, ({ capabilities }, { lane }) =>
        capabilities.condition === 'C0'
          ? lane.intent?.state === 'readback' && lane.reading?.why === 'readback'
          : !isOutstanding(lane),
      ),
    ).toEqual([])
  })

  test('with a record in the reply is folded as the state right after the write', () => {
    const holds = ({ intent, outcome }: Case) => outcome.record !== undefined && intent.kind !== 'delete'
    expect(
      each(
        holds,
        ({ intent }, { fold, lane }) => fold?.how === 'exact' && fold.intent === intent && !isOutstanding(lane),
      ),
    ).toEqual([])
  })

  test('that was certainly refused is tried again no sooner than asked, or set aside where the application says no; one that was not reached does not make the next pause longer', () => {
    const holds = ({ intent, outcome }: Case) => outcome.result === 'refused' && intent.state === 'open'
    expect(
      each(holds, ({ outcome }, { lane, verdict }) => {
        if (outcome.handling === 'park')
          return (
            verdict === 'parked' && lane.park?.headSeq === record.headSeq && lane.retry === null && lane.intent === null
          )
        const pause = (lane.retry?.notBeforeMs ?? 0) - context.nowMs
        const atOnce = outcome.code === 'target.unreachable'
        return (
          lane.intent === null &&
          lane.park === null &&
          lane.retry?.tries === (atOnce ? 0 : 1) &&
          (atOnce ? pause === 0 : pause >= (outcome.retryAfterMs ?? 50))
        )
      }),
    ).toEqual([])
  })
})

describe('a lane after an outcome', () => {
  const binding = bindingOf()

  test('pauses longer from try to try, up to the cap', () => {
    let lane = laneOf()
    const pauses: number[] = []
    for (let i = 0; i < 20; i++) {
      lane = settleOutcome(record, lane, intentOf(), binding, { op, result: 'refused' }, context).lane
      pauses.push((lane.retry?.notBeforeMs ?? 0) - context.nowMs)
    }
    expect(pauses.slice(0, 3)).toEqual([75, 150, 300])
    expect(pauses.at(-1)).toBe(RETRY_CAP_MS * 0.75)
  })

  test('that waits for a unique value of another pauses until a moment at which that one is tried too', () => {
    const refused: Outcome = { op, result: 'refused', handling: 'retry', code: 'target.unique' }
    const until = [10_000, 10_049, 10_090].map(
      (nowMs) =>
        settleOutcome(record, laneOf(), intentOf(), binding, refused, { ...context, nowMs }).lane.retry?.notBeforeMs,
    )
    expect(until).toEqual([10_100, 10_100, 10_200])
  })

  test('that was refused because such a record is there waits a while for it to go, and is then set aside', () => {
    const refused: Outcome = { op, result: 'refused', handling: 'retry', code: 'target.duplicate', message: 'taken' }
    for (const state of ['open', 'unknown'] as const) {
      let lane = laneOf({ nativeId: null, exists: false })
      let intent = intentOf({ kind: 'create', state })
      const verdicts: string[] = []
      for (let tries = 0; tries < 8; tries++) {
        const settled = settleOutcome(record, lane, intent, binding, refused, context)
        verdicts.push(settled.verdict)
        lane = settled.lane
        intent = lane.intent ?? intent
      }
      expect(verdicts).toEqual([...Array(7).fill('retry'), 'parked'])
      expect(lane.park?.code).toBe('target.duplicate')
    }
  })

  test('that was set aside at this head is not written again, and is written again for a newer one', () => {
    const lane = laneOf({ sent: {}, intent: intentOf() })
    const after = settleOutcome(
      record,
      lane,
      intentOf(),
      binding,
      { op, result: 'refused', handling: 'park' },
      context,
    ).lane
    expect(planLane(record, after, binding, planning).next).toBe('idle')
    expect(planLane({ ...record, headSeq: asJournalPosition(10) }, after, binding, planning).next).toBe('intent')
  })

  const withoutId = (): Settled => {
    const intent = intentOf({ kind: 'create' })
    return settleOutcome(
      record,
      laneOf({ nativeId: null, exists: null, intent }),
      intent,
      binding,
      { op, result: 'applied' },
      context,
    )
  }

  test('whose create was taken but not named is shown to a person', () => {
    expect(withoutId()).toMatchObject({
      verdict: 'parked',
      lane: { intent: null, park: { code: 'target.reply-invalid' } },
    })
  })

  test('whose create was taken but not named does not create a second one', () => {
    expect(planLane(record, withoutId().lane, binding, planning).next).toBe('idle')
  })

  test('remembers the last own writes only', () => {
    let lane = laneOf()
    for (let n = 0; n < OWN_WRITES_MAX + 5; n++) {
      const intent = intentOf({ op: asOpId('op' + n) })
      lane = settleOutcome(
        record,
        lane,
        intent,
        binding,
        { op: intent.op, result: 'applied', token: asToken(String(n)) },
        context,
      ).lane
    }
    expect([lane.own.length, lane.own[0]?.op, lane.own.at(-1)?.op]).toEqual([OWN_WRITES_MAX, 'op36', 'op5'])
  })

  test('holds other elements of a part that the write touched, and not those it took out', () => {
    const image = { items: true, 'items[1]': true, 'items[1].n_qty': 1, 'items[2]': true, 'items[2].n_qty': 2 }
    expect(afterPatch(binding, image, { items: true, 'items[1]': false, 'items[3]': true })).toEqual({
      items: true,
      'items[2]': true,
      'items[2].n_qty': 2,
      'items[3]': true,
    })
    expect(afterPatch(binding, image, { n_email: 'a' })).toEqual({ ...image, n_email: 'a' })
  })
})

test('a read that failed is tried again, within 30 s unless tried for the first times, and nothing was learnt', () => {
  const reading = { why: 'hint' as const, afterSeq: asJournalPosition(7), notBeforeMs: 0, tries: 2 }
  const failed: ReadImage = { app: crm, object: asObjectId('clients'), nativeId: asNativeId('1'), result: 'failed' }
  const lane = laneOf({ reading })
  expect(readFailed(lane, reading, failed, context)).toEqual({
    ...lane,
    reading: { ...reading, tries: 3, notBeforeMs: 10_300 },
  })
  expect(readFailed(lane, { ...reading, tries: 60 }, failed, context).reading?.notBeforeMs).toBe(40_000)
})

describe('a refusal of a value that the head has left meanwhile', () => {
  const refusal: Outcome = { op, result: 'refused', handling: 'park', code: 'target.rejected', message: 'no' }
  const laneAfter = (headSeq: number): Lane => {
    const intent = intentOf({ patch: { email: 'a' }, native: { n_email: 'a' }, headSeq: asJournalPosition(headSeq) })
    const moved = recordOf({ head: headOf({ email: 'b', phone: 'p' }), headSeq: asJournalPosition(9) })
    return settleOutcome(moved, laneOf({ intent }), intent, bindingOf(crm, {}), refusal, context).lane
  }

  test('leaves the newer head its own attempt', () => {
    expect(laneAfter(8).park?.headSeq).toBe(8)
    expect(laneAfter(9).park?.headSeq).toBe(9)
  })

  test('ends the read that a restart had wanted, so that nothing is looked for in vain', () => {
    const reading = { why: 'unknown', afterSeq: context.seq, notBeforeMs: 0, tries: 0 } as const
    const doubtful = { ...laneOf(), intent: intentOf({ state: 'unknown' }), reading }
    const settled = settleOutcome(record, doubtful, doubtful.intent, bindingOf(crm, {}), refusal, context)
    expect(settled.lane.reading).toBeNull()
  })
})
