import { type ChildProcess, spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { systemClock } from '../lib/system-clock.ts'

/** A database server of one's own as a process: started, waited for, and gone when this process is. */

/** Starting takes a second, five on a busy machine. */
export const START_MAX_MS = 60_000
const LOG_CHARS_MAX = 20_000

export interface ServerProgram {
  /** For messages. */
  readonly name: string
  readonly binary: string
  readonly args: readonly string[]
  readonly folder: string
  readonly user: { readonly uid: number; readonly gid: number } | undefined
  /** What it logs once it takes connections. */
  readonly readyText: string
  /** What ends it at once, when this process ends without closing it. */
  readonly endSignal: NodeJS.Signals
}

export class ServerProcess {
  #child: ChildProcess | null = null
  #ended: Promise<void> = Promise.resolve()
  #log = ''

  get isRunning(): boolean {
    return this.#child !== null
  }

  /** The last lines that it logged. */
  get log(): string {
    return this.#log
  }

  /** Resolves when it takes connections. */
  async start(program: ServerProgram): Promise<void> {
    const { binary, args, folder, user, endSignal } = program
    const child = spawn(binary, args, { ...user, cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] })
    this.#child = child
    const killAtExit = (): void => void child.kill(endSignal)
    process.once('exit', killAtExit)
    this.#ended = new Promise((resolve) => {
      child.once('error', () => resolve())
      child.once('exit', () => {
        process.off('exit', killAtExit)
        if (this.#child === child) this.#child = null
        resolve()
      })
    })
    await this.#ready(child, program)
  }

  #ready(child: ChildProcess, { name, readyText }: ServerProgram): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const tooLong = systemClock.timer(START_MAX_MS, () => fail('did not become ready'))
    const fail = (why: string): void => {
      tooLong.cancel()
      reject(new Error(`${name} ${why}:\n${this.#log}`))
    }
    child.stderr?.setEncoding('utf8')
    child.stderr?.on('data', (text: string) => {
      this.#log = (this.#log + text).slice(-LOG_CHARS_MAX)
      if (!text.includes(readyText)) return
      tooLong.cancel()
      resolve()
    })
    child.once('error', (error) => fail(error.message))
    child.once('exit', (code) => fail(`ended with ${code}`))
    return promise
  }

  /** Resolves when it is gone. */
  async end(signal: NodeJS.Signals): Promise<void> {
    this.#child?.kill(signal)
    await this.#ended
  }
}

/** A port that was free a moment ago; another program may take it first, and then the start says so. */
export function freePort(): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const server = createServer()
  server.once('error', reject)
  server.listen(0, '127.0.0.1', () => {
    const address = server.address()
    server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
  })
  return promise
}
