import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DueQueue } from './due-queue.ts'

fc.configureGlobal({ seed: 20_260_302 })

const names = fc.constantFrom(...'abcdefgh')
type Step = { readonly does: 'set' | 'delete' | 'take' | 'clear'; readonly name: string; readonly ms: number }
const steps: fc.Arbitrary<Step> = fc.record({
  does: fc.constantFrom('set', 'set', 'set', 'set', 'delete', 'take', 'take', 'clear'),
  name: names,
  ms: fc.nat(30),
})

/** The same by looking at everything. */
class NaiveQueue {
  readonly due = new Map<string, number>()

  take(nowMs: number): [string, number][] {
    const taken = [...this.due].filter(([, dueMs]) => dueMs <= nowMs).sort((a, b) => a[1] - b[1])
    for (const [name] of taken) this.due.delete(name)
    return taken
  }
}

describe('the due queue', () => {
  test('does what a plain map does, under any order of set, delete and take', () => {
    fc.assert(
      fc.property(fc.array(steps, { maxLength: 80 }), (all) => {
        const queue = new DueQueue()
        const naive = new NaiveQueue()
        for (const { does, name, ms } of all) {
          if (does === 'set') {
            queue.set(name, ms)
            naive.due.set(name, ms)
          } else if (does === 'delete') {
            queue.delete(name)
            naive.due.delete(name)
          } else if (does === 'clear' && ms < 3) {
            queue.clear()
            naive.due.clear()
          } else if (does === 'take') {
            const expected = naive.take(ms)
            const dueOf = new Map(expected)
            const taken = [...queue.take(ms).keys()]
            expect(taken.map((one) => dueOf.get(one))).toEqual(expected.map(([, dueMs]) => dueMs))
            expect([...taken].sort()).toEqual([...dueOf.keys()].sort())
          }
          expect(queue.size).toBe(naive.due.size)
          expect(queue.nextMs()).toBe(naive.due.size === 0 ? undefined : Math.min(...naive.due.values()))
        }
        expect([...queue.take(1e9).keys()].sort()).toEqual([...naive.due.keys()].sort())
      }),
      { numRuns: 500 },
    )
  })

  test('knows what a name waits for until it is due, deleted or cleared', () => {
    const queue = new DueQueue()
    const awaited = () => [queue.awaits('a', 70), queue.awaits('b', 70), queue.awaits('c', 70)]
    for (const name of ['a', 'b', 'c']) queue.set(name, 5, 70)
    expect([awaited(), queue.awaits('a', 71)]).toEqual([[true, true, true], false])
    queue.delete('b')
    expect(awaited()).toEqual([true, false, true])
    queue.take(5)
    expect(awaited()).toEqual([false, false, false])
    queue.set('a', 9, 70)
    queue.clear()
    expect(queue.awaits('a', 70)).toBe(false)
  })

  test('a name is due once, at the time set last', () => {
    const queue = new DueQueue()
    for (const ms of [5, 3, 9, 5]) queue.set('a', ms)
    expect([
      queue.size,
      queue.nextMs(),
      [...queue.take(4).keys()],
      [...queue.take(9).keys()],
      [...queue.take(99).keys()],
    ]).toEqual([1, 5, [], ['a'], []])
  })

  test('what was deleted is not due, also when it is set again for later', () => {
    const queue = new DueQueue()
    queue.set('a', 1)
    queue.delete('a')
    expect([queue.nextMs(), [...queue.take(10).keys()]]).toEqual([undefined, []])
    queue.set('a', 7)
    expect([[...queue.take(6).keys()], [...queue.take(7).keys()]]).toEqual([[], ['a']])
  })
})
