/**
 * Processes that an earlier run on the same data left behind. They end by themselves when their parent is gone; a new run waits for that, because two of them on
 * one file would be one too many.
 */

import { execFileSync } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

const WAIT_MAX_MS = 8_000
const LOOK_EVERY_MS = 50

interface Processes {
  readonly demo: number
  readonly children: readonly number[]
}

const pathIn = (dataDir: string): string => join(dataDir, 'processes.json')

export function noteProcesses(dataDir: string, children: readonly number[]): void {
  writeFileSync(pathIn(dataDir), JSON.stringify({ demo: process.pid, children } satisfies Processes))
}

export function forgetProcesses(dataDir: string): void {
  rmSync(pathIn(dataDir), { force: true })
}

/** Waits until nothing of an earlier run works on the data any more. Throws when another demo does, and is alive and well. */
export async function awaitLeftovers(dataDir: string): Promise<void> {
  const noted = read(dataDir)
  if (noted === null) return
  if (noted.demo !== process.pid && isOurs(noted.demo))
    throw new Error(
      `another demo (process ${noted.demo}) works on ${dataDir}; stop it, or name another folder with --data`,
    )
  const deadlineMs = performance.now() + WAIT_MAX_MS
  let left = noted.children.filter(isOurs)
  while (left.length > 0 && performance.now() < deadlineMs) {
    await delay(LOOK_EVERY_MS)
    left = left.filter(isOurs)
  }
  for (const pid of left) process.kill(pid, 'SIGKILL')
  forgetProcesses(dataDir)
}

function read(dataDir: string): Processes | null {
  try {
    return JSON.parse(readFileSync(pathIn(dataDir), 'utf8')) as Processes
  } catch {
    return null
  }
}

/** A process id may belong to another program by now; only what runs files of this folder is ours. */
function isOurs(pid: number): boolean {
  try {
    process.kill(pid, 0)
    const line = execFileSync('ps', ['-o', 'args=', '-p', String(pid)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    return line.includes(import.meta.dirname) || line.includes('examples/demo')
  } catch {
    return false
  }
}
