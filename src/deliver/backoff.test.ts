import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SEED } from '../merge/fake-record.ts'
import { isPausing, meetingMs, RETRY_CAP_MS, RETRY_FIRST_MS, retryDelayMs } from './backoff.ts'

fc.configureGlobal({ seed: SEED })

const jitters = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
const full = (tries: number): number => Math.min(RETRY_CAP_MS, RETRY_FIRST_MS * 2 ** tries)

describe('the pause before the next try', () => {
  test('lies between half and the whole of a doubling pause, and never beyond the cap', () => {
    fc.assert(
      fc.property(fc.nat(60), jitters, (tries, jitter) => {
        const delay = retryDelayMs(tries, jitter, undefined)
        expect(delay).toBeGreaterThanOrEqual(full(tries) / 2)
        expect(delay).toBeLessThanOrEqual(full(tries))
        expect(delay).toBeLessThanOrEqual(RETRY_CAP_MS)
      }),
    )
  })

  test('uses all of its upper half, so that lanes which failed together do not come back together', () => {
    expect([0, 0.5, 0.999].map((jitter) => retryDelayMs(3, jitter, undefined))).toEqual([400, 600, 800])
  })

  test('is never shorter than what Retry-After asks, up to the cap, and never shorter because of it', () => {
    fc.assert(
      fc.property(fc.nat(60), jitters, fc.nat(10 * RETRY_CAP_MS), (tries, jitter, asked) => {
        const delay = retryDelayMs(tries, jitter, asked)
        expect(delay).toBe(Math.max(Math.min(asked, RETRY_CAP_MS), retryDelayMs(tries, jitter, undefined)))
      }),
    )
  })

  test('never shrinks as tries go on', () => {
    fc.assert(
      fc.property(
        fc.nat(2000),
        jitters,
        (tries, jitter) => retryDelayMs(tries + 1, jitter, undefined) >= retryDelayMs(tries, jitter, undefined),
      ),
    )
  })

  test('first about 100 ms, at most 15 min', () => {
    expect(retryDelayMs(0, 0, undefined)).toBe(50)
    expect(retryDelayMs(1e9, 0.9999999, undefined)).toBe(15 * 60_000)
  })
})

describe('the pause of records that may wait for each other', () => {
  const now = fc.nat(2 ** 41)

  test('is between half and one and a half of the doubling pause, and always taken for a pause', () => {
    fc.assert(
      fc.property(fc.nat(60), now, (tries, nowMs) => {
        const step = RETRY_FIRST_MS * 2 ** Math.min(tries, 12)
        const pause = meetingMs(tries, nowMs) - nowMs
        expect(pause).toBeGreaterThanOrEqual(step / 2)
        expect(pause).toBeLessThanOrEqual(step * 1.5)
        expect(isPausing(nowMs + pause, nowMs)).toBe(true)
      }),
    )
  })

  test('lets two that began at different times, and have been tried a different number of times, meet', () => {
    fc.assert(
      fc.property(now, fc.nat(10_000), fc.nat(6), (first, later, tried) => {
        let [a, b] = [
          { tries: tried, atMs: first },
          { tries: 0, atMs: first + later },
        ]
        for (let i = 0; i < 200 && a.atMs !== b.atMs; i++) {
          if (a.atMs > b.atMs) [a, b] = [b, a]
          a = { tries: a.tries + 1, atMs: meetingMs(a.tries, a.atMs) }
        }
        expect(a.atMs).toBe(b.atMs)
      }),
    )
  })
})
