import { expect, test } from 'vitest'
import { ordeal } from './ordeal.ts'

/**
 * Real processes, real files, real connections. What is asserted is what the applications' own logs and databases say in the end; nothing is asserted of how long it takes.
 */
test('nothing is lost, doubled or echoed while the hub dies at each row of the crash matrix and at random, connections are cut and applications go away', {
  timeout: 240_000,
}, async () => {
  const { problems, diedAt, hubLives, connections, ...report } = await ordeal({
    kills: 10,
    rounds: 1,
    outages: 1,
    troubleMs: 4_000,
    rate: 30,
    seed: 1,
    note: () => {},
  })
  expect(problems).toEqual([])
  expect(report).toMatchObject({ lost: 0, duplicates: 0, echoWrites: 0, equal: true, settled: true })
  expect(Object.keys(diedAt).map(Number)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13])
  expect(hubLives).toBeGreaterThan(20)
  for (const trouble of ['latency', 'slices', 'reset', 'half-open', 'refuse'] as const)
    expect([trouble, connections[trouble] > 0]).toEqual([trouble, true])
  expect(report.changes).toBeGreaterThan(100)
})
