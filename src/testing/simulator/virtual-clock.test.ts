import { expect, it } from 'vitest'
import { VirtualClock } from './virtual-clock.ts'

const forever = (): boolean => false

it('runs events in the order of time, and of scheduling within one time', async () => {
  const clock = new VirtualClock()
  const seen: string[] = []
  clock.timer(20, () => seen.push('c'))
  clock.timer(10, () => seen.push('a'))
  clock.timer(10, () => seen.push('b'))
  expect(await clock.run(Number.POSITIVE_INFINITY, forever)).toBe('empty')
  expect(seen).toEqual(['a', 'b', 'c'])
  expect(clock.monotonicMs()).toBe(20)
})

it('keeps hundreds of random times in order', async () => {
  const clock = new VirtualClock()
  const seen: number[] = []
  for (let i = 0; i < 500; i++) clock.timer((i * 7919) % 311, () => seen.push(clock.monotonicMs()))
  await clock.run(Number.POSITIVE_INFINITY, forever)
  expect(seen).toEqual(seen.toSorted((a, b) => a - b))
  expect(seen.length).toBe(500)
})

it('lets every promise chain settle before the next event', async () => {
  const clock = new VirtualClock()
  const seen: string[] = []
  const chain = async (name: string): Promise<void> => {
    for (let i = 0; i < 50; i++) await null
    await new Promise((resolve) => process.nextTick(resolve))
    await null
    seen.push(name)
  }
  for (let i = 0; i < 200; i++) {
    clock.timer(i, () => {
      seen.push(`begin ${i}`)
      void chain(`end ${i}`)
    })
  }
  await clock.run(Number.POSITIVE_INFINITY, forever)
  expect(seen).toEqual(Array.from({ length: 200 }, (_, i) => [`begin ${i}`, `end ${i}`]).flat())
})

it('runs a timer on its own turn, never inside the call that set it', async () => {
  const clock = new VirtualClock()
  const seen: string[] = []
  clock.timer(5, () => {
    clock.timer(0, () => seen.push('inner'))
    seen.push('outer')
  })
  await clock.run(Number.POSITIVE_INFINITY, forever)
  expect(seen).toEqual(['outer', 'inner'])
})

it('leaves out what was cancelled, also twice', async () => {
  const clock = new VirtualClock()
  const timer = clock.timer(5, () => {
    throw new Error('cancelled timers do not run')
  })
  timer.cancel()
  timer.cancel()
  expect(await clock.run(100, forever)).toBe('empty')
})

it('stops at the limit, with time moved there, and goes on later', async () => {
  const clock = new VirtualClock()
  let ran = false
  clock.timer(50, () => {
    ran = true
  })
  expect(await clock.run(20, forever)).toBe('limit')
  expect([clock.monotonicMs(), ran]).toEqual([20, false])
  expect(await clock.run(50, () => ran)).toBe('done')
})

it('lets the wall clock jump while durations go on', async () => {
  const clock = new VirtualClock()
  const before = clock.nowMs()
  clock.jumpWall(-86_400_000)
  expect(clock.nowMs() - before).toBe(-86_400_000)
  expect(clock.monotonicMs()).toBe(0)
})

it('refuses a timer that is not a number, and passes an error of an event on', async () => {
  const clock = new VirtualClock()
  expect(() => clock.timer(Number.NaN, () => {})).toThrow(RangeError)
  clock.timer(1, () => {
    throw new Error('boom')
  })
  await expect(clock.run(10, forever)).rejects.toThrow('boom')
})
