import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, expect, test } from 'vitest'
import { sharedTemp } from '../../src/testing/postgres-binaries.ts'
import { killAll, RIGHT, run } from './fixture-run.ts'

/** The demo on PostgreSQL: the hub follows the order desk's database and writes it, past the application. */

const folder = mkdtempSync(join(sharedTemp(), 'latchwork-demo-pg-test-'))

afterAll(() => {
  killAll()
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
})

test('an order desk in PostgreSQL and a warehouse are equal in the end, although the hub and the desk are killed while users work', {
  timeout: 120_000,
}, async () => {
  const demo = run('--postgres', '--seconds', '6', '--rate', '30', '--data', folder)
  const hub = Number(await demo.said(/hub process (\d+)/))
  await demo.said(/(users at work)/)
  await delay(1_500)
  process.kill(hub, 'SIGKILL')
  await delay(1_500)
  const { children } = JSON.parse(readFileSync(join(folder, 'processes.json'), 'utf8')) as { children: number[] }
  // The first is the desk; its database goes on, and is taken over by the next.
  process.kill(children[0] ?? 0, 'SIGKILL')
  const { code, report, stderr } = await demo.ended
  expect([stderr, report]).toMatchObject([
    expect.stringMatching(/order desk \(process \d+\) has died; starting it again/),
    { ...RIGHT, hubRestarts: 1 },
  ])
  expect(report.changes).toBeGreaterThan(30)
  expect(report.delivered).toBe(report.changes)
  expect(code).toBe(0)
})
