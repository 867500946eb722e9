import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { needOf } from '../deliver/need.ts'
import { overlayOf } from '../deliver/overlay.ts'
import { asJournalPosition } from '../model/ids.ts'
import type { Conflict, RecordState } from '../model/record.ts'
import { type Fields, type Image, type Path, splitPartPath, type Value, valuesEqual } from '../model/value.ts'
import { changedValues } from './decode.ts'
import {
  bindingOf,
  canonicals,
  crm,
  entityOf,
  erp,
  frozen,
  headOf,
  imageOf,
  imagesNear,
  intentOf,
  laneOf,
  origin,
  recordOf,
  references,
  SEED,
  shop,
  states,
  words,
} from './fake-record.ts'
import { foldImage } from './fold.ts'
import type { FoldInput, FoldResult, OwnWriteSeen } from './folding.ts'
import { mergeImage } from './images.ts'

fc.configureGlobal({ seed: SEED })

const entity = entityOf()
const binding = bindingOf(crm)
const seq = asJournalPosition(20)

const fold = (more: Partial<FoldInput> & Pick<FoldInput, 'image'>): FoldResult =>
  foldImage(
    frozen({
      entity,
      binding,
      record: recordOf(),
      lane: laneOf(),
      seq,
      atMs: 1000,
      sourceTimeMs: undefined,
      own: null,
      references,
      ...more,
    }),
  )

/** A state, and an image that its application may tell next. */
const observed = states.chain(({ record, lane }) =>
  fc.record({
    record: fc.constantFrom(record, record, record, { ...record, deleted: true }),
    lane: fc.constant(lane),
    image: imagesNear(lane.image),
  }),
)
const changesIn = ({ lane, image }: { lane: FoldInput['lane']; image: Image }) =>
  changedValues(entity, binding, lane.image, image, references)
const ownOf = (patch: Fields, how: OwnWriteSeen['how'] = 'exact', by: OwnWriteSeen['origin'] = null): OwnWriteSeen => ({
  how,
  patch,
  native: imageOf(patch),
  origin: by,
  headSeq: null,
})
const headValue = (record: RecordState, path: Path): Value | undefined => record.head[path]?.value
const keeps = (conflicts: readonly Conflict[], path: Path, value: Value | undefined): boolean =>
  conflicts.some((one) => one.path === path && valuesEqual(one.loserValue, value))

function expectNothing(result: FoldResult, record: RecordState): void {
  expect(result.record).toBe(record)
  const { accepted, convergent, rendition, lost, won, conflicts, overBudget } = result
  expect([accepted, convergent, rendition, lost, won, conflicts, overBudget].flat()).toEqual([])
}

describe('folding', () => {
  test('the same image a second time changes nothing', () => {
    fc.assert(
      fc.property(
        observed,
        fc.option(canonicals),
        fc.constantFrom('exact' as const, 'included' as const),
        (state, patch, how) => {
          const own = patch === null ? null : ownOf(patch, how)
          const once = fold({ ...state, own })
          const twice = fold({ ...state, own, record: once.record, lane: once.lane })
          expectNothing(twice, once.record)
          expect(twice.lane).toEqual(once.lane)
        },
      ),
      { numRuns: 500 },
    )
  })

  test('an image equal to what is known changes nothing', () => {
    fc.assert(
      fc.property(states, ({ record, lane }) => {
        const result = fold({ record, lane, image: lane.image })
        expectNothing(result, record)
        expect(result.lane).toEqual(lane)
      }),
    )
  })

  test('an absent field is "not sent", never null: a part of what is known changes nothing', () => {
    fc.assert(
      fc.property(states, fc.infiniteStream(fc.boolean()), ({ record, lane }, dice) => {
        const part = Object.entries(lane.image).filter(([path]) => !path.startsWith('items') && dice.next().value)
        const result = fold({ record, lane, image: Object.fromEntries(part) })
        expectNothing(result, record)
        expect(result.lane).toEqual(lane)
      }),
    )
  })

  test('an echo of our own write leaves no remainder, whatever the application makes of it', () => {
    const told = canonicals.chain((patch) => {
      const written = imageOf(patch)
      const rendered = fc.tuple(...Object.keys(written).map(() => words)).map((values) => {
        const image: Record<Path, Value> = { ...written }
        Object.keys(written).forEach((path, i) => {
          const isRendered = !path.startsWith('items') || path.includes('].n_')
          if (isRendered && path !== 'n_owner' && typeof values[i] !== 'bigint') image[path] = values[i] as Value
        })
        return image
      })
      return fc.record({ patch: fc.constant(patch), image: rendered })
    })
    fc.assert(
      fc.property(states, told, ({ record }, { patch, image }) => {
        const result = fold({ record, lane: laneOf({ sent: patch, image: imageOf(patch) }), image, own: ownOf(patch) })
        expectNothing({ ...result, rendition: [] }, record)
        expect(result.lane.sent).toEqual(patch)
        expect(result.lane.image).toEqual(image)
      }),
    )
  })

  test('after an echo that was rendered, a person who sets the very value we wrote is heard', () => {
    const record = recordOf({ head: headOf({ email: ' A' }) })
    const lane = laneOf({ sent: { email: ' A' }, image: { n_email: ' A' } })
    const echo = fold({ record, lane, image: { n_email: 'a' }, own: ownOf({ email: ' A' }) })
    expect([echo.rendition, echo.lane.image, echo.lane.sent]).toEqual([['email'], { n_email: 'a' }, { email: ' A' }])
    const edit = fold({ record: echo.record, lane: echo.lane, image: { n_email: 'b' } })
    expect([edit.accepted, edit.record.head.email?.value]).toEqual([['email'], 'b'])
  })

  test("a person's edit of one field never touches another", () => {
    const edits = fc.record({ state: states, field: fc.constantFrom('email', 'phone', 'note'), value: words })
    fc.assert(
      fc.property(edits, ({ state: { record, lane }, field, value }) => {
        const result = fold({ record, lane, image: { ...lane.image, [`n_${field}`]: value } })
        for (const path of Object.keys(record.head))
          if (path !== field) expect(result.record.head[path]).toBe(record.head[path])
        expect({ ...result.lane.sent, [field]: null }).toEqual({ ...lane.sent, [field]: null })
        expect({ ...result.lane.image, [`n_${field}`]: null }).toEqual({ ...lane.image, [`n_${field}`]: null })
        expect(result.conflicts.filter((one) => one.path !== field)).toEqual([])
      }),
    )
  })

  test('no value is lost: what an application says ends in the head, or in the conflict log, whole', () => {
    fc.assert(
      fc.property(observed, (state) => {
        const result = fold(state)
        for (const { path, value, element } of changesIn(state)) {
          if (
            element === null &&
            value === false &&
            headValue(state.record, path) === undefined &&
            state.record.deleted
          )
            continue
          const stands = valuesEqual(headValue(result.record, path), value)
          expect(stands || keeps(result.conflicts, path, value), `${path} = ${String(value)}`).toBe(true)
        }
      }),
      { numRuns: 500 },
    )
  })

  test('no value is lost: what others said and this application had not seen stays in the head, or goes whole to the conflict log', () => {
    fc.assert(
      fc.property(observed, (state) => {
        const result = fold(state)
        for (const path of Object.keys(state.record.head)) {
          const before = headValue(state.record, path)
          if (valuesEqual(before, state.lane.sent[path]) || valuesEqual(headValue(result.record, path), before))
            continue
          expect(keeps(result.conflicts, path, before), `${path} = ${String(before)}`).toBe(true)
        }
      }),
      { numRuns: 500 },
    )
  })

  test('fabricates nothing: every new value of the head was said in this image', () => {
    fc.assert(
      fc.property(observed, (state) => {
        const result = fold(state)
        const said = new Map(changesIn(state).map((change) => [change.path, change.value]))
        for (const path of Object.keys(result.record.head)) {
          if (result.record.head[path] === state.record.head[path]) continue
          expect(valuesEqual(said.get(path), headValue(result.record, path))).toBe(true)
          expect(result.record.head[path]?.origin.seq).toBe(seq)
        }
        if (state.record.deleted) expect(result.record).toBe(state.record)
      }),
    )
  })

  test('what lost to the head is needed in its application again', () => {
    fc.assert(
      fc.property(observed, (state) => {
        const result = fold(state)
        const need = needOf(binding, result.record, result.lane, false)
        const owed = result.lost.filter(
          (path) => result.record.head[path] !== undefined && path !== 'note' && !path.includes('].'),
        )
        if (!state.record.deleted) expect(Object.keys(need?.patch ?? {})).toEqual(expect.arrayContaining(owed))
      }),
    )
  })

  test('the lane holds the image afterwards, and stands for what it was decoded to', () => {
    fc.assert(
      fc.property(observed, (state) => {
        const result = fold(state)
        expect(result.lane.image).toEqual(mergeImage(binding, state.lane.image, state.image))
        for (const { path, value, element } of changesIn(state)) {
          const isOfRemoved = element !== null && headValue(state.record, element) === false
          if (!isOfRemoved && path in result.lane.sent) expect(valuesEqual(result.lane.sent[path], value)).toBe(true)
        }
      }),
    )
  })
})

describe('a field that both sides changed', () => {
  const record = recordOf({ head: headOf({ email: 'theirs', phone: '1' }, { app: erp, timeMs: 1000 }) })
  const lane = laneOf({ sent: { email: 'agreed', phone: '1' }, image: { n_email: 'agreed', n_phone: '1' } })
  const told = (sourceTimeMs: number | undefined, more: Partial<FoldInput> = {}) =>
    fold({ record, lane, image: { n_email: 'ours' }, sourceTimeMs, atMs: 5000, ...more })

  test('is decided by its policy, and the loser is kept whole', () => {
    const won = told(2000)
    expect([won.won, won.lost, won.accepted, won.record.head.email?.value]).toEqual([['email'], [], [], 'ours'])
    expect(won.conflicts).toEqual([
      {
        key: record.key,
        entity: record.entity,
        path: 'email',
        loserApp: erp,
        loserValue: 'theirs',
        winnerApp: crm,
        winnerValue: 'ours',
        reason: 'both-changed',
        policy: 'latest',
        seq,
        atMs: 5000,
      },
    ])
    const lost = told(500)
    expect([lost.won, lost.lost, lost.record]).toEqual([[], ['email'], record])
    expect(lost.conflicts).toMatchObject([
      { loserApp: crm, loserValue: 'ours', winnerApp: erp, winnerValue: 'theirs', reason: 'both-changed' },
    ])
    expect(lost.lane.sent.email).toBe('ours')
  })

  test('a source time in the future counts as now', () => {
    const result = told(9_999_999)
    expect(result.record.head.email?.origin.timeMs).toBe(5000)
    expect(told(undefined).record.head.email?.origin.timeMs).toBe(5000)
  })

  test('is no conflict when both changed it to the same', () => {
    const result = fold({ record, lane, image: { n_email: 'theirs' } })
    expect([result.convergent, result.conflicts, result.record, result.lane.sent.email]).toEqual([
      ['email'],
      [],
      record,
      'theirs',
    ])
  })

  test('that was never agreed on is told apart as a first contact', () => {
    const result = fold({ record, lane: laneOf(), image: { n_email: 'ours' }, sourceTimeMs: 500 })
    expect(result.conflicts).toMatchObject([{ reason: 'first-contact', loserValue: 'ours' }])
  })

  test('is not decided by its policy when the head has not moved since they agreed', () => {
    const agreed = recordOf({ head: headOf({ email: 'agreed' }, { timeMs: 99_999 }) })
    const result = fold({ record: agreed, lane, image: { n_email: 'ours' }, sourceTimeMs: 1 })
    expect([result.accepted, result.conflicts, result.record.head.email?.value]).toEqual([['email'], [], 'ours'])
  })
})

describe('a write in doubt, met by what the application holds', () => {
  const record = recordOf({ head: headOf({ email: 'Ann', phone: 'p2' }) })
  const lane = laneOf({ sent: { email: 'old', phone: 'p1' }, image: { n_email: 'old', n_phone: 'p1' } })
  const own = ownOf({ email: 'Ann', phone: 'p2' }, 'included', { root: asJournalPosition(5), hops: 1 })

  test('is included where the value is ours but for its spelling, and a person changed it where it is not', () => {
    const result = fold({ record, lane, image: { n_email: ' ANN ', n_phone: 'p3' }, sourceTimeMs: 5, own })
    expect([result.rendition, result.lost, result.lane.sent]).toEqual([
      ['email'],
      ['phone'],
      { email: 'Ann', phone: 'p3' },
    ])
    expect(result.conflicts).toMatchObject([{ path: 'phone', loserValue: 'p3' }])
  })

  test('never takes a person’s value for the write: it is folded as their own change, from its own root', () => {
    fc.assert(
      fc.property(words, words, (mine, theirs) => {
        const result = fold({
          record: recordOf({ head: headOf({ email: mine }) }),
          lane: laneOf({ sent: { email: 'z' }, image: { n_email: 'z' } }),
          image: { n_email: theirs },
          atMs: 9e9,
          own: ownOf({ email: mine }, 'included', { root: asJournalPosition(5), hops: 3 }),
        })
        const kept = valuesEqual(result.record.head.email?.value, theirs) || result.rendition.length > 0
        expect(kept).toBe(true)
        if (result.won.length > 0) expect(result.record.head.email?.origin).toMatchObject({ root: seq, hops: 0 })
      }),
    )
  })
})

describe('what an application makes of our write', () => {
  const record = recordOf({ head: headOf({ email: 'a' }) })
  const lane = laneOf({ sent: { email: 'a' }, image: { n_email: 'a' } })
  const derived = (hops: number) =>
    fold({
      record,
      lane,
      image: { n_email: 'A', n_phone: 'made' },
      own: ownOf({ email: 'a' }, 'exact', { root: asJournalPosition(3), hops }),
    })

  test('descends from it, one hop farther', () => {
    const result = derived(2)
    expect([result.accepted, result.overBudget]).toEqual([['phone'], []])
    expect(result.record.head.phone?.origin).toMatchObject({ root: 3, hops: 3, app: crm, seq })
  })

  test('is over budget once it has more than two hops for each application', () => {
    expect([5, 6, 7].map((hops) => derived(hops).overBudget)).toEqual([[], ['phone'], ['phone']])
  })
})

describe('parts', () => {
  const both: Fields = {
    'lines[1]': true,
    'lines[1].qty': 1,
    'lines[1].text': 't',
    'lines[2]': true,
    'lines[2].qty': 2,
  }
  const record = recordOf({ head: headOf(both, { app: erp }) })
  const lane = laneOf({ sent: both, image: imageOf(both) })
  const without1 = imageOf({ 'lines[2]': true, 'lines[2].qty': 2 })

  test('an element that was taken out takes its fields along', () => {
    const result = fold({ record, lane, image: without1 })
    expect([result.accepted, result.conflicts]).toEqual([['lines[1]'], []])
    expect(Object.keys(result.record.head).sort()).toEqual(['lines[1]', 'lines[2]', 'lines[2].qty'])
    expect([result.record.head['lines[1]']?.value, result.lane.sent]).toEqual([
      false,
      { 'lines[1]': false, 'lines[2]': true, 'lines[2].qty': 2 },
    ])
    expect(result.lane.image).toEqual(without1)
  })

  test('what its remover had not seen of an element is kept', () => {
    const newer = recordOf({ head: { ...record.head, 'lines[1].qty': { value: 9, origin: origin({ app: shop }) } } })
    const result = fold({ record: newer, lane, image: without1 })
    expect(result.conflicts).toMatchObject([{ path: 'lines[1].qty', loserApp: shop, loserValue: 9, reason: 'unseen' }])
  })

  test('the same where its remover had what the head came back to only later', () => {
    const back = { value: 1, origin: origin({ app: shop, seq: asJournalPosition(12) }) }
    const newer = recordOf({ head: { ...record.head, 'lines[1].qty': back }, headSeq: asJournalPosition(12) })
    expect(lane.sent['lines[1].qty']).toBe(1)
    const result = fold({ record: newer, lane, image: without1 })
    expect(result.conflicts).toMatchObject([{ path: 'lines[1].qty', loserApp: shop, loserValue: 1, reason: 'unseen' }])
  })

  test('an element that is taken out in vain claims nothing any more of what is set aside in it', () => {
    const newer = origin({ app: shop, seq: asJournalPosition(12), timeMs: 9000 })
    const kept = recordOf({
      head: { ...record.head, 'lines[1]': { value: true, origin: newer } },
      headSeq: asJournalPosition(12),
      parkedPaths: { 'lines[1].qty': { code: 'merge.manual', message: '', apps: [crm] } },
    })
    const result = fold({ record: kept, lane, image: without1 })
    expect([result.lost, result.record.parkedPaths]).toEqual([['lines[1]'], {}])
    expect(Object.keys(result.lane.sent)).not.toContain('lines[1].qty')
  })

  test('an edit of an element that another took out is kept as the loser', () => {
    const gone = recordOf({ head: headOf({ 'lines[1]': false, 'lines[2]': true, 'lines[2].qty': 2 }) })
    const result = fold({ record: gone, lane, image: { ...lane.image, 'items[1].n_qty': 7 } })
    expect([result.lost, result.record]).toEqual([['lines[1].qty'], gone])
    expect(result.conflicts).toMatchObject([{ path: 'lines[1].qty', loserValue: 7, reason: 'deleted' }])
  })

  test('an edit to false in an element that another took out is kept as the loser', () => {
    const gone = recordOf({ head: headOf({ 'lines[1]': false, 'lines[2]': true, 'lines[2].qty': 2 }) })
    const result = fold({ record: gone, lane, image: { ...lane.image, 'items[1].n_qty': false } })
    expect(result.conflicts).toMatchObject([{ path: 'lines[1].qty', loserValue: false, reason: 'deleted' }])
  })

  test('a field that our write of the whole part did not carry is gone there, even if its application does not say so', () => {
    const native = { items: true, 'items[1]': true, 'items[1].n_qty': 1 }
    const texted = laneOf({
      sent: { ...lane.sent, 'lines[1].text': 't' },
      image: { ...lane.image, 'items[1].n_text': 't' },
    })
    const own = {
      how: 'exact' as const,
      patch: { 'lines[2]': false },
      native,
      origin: null,
      headSeq: null,
      whole: true,
    }
    expect(Object.keys(fold({ record, lane: texted, image: native, own }).lane.image)).not.toContain('items[1].n_text')
    expect(Object.keys(fold({ record, lane: texted, image: native }).lane.image)).toContain('items[1].n_text')
  })

  test('a container that was not sent says nothing of its elements', () => {
    const result = fold({ record, lane, image: { n_email: 'x' } })
    expect([result.accepted, result.lane.image['items[1]']]).toEqual([['email'], true])
  })

  test('an edit in one element never touches another', () => {
    fc.assert(
      fc.property(states, words, ({ record: any, lane: at }, value) => {
        const path = Object.keys(at.image).find((one) => one.endsWith('.n_qty'))
        fc.pre(path !== undefined)
        const result = fold({ record: any, lane: at, image: { ...at.image, [path as Path]: value } })
        const changed = (path as Path).replace('items', 'lines').replace('.n_qty', '.qty')
        for (const other of Object.keys(any.head)) {
          if (other !== changed && splitPartPath(other)?.element !== splitPartPath(changed)?.element)
            expect(result.record.head[other]).toBe(any.head[other])
        }
        expect(result.conflicts.filter((one) => one.path !== changed)).toEqual([])
      }),
    )
  })
})

test('a value of a record that is deleted is kept as the loser, and never brings it back', () => {
  const record = recordOf({ deleted: true, head: headOf({ email: 'a' }) })
  const result = fold({ record, lane: laneOf(), image: { n_email: 'b', n_phone: 'p' } })
  expect(result.record).toBe(record)
  expect(result.conflicts).toMatchObject([
    { path: 'email', loserValue: 'b', winnerValue: 'a' },
    { path: 'phone', loserValue: 'p', winnerValue: null },
  ])
})

test('a value that a user of a deleted record came back to is kept, too: nobody who deleted it had seen that', () => {
  const record = recordOf({ deleted: true, head: headOf({ email: 'a' }) })
  const result = fold({
    record,
    lane: laneOf({ sent: { email: 'b' }, image: { n_email: 'b' } }),
    image: { n_email: 'a' },
  })
  expect(result.conflicts).toMatchObject([{ path: 'email', loserValue: 'a', reason: 'deleted' }])
})

test('what our write has left as it was stands for what we wrote, when it is known to be the state right after it', () => {
  const record = recordOf({ head: headOf({ email: '' }) })
  const lane = laneOf({ sent: { email: null }, image: { n_email: null } })
  const own = { how: 'exact' as const, patch: { email: '' }, native: { n_email: '' }, origin: null, headSeq: null }
  const result = fold({ record, lane, image: { n_email: null }, own })
  expect([result.lane.sent.email, result.record]).toEqual(['', record])
  expect(fold({ record, lane, image: { n_email: null }, own: { ...own, how: 'included' } }).lane.sent.email).toBeNull()
})

test('where a write is in doubt, the form that an application gave to an earlier one of ours is no change of it', () => {
  const record = recordOf({ head: headOf({ email: 'c' }) })
  const lane = laneOf({ sent: { email: ' A' }, image: { n_email: ' A' } })
  const own = { how: 'included' as const, patch: { email: 'c' }, native: { n_email: 'c' }, origin: null, headSeq: null }
  const earlier = { patch: { email: ' A' }, native: { n_email: ' A' } }
  const result = fold({ record, lane, image: { n_email: 'a' }, own: { ...own, earlier } })
  expect([result.rendition, result.conflicts, result.lane.sent.email]).toEqual([['email'], [], ' A'])
  expect(result.record).toBe(record)
  expect(fold({ record, lane, image: { n_email: 'a' }, own }).conflicts).not.toEqual([])
  expect(fold({ record, lane, image: { n_email: 'b' }, own: { ...own, earlier } }).conflicts).not.toEqual([])
})

test('a value that somebody enters where another application has nothing but its empty default stands, whatever the policy says', () => {
  const byDefault = recordOf({ head: headOf({ email: null }, { hops: 1 }) })
  const late = { lane: laneOf(), image: { n_email: 'a' }, sourceTimeMs: 0 }
  const result = fold({ record: byDefault, ...late })
  expect([result.won, result.record.head.email?.value]).toEqual([['email'], 'a'])
  const empty = laneOf({ sent: { email: null }, image: { n_email: null }, basis: asJournalPosition(1) })
  expect(fold({ record: byDefault, ...late, lane: empty }).won).toEqual(['email'])
  const emptied = recordOf({ head: headOf({ email: null }) })
  expect(fold({ record: emptied, ...late }).lost).toEqual(['email'])
})

test('a value that could not be folded when it was told is no answer to the write of ours whose echo shows it again', () => {
  const record = recordOf({ head: headOf({ owner: null }) })
  const lane = laneOf({ sent: { owner: 'a1' }, image: { n_owner: 'n1' }, unfolded: ['n_owner'] })
  const own = ownOf({ email: 'e' }, 'exact', { root: asJournalPosition(3), hops: 0 })
  const told = { record, image: { n_owner: 'n2', n_email: 'e' }, own }
  expect(keeps(fold({ ...told, lane, sourceTimeMs: 0 }).conflicts, 'owner', 'a2')).toBe(true)
  expect(fold({ ...told, lane: { ...lane, unfolded: [] } }).conflicts).toEqual([])
})

test('a number spelled to its last decimal is no rounding of the one that we wrote: somebody has entered it', () => {
  const own = {
    how: 'included' as const,
    patch: { email: '52.28' },
    native: { n_email: '52.28' },
    origin: null,
    headSeq: null,
  }
  const told = (n_email: string) => {
    const lane = laneOf({ sent: { email: '52.28' }, image: { n_email: '52.28' } })
    return fold({ record: recordOf({ head: headOf({ email: '52.28' }) }), lane, image: { n_email }, own })
  }
  expect([told('52.30').accepted, told('52.3').rendition]).toEqual([['email'], ['email']])
})

test('what we only write there is no change when the application tells it', () => {
  const record = recordOf({ head: headOf({ score: 's' }) })
  expectNothing(fold({ record, image: { n_score: 'x' } }), record)
})

describe('a head that came back to the value that an application holds', () => {
  const headAt = (version: number, app = erp) =>
    recordOf({
      head: headOf({ email: 'a' }, { seq: asJournalPosition(version), app }),
      headSeq: asJournalPosition(version),
    })
  const holding = (basis: number) =>
    laneOf({ sent: { email: 'a' }, image: { n_email: 'a' }, basis: asJournalPosition(basis) })

  test('has changed all the same: a change there is one on both sides, and the loser is kept', () => {
    const result = fold({ record: headAt(8), lane: holding(6), image: { n_email: 'b' }, atMs: 5000 })
    expect([result.accepted, result.won]).toEqual([[], ['email']])
    expect(keeps(result.conflicts, 'email', 'a')).toBe(true)
  })

  test('counts as agreed once a write or a read has shown that the application held it since', () => {
    const result = fold({ record: headAt(8), lane: holding(8), image: { n_email: 'b' } })
    expect([result.accepted, result.conflicts]).toEqual([['email'], []])
  })

  test('is not shown to have been there by an entry that is older than it: one that had to wait or was long on its way, or stands in a log before what we wrote', () => {
    const lane = laneOf({ sent: { email: 'x' }, image: { n_email: 'x' }, basis: asJournalPosition(6) })
    const late = fold({ record: headAt(30), lane, image: { n_email: 'a' } })
    expect([late.convergent, late.lane.byChance]).toEqual([['email'], ['email']])
    const overlay = { ...overlayOf(intentOf({ patch: { email: 'a' } }), null, seq, 0) }
    const before = fold({ record: headAt(8), lane: { ...lane, overlays: [overlay] }, image: { n_email: 'a' } })
    expect(before.lane.byChance).toEqual(['email'])
    const told = fold({ record: headAt(8), lane, image: { n_email: 'a' } })
    expect(told.lane.byChance).toEqual(['email'])
    const readBefore = fold({ record: headAt(8), lane, image: { n_email: 'a' }, asOf: asJournalPosition(7) })
    expect(readBefore.lane.byChance).toEqual(['email'])
    const inTime = fold({ record: headAt(8), lane, image: { n_email: 'a' }, asOf: asJournalPosition(8) })
    expect([inTime.convergent, inTime.lane.byChance]).toEqual([['email'], []])
  })

  test('is remembered by its path when another field of the lane moves on', () => {
    const told = fold({ record: headAt(8), lane: holding(6), image: { n_phone: '1' } })
    expect([told.lane.basis, told.lane.byChance]).toEqual([seq, ['email']])
    const later = fold({
      record: told.record,
      lane: told.lane,
      image: { n_email: 'b' },
      atMs: 5000,
      seq: asJournalPosition(21),
    })
    expect(later.won).toEqual(['email'])
    expect(later.lane.byChance).toEqual([])
  })

  test('is left alone by what an application makes of our write by itself', () => {
    const record = recordOf({
      head: headOf({ email: 'x' }, { seq: asJournalPosition(8) }),
      headSeq: asJournalPosition(8),
    })
    const own = ownOf({ phone: '1' }, 'exact', { root: asJournalPosition(3), hops: 0 })
    const result = fold({
      record,
      lane: laneOf({ basis: asJournalPosition(3) }),
      image: { n_phone: '1', n_email: null },
      own,
    })
    expect([result.record.head.email?.value, result.conflicts]).toEqual(['x', []])
    expect(result.lane.sent.email).toBeNull()
  })
})

test('an entry that had to wait makes a newer version than the head has, not an older one', () => {
  const record = recordOf({ head: headOf({ email: 'a' }), headSeq: asJournalPosition(30) })
  const result = fold({
    record,
    lane: laneOf({ sent: { email: 'a' }, image: { n_email: 'a' } }),
    image: { n_email: 'b' },
  })
  expect([result.record.headSeq, result.record.head.email?.origin.seq, result.record.head.email?.origin.root]).toEqual([
    31, 31, 20,
  ])
})

describe('a reference to a record that is not known yet', () => {
  const unknown = { ...references, keyOf: () => undefined }
  const image = { n_email: 'b', n_owner: 'n7' }
  const before = { record: recordOf(), lane: laneOf({ sent: {}, image: {} }) }

  test('is left out where its entry can wait, and the rest is folded', () => {
    const first = fold({ ...before, image, references: unknown, leaveOutMissing: true })
    expect([first.missing?.nativeId, first.accepted, first.lane.unfolded]).toEqual(['n7', ['email'], ['n_owner']])
    expect(first.lane.image).toEqual({ n_email: 'b' })
    const second = fold({ record: first.record, lane: first.lane, image, seq: asJournalPosition(21) })
    expect([second.missing, second.accepted, second.lane.unfolded]).toEqual([null, ['owner'], []])
    expect(second.record.head.owner?.value).toBe('a7')
  })

  test('stays left out while only other parts of the record are told', () => {
    const lane = laneOf({ sent: {}, image: {}, unfolded: ['n_owner'] })
    const told = (isPartial: boolean) => fold({ record: recordOf(), lane, image: { n_email: 'b' }, isPartial })
    expect([told(true).lane.unfolded, told(false).lane.unfolded]).toEqual([['n_owner'], []])
  })

  test('stops the whole fold where it cannot', () => {
    expect(() => fold({ ...before, image, references: unknown })).toThrow()
  })
})
