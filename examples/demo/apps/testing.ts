/** For the tests beside this file: applications in temporary folders, a caller, and a receiver of webhooks. */

import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import type { IncomingHttpHeaders } from 'node:http'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AppDescription } from './app-kit/description.ts'
import type { AppOptions } from './app-kit/run.ts'
import { startApp } from './app-kit/run.ts'

export type Json = Record<string, unknown>
export type Answer = { readonly status: number; readonly headers: Headers; readonly body: Json }

export function temporaryFolder(): Disposable & { path: string } {
  const path = mkdtempSync(join(tmpdir(), 'demo-app-'))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}

/** An application inside this process, on a file that goes away with it. */
export async function openApp(app: AppDescription, options: Partial<AppOptions> = {}) {
  const folder = temporaryFolder()
  const running = await startApp(app, { port: 0, dataFile: join(folder.path, 'app.sqlite'), ...options })
  async function close(): Promise<void> {
    await running.stop()
    folder[Symbol.dispose]()
  }
  return { url: running.url, call: callerOf(running.url), [Symbol.asyncDispose]: close }
}

/** Sends as a person called Ann, unless the headers say otherwise. A string is sent as it is. */
export function callerOf(url: string) {
  return async (
    method: string,
    path: string,
    body?: Json | string,
    headers: Record<string, string> = {},
  ): Promise<Answer> => {
    const init: RequestInit = { method, headers: { 'x-actor': 'Ann', 'content-type': 'application/json', ...headers } }
    if (body !== undefined) init.body = typeof body === 'string' ? body : JSON.stringify(body)
    const response = await fetch(url + path, init)
    const text = await response.text()
    return { status: response.status, headers: response.headers, body: text === '' ? {} : (JSON.parse(text) as Json) }
  }
}

export type Delivery = {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly text: string
  readonly body: Json
}

/** Keeps what it receives. `statusOf` decides the reply to each delivery; 204 unless it is set. */
export async function openReceiver() {
  const deliveries: Delivery[] = []
  const waiting: { readonly count: number; readonly resolve: () => void }[] = []
  const receiver = { deliveries, statusOf: (_delivery: Delivery): number => 204 }
  const server = createServer((request, response) => {
    let text = ''
    request.setEncoding('utf8')
    request.on('data', (chunk: string) => (text += chunk))
    request.on('end', () => {
      const delivery = { path: request.url ?? '', headers: request.headers, text, body: JSON.parse(text) as Json }
      deliveries.push(delivery)
      response.writeHead(receiver.statusOf(delivery)).end()
      for (const { count, resolve } of waiting) if (deliveries.length >= count) resolve()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  async function close(): Promise<void> {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  return Object.assign(receiver, {
    url: `http://127.0.0.1:${port}/hooks`,
    /** Resolves once so many deliveries have come. */
    received(count: number): Promise<void> {
      if (deliveries.length >= count) return Promise.resolve()
      return new Promise((resolve) => waiting.push({ count, resolve }))
    },
    [Symbol.asyncDispose]: close,
  })
}

/** An application as a process of its own. */
export async function spawnApp(file: string, args: readonly string[]) {
  const script = join(import.meta.dirname, file)
  const child = spawn(process.execPath, [script, '--port', '0', ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ready = await firstLine(child)
  const { port } = JSON.parse(ready) as { port: number }
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve))
  async function end(signal: NodeJS.Signals): Promise<number | null> {
    child.kill(signal)
    return exited
  }
  return {
    ready: JSON.parse(ready) as Json,
    call: callerOf(`http://127.0.0.1:${port}`),
    end,
    [Symbol.asyncDispose]: async () => void (await end('SIGKILL')),
  }
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      if (text.includes('\n')) resolve(text.slice(0, text.indexOf('\n')))
    })
    child.once('exit', (code) => reject(new Error(`the application ended with ${code} before it was ready`)))
  })
}
