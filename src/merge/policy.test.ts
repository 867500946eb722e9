import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Policy } from '../model/entity.ts'
import { asAppId } from '../model/ids.ts'
import { APPS, crm, entityOf, erp, SEED, shop } from './fake-record.ts'
import { incomingWins, policyName, policyOf } from './policy.ts'

fc.configureGlobal({ seed: SEED })

const entity = entityOf()
const stranger = asAppId('zebra')
const other = asAppId('aardvark')
const policies: fc.Arbitrary<Policy> = fc.oneof(
  fc.nat(50).map((skewMs): Policy => ({ kind: 'latest', skewMs })),
  fc.shuffledSubarray([...APPS, stranger]).map((apps): Policy => ({ kind: 'prefer', apps })),
)
const claims = fc.record({ app: fc.constantFrom(...APPS, stranger, other), timeMs: fc.nat(120) })

describe('the policy', () => {
  test('is total and antisymmetric: of two applications exactly one stands, whichever is asked first', () => {
    fc.assert(
      fc.property(policies, claims, claims, (policy, a, b) => {
        fc.pre(a.app !== b.app)
        expect(incomingWins(entity, policy, a, b)).toBe(!incomingWins(entity, policy, b, a))
      }),
      { numRuns: 2000 },
    )
  })

  test('never lets an application lose against itself', () => {
    fc.assert(
      fc.property(policies, claims, claims, (policy, a, b) => {
        expect(incomingWins(entity, policy, a, { ...b, app: a.app })).toBe(true)
      }),
    )
  })

  test('latest: the later time stands, outside the skew bound only', () => {
    const latest: Policy = { kind: 'latest', skewMs: 10 }
    const wins = (timeMs: number) => incomingWins(entity, latest, { app: erp, timeMs }, { app: crm, timeMs: 100 })
    expect([111, 110, 100, 90, 89].map(wins)).toEqual([true, false, false, false, false])
    const ofRank0 = (timeMs: number) => incomingWins(entity, latest, { app: crm, timeMs }, { app: erp, timeMs: 100 })
    expect([111, 110, 100, 90, 89].map(ofRank0)).toEqual([true, true, true, true, false])
  })

  test('prefer: the application named first stands, whatever the times; one that is not named loses to one that is', () => {
    const prefer: Policy = { kind: 'prefer', apps: [shop, erp] }
    const wins = (a: typeof crm, b: typeof crm) =>
      incomingWins(entity, prefer, { app: a, timeMs: 0 }, { app: b, timeMs: 999 })
    expect([wins(shop, erp), wins(erp, shop), wins(erp, crm), wins(crm, shop)]).toEqual([true, false, true, false])
  })

  test('prefer: two that are not named go by time, then by the order of sync', () => {
    const prefer: Policy = { kind: 'prefer', apps: [shop] }
    const wins = (a: typeof crm, aMs: number, b: typeof crm, bMs: number) =>
      incomingWins(entity, prefer, { app: a, timeMs: aMs }, { app: b, timeMs: bMs })
    expect([wins(erp, 2, crm, 1), wins(erp, 1, crm, 1), wins(crm, 1, erp, 1), wins(crm, 1, erp, 2)]).toEqual([
      true,
      false,
      true,
      false,
    ])
  })

  test('applications outside sync go by name, after those in it', () => {
    const latest: Policy = { kind: 'latest', skewMs: 0 }
    const wins = (a: typeof crm, b: typeof crm) =>
      incomingWins(entity, latest, { app: a, timeMs: 1 }, { app: b, timeMs: 1 })
    expect([wins(other, stranger), wins(stranger, other), wins(stranger, shop), wins(shop, stranger)]).toEqual([
      true,
      false,
      false,
      true,
    ])
  })
})

describe('the policy of a path', () => {
  const only = (app: typeof crm): Policy => ({ kind: 'prefer', apps: [app] })
  const mixed = entityOf({ policies: { email: only(crm), lines: only(erp), 'lines.qty': only(shop) } })

  test('is that of its field, its part field, its part, or the entity', () => {
    expect(policyOf(mixed, 'email')).toEqual(only(crm))
    expect(policyOf(mixed, 'lines[3].qty')).toEqual(only(shop))
    expect(policyOf(mixed, 'lines[3].text')).toEqual(only(erp))
    expect(policyOf(mixed, 'lines[3]')).toEqual(only(erp))
    expect(policyOf(mixed, 'phone')).toBe(mixed.policyDefault)
    expect(policyOf(entityOf(), 'lines[3].qty')).toEqual({ kind: 'latest', skewMs: 100 })
  })

  test('is named in the conflict log', () => {
    expect(policyName({ kind: 'latest', skewMs: 5 })).toBe('latest')
    expect(policyName({ kind: 'prefer', apps: [crm, erp] })).toBe('prefer(crm, erp)')
  })
})
