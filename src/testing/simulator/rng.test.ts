import { expect, it } from 'vitest'
import { Rng } from './rng.ts'

const draws = (random: Rng, count: number): number[] => Array.from({ length: count }, () => random.next())

it('gives the same numbers for the same seed, others for another', () => {
  expect(draws(new Rng(7), 5)).toEqual(draws(new Rng(7), 5))
  expect(draws(new Rng(7), 5)).not.toEqual(draws(new Rng(8), 5))
})

it('forks by name alone, whatever was drawn before', () => {
  const parent = new Rng(7)
  const before = draws(parent.fork('faults'), 5)
  draws(parent, 100)
  expect(draws(parent.fork('faults'), 5)).toEqual(before)
  expect(draws(parent.fork('users'), 5)).not.toEqual(before)
})

it('spreads evenly over neighbouring seeds', () => {
  const firsts = Array.from({ length: 10_000 }, (_, seed) => new Rng(seed).fork('x').next())
  const mean = firsts.reduce((sum, value) => sum + value, 0) / firsts.length
  expect(Math.abs(mean - 0.5)).toBeLessThan(0.02)
  const tenths = new Array<number>(10).fill(0)
  for (const value of firsts) tenths[Math.floor(value * 10)] = (tenths[Math.floor(value * 10)] ?? 0) + 1
  for (const count of tenths) expect(Math.abs(count - 1000)).toBeLessThan(150)
})

it('keeps integers and picks within their bounds', () => {
  const random = new Rng(3)
  for (let i = 0; i < 1000; i++) {
    expect([2, 3, 4]).toContain(random.int(2, 4))
    expect(['a', 'b']).toContain(random.pick(['a', 'b']))
  }
  expect(random.shuffled([1, 2, 3, 4]).toSorted()).toEqual([1, 2, 3, 4])
})
