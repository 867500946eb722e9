import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

/** The demo as it is run, for its tests: every process its own, real time, real files. */

const MAIN = join(import.meta.dirname, 'main.ts')
const running = new Set<ChildProcess>()

export function killAll(): void {
  for (const child of running) child.kill('SIGKILL')
}

export interface Run {
  readonly child: ChildProcess
  readonly ended: Promise<{
    readonly code: number | null
    readonly report: Record<string, unknown>
    readonly stderr: string
  }>
  /** Resolves with what stands in the first group, once it is said on stderr. */
  readonly said: (pattern: RegExp) => Promise<string>
}

export function run(...args: string[]): Run {
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

export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

export const RIGHT = { lost: 0, duplicates: 0, echoWrites: 0, equal: true, parked: 0, settled: true }
