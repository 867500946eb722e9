import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Progress } from './progress.ts'

const all = () => true

test('an offset is committed only when everything before it is settled, in whatever order that was', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 30 }).chain((count) =>
        fc.shuffledSubarray(
          Array.from({ length: count }, (_, n) => n),
          { minLength: count, maxLength: count },
        ),
      ),
      (order) => {
        const progress = new Progress()
        for (let n = 0; n < order.length; n++) progress.took(0, BigInt(n))
        const settled = new Set<number>()
        let committed = 0n
        for (const n of order) {
          progress.settled(0, BigInt(n))
          settled.add(n)
          const offsets = progress.toCommit('t', all)
          progress.committed(offsets)
          for (const { offset } of offsets) {
            expect(offset).toBeGreaterThan(committed)
            committed = offset
            for (let before = 0; before < Number(offset); before++) expect(settled.has(before)).toBe(true)
          }
          expect(progress.openCount).toBe(order.length - settled.size)
        }
        expect(committed).toBe(BigInt(order.length))
      },
    ),
  )
})

test('offsets may have gaps, partitions go on by themselves, and those of others are left alone', () => {
  const progress = new Progress()
  for (const offset of [5n, 9n, 20n]) progress.took(0, offset)
  progress.took(1, 7n)
  progress.settled(0, 5n)
  progress.settled(1, 7n)
  expect(progress.toCommit('t', (partition) => partition === 0)).toEqual([
    { topic: 't', partition: 0, offset: 9n, leaderEpoch: -1 },
  ])
  expect(progress.toCommit('t', (partition) => partition === 1)).toEqual([
    { topic: 't', partition: 1, offset: 8n, leaderEpoch: -1 },
  ])
})

test('a partition that begins anew is taken anew', () => {
  const progress = new Progress()
  for (const offset of [1n, 2n, 3n]) progress.took(0, offset)
  progress.took(0, 2n)
  progress.settled(0, 2n)
  expect(progress.openCount).toBe(0)
  expect(progress.toCommit('t', all)).toEqual([{ topic: 't', partition: 0, offset: 3n, leaderEpoch: -1 }])
})
