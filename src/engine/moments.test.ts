import { expect, test } from 'vitest'
import type { Clock } from '../ports/clock.ts'
import { Moments } from './moments.ts'

/** A clock whose two times are set by hand; the monotonic one has parts of a millisecond, as a real one. */
function clockAt(wallMs: number, monotonicMs: number) {
  const at = { wallMs, monotonicMs }
  const clock = { nowMs: () => Math.floor(at.wallMs), monotonicMs: () => at.monotonicMs } as Clock
  const pass = (ms: number): void => {
    at.wallMs += ms
    at.monotonicMs += ms
  }
  return { at, pass, moments: new Moments(clock) }
}

test('what waits for one moment is due at one instant, whenever that is asked, and never before it', () => {
  const { at, pass, moments } = clockAt(1_000_000.7, 50.2)
  const moment = 1_000_500
  moments.dueMs(moment, Math.floor(at.wallMs))
  pass(0.4)
  const dues = Array.from({ length: 300 }, () => {
    pass(0.37)
    return moments.dueMs(moment, Math.floor(at.wallMs))
  })
  expect(new Set(dues).size).toBe(1)
  pass((dues[0] ?? 0) - at.monotonicMs)
  expect(at.wallMs).toBeGreaterThanOrEqual(moment)
  expect(at.wallMs).toBeLessThan(moment + 2)
})

test('a clock that is set back makes nothing wait longer than the longest pause, nor in the past', () => {
  const { at, moments } = clockAt(1_000_000_000_000, 50)
  const moment = at.wallMs + 500
  expect(moments.dueMs(moment, at.wallMs)).toBe(550)
  at.wallMs -= 24 * 3_600_000
  expect(moments.dueMs(moment, at.wallMs)).toBe(50 + 15 * 60_000)
  expect(moments.dueMs(0, at.wallMs)).toBe(50)
  at.wallMs += 48 * 3_600_000
  expect(moments.dueMs(at.wallMs + 10, at.wallMs)).toBe(60)
})

test('a wait lasts as long as was meant when it began, though the wall clock was set before it could be timed', () => {
  const { at, pass, moments } = clockAt(1_000_000_000_000, 50)
  const beganMs = at.wallMs
  for (const hours of [8, -20]) {
    pass(30)
    at.wallMs += hours * 3_600_000
    expect(moments.dueMs(beganMs + 7_000, beganMs)).toBe(at.monotonicMs + 7_000)
  }
})
