import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { EntityModel } from '../model/entity.ts'
import { asCanonicalKey, asJournalPosition } from '../model/ids.ts'
import type { RecordState } from '../model/record.ts'
import { type Path, splitPartPath, type Value, valuesEqual } from '../model/value.ts'
import { canonicals, crm, entityOf, erp, frozen, headOf, laneOf, recordOf, SEED, shop } from './fake-record.ts'
import { type Joined, joinHeads } from './join.ts'

const other = asCanonicalKey('c2')
const at = { seq: asJournalPosition(90), atMs: 9_000 }

const join = (kept: RecordState, taken: RecordState, entity: EntityModel = entityOf()): Joined =>
  joinHeads({ entity, kept, taken, lanes: Object.values(taken.lanes), ...at })

const values = (head: RecordState['head']): Record<Path, Value> =>
  Object.fromEntries(Object.entries(head).map(([path, cell]) => [path, cell.value]))

const kept = (fields: Record<Path, Value>, more: Partial<RecordState> = {}): RecordState =>
  recordOf({ head: headOf(fields, { app: crm }), lanes: {}, ...more })
const taken = (fields: Record<Path, Value>, more: Partial<RecordState> = {}): RecordState =>
  recordOf({ key: other, head: headOf(fields, { app: erp }), lanes: {}, ...more })

describe('two records in one', () => {
  test('whatever either has is in the one, or in the conflict log', () => {
    fc.assert(
      fc.property(canonicals, canonicals, (a, b) => {
        const [one, two] = [frozen(kept(a)), frozen(taken(b))]
        const joined = join(one, two)
        for (const [path, value] of [...Object.entries(a), ...Object.entries(b)] as [Path, Value][]) {
          const stands = joined.head[path]
          const isKept = stands !== undefined && valuesEqual(stands.value, value)
          const isLogged = joined.conflicts.some((one) => one.path === path && valuesEqual(one.loserValue, value))
          // An element that only one of the two had taken out is there.
          const isBack = splitPartPath(path)?.field === '' && value === false && stands?.value === true
          expect(isKept || isLogged || isBack, `${path} = ${String(value)}`).toBe(true)
        }
      }),
      { seed: SEED, numRuns: 2_000 },
    )
  })

  test('is the same as one of them where they are equal, and is newer than both', () => {
    fc.assert(
      fc.property(canonicals, (fields) => {
        const joined = join(kept(fields), taken(fields))
        expect(values(joined.head)).toEqual(fields)
        expect(joined.conflicts).toEqual([])
        expect(joined.headSeq).toBe(at.seq)
      }),
      { seed: SEED, numRuns: 500 },
    )
  })

  test('a field for which a person decides is set aside for those who come over with another value', () => {
    const entity = entityOf({ policyDefault: { kind: 'manual' } })
    const lanes = { erp: laneOf({ app: erp, sent: { name: 'B' } }), shop: laneOf({ app: shop, sent: { name: 'old' } }) }
    const joined = join(kept({ name: 'A' }), taken({ name: 'B' }, { lanes }), entity)
    expect(joined.head.name?.value).toBe('A')
    expect(joined.parkedPaths.name).toMatchObject({ code: 'merge.manual', apps: ['erp'] })
    const nobody = join(kept({ name: 'A' }), taken({ name: 'B' }), entity)
    expect(nobody.conflicts).toMatchObject([{ path: 'name', loserApp: 'erp', loserValue: 'B', winnerValue: 'A' }])
  })
})

describe('two that a person had taken apart', () => {
  const since = asJournalPosition(50)
  const before = { seq: asJournalPosition(10) }
  const after = { seq: asJournalPosition(60), timeMs: 1 }
  const apart = (unseen: readonly Path[] = []): Partial<RecordState> => ({
    apart: { from: recordOf().key, seq: since, unseen },
  })
  const both = (ours: object, theirs: object, unseen: readonly Path[] = []): Joined =>
    join(
      kept({}, { head: headOf({ name: 'A' }, { app: crm, ...ours }) }),
      taken({}, { head: headOf({ name: 'B' }, { app: erp, ...theirs }), ...apart(unseen) }),
    )

  test.each([
    ['only the first has changed it', both(after, before), 'A', 0],
    ['only the second has changed it', both(before, after), 'B', 0],
    ['neither has: the second was behind', both(before, before), 'A', 0],
    ['both have', both(after, after), 'A', 1],
    ['the second has, without having seen what the first was already', both(before, after, ['name']), 'A', 1],
  ])('%s', (_, joined, stands, conflicts) => {
    expect([joined.conflicts.length, conflicts === 0 ? joined.head.name?.value : stands]).toEqual([conflicts, stands])
  })

  test('an element that one has taken out since is gone, and what the other entered in it meanwhile is kept in the log', () => {
    const element = 'lines[1]'
    const ours = { ...headOf({ [element]: true }, before), ...headOf({ 'lines[1].qty': 3 }, after) }
    const joined = join(
      kept({}, { head: ours }),
      taken({}, { head: headOf({ [element]: false }, { app: erp, ...after }), ...apart() }),
    )
    expect(values(joined.head)).toEqual({ [element]: false })
    expect(joined.conflicts).toMatchObject([{ path: 'lines[1].qty', loserValue: 3, reason: 'deleted' }])
    const back = join(
      kept({}, { head: headOf({ [element]: false }, after) }),
      taken({}, { head: headOf({ [element]: true, 'lines[1].qty': 3 }, { app: erp, ...before }), ...apart() }),
    )
    expect([values(back.head), back.conflicts]).toEqual([{ [element]: false }, []])
  })
})
