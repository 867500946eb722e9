import { expect, test } from 'vitest'
import { bindingOf, crm, entityOf, erp, headOf, intentOf, laneOf, recordOf, shop } from '../merge/fake-record.ts'
import type { BindingModel } from '../model/entity.ts'
import { asCanonicalKey, asJournalPosition, asOpId } from '../model/ids.ts'
import type { Lane, RecordState, Verdict } from '../model/record.ts'
import { type Around, timelineOf, type WhyNot, whyNotArrived } from './explain-why.ts'

const head = headOf({ email: 'new' }, { app: erp, seq: asJournalPosition(9) })
const inStep = { sent: { email: 'new' } }

/** Why crm does not hold what erp has changed. */
function why(
  lane: Partial<Lane> | null,
  more: { record?: Partial<RecordState>; around?: Partial<Around>; binding?: Partial<BindingModel> } = {},
): WhyNot | undefined {
  const entity = entityOf({}, [bindingOf(crm, more.binding), bindingOf(erp)])
  const record = recordOf({
    head,
    lanes: {
      [erp]: laneOf({ app: erp, ...inStep, exists: more.record?.deleted !== true }),
      ...(lane === null ? {} : { [crm]: laneOf(lane) }),
    },
    ...more.record,
  })
  const around: Around = { entity, brakes: [], held: [], verdicts: [], name: 'customer erp:1', ...more.around }
  const found = whyNotArrived(record, around)
  expect(found.map(({ app }) => app).filter((app) => app !== crm)).toEqual([])
  return found[0]
}

const brake = (kind: 'writes' | 'deletes') => ({
  id: `erp>crm:${kind}`,
  from: erp,
  to: crm,
  kind,
  state: 'tripped' as const,
  count: 20,
  limit: 20,
  withinMs: 1,
  sinceMs: 5,
  untilMs: null,
})
const park = { code: 'target.rejected', message: 'no such city', atMs: 7, headSeq: asJournalPosition(9) }
const old = { sent: { email: 'old' } }

test('an application in step is not asked about', () => {
  expect(why(inStep)).toBeUndefined()
})

test.each<[string, WhyNot | undefined, RegExp, RegExp]>([
  ['parked', why({ ...old, park }), /no such city/, /latchwork release customer erp:1/],
  ['a write under way', why({ ...old, intent: intentOf() }), /is under way/, /its answer/],
  ['a write in doubt', why({ ...old, intent: intentOf({ state: 'unknown' }) }), /is unknown/, /evidence/],
  [
    'a brake',
    why(old, { around: { brakes: [brake('writes')] } }),
    /brake on writes from erp/,
    /brake release 'erp>crm:writes'/,
  ],
  ['no slot', why(old), /email is to be written/, /free slot/],
  [
    'detached',
    why({ ...old, exists: false, detached: true }),
    /no longer followed/,
    /latchwork undelete customer erp:1/,
  ],
  ['never created', why(null), /to be created/, /free slot/],
  ['not to be created', why(null, { binding: { createHere: false } }), /createHere: false/, /somebody creates/],
  ['incomplete', why(null, { binding: { createNeeds: ['phone'] } }), /needs phone/, /gives a value/],
  [
    'a set-aside field',
    why(old, { record: { parkedPaths: { email: { code: 'merge.manual', message: 'two of them', apps: [crm] } } } }),
    /two of them/,
    /latchwork resolve customer erp:1/,
  ],
  [
    'a reference',
    why({ ...old, waitsFor: { entity: 'agent' as never, key: asCanonicalKey('a1'), sinceMs: 3 } }),
    /refers to agent a1/,
    /has an id in crm/,
  ],
  [
    'a notification that could not be folded',
    why(old, {
      around: { held: [{ app: crm, seq: 12, waitsOn: 'operator', code: 'x', message: 'not a date', sinceMs: 1 }] },
    }),
    /#12 could not be folded: not a date/,
    /latchwork replay 12/,
  ],
  [
    'quarantine',
    why(inStep, { record: { deleted: true, deletion: { app: erp, atMs: 0, untilMs: 86_400_000 } } }),
    /in quarantine/,
    /1970-01-02/,
  ],
  [
    'a brake on deletes',
    why(inStep, {
      record: { deleted: true, deletion: { app: erp, atMs: 0 } },
      around: { brakes: [brake('deletes')] },
    }),
    /brake on deletes/,
    /erp>crm:deletes/,
  ],
])('%s is said, with what would release it', (_, found, because, until) => {
  expect(found?.because).toMatch(because)
  expect(found?.until).toMatch(until)
})

test('the timeline joins ids and says how long each latch was closed', () => {
  const op = asOpId('i.1.c1.crm.1')
  const verdict = (atMs: number, app: typeof crm, name: Verdict['verdict'], more: Partial<Verdict> = {}): Verdict => ({
    seq: asJournalPosition(1),
    atMs,
    app,
    verdict: name,
    text: '',
    ...more,
  })
  const record = recordOf({ lanes: { [crm]: laneOf({ nativeId: 'C7' as never }), [erp]: laneOf({ app: erp }) } })
  const told = [verdict(100, erp, 'accepted'), verdict(103, crm, 'intent', { op }), verdict(150, crm, 'echo', { op })]
  expect(timelineOf(record, told)).toMatchObject([
    { nativeId: '1', afterMs: 0, latchedForMs: null },
    { nativeId: 'C7', afterMs: 3, latchedForMs: null },
    { nativeId: 'C7', afterMs: 47, latchedForMs: 47 },
  ])
  expect(timelineOf(record, [verdict(1, shop, 'held')])[0]?.nativeId).toBeNull()
})
