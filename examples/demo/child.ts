/** One process of the demo: started, watched, ended. */

import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/** Starting Node, opening the files and taking up what was left lies well below. */
const READY_MAX_MS = 30_000
/** A hub must be gone within 30 s. */
const STOP_MAX_MS = 31_000

export interface ChildOptions {
  readonly name: string
  readonly script: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** Modules to be loaded before the script. */
  readonly imports?: readonly string[]
  /** Everything that it says goes here. */
  readonly logFile: string
}

/** A process that says that it is ready with one line of JSON on stdout, and ends with its parent. */
export class Child {
  readonly name: string
  readonly #process: ChildProcess
  readonly #options: ChildOptions
  readonly exited: Promise<void>
  isRunning = true

  constructor(options: ChildOptions) {
    this.name = options.name
    this.#options = options
    const log = openSync(options.logFile, 'a')
    const leash = join(import.meta.dirname, 'leash.ts')
    this.#process = spawn(
      process.execPath,
      [
        '--conditions=latchwork-source',
        ...[leash, ...(options.imports ?? [])].flatMap((module) => ['--import', module]),
        options.script,
        ...options.args,
      ],
      {
        env: { ...process.env, ...options.env },
        stdio: ['pipe', 'pipe', log],
        // Ctrl-C is for the demo, which ends its processes in order.
        detached: true,
      },
    )
    closeSync(log)
    this.#process.stdin?.on('error', () => {})
    this.exited = new Promise((resolve) => {
      const end = (): void => {
        this.isRunning = false
        resolve()
      }
      this.#process.once('exit', end)
      this.#process.once('error', end)
    })
  }

  get pid(): number {
    return this.#process.pid ?? 0
  }

  /** The line with which it says that it is ready. */
  async ready(): Promise<Record<string, unknown>> {
    const line = Promise.withResolvers<string>()
    let text = ''
    this.#process.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      const end = text.indexOf('\n')
      if (end >= 0) line.resolve(text.slice(0, end))
    })
    const failed = this.exited.then(() => this.#fail('ended before it was ready'))
    const late = delay(READY_MAX_MS, undefined, { ref: false }).then(() =>
      this.#fail(`was not ready within ${READY_MAX_MS / 1000} s`),
    )
    return JSON.parse(await Promise.race([line.promise, failed, late])) as Record<string, unknown>
  }

  #fail(how: string): never {
    throw new Error(`the ${this.name} ${how}; its log is ${this.#options.logFile}`)
  }

  /** Asks it to end, and waits until it has. */
  async stop(): Promise<void> {
    if (!this.isRunning) return
    this.#process.kill('SIGTERM')
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), STOP_MAX_MS)
    await this.exited
    clearTimeout(timer)
  }

  /** As a crash would. */
  async kill(): Promise<void> {
    this.#process.kill('SIGKILL')
    await this.exited
  }
}
