import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { needOf } from '../deliver/need.ts'
import type { DeletePolicy } from '../model/entity.ts'
import { type AppId, asJournalPosition } from '../model/ids.ts'
import type { Conflict } from '../model/record.ts'
import { valuesEqual } from '../model/value.ts'
import { foldDelete } from './delete.ts'
import {
  bindingOf,
  crm,
  entityOf,
  erp,
  frozen,
  headOf,
  intentOf,
  laneOf,
  recordOf,
  SEED,
  shop,
  states,
} from './fake-record.ts'

fc.configureGlobal({ seed: SEED })

const at = { seq: asJournalPosition(30), atMs: 7000 }
const binding = bindingOf()
const POLICIES: readonly DeletePolicy[] = ['default', 'delete-wins', 'update-wins', 'ignore']
const run = (policy: DeletePolicy, record = recordOf(), lane = laneOf(), by = binding) =>
  foldDelete(entityOf({ deletes: policy }), by, frozen(record), frozen(lane), at)
const keeps = (conflicts: readonly Conflict[], path: string, value: unknown): boolean =>
  conflicts.some((one) => one.path === path && valuesEqual(one.loserValue, value as never))

describe('a deletion', () => {
  test('with changes that its application had not seen never loses a value silently', () => {
    fc.assert(
      fc.property(states, fc.constantFrom(...POLICIES), ({ record, lane }, policy) => {
        const result = run(policy, record, lane)
        if (result.effect !== 'deleted') {
          expect(result.record).toBe(record)
          return
        }
        for (const [path, { value, origin }] of Object.entries(record.head)) {
          const known = valuesEqual(value, lane.sent[path]) || origin.app === crm || value === null
          const isRemoved = value === false && path.endsWith(']') && lane.sent[path] === undefined
          if (!known && !isRemoved)
            expect(keeps(result.conflicts, path, value), `${path} = ${String(value)}`).toBe(true)
        }
      }),
      { numRuns: 500 },
    )
  })

  test('by default counts only where its application is owed nothing', () => {
    fc.assert(
      fc.property(states, ({ record, lane }) => {
        const owed = needOf(binding, record, lane, false) !== null
        const { effect, conflicts } = run('default', record, lane)
        if (owed) expect(effect).toBe('detached')
        if (effect === 'detached')
          expect(conflicts.every((one) => one.reason === 'unseen' && one.loserApp === crm)).toBe(true)
        if (effect === 'detached') expect(conflicts).not.toEqual([])
      }),
    )
  })

  test('leaves nothing known of the record there, and nothing outstanding', () => {
    const busy = laneOf({
      intent: intentOf(),
      reading: { why: 'gone', afterSeq: at.seq, notBeforeMs: 0, tries: 0 },
      retry: { tries: 1, notBeforeMs: 0, code: 'x', message: 'x' },
    })
    fc.assert(
      fc.property(states, fc.constantFrom(...POLICIES), fc.boolean(), ({ record, lane }, policy, deleted) => {
        const after = run(policy, { ...record, deleted }, { ...busy, sent: lane.sent, image: lane.image }).lane
        expect(after).toMatchObject({ image: {}, sent: {}, intent: null, reading: null, retry: null, waitsFor: null })
        expect(after.exists === true).toBe(false)
      }),
    )
  })

  test('that is known already changes nothing else', () => {
    const record = recordOf({ deleted: true, head: headOf({ email: 'unseen' }) })
    for (const policy of POLICIES)
      expect(run(policy, record)).toMatchObject({
        record,
        conflicts: [],
        effect: 'known',
        lane: { exists: false, detached: false },
      })
  })
})

describe('hazard 14: a deletion meets a change that its user had not seen', () => {
  const record = recordOf({ head: headOf({ email: 'new', phone: '1' }, { app: erp }) })
  const lane = laneOf({ sent: { email: 'old', phone: '1' } })
  const seen = laneOf({ sent: { email: 'new', phone: '1' } })

  test('default: what was seen is deleted; otherwise it is kept elsewhere, and listed', () => {
    expect(run('default', record, seen)).toMatchObject({
      effect: 'deleted',
      record: { deleted: true, headSeq: at.seq },
      conflicts: [],
      lane: { detached: false },
    })
    const kept = run('default', record, lane)
    expect(kept).toMatchObject({ effect: 'detached', lane: { detached: true, exists: false } })
    expect(kept.conflicts).toEqual([
      {
        key: record.key,
        entity: record.entity,
        path: 'email',
        loserApp: crm,
        loserValue: null,
        winnerApp: erp,
        winnerValue: 'new',
        reason: 'unseen',
        policy: 'deletes: default',
        seq: at.seq,
        atMs: at.atMs,
      },
    ])
  })

  test('default: where no other application has it any more, it is deleted, and the unseen value is in the log', () => {
    const gone = (app: AppId) => laneOf({ app, exists: false, detached: true })
    const alone = recordOf({ ...record, lanes: { [erp]: gone(erp), [shop]: gone(shop) } })
    const result = run('default', alone, lane)
    expect(result).toMatchObject({ effect: 'deleted', record: { deleted: true } })
    expect(keeps(result.conflicts, 'email', 'new')).toBe(true)
    const one = recordOf({ ...alone, lanes: { ...alone.lanes, [shop]: laneOf({ app: shop }) } })
    expect(run('default', one, lane).effect).toBe('detached')
    const soon = recordOf({ ...alone, lanes: { [erp]: gone(erp) } })
    expect(run('default', soon, lane).effect).toBe('detached')
  })

  test('what the deleter held of a field that is set aside needs no decision any more, whether the record stays or not', () => {
    const why = { code: 'merge.manual', message: '' }
    const aside = recordOf({
      ...record,
      parkedPaths: { phone: { ...why, apps: [crm] }, email: { ...why, apps: [erp, crm] } },
    })
    for (const policy of ['default', 'update-wins', 'ignore'] as const)
      expect(run(policy, aside, lane).record.parkedPaths).toEqual({ email: { ...why, apps: [erp] } })
    expect(run('delete-wins', aside, lane).record.parkedPaths).toEqual({})
  })

  test('delete-wins: deleted, and the unseen value is kept whole', () => {
    const result = run('delete-wins', record, lane)
    expect(result).toMatchObject({ effect: 'deleted', record: { deleted: true } })
    expect(result.conflicts).toMatchObject([
      { path: 'email', loserApp: erp, loserValue: 'new', winnerApp: crm, winnerValue: null },
    ])
  })

  test('update-wins: put back there, as a new incarnation', () => {
    expect(run('update-wins', record, lane)).toMatchObject({
      effect: 'recreated',
      record: { deleted: false },
      lane: { nativeId: null, exists: null, incarnation: 1, detached: false },
    })
    expect(run('update-wins', record, seen).effect).toBe('deleted')
  })

  test('ignore, of the entity or of the binding: never deleted elsewhere', () => {
    expect(run('ignore', record, seen)).toMatchObject({ effect: 'detached', record, conflicts: [] })
    const followsNone = bindingOf(crm, { deletes: 'ignore' })
    for (const policy of POLICIES) expect(run(policy, record, seen, followsNone).effect).toBe('detached')
  })

  test('fields that the application does not map do not stop a deletion; their values are kept', () => {
    const hidden = recordOf({ head: headOf({ fax: 'f1', email: 'new' }, { app: erp }) })
    const result = run('default', hidden, seen)
    expect(result.effect).toBe('deleted')
    expect(result.conflicts).toMatchObject([{ path: 'fax', loserApp: erp, loserValue: 'f1', reason: 'unseen' }])
    const own = recordOf({ head: headOf({ fax: 'f1', note: 'n' }, { app: crm }) })
    expect(run('default', own, laneOf())).toMatchObject({ effect: 'deleted', conflicts: [] })
  })

  test('an unseen change inside an element counts, the absence of an element that it never had does not', () => {
    const line = recordOf({ head: headOf({ 'lines[1]': true, 'lines[1].qty': 9, 'lines[2]': false }, { app: erp }) })
    const had = laneOf({ sent: { 'lines[1]': true, 'lines[1].qty': 1 } })
    expect(run('default', line, had).conflicts).toMatchObject([{ path: 'lines[1].qty', winnerValue: 9 }])
    expect(run('default', line, laneOf({ sent: { 'lines[1]': true, 'lines[1].qty': 9 } })).effect).toBe('deleted')
    expect(
      run('default', line, laneOf({ sent: { 'lines[1]': true, 'lines[1].qty': 9, 'lines[2]': true } })).effect,
    ).toBe('detached')
  })
})
