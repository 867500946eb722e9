import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { asFeedPosition, asNativeId } from '../../model/ids.ts'
import { absenceOf } from './absent.ts'
import { type PollPosition, readPollPosition, writePollPosition } from './position.ts'

const text = fc.string({ unit: 'grapheme', minLength: 1 })
const positions: fc.Arbitrary<PollPosition> = fc.record({
  seen: fc.option(text),
  pass: fc.nat(),
  within: fc.option(fc.record({ time: text, id: text, max: text })),
})

describe('position of a poll', () => {
  test('is read as it was written', () => {
    fc.assert(
      fc.property(
        positions.filter((one) => ![one.seen, one.within?.time, one.within?.id, one.within?.max].includes('-')),
        (position) => void expect(readPollPosition(writePollPosition(position))).toEqual(position),
      ),
    )
  })

  test('what is not a position is not taken for one', () => {
    for (const wrong of ['', 'poll', 'poll x', 'poll x -', 'poll 1 a b', 'log 0-1-2 -'])
      expect(readPollPosition(asFeedPosition(wrong))).toBe(undefined)
  })
})

describe('what is missing', () => {
  const ids = (from: number, to: number) =>
    new Set(Array.from({ length: to - from }, (_, i) => asNativeId(String(from + i))))

  test('is asked for only when it was missing twice in a row', () => {
    const first = absenceOf(ids(0, 10), ids(1, 10), new Set())
    expect([first.suspects, first.isMass]).toEqual([[], false])
    expect(absenceOf(ids(0, 10), ids(2, 10), first.missing).suspects).toEqual([asNativeId('0')])
    expect(absenceOf(ids(0, 10), ids(0, 10), first.missing).suspects).toEqual([])
  })

  test('is never asked for when more is missing than people delete at once', () => {
    const known = ids(0, 1000)
    for (const left of [0, 500, 979]) {
      const mass = absenceOf(known, ids(0, left), ids(left, 1000))
      expect([mass.suspects, mass.isMass]).toEqual([[], true])
    }
    expect(absenceOf(known, ids(0, 980), ids(980, 1000)).suspects).toHaveLength(20)
    expect(absenceOf(ids(0, 10_000), ids(0, 9_900), ids(9_900, 10_000)).suspects).toHaveLength(100)
  })
})
