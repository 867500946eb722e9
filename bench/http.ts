/**
 * The bench of the main job over HTTP: webhook of 1 KB in, six fields mapped, PUT out, the target echoing every write back. The hub beside two references
 * (bench/references/forward.ts), in turns, one at a time, on the same target.
 *
 *   node --conditions=latchwork-source bench/http.ts --json [--rounds 3] [--only bare,durable,hub]
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

type Contestant = 'bare' | 'durable' | 'hub'

interface Phase {
  readonly phase: 'warm' | 'paced' | 'saturated'
  readonly acked: number
  readonly errors: number
  readonly delivered: number
  readonly lost: number
  readonly ackedPerS: number
  readonly deliveredPerS: number
  readonly latencyMs: { readonly p50: number; readonly p99: number; readonly max: number }
  readonly ackMs: { readonly p50: number; readonly p99: number; readonly max: number }
  readonly writes: number
  readonly conflicts: number
}

/** One contestant in one round. */
interface Run {
  readonly paced: Phase
  readonly saturated: Phase
}

interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

export interface Figures {
  readonly p50Ms: Spread
  readonly p99Ms: Spread
  readonly deliveredPerS: Spread
  readonly ackP99Ms: Spread
  readonly lost: number
  readonly errors: number
}

export interface HttpBench {
  /** Ours over the durable reference; null where one of them did not run. */
  readonly ratios: { readonly p50: number; readonly p99: number; readonly delivered: number } | null
  readonly contestants: Readonly<Partial<Record<Contestant, Figures>>>
  readonly rounds: number
  readonly skipped: Readonly<Partial<Record<Contestant, string>>>
}

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
/** Every contestant starts from nothing; this is how long it may take. */
const READY_MS = 15_000

/** What runs between source and target: listening for the source on `/hooks/source`, for the target's echoes on `/hooks/target`. */
interface Started {
  readonly child: ChildProcess
}

async function startReference(durable: boolean, port: number, targetUrl: string, folder: string): Promise<Started> {
  const log = durable ? ['--log', join(folder, 'messages.db')] : []
  const child = start(here('references/forward.ts'), ['--port', String(port), '--target', targetUrl, ...log], {})
  await untilReady(child)
  return { child }
}

/** The config of the hub's side; it reads BENCH_HUB_PORT and BENCH_TARGET_URL. */
const HUB_CONFIG = here('http.config.ts')
const HUB_MAIN = here('../src/cli/main.ts')

/** The real hub, as a user starts it, on a fresh data folder. */
async function startHub(port: number, targetUrl: string, folder: string): Promise<Started> {
  const child = start(
    HUB_MAIN,
    ['start', '--config', HUB_CONFIG, '--data', folder, '--port', String(port), '--log-level', 'warn'],
    {
      BENCH_HUB_PORT: String(port),
      BENCH_TARGET_URL: targetUrl,
    },
  )
  await untilAnswers(`http://127.0.0.1:${port}/readyz`, child)
  return { child }
}

const hubMissing = (): string | null => {
  const missing = [HUB_CONFIG, HUB_MAIN].find((path) => !existsSync(path))
  return missing === undefined ? null : `${missing} does not exist`
}

function start(script: string, args: readonly string[], env: Readonly<Record<string, string>>): ChildProcess {
  return spawn(process.execPath, ['--conditions=latchwork-source', script, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  })
}

async function linesOf<T>(child: ChildProcess, isLast: (line: T) => boolean): Promise<T[]> {
  const lines: T[] = []
  if (child.stdout === null) return lines
  for await (const text of createInterface({ input: child.stdout })) {
    if (!text.startsWith('{')) continue
    const line = JSON.parse(text) as T
    lines.push(line)
    if (isLast(line)) break
  }
  return lines
}

async function untilReady(child: ChildProcess): Promise<{ readonly port: number }> {
  const [line] = await linesOf<{ ready?: boolean; port: number }>(child, ({ ready }) => ready === true)
  child.stdout?.resume()
  if (line === undefined) throw new Error(`a process of the bench ended (${child.exitCode}) before it was ready`)
  return line
}

async function untilAnswers(url: string, child: ChildProcess): Promise<void> {
  child.stdout?.resume()
  for (const endMs = performance.now() + READY_MS; performance.now() < endMs; ) {
    if (child.exitCode !== null) throw new Error(`the hub ended (${child.exitCode}) before it was ready`)
    const answer = await fetch(url).catch(() => null)
    await answer?.body?.cancel()
    if (answer?.ok === true) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`nothing answers on ${url} after ${READY_MS} ms`)
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  const cut = setTimeout(() => child.kill('SIGKILL'), 5_000)
  await ended
  clearTimeout(cut)
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

async function runOnce(contestant: Contestant): Promise<Run> {
  const folder = await mkdtemp(join(tmpdir(), `latchwork-bench-${contestant}-`))
  const port = await freePort()
  const children: ChildProcess[] = []
  try {
    const target = start(here('references/target.ts'), ['--echo', `http://127.0.0.1:${port}/hooks/target`], {})
    children.push(target)
    const targetUrl = `http://127.0.0.1:${(await untilReady(target)).port}`
    const { child } =
      contestant === 'hub'
        ? await startHub(port, targetUrl, folder)
        : await startReference(contestant === 'durable', port, targetUrl, folder)
    children.push(child)
    const source = start(
      here('references/source.ts'),
      ['--hook', `http://127.0.0.1:${port}/hooks/source`, '--target', targetUrl],
      {},
    )
    children.push(source)
    const phases = await linesOf<Phase>(source, ({ phase }) => phase === 'saturated')
    const [, paced, saturated] = phases
    if (paced === undefined || saturated === undefined)
      throw new Error(`${contestant}: the source ended before it was done`)
    return { paced, saturated }
  } finally {
    for (const child of children.reverse()) await stop(child)
    await rm(folder, { recursive: true, force: true })
  }
}

function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b)
  return { median: sorted[Math.floor(sorted.length / 2)] ?? 0, min: sorted[0] ?? 0, max: sorted.at(-1) ?? 0 }
}

function figuresOf(runs: readonly Run[]): Figures {
  const sum = (of: (run: Run) => number): number => runs.reduce((total, run) => total + of(run), 0)
  return {
    p50Ms: spreadOf(runs.map(({ paced }) => paced.latencyMs.p50)),
    p99Ms: spreadOf(runs.map(({ paced }) => paced.latencyMs.p99)),
    deliveredPerS: spreadOf(runs.map(({ saturated }) => saturated.deliveredPerS)),
    ackP99Ms: spreadOf(runs.map(({ saturated }) => saturated.ackMs.p99)),
    lost: sum(({ paced, saturated }) => paced.lost + saturated.lost),
    errors: sum(({ paced, saturated }) => paced.errors + saturated.errors),
  }
}

/** The order changes from round to round, so that nobody always runs on a warm or a tired machine. */
const orderOf = (contestants: readonly Contestant[], round: number): readonly Contestant[] =>
  contestants.map((_, i) => contestants[(i + round) % contestants.length] as Contestant)

export async function runHttpBench(
  given: {
    readonly rounds?: number
    readonly only?: readonly Contestant[]
    readonly progress?: (text: string) => void
  } = {},
): Promise<HttpBench> {
  const rounds = given.rounds ?? 3
  const missing = hubMissing()
  const wanted = given.only ?? (['bare', 'durable', 'hub'] as const)
  const contestants = wanted.filter((name) => name !== 'hub' || missing === null)
  const runs: Record<Contestant, Run[]> = { bare: [], durable: [], hub: [] }
  for (let round = 0; round < rounds; round++) {
    for (const contestant of orderOf(contestants, round)) {
      const run = await runOnce(contestant)
      runs[contestant].push(run)
      given.progress?.(
        `round ${round + 1} ${contestant}: p50 ${run.paced.latencyMs.p50} ms, p99 ${run.paced.latencyMs.p99} ms, delivered ${run.saturated.deliveredPerS}/s, lost ${run.paced.lost + run.saturated.lost}`,
      )
    }
  }
  const figures = Object.fromEntries(contestants.map((name) => [name, figuresOf(runs[name])])) as Partial<
    Record<Contestant, Figures>
  >
  return {
    ratios: ratiosOf(figures.hub, figures.durable),
    contestants: figures,
    rounds,
    skipped: wanted.includes('hub') && missing !== null ? { hub: missing } : {},
  }
}

function ratiosOf(ours: Figures | undefined, reference: Figures | undefined): HttpBench['ratios'] {
  if (ours === undefined || reference === undefined) return null
  const over = (a: Spread, b: Spread): number => Math.round((a.median / b.median) * 1000) / 1000
  return {
    p50: over(ours.p50Ms, reference.p50Ms),
    p99: over(ours.p99Ms, reference.p99Ms),
    delivered: over(ours.deliveredPerS, reference.deliveredPerS),
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: { json: { type: 'boolean' }, rounds: { type: 'string', default: '3' }, only: { type: 'string' } },
  })
  const bench = await runHttpBench({
    rounds: Number(values.rounds),
    ...(values.only === undefined ? {} : { only: values.only.split(',') as Contestant[] }),
    progress: (text) => process.stderr.write(text + '\n'),
  })
  process.stdout.write(JSON.stringify(bench, null, values.json === true ? undefined : 2) + '\n')
}
