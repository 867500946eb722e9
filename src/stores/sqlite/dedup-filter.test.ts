import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DedupFilter } from './dedup-filter.ts'

describe('the dedup filter of a closed segment', () => {
  test('never denies a key that was added, also after it was stored and loaded', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' })), (keys) => {
        const filter = DedupFilter.forKeys(keys.length)
        for (const key of keys) filter.add(key)
        const loaded = new DedupFilter(Uint8Array.from(filter.bytes))
        expect(keys.every((key) => filter.mayHave(key) && loaded.mayHave(key))).toBe(true)
      }),
    )
  })

  test('denies nearly every other key, of whatever shape', () => {
    const shapes = [
      (n: number) => `evt_${n}`,
      (n: number) => `changes:${1e12 + n}:0`,
      (n: number) => (n * 7919).toString(36),
    ]
    for (const shape of shapes) {
      const filter = DedupFilter.forKeys(20_000)
      for (let n = 0; n < 20_000; n++) filter.add(shape(n))
      let taken = 0
      for (let n = 20_000; n < 40_000; n++) if (filter.mayHave(shape(n))) taken++
      expect(taken).toBeLessThan(20_000 * 0.04)
    }
  })
})
