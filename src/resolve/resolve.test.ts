import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  bindingOf,
  classA,
  crm,
  customer,
  erp,
  frozen,
  intentOf,
  key,
  laneOf,
  recordOf,
  SEED,
} from '../merge/fake-record.ts'
import type { Capabilities } from '../model/capabilities.ts'
import { asCanonicalKey, asEntityName, asNativeId, asObjectId, asToken, compareTokens } from '../model/ids.ts'
import type { Link, RecordState } from '../model/record.ts'
import { resolve, type Subject, type Surroundings } from './resolve.ts'

fc.configureGlobal({ seed: SEED })

const tokens = fc.nat(9).map((n) => asToken(String(n)))
const other = asCanonicalKey('c2')
const linkOf = (more: Partial<Link> = {}): Link => ({
  app: crm,
  object: asObjectId('clients'),
  nativeId: asNativeId('1'),
  entity: customer,
  key,
  incarnation: 2,
  state: 'live',
  token: null,
  atMs: 1,
  ...more,
})
const links = fc.oneof(
  fc.constant(undefined),
  fc.constant(linkOf()),
  fc
    .tuple(fc.option(tokens), fc.constantFrom(key, null))
    .map(([token, of]) => linkOf({ state: 'tombstone', token, key: of })),
)
const records: fc.Arbitrary<RecordState> = fc
  .record({
    key: fc.constantFrom(key, other),
    entity: fc.constantFrom(customer, customer, asEntityName('supplier')),
    lane: fc.option(
      fc.record({
        nativeId: fc.constantFrom(null, asNativeId('9')),
        exists: fc.constantFrom(true, false, null),
        intent: fc.constantFrom(null, intentOf({ kind: 'create' })),
      }),
      { nil: undefined },
    ),
  })
  .map(({ lane, ...more }) => recordOf({ ...more, lanes: lane === undefined ? {} : { [crm]: laneOf(lane) } }))
const bindings = fc
  .record({ correlation: fc.boolean(), read: fc.constantFrom('R2' as const, 'R0' as const) })
  .map((some) => bindingOf(crm, { capabilities: { ...classA, ...some } }))
const subjects: fc.Arbitrary<Subject> = fc.record({
  binding: bindings,
  kind: fc.constantFrom('image', 'image', 'deleted', 'hint'),
  token: fc.option(tokens, { nil: undefined }),
  isRead: fc.boolean(),
  correlation: fc.option(
    fc.record({
      key: fc.constantFrom(key, other, asCanonicalKey('foreign')),
      life: fc.constantFrom(undefined, 0, 1),
    }),
    { nil: undefined },
  ),
  matchKey: fc.constantFrom(null, '["a"]'),
})
const surroundings: fc.Arbitrary<Surroundings> = fc.record({
  link: links,
  correlated: fc.option(records, { nil: undefined }),
  matched: fc.option(records, { nil: undefined }),
  openCreates: fc.subarray([key, other]),
})
const always = (check: (subject: Subject, around: Surroundings, to: ReturnType<typeof resolve>) => boolean) =>
  fc.assert(
    fc.property(subjects, surroundings, (subject, around) =>
      check(subject, around, resolve(frozen(subject), frozen(around))),
    ),
    { numRuns: 800 },
  )

describe('which record an observation speaks of', () => {
  test('is decided for every observation in any surroundings', () => {
    const seen = new Set<string>()
    always((_subject, _around, resolution) => seen.add(resolution.to).size > 0)
    expect([...seen].sort()).toEqual(['ambiguous', 'drop', 'hold', 'link', 'new', 'read', 'record', 'tombstone'])
  })

  test('is the linked one, and no other, while its link lives', () => {
    always(
      (_, { link }, to) =>
        (link?.state === 'live') === (to.to === 'record') && (to.to !== 'record' || to.key === link?.key),
    )
  })

  test('is never a record that has a living counterpart in the application', () => {
    always((_, { correlated, matched }, to) => {
      if (to.to !== 'link') return true
      const record = to.why === 'correlation' ? correlated : matched
      const lane = record?.lanes[crm]
      return record?.key === to.key && (lane === undefined || lane.nativeId === null || lane.exists === false)
    })
  })

  test('is found by correlation only where the id names a record of this entity', () => {
    always(
      (subject, { correlated }, to) =>
        to.to !== 'link' ||
        to.why !== 'correlation' ||
        (correlated?.entity === customer && subject.correlation?.key === to.key),
    )
  })

  test('is never found by matching while a write of ours to that record is open', () => {
    always(
      (_, { matched }, to) => to.to !== 'link' || to.why !== 'match' || (matched?.lanes[crm]?.intent ?? null) === null,
    )
  })

  test('is held back only for creates that were open', () => {
    always((subject, { openCreates, matched }, to) => {
      if (to.to !== 'hold') return true
      const forAll = to.keys === openCreates && openCreates.length > 0 && !subject.binding.capabilities.correlation
      return (
        forAll ||
        (to.keys.length === 1 && to.keys[0] === matched?.key && matched?.lanes[crm]?.intent?.kind === 'create')
      )
    })
  })

  test('is held back while one of our creates may have made it, where the application keeps no correlation id', () => {
    always(({ binding, kind, correlation }, { link, openCreates, correlated }, to) => {
      const mayBeOurs =
        link === undefined &&
        openCreates.length > 0 &&
        !binding.capabilities.correlation &&
        correlation === undefined &&
        correlated === undefined
      return !mayBeOurs || (to.to === 'hold' && kind !== undefined)
    })
  })

  test('a hint or a deletion never makes a record, and never links one by matching', () => {
    always(
      ({ kind }, _around, to) =>
        kind === 'image' ||
        (to.to !== 'new' && to.to !== 'ambiguous' && !(to.to === 'link' && (to.why === 'match' || kind === 'deleted'))),
    )
  })
})

describe('a native id with a tombstone', () => {
  const isAlive = (to: string): boolean => to === 'new' || to === 'link'

  test('is not brought back by a notification no newer than its deletion', () => {
    always(({ kind, token, isRead }, { link }, to) => {
      const old =
        link?.state === 'tombstone' &&
        kind === 'image' &&
        !isRead &&
        token !== undefined &&
        link.token !== null &&
        compareTokens(token, link.token) <= 0
      return !old || to.to === 'drop'
    })
  })

  test('is brought back by a read only, wherever the application can be read', () => {
    always(
      ({ isRead, binding }, { link }, to) =>
        link?.state !== 'tombstone' || !isAlive(to.to) || isRead || binding.capabilities.read === 'R0',
    )
  })

  test('is a new incarnation when it lives again', () => {
    always(
      (_, { link }, to) =>
        (to.to !== 'new' && to.to !== 'link') || to.incarnation === (link === undefined ? 0 : link.incarnation + 1),
    )
  })

  const dead = linkOf({ state: 'tombstone', token: asToken('5') })
  const told = (more: Partial<Subject>, letters: Partial<Capabilities> = {}) =>
    resolve(
      {
        binding: bindingOf(crm, { capabilities: { ...classA, ...letters } }),
        kind: 'image',
        token: asToken('6'),
        isRead: false,
        correlation: undefined,
        matchKey: null,
        ...more,
      },
      { link: dead, correlated: undefined, matched: undefined, openCreates: [] },
    ).to

  test('lives again by a log that is told in order, and by nothing that a log tells without a version', () => {
    const log = { feed: 'F3', condition: 'C0' } as const
    expect([told({}, log), told({ token: undefined }, log), told({})]).toEqual(['new', 'read', 'read'])
  })

  test('is asked about after a hint, and lives by what a read has shown, however old its version looks', () => {
    expect([told({ kind: 'hint', token: asToken('1') }), told({ isRead: true, token: asToken('1') })]).toEqual([
      'read',
      'new',
    ])
  })

  test('lives again by a newer notification where there is no read', () => {
    expect([told({}, { read: 'R0' }), told({ token: asToken('5') }, { read: 'R0' })]).toEqual(['new', 'drop'])
  })

  test('is not deleted twice', () => {
    always(({ kind }, { link }, to) => link?.state !== 'tombstone' || kind !== 'deleted' || to.to === 'drop')
  })
})

describe('an unlinked record', () => {
  const subject: Subject = {
    binding: bindingOf(),
    kind: 'image',
    token: asToken('5'),
    isRead: false,
    correlation: undefined,
    matchKey: '["a"]',
  }
  const alone: Surroundings = { link: undefined, correlated: undefined, matched: undefined, openCreates: [] }
  const inErp = recordOf({ lanes: { [erp]: laneOf({ app: erp }) } })

  test('that matches nothing is new; its deletion leaves a tombstone; a hint of it is read', () => {
    expect(resolve(subject, alone)).toEqual({ to: 'new', incarnation: 0 })
    expect(resolve({ ...subject, kind: 'deleted' }, alone)).toEqual({ to: 'tombstone' })
    expect(resolve({ ...subject, kind: 'hint' }, alone)).toEqual({ to: 'read' })
  })

  test('that bears our correlation id is linked at once, also by a hint', () => {
    const ours = { ...subject, correlation: { key, life: 0 } }
    expect(resolve(ours, { ...alone, correlated: inErp })).toEqual({
      to: 'link',
      key,
      why: 'correlation',
      incarnation: 0,
    })
    expect(resolve({ ...ours, kind: 'hint' }, { ...alone, correlated: inErp }).to).toBe('link')
  })

  test('that bears the correlation id of a former life is a copy of what that was, and one that bears our mark is not', () => {
    const again = recordOf({ lanes: { [crm]: laneOf({ nativeId: null, exists: null, incarnation: 1 }) } })
    const found = (life: number | undefined) =>
      resolve({ ...subject, correlation: { key, life } }, { ...alone, correlated: again })
    expect([found(0).to, found(1).to, found(undefined).to]).toEqual(['new', 'link', 'link'])
  })

  test('that was deleted is found alive only by a read that cannot lag, or shows a newer version', () => {
    const dead = { ...alone, link: linkOf({ state: 'tombstone', token: asToken('4') }) }
    const found = (read: 'R1' | 'R2', token: string) => {
      const binding = bindingOf(crm, { capabilities: { ...classA, read } })
      return resolve({ ...subject, binding, isRead: true, token: asToken(token) }, dead).to
    }
    expect([found('R2', '4'), found('R1', '4'), found('R1', '5')]).toEqual(['new', 'drop', 'new'])
  })

  describe('that bears the correlation id of a record which has lived here before', () => {
    const lived = (more: Partial<RecordState> = {}) =>
      recordOf({ lanes: { [crm]: laneOf({ nativeId: asNativeId('8'), exists: false }) }, ...more })
    const ours = { ...subject, correlation: { key, life: 0 } }

    test('is a copy that somebody made of it: a new record, unless it matches', () => {
      expect(resolve(ours, { ...alone, correlated: lived() })).toEqual({ to: 'new', incarnation: 0 })
      expect(resolve(ours, { ...alone, correlated: lived({ deleted: true }) }).to).toBe('new')
      expect(resolve(ours, { ...alone, correlated: lived(), matched: lived() })).toMatchObject({
        to: 'link',
        why: 'match',
      })
      expect(resolve({ ...ours, kind: 'hint' }, { ...alone, correlated: lived() }).to).toBe('read')
    })

    test('is that record where its own id lives again, and nobody has deleted it elsewhere', () => {
      const again = { ...alone, link: linkOf({ state: 'tombstone' }) }
      const read = { ...ours, isRead: true }
      expect(resolve(read, { ...again, correlated: lived() })).toMatchObject({ to: 'link', why: 'correlation' })
      expect(resolve(read, { ...again, correlated: lived({ deleted: true }) }).to).toBe('new')
    })
  })

  test('that matches a record of other applications is that record; of a record here, ambiguous', () => {
    expect(resolve(subject, { ...alone, matched: inErp })).toEqual({ to: 'link', key, why: 'match', incarnation: 0 })
    const here = recordOf({ lanes: { [crm]: laneOf({ nativeId: asNativeId('8') }) } })
    expect(resolve(subject, { ...alone, matched: here })).toEqual({ to: 'ambiguous', key })
    expect(resolve({ ...subject, matchKey: null }, { ...alone, matched: here }).to).toBe('new')
  })
})
