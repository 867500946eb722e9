import { expect, test } from 'vitest'
import { asJournalPosition, asOpId } from '../model/ids.ts'
import type { Lane, OwnWrite } from '../model/record.ts'
import { laneOf } from './fake-record.ts'
import { swing, withoutSwings } from './oscillation.ts'

const wrote = (atMs: number): OwnWrite => ({
  op: asOpId('i.1.c1.crm.1'),
  token: null,
  paths: ['phone'],
  renditionSeen: true,
  atMs,
  root: asJournalPosition(1),
  hops: 1,
})

/** The application answers our write of `phone` at each of these times with a value, `gapMs` later. */
function answers(
  values: readonly string[],
  gapMs: number,
  everyMs = 1_000,
  given = (_: number) => 'ours',
): { lane: Lane; tripped: number | null } {
  let lane = laneOf()
  for (const [i, value] of values.entries()) {
    const at = i * everyMs
    const swung = swing({ ...lane, own: [wrote(at)] }, 'phone', given(i), value, at + gapMs)
    lane = swung.lane
    if (swung.doesNotConverge) return { lane, tripped: i }
  }
  return { lane, tripped: null }
}

test('the same value for the third time at machine speed does not converge', () => {
  expect(answers(['a', 'a', 'a'], 50).tripped).toBe(2)
  expect(answers(['a', 'b', 'a', 'b', 'a'], 50).tripped).toBe(4)
})

test('people are slower than machines, and new values are no circle', () => {
  expect(answers(['a', 'a', 'a', 'a'], 2_500).tripped).toBeNull()
  expect(answers(['a', 'b', 'c', 'd', 'e', 'f', 'g'], 50).tripped).toBeNull()
})

test('who comes back to one value from another one each time is a person', () => {
  expect(answers(['a', 'a', 'a', 'a'], 50, 1_000, (i) => `ours ${i}`).tripped).toBeNull()
})

test('what lies further apart than the window is another story', () => {
  expect(answers(['a', 'a', 'a', 'a'], 50, 400_000).tripped).toBeNull()
})

test('a field that we did not write is not an answer', () => {
  const lane = { ...laneOf(), own: [wrote(0)] }
  expect(swing(lane, 'email', 'b', 'a', 10).lane).toBe(lane)
})

test('the memory of a field is bounded, and goes when a person has decided', () => {
  const { lane } = answers(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'], 50)
  expect(lane.swings?.phone?.length).toBe(6)
  expect(withoutSwings(lane, 'phone').swings).toBeNull()
  expect(withoutSwings(lane, 'email')).toBe(lane)
})

test('an answer counts up to two seconds after our write, not before it, and for ten minutes', () => {
  const noted = (gapMs: number) => answers(['a'], gapMs).lane.swings?.phone?.length ?? 0
  expect([noted(-1), noted(0), noted(2_000), noted(2_001)]).toEqual([0, 1, 1, 0])
  expect([answers(['a', 'a', 'a'], 0, 300_000).tripped, answers(['a', 'a', 'a'], 0, 300_001).tripped]).toEqual([
    2,
    null,
  ])
})

test('numbers of any size are told apart, and a decided field leaves the others as they were', () => {
  const at = (lane: Lane, path: string, value: bigint | undefined) =>
    swing({ ...lane, own: [{ ...wrote(0), paths: ['phone', 'email'] }] }, path, value, 7n, 1).lane
  const both = at(at(laneOf(), 'phone', 5n), 'email', undefined)
  expect(both.swings?.phone?.[0]?.value).toBe('5 > 7')
  expect(both.swings?.email?.[0]?.value).toBe(' > 7')
  expect(withoutSwings(both, 'phone').swings).toEqual({ email: both.swings?.email })
})
