import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { asFeedPosition } from '../../model/ids.ts'
import { addSeqs, type LogPosition, newestOf, readPosition, seqCount, writePosition } from './position.ts'

const seq = fc.bigInt({ min: 1n, max: 2n ** 62n })
const ranges = fc.array(fc.bigInt({ min: 1n, max: 300n }), { maxLength: 40 }).map((seqs) => addSeqs([], seqs))

const positions: fc.Arbitrary<LogPosition> = fc.record({
  table: fc.constantFrom('ab12.1', 'ffff0000.17'),
  scan: fc.option(fc.record({ object: fc.nat(9), after: fc.option(fc.string({ unit: 'grapheme', minLength: 1 })) })),
  delivered: ranges,
  newest: fc.option(fc.record({ seq, atMs: fc.nat(2 ** 41) })),
})

describe('position of a change table', () => {
  test('is read as it was written', () => {
    fc.assert(
      fc.property(positions, (position) => void expect(readPosition(writePosition(position))).toEqual(position)),
    )
  })

  test('what is not a position is not taken for one', () => {
    for (const text of ['', 'x', 'x y', 'x log a', 'x scan:', 'x log 3-', '17'])
      expect(readPosition(asFeedPosition(text))).toBe(undefined)
  })

  test('holds exactly the numbers that were delivered, in ranges that neither touch nor overlap', () => {
    const pages = fc.array(fc.uniqueArray(fc.bigInt({ min: 1n, max: 120n }), { maxLength: 30 }), { maxLength: 8 })
    fc.assert(
      fc.property(pages, (given) => {
        const made = given.reduce((known, page) => addSeqs(known, page), addSeqs([], []))
        const wanted = new Set(given.flat())
        for (let n = 0n; n <= 121n; n++) expect(made.some(({ from, to }) => from <= n && n <= to)).toBe(wanted.has(n))
        expect(seqCount(made)).toBe(wanted.size)
        for (const [i, range] of made.entries()) if (i > 0) expect(range.from > (made[i - 1]?.to ?? 0n) + 1n).toBe(true)
      }),
    )
  })

  test('the newest row is the one with the highest number, whatever order rows come in', () => {
    const rows = [
      { seq: 5n, atMs: 50 },
      { seq: 3n, atMs: 90 },
    ]
    expect(newestOf(null, rows)).toEqual({ seq: 5n, atMs: 50 })
    expect(newestOf({ seq: 7n, atMs: 1 }, rows)).toEqual({ seq: 7n, atMs: 1 })
    expect(newestOf(null, [])).toBe(null)
  })
})
