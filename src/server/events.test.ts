import { expect, test } from 'vitest'
import type { EngineEvent } from '../engine/stats.ts'
import { EventBuffer } from './events.ts'

const events = (count: number): EngineEvent[] => Array.from({ length: count }, (_, seq) => ({ seq }) as EngineEvent)

test('a client that does not read costs a bounded buffer, keeps the newest, and is told what it missed', () => {
  const buffer = new EventBuffer()
  buffer.push(events(1_500))
  buffer.push(events(1_500))
  const { events: kept, dropped } = buffer.take()
  expect([kept.length, dropped]).toEqual([2_000, 1_000])
  expect(kept.at(-1)?.seq).toBe(1_499)
  expect(buffer.take()).toEqual({ events: [], dropped: 0 })
})

test('a wait ends with the next event, or when it is woken for another reason', async () => {
  const buffer = new EventBuffer()
  const first = buffer.wait()
  buffer.push(events(1))
  await first
  await buffer.wait()
  buffer.take()
  const second = buffer.wait()
  buffer.wake()
  await second
})
