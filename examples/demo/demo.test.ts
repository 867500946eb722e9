import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'

/** The demo as it is run: every process its own, real time, real files. What it asserts is what came out, never how fast. */

const MAIN = join(import.meta.dirname, 'main.ts')
const folder = mkdtempSync(join(tmpdir(), 'latchwork-demo-test-'))
const running = new Set<ChildProcess>()

afterAll(() => {
  for (const child of running) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
})

interface Run {
  readonly child: ChildProcess
  readonly ended: Promise<{
    readonly code: number | null
    readonly report: Record<string, unknown>
    readonly stderr: string
  }>
  /** Resolves with what stands in the first group, once it is said on stderr. */
  readonly said: (pattern: RegExp) => Promise<string>
}

function run(...args: string[]): Run {
  const child = spawn(process.execPath, ['--conditions=latchwork-source', MAIN, '--headless', '--json', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.add(child)
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk) => (stdout += String(chunk)))
  child.stderr.on('data', (chunk) => (stderr += String(chunk)))
  const ended = once(child, 'close').then(([code]) => {
    running.delete(child)
    const last = stdout.trim().split('\n').at(-1) ?? ''
    return {
      code: code as number | null,
      report: last === '' ? {} : (JSON.parse(last) as Record<string, unknown>),
      stderr,
    }
  })
  const said = async (pattern: RegExp): Promise<string> => {
    for (;;) {
      const match = pattern.exec(stderr)
      if (match !== null) return match[1] ?? ''
      if (child.exitCode !== null) throw new Error(`it ended without saying ${pattern}: ${stderr}`)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  return { child, ended, said }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

const RIGHT = { lost: 0, duplicates: 0, echoWrites: 0, equal: true, parked: 0, settled: true }

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
