import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const root = join(import.meta.dirname, '..')

/** A hub as a user starts it: a process of its own, on a data folder that outlives it. */
export class Hub implements AsyncDisposable {
  readonly child: ChildProcess
  url = ''

  constructor(example: string, folder: string, env: Readonly<Record<string, string>>) {
    const config = join(root, 'examples', example, 'latchwork.config.ts')
    const args = [
      '--conditions=latchwork-source',
      join(root, 'src/cli/main.ts'),
      '--json',
      'start',
      '--port',
      '0',
      '--config',
      config,
      '--data',
      folder,
      '--log-level',
      'error',
    ]
    this.child = spawn(process.execPath, args, {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
  }

  async ready(): Promise<this> {
    for await (const line of createInterface({ input: this.child.stdout as NodeJS.ReadableStream })) {
      this.url = (JSON.parse(line) as { url: string }).url
      return this
    }
    throw new Error('the hub ended before it was ready')
  }

  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return this.child.exitCode
    const ended = new Promise((resolve) => this.child.once('exit', resolve))
    this.child.kill(signal)
    await ended
    return this.child.exitCode
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end('SIGKILL')
  }
}

export function folder(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'latchwork-example-'))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}

export async function until<T>(ask: () => Promise<T> | T, isWanted: (found: T) => boolean): Promise<T> {
  for (;;) {
    const found = await ask()
    if (isWanted(found)) return found
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
