import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { isAlive, killAll, RIGHT, run } from './fixture-run.ts'

/** What it asserts is what came out, never how fast. */

const folder = mkdtempSync(join(tmpdir(), 'latchwork-demo-test-'))

afterAll(() => {
  killAll()
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
})

test('both applications are equal in the end, although the hub is killed while users work', {
  timeout: 90_000,
}, async () => {
  const demo = run('--seconds', '4', '--rate', '30', '--data', folder)
  const pid = Number(await demo.said(/hub process (\d+)/))
  await demo.said(/(users at work)/)
  await new Promise((resolve) => setTimeout(resolve, 1_500))
  process.kill(pid, 'SIGKILL')
  const { code, report, stderr } = await demo.ended
  expect([stderr, report]).toMatchObject([
    expect.stringContaining('has died; starting it again'),
    { ...RIGHT, hubRestarts: 1 },
  ])
  expect(report.changes).toBeGreaterThan(20)
  expect(report.delivered).toBe(report.changes)
  expect(report.hubPid).not.toBe(pid)
  expect(code).toBe(0)
})

test('a demo that is killed whole is taken up again on the same data, and leaves no process behind', {
  timeout: 90_000,
}, async () => {
  const killed = run('--seconds', '30', '--rate', '30', '--data', folder)
  await killed.said(/(users at work)/)
  await new Promise((resolve) => setTimeout(resolve, 1_000))
  const { children } = JSON.parse(readFileSync(join(folder, 'processes.json'), 'utf8')) as { children: number[] }
  killed.child.kill('SIGKILL')
  const { code, report } = await run('--seconds', '1', '--rate', '30', '--data', folder).ended
  expect(report).toMatchObject(RIGHT)
  expect(code).toBe(0)
  expect(children.filter(isAlive)).toEqual([])
  expect(existsSync(join(folder, 'processes.json'))).toBe(false)
})
