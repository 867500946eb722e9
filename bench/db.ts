/**
 * Two PostgreSQL 18 servers kept equal in both directions: by the hub, and by PostgreSQL's own logical replication (origin = none, the applying side waits for its disk, as ours does),
 * on the same loads in the same run.
 *
 *   npm run bench -- db --json [--rounds 1]       BENCH_ROWS=50000, BENCH_SINGLE=5000, BENCH_PACED=300
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Client } from 'pg'
import { type PostgresServer, startPostgres } from '../src/testing/postgres-server.ts'
import { type LoadResult, runLoads } from './db-load.ts'

type Contestant = 'native' | 'hub'

export interface DbBench {
  /** Ours over native: of the latencies less is better, of the rates more. The median of the rounds. */
  readonly ratios: Readonly<Record<'p50' | 'p99' | 'commits100' | 'commits1' | 'bothSides' | 'burst', number | null>>
  readonly sameRow: { readonly rows: number; readonly equal: number }
  readonly equal: boolean
  readonly quiet: boolean
  readonly rounds: readonly Readonly<Record<Contestant, LoadResult>>[]
}

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
const ROWS = Number(process.env.BENCH_ROWS ?? 50_000)
const SINGLE = Number(process.env.BENCH_SINGLE ?? 5_000)
const PACED = Number(process.env.BENCH_PACED ?? 300)
const LIMIT_MS = 60_000
const READY_MS = 120_000

const TABLE = `CREATE TABLE customers (id bigint PRIMARY KEY, name text NOT NULL, email text NOT NULL, phone text NOT NULL, address text NOT NULL, credit numeric NOT NULL, updated_at timestamptz NOT NULL)`
const FILL = `INSERT INTO customers SELECT i, 'Customer ' || i, 'c' || i || '@example.test', '+1-555-' || i, i || ' Long Street, Springfield', 0, '2026-01-01' FROM generate_series(1, ${ROWS}) i`

export async function runDbBench(options: {
  readonly rounds?: number
  readonly only?: readonly Contestant[]
  readonly progress: (text: string) => void
}): Promise<DbBench> {
  const rounds: Record<Contestant, LoadResult>[] = []
  for (let round = 0; round < (options.rounds ?? 1); round++) {
    const results: Partial<Record<Contestant, LoadResult>> = {}
    for (const contestant of options.only ?? (['native', 'hub'] as const)) {
      options.progress(`round ${round + 1}: ${contestant}`)
      results[contestant] = await run(contestant, options.progress)
    }
    rounds.push(results as Record<Contestant, LoadResult>)
  }
  return summary(rounds)
}

async function run(contestant: Contestant, progress: (text: string) => void): Promise<LoadResult> {
  const settings = { shared_buffers: '128MB', max_wal_size: '4GB' }
  const a = await startPostgres({ isDurable: true, settings })
  const b = await startPostgres({ isDurable: true, settings })
  const folder = await mkdtemp(join(tmpdir(), 'latchwork-bench-'))
  let hub: ChildProcess | null = null
  try {
    for (const server of [a, b]) for (const sql of [TABLE, FILL, 'VACUUM ANALYZE customers']) await ask(server, sql)
    if (contestant === 'native') await replicate(a, b)
    else hub = await startHub(a, b, folder, progress)
    return await runLoads(a.url(), b.url(), { rows: ROWS, single: SINGLE, paced: PACED, limitMs: LIMIT_MS, progress })
  } finally {
    if (hub !== null) await stop(hub)
    await a.close()
    await b.close()
    await rm(folder, { recursive: true, force: true })
  }
}

async function ask(server: PostgresServer, sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: server.url() })
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}

async function replicate(a: PostgresServer, b: PostgresServer): Promise<void> {
  for (const server of [a, b]) await ask(server, 'CREATE PUBLICATION p FOR TABLE customers')
  const subscribe = (name: string, from: PostgresServer): string =>
    `CREATE SUBSCRIPTION ${name} CONNECTION 'host=${from.host} port=${from.port} user=postgres dbname=postgres' PUBLICATION p WITH (copy_data = false, origin = none, synchronous_commit = on)`
  await ask(b, subscribe('from_a', a))
  await ask(a, subscribe('from_b', b))
}

/** The real hub, as a user starts it, on a fresh data folder; ready when it has read and matched what is on both sides. */
async function startHub(
  a: PostgresServer,
  b: PostgresServer,
  folder: string,
  progress: (text: string) => void,
): Promise<ChildProcess> {
  const args = [
    'start',
    '--config',
    here('db.config.ts'),
    '--data',
    folder,
    '--port',
    '0',
    '--log-level',
    'warn',
    '--json',
  ]
  const profile =
    process.env.BENCH_PROFILE === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${process.env.BENCH_PROFILE}`]
  const child = spawn(
    process.execPath,
    ['--conditions=latchwork-source', ...profile, here('../src/cli/main.ts'), ...args],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, BENCH_DB_A: a.url(), BENCH_DB_B: b.url() },
    },
  )
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  child.once('exit', (code) => reject(new Error(`the hub ended with ${code}`)))
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    const url = /"url":\s*"([^"]+)"/.exec(text)?.[1]
    if (url !== undefined) resolve(url)
  })
  const url = await promise
  const startedMs = performance.now()
  for (;;) {
    const status = (await (await fetch(`${url}/api/status`)).json()) as { idle: boolean; counts: { links: number } }
    if (status.idle && status.counts.links === ROWS * 2) break
    if (performance.now() - startedMs > READY_MS)
      throw new Error(`the hub is not in step: ${JSON.stringify(status).slice(0, 500)}`)
    await new Promise((done) => setTimeout(done, 100))
  }
  progress(
    `  first contact with ${ROWS} records on both sides: ${((performance.now() - startedMs) / 1000).toFixed(1)} s`,
  )
  return child
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  const tooLong = setTimeout(() => child.kill('SIGKILL'), 20_000)
  await ended
  clearTimeout(tooLong)
}

function summary(rounds: readonly Readonly<Record<Contestant, LoadResult>>[]): DbBench {
  const ratio = (figureOf: (result: LoadResult) => number | null): number | null => {
    const all = rounds.flatMap(({ native, hub }) => {
      const [ours, theirs] = [hub === undefined ? null : figureOf(hub), native === undefined ? null : figureOf(native)]
      return ours === null || theirs === null ? [] : [ours / theirs]
    })
    all.sort((x, y) => x - y)
    const middle = all[Math.floor(all.length / 2)]
    return middle === undefined ? null : Math.round(middle * 1000) / 1000
  }
  const ours = rounds.flatMap(({ hub }) => (hub === undefined ? [] : [hub]))
  return {
    ratios: {
      p50: ratio(({ latency }) => latency.p50Ms),
      p99: ratio(({ latency }) => latency.p99Ms),
      commits100: ratio(({ commits100 }) => commits100),
      commits1: ratio(({ commits1 }) => commits1),
      bothSides: ratio(({ bothSides }) => bothSides),
      burst: ratio(({ burst }) => burst),
    },
    sameRow: {
      rows: ours.reduce((sum, { sameRow }) => sum + sameRow.rows, 0),
      equal: ours.reduce((sum, { sameRow }) => sum + sameRow.equal, 0),
    },
    equal: ours.every(({ equal }) => equal),
    quiet: ours.every(({ quiet }) => quiet),
    rounds,
  }
}
