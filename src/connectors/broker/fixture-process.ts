import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const root = join(import.meta.dirname, '..', '..')

/** For configs that stand outside the repository: a file of `src` as what can be imported. */
export const sourceUrl = (path: string): string => pathToFileURL(join(root, path)).href

/** A hub in a process of its own, which never outlives its test. */
export class HubProcess implements AsyncDisposable {
  readonly child: ChildProcess
  url = ''

  constructor(config: string, data: string) {
    const args = ['--conditions=latchwork-source', join(root, 'cli', 'main.ts'), 'start', '--config', config]
    this.child = spawn(process.execPath, [...args, '--data', data, '--port', '0', '--log-level', 'error', '--json'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
  }

  async ready(): Promise<this> {
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    this.child.once('exit', (code) => reject(new Error(`the hub ended with ${code}`)))
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      const url = /"url":\s*"([^"]+)"/.exec(text)?.[1]
      if (url !== undefined) resolve(url)
    })
    this.url = await promise
    return this
  }

  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const ended = new Promise((resolve) => this.child.once('exit', resolve))
    this.child.kill(signal)
    await ended
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end('SIGKILL')
  }
}

/** What all runs of a flow that are done have returned, as numbers in order. */
export async function resultsOf(url: string, flow: string): Promise<number[]> {
  const results: number[] = []
  for (let before = ''; ; ) {
    const reply = await fetch(`${url}/api/flows/${flow}/executions?state=done&limit=500${before}`)
    const { items, next } = (await reply.json()) as { items: { result: number }[]; next: string | null }
    results.push(...items.map(({ result }) => result))
    if (next === null) return results.sort((a, b) => a - b)
    before = `&before=${next}`
  }
}
