/**
 * The bench's source: posts customer changes of 1 KB to the integration's webhook and finds out what became of them.
 *
 *   node bench/references/source.ts --hook http://127.0.0.1:8081/hooks/source --target http://127.0.0.1:8082
 *
 * Three phases, one JSON line each. warm: every customer once, so that what follows are changes and not creates. paced: `--rate` messages a second for
 * `--paced` seconds, open loop. saturated: `--connections` senders for `--saturated` seconds, each posting again when the last was acknowledged.
 *
 * A change is delivered when it was acknowledged and that or a newer value of the same customer has reached the target.
 */
import { parseArgs } from 'node:util'
import { Pool } from 'undici'
import { CUSTOMERS, customerMessage, emit, pause, quantiles, round } from './shape.ts'

const { values: args } = parseArgs({
  options: {
    hook: { type: 'string', default: 'http://127.0.0.1:8081/hooks/source' },
    target: { type: 'string', default: 'http://127.0.0.1:8082' },
    rate: { type: 'string', default: '200' },
    paced: { type: 'string', default: '5' },
    saturated: { type: 'string', default: '4' },
    connections: { type: 'string', default: '64' },
    drain: { type: 'string', default: '20' },
  },
})
const hook = new URL(args.hook)
const CONNECTIONS = Number(args.connections)
const DRAIN_MS = Number(args.drain) * 1000
const pool = new Pool(hook.origin, { connections: CONNECTIONS, pipelining: 1, keepAliveTimeout: 60_000 })
const target = new Pool(new URL(args.target).origin, { connections: 1 })

/** The last revision given to each customer, and those acknowledged in the phase under way. */
const revs = new Array<number>(CUSTOMERS).fill(0)
let acked: number[][] = []
let ackMs: number[] = []
let errors = 0

async function send(customer: number): Promise<void> {
  const rev = (revs[customer] = (revs[customer] ?? 0) + 1)
  const startMs = performance.now()
  try {
    const { statusCode, body } = await pool.request({
      method: 'POST',
      path: hook.pathname,
      headers: { 'content-type': 'application/json' },
      body: customerMessage(customer, rev),
    })
    await body.dump()
    if (statusCode >= 300) throw new Error(`answered ${statusCode}`)
    ackMs.push(performance.now() - startMs)
    ;(acked[customer] ??= []).push(rev)
  } catch {
    errors++
  }
}

const ask = async <T>(path: string): Promise<T> =>
  (await (await target.request({ method: path === '/reset' ? 'POST' : 'GET', path })).body.json()) as T

interface TargetStats {
  readonly writes: number
  readonly creates: number
  readonly conflicts: number
  readonly lastNs: string
  readonly latencyMs: { readonly p50: number; readonly p99: number; readonly max: number }
}

async function begin(): Promise<bigint> {
  await ask('/reset')
  acked = []
  ackMs = []
  errors = 0
  return process.hrtime.bigint()
}

/** Waits until everything acknowledged has been delivered, or nothing moves any more. */
async function settle(): Promise<{ count: number; delivered: number; stats: TargetStats }> {
  const count = acked.reduce((sum, list) => sum + list.length, 0)
  let delivered = -1
  for (const endMs = performance.now() + DRAIN_MS; performance.now() < endMs; await pause(100)) {
    const seen = await ask<number[]>('/seen')
    delivered = acked.reduce(
      (sum, list, customer) => sum + list.filter((rev) => rev <= (seen[customer] ?? 0)).length,
      0,
    )
    if (delivered === count) break
  }
  return { count, delivered, stats: await ask<TargetStats>('/stats') }
}

async function report(phase: string, startNs: bigint, lasted: number): Promise<void> {
  const { count, delivered, stats } = await settle()
  const spanS = Math.max(Number(BigInt(stats.lastNs) - startNs) / 1e9, 0.001)
  emit({
    phase,
    acked: count,
    errors,
    delivered,
    lost: count - delivered,
    ackedPerS: Math.round(count / lasted),
    deliveredPerS: Math.round(delivered / Math.max(spanS, lasted)),
    latencyMs: stats.latencyMs,
    ackMs: quantiles(ackMs),
    writes: stats.writes,
    creates: stats.creates,
    conflicts: stats.conflicts,
    drainMs: round(Math.max(0, spanS - lasted) * 1000),
  })
}

/** Each sender has customers of its own. */
const closedLoop = (more: (round: number) => boolean): Promise<unknown> =>
  Promise.all(
    Array.from({ length: CONNECTIONS }, async (_, sender) => {
      for (let i = 0; more(i); i++) await send(sender + CONNECTIONS * (i % (CUSTOMERS / CONNECTIONS)))
    }),
  )

async function warm(): Promise<void> {
  const startNs = await begin()
  await closedLoop((i) => i < CUSTOMERS / CONNECTIONS)
  await report('warm', startNs, Number(process.hrtime.bigint() - startNs) / 1e9)
}

async function paced(rate: number, seconds: number): Promise<void> {
  const startNs = await begin()
  const startMs = performance.now()
  const all: Promise<void>[] = []
  for (let i = 0; i < rate * seconds; i++) {
    const dueMs = startMs + (i * 1000) / rate - performance.now()
    if (dueMs > 0) await pause(dueMs)
    // A prime step walks through all customers before it meets one again.
    all.push(send((i * 4_099) % CUSTOMERS))
  }
  await Promise.all(all)
  await report('paced', startNs, seconds)
}

async function saturated(seconds: number): Promise<void> {
  const startNs = await begin()
  const endMs = performance.now() + seconds * 1000
  await closedLoop(() => performance.now() < endMs)
  await report('saturated', startNs, seconds)
}

await warm()
await paced(Number(args.rate), Number(args.paced))
await saturated(Number(args.saturated))
await pool.close()
await target.close()
