import fc from 'fast-check'
import { expect, test } from 'vitest'
import { addAndRemove, addDifference, sameSet } from './deltas.ts'

const numbers = fc.oneof(fc.integer(), fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n }))
const cents = fc.integer({ min: -1_000_000, max: 1_000_000 })
const text = (units: number): string =>
  `${units < 0 ? '-' : ''}${Math.floor(Math.abs(units) / 100)}.${String(Math.abs(units) % 100).padStart(2, '0')}`
const sets: fc.Arbitrary<string[]> = fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { maxLength: 6 })

test('two differences add up exactly, whichever is counted first', () => {
  fc.assert(
    fc.property(numbers, numbers, numbers, (base, left, right) => {
      const expected = BigInt(left) + BigInt(right) - BigInt(base)
      expect(BigInt(addDifference(base, left, right) as bigint)).toBe(expected)
      expect(addDifference(base, right, left)).toBe(addDifference(base, left, right))
    }),
  )
})

test('decimals add up without a float', () => {
  fc.assert(
    fc.property(cents, cents, cents, (base, left, right) => {
      expect(addDifference(text(base), text(left), text(right))).toBe(text(left + right - base))
    }),
  )
  expect(addDifference('0.1', '0.3', '0.25')).toBe('0.45')
})

test('what is no number has no difference', () => {
  for (const value of ['x', null, true, '', '1e3', ['1']]) expect(addDifference(value, 1, 2)).toBeUndefined()
})

test('a set holds what either side added and nothing that either took out, whichever is merged first', () => {
  fc.assert(
    fc.property(sets, sets, sets, (base, left, right) => {
      const merged = addAndRemove(base, left, right) as string[]
      for (const item of ['a', 'b', 'c', 'd', 'e']) {
        const sides = [left, right].map((side) => side.includes(item))
        const expected = base.includes(item) ? sides.every(Boolean) : sides.some(Boolean)
        expect(merged.includes(item), `${item} in ${merged}`).toBe(expected)
      }
      expect(new Set(merged).size).toBe(merged.length)
      expect(sameSet(merged, addAndRemove(base, right, left))).toBe(true)
    }),
  )
})

test('at a first contact nothing was taken out, so both lists are in', () => {
  expect(addAndRemove(undefined, ['b', 'c'], ['a', 'b'])).toEqual(['a', 'b', 'c'])
  expect(addAndRemove(null, ['b'], ['a'])).toBeUndefined()
})
