/**
 * The bench of the doors: request/reply through a mapping flow beside a bare hono handler, fire-and-forget beside hono with one SQLite append per batch, in turns,
 * at 64 connections; and what happens when 10,000 messages a second are offered to a flow that can do 1,600.
 *
 *   npm run bench -- listener --json [--rounds 3]
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import autocannon from 'autocannon'
import { Pool } from 'undici'
import { messageOf } from './references/listener-shape.ts'

const CONNECTIONS = 64
const WARM_S = 2
const MEASURE_S = 5
const OFFERED_PER_S = 10_000
const OVERLOAD_S = 10
const READY_MS = 15_000
/** Numbers below this are those of messages sent to warm up. */
const WARM_MAX = 1_000_000

interface Figures {
  readonly perS: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly errors: number
}

export interface Overload {
  readonly offered: number
  readonly accepted: number
  readonly refused: number
  readonly withRetryAfter: number
  readonly otherErrors: number
  readonly processed: number
  readonly acceptedP50Ms: number
  readonly acceptedP99Ms: number
  readonly rssMb: { readonly before: number; readonly peak: number }
}

export interface ListenerBench {
  readonly ratios: { readonly requestReply: number; readonly requestReplyP99: number; readonly fireAndForget: number }
  readonly reference: { readonly map: Figures; readonly intake: Figures }
  readonly hub: { readonly map: Figures; readonly intake: Figures }
  readonly overload: Overload | null
  readonly rounds: number
}

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

interface Server {
  readonly url: string
  readonly child: ChildProcess
}

function start(script: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess {
  return spawn(process.execPath, ['--conditions=latchwork-source', script, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  })
}

async function startReference(folder: string): Promise<Server> {
  const child = start(here('references/listener.ts'), ['--log', join(folder, 'messages.db')])
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
    const { port } = JSON.parse(line) as { port: number }
    return { url: `http://127.0.0.1:${port}`, child }
  }
  throw new Error('the reference ended before it was ready')
}

async function startHub(folder: string): Promise<Server> {
  const port = await freePort()
  const args = [
    'start',
    '--config',
    here('listener.config.ts'),
    '--data',
    folder,
    '--port',
    String(port),
    '--log-level',
    'error',
  ]
  const child = start(here('../src/cli/main.ts'), args)
  child.stdout?.resume()
  const url = `http://127.0.0.1:${port}`
  for (const endMs = performance.now() + READY_MS; performance.now() < endMs; ) {
    if (child.exitCode !== null) throw new Error(`the hub ended (${child.exitCode}) before it was ready`)
    const answer = await fetch(`${url}/readyz`).catch(() => null)
    await answer?.body?.cancel()
    if (answer?.ok === true) return { url, child }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`nothing answers on ${url}`)
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number }
      probe.close(() => resolve(port))
    })
  })
}

async function stop({ child }: Server): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  const cut = setTimeout(() => child.kill('SIGKILL'), 20_000)
  await ended
  clearTimeout(cut)
}

async function fire(url: string, seconds: number): Promise<Figures> {
  const result = await autocannon({
    url,
    method: 'POST',
    connections: CONNECTIONS,
    duration: seconds,
    headers: { 'content-type': 'application/json' },
    body: messageOf(1),
  })
  return {
    perS: Math.round(result.requests.total / result.duration),
    p50Ms: result.latency.p50,
    p99Ms: result.latency.p99,
    errors: result.errors + result.non2xx,
  }
}

async function measure(make: (folder: string) => Promise<Server>): Promise<{ map: Figures; intake: Figures }> {
  const folder = await mkdtemp(join(tmpdir(), 'latchwork-bench-listener-'))
  const server = await make(folder)
  try {
    await fire(`${server.url}/map`, WARM_S)
    const map = await fire(`${server.url}/map`, MEASURE_S)
    await fire(`${server.url}/intake`, WARM_S)
    const intake = await fire(`${server.url}/intake`, MEASURE_S)
    return { map, intake }
  } finally {
    await stop(server)
    await rm(folder, { recursive: true, force: true })
  }
}

/** Open loop: what is due is sent whether earlier ones are answered or not. */
async function overload(): Promise<Overload> {
  const folder = await mkdtemp(join(tmpdir(), 'latchwork-bench-overload-'))
  const hub = await startHub(folder)
  const pool = new Pool(hub.url, { connections: 256, pipelining: 1 })
  const accepted = new Set<string>()
  const tookMs: number[] = []
  const counts = { offered: 0, refused: 0, withRetryAfter: 0, otherErrors: 0 }
  const rssMb = { before: rssOf(hub), peak: 0 }
  const open = new Set<Promise<void>>()
  const send = async (n: number): Promise<void> => {
    const startMs = performance.now()
    try {
      const reply = await pool.request({
        method: 'POST',
        path: '/slow',
        headers: { 'content-type': 'application/json' },
        body: messageOf(n),
      })
      await reply.body.dump()
      if (reply.statusCode === 202) {
        accepted.add(`m-${n}`)
        tookMs.push(performance.now() - startMs)
      } else if (reply.statusCode === 503) {
        counts.refused++
        if (reply.headers['retry-after'] !== undefined) counts.withRetryAfter++
      } else counts.otherErrors++
    } catch {
      counts.otherErrors++
    }
  }
  try {
    const offer = async (perS: number, seconds: number, first: number): Promise<void> => {
      const startMs = performance.now()
      for (let n = 0; ; ) {
        const elapsedMs = performance.now() - startMs
        if (elapsedMs > seconds * 1_000) break
        for (const due = Math.floor((elapsedMs / 1_000) * perS); n < due; n++) {
          counts.offered++
          const sent = send(first + n).finally(() => open.delete(sent))
          open.add(sent)
        }
        rssMb.peak = Math.max(rssMb.peak, rssOf(hub))
        await new Promise((resolve) => setTimeout(resolve, 1))
      }
      await Promise.all(open)
    }
    // As in the other measurements: a process whose code has run before.
    await offer(OFFERED_PER_S / 5, WARM_S, 0)
    Object.assign(counts, { offered: 0, refused: 0, withRetryAfter: 0, otherErrors: 0 })
    const warm = accepted.size
    tookMs.length = 0
    await offer(OFFERED_PER_S, OVERLOAD_S, WARM_MAX)
    const processed = (await untilProcessed(hub.url, accepted.size)) - warm
    tookMs.sort((a, b) => a - b)
    const quantile = (q: number): number => Math.round((tookMs[Math.ceil(q * tookMs.length) - 1] ?? 0) * 10) / 10
    return {
      ...counts,
      accepted: accepted.size - warm,
      processed,
      acceptedP50Ms: quantile(0.5),
      acceptedP99Ms: quantile(0.99),
      rssMb,
    }
  } finally {
    await pool.destroy()
    await stop(hub)
    await rm(folder, { recursive: true, force: true })
  }
}

async function untilProcessed(url: string, wanted: number): Promise<number> {
  let last = -1
  for (const endMs = performance.now() + 30_000; performance.now() < endMs; ) {
    const count = (await (await fetch(`${url}/count`, { method: 'POST' })).json()) as number
    if (count === last && count >= wanted) return count
    last = count
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  return last
}

function rssOf({ child }: Server): number {
  try {
    const text = readFileSync(`/proc/${child.pid}/status`, 'utf8')
    return Math.round(Number(/VmRSS:\s+(\d+)/.exec(text)?.[1] ?? 0) / 1024)
  } catch {
    return 0
  }
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0

const medianOf = (all: readonly Figures[]): Figures => ({
  perS: median(all.map((one) => one.perS)),
  p50Ms: median(all.map((one) => one.p50Ms)),
  p99Ms: median(all.map((one) => one.p99Ms)),
  errors: all.reduce((sum, one) => sum + one.errors, 0),
})

export async function runListenerBench(
  given: {
    readonly rounds?: number
    readonly only?: readonly string[]
    readonly progress?: (text: string) => void
  } = {},
): Promise<ListenerBench> {
  const rounds = given.rounds ?? 3
  const all = { reference: { map: [], intake: [] }, hub: { map: [], intake: [] } } as Record<
    'reference' | 'hub',
    Record<'map' | 'intake', Figures[]>
  >
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? (['reference', 'hub'] as const) : (['hub', 'reference'] as const)
    for (const name of order) {
      const { map, intake } = await measure(name === 'hub' ? startHub : startReference)
      all[name].map.push(map)
      all[name].intake.push(intake)
      given.progress?.(
        `round ${round + 1} ${name}: request/reply ${map.perS}/s p99 ${map.p99Ms} ms, fire-and-forget ${intake.perS}/s p99 ${intake.p99Ms} ms, errors ${map.errors + intake.errors}`,
      )
    }
  }
  const reference = { map: medianOf(all.reference.map), intake: medianOf(all.reference.intake) }
  const hub = { map: medianOf(all.hub.map), intake: medianOf(all.hub.intake) }
  const over = (a: number, b: number): number => Math.round((a / b) * 1_000) / 1_000
  const flood = given.only?.includes('ratios') === true ? null : await overload()
  return {
    ratios: {
      requestReply: over(hub.map.perS, reference.map.perS),
      requestReplyP99: over(hub.map.p99Ms, Math.max(1, reference.map.p99Ms)),
      fireAndForget: over(hub.intake.perS, reference.intake.perS),
    },
    reference,
    hub,
    overload: flood,
    rounds,
  }
}
