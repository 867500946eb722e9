/**
 * Two applications and the hub as processes, users at work, and everything that happens to processes and connections: the hub dies at each place of the crash matrix and at
 * random moments, connections are cut in the middle, applications go away and come back. Then the applications' own logs and databases are judged, as in the demo.
 */

import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Random } from '../apps/traffic/values.ts'
import { Child } from '../child.ts'
import { collect } from '../collect.ts'
import { type Evaluation, evaluate } from '../evaluate.ts'
import { Watch } from '../headless.ts'
import { type Service, Stage } from '../stage.ts'
import { FAIL_POINTS } from './fail-points.ts'
import { type Trouble, UnreliableProxy } from './proxy.ts'

export interface OrdealOptions {
  /** Deaths of the hub at random moments. */
  readonly kills: number
  /** How often the hub dies at each place of the crash matrix. */
  readonly rounds: number
  /** How long connections are cut. */
  readonly troubleMs: number
  /** How often each application goes away. */
  readonly outages: number
  readonly rate: number
  readonly seed: number
  /** A planted fault of the protocol: the verdict has to see it. */
  readonly mutant?: string
  readonly note: (text: string) => void
}

export interface OrdealReport extends Omit<Evaluation, 'problems'> {
  readonly kills: number
  /** Deaths by row of the crash matrix. */
  readonly diedAt: Readonly<Record<string, number>>
  readonly hubLives: number
  readonly connections: Readonly<Record<Trouble, number>>
  readonly settled: boolean
  readonly seconds: number
  readonly problems: readonly string[]
}

/** A hub that has not come to its fail point by then does not come by it at all: with users at work every place is met many times a second. */
const FAIL_POINT_MAX_MS = 15_000
const UP_MAX_MS = 20_000
const LOG_SHOWN_MAX = 4_000
const LOOK_EVERY_MS = 20
/** Migrations of both files of the embedded store, and some to come. */
const MIGRATIONS_MAX = 20
const ROWS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12] as const
const HUB = join(import.meta.dirname, '..', '..', '..', 'src', 'cli', 'main.ts')
const CONFIG = join(import.meta.dirname, '..', 'latchwork.config.ts')
const HOOK = join(import.meta.dirname, 'fail-point-hook.ts')

export async function ordeal(options: OrdealOptions): Promise<OrdealReport> {
  const folder = mkdtempSync(join(tmpdir(), 'latchwork-ordeal-'))
  const run = new Ordeal(folder, options)
  try {
    return await run.play()
  } catch (error) {
    // The folder is gone afterwards; what the hub said last is what a person needs.
    options.note(readFileSync(join(folder, 'logs', 'hub.log'), 'utf8').slice(-LOG_SHOWN_MAX))
    throw error
  } finally {
    await run.close()
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  }
}

class Ordeal {
  readonly #options: OrdealOptions
  readonly #folder: string
  readonly #random: Random
  readonly #stage: Stage
  readonly #proxies = new Map<string, UnreliableProxy>()
  readonly #diedAt: Record<string, number> = {}
  #nextPoint: { readonly row: number; readonly at: number } | null = null

  constructor(folder: string, options: OrdealOptions) {
    this.#folder = folder
    this.#options = options
    this.#random = new Random(options.seed)
    for (const [i, name] of ['hub desk', 'hub warehouse', 'desk hub', 'warehouse hub'].entries())
      this.#proxies.set(name, new UnreliableProxy(options.seed + i))
    this.#stage = new Stage({
      data: folder,
      rate: options.rate,
      isLegacy: false,
      ports: { desk: 0, warehouse: 0, hub: 0 },
      seed: options.seed,
      note: options.note,
      route: (from, to, port) => this.#route(from, to, port),
      hub: { imports: [HOOK], env: () => this.#environment() },
    })
  }

  async play(): Promise<OrdealReport> {
    const { kills, rounds, outages, note } = this.#options
    const began = performance.now()
    const never = new AbortController().signal
    for (const proxy of this.#proxies.values()) await proxy.listen()
    for (let round = 0; round < rounds; round++) await this.#dieInMigrations(round)
    await this.#stage.start()
    const watch = new Watch(this.#stage)
    this.#stage.startTraffic()
    await delay(500)
    for (let round = 0; round < rounds; round++) for (const row of ROWS) await this.#dieAt(row)
    note(`the hub has died at each row of the crash matrix; now at ${kills} random moments`)
    for (let i = 0; i < kills; i++) await this.#dieSometime()
    note('connections are cut')
    await this.#cutConnections()
    note('applications go away and come back')
    for (let i = 0; i < outages; i++) for (const app of ['warehouse', 'desk'] as const) await this.#takeDown(app)
    await this.#stage.stopTraffic()
    const settled = await watch.untilQuiet(never)
    if (!settled)
      note(`left: ${JSON.stringify((await this.#stage.hubApi().status())?.counts ?? 'the hub does not answer')}`)
    const verdict = evaluate(await collect(this.#stage))
    return {
      ...verdict,
      kills,
      diedAt: this.#diedAt,
      hubLives: this.#stage.hubRestarts + 1,
      connections: this.#connections(),
      settled,
      seconds: Math.round((performance.now() - began) / 1000),
    }
  }

  async close(): Promise<void> {
    await this.#stage.stop()
    for (const proxy of this.#proxies.values()) await proxy.close()
  }

  #route(from: Service, to: Service, port: number): number {
    const proxy = this.#proxies.get(`${from} ${to}`)
    if (proxy === undefined) return port
    proxy.targetPort = port
    return proxy.port
  }

  /** Of the next life of the hub. A fail point is for one life: the one after that is to last. */
  #environment(): Record<string, string> {
    const planted = { LATCHWORK_MUTANT: this.#options.mutant ?? '' }
    if (this.#nextPoint === null) return { ...planted, LATCHWORK_FAIL_POINT: '' }
    const { row, at } = this.#nextPoint
    this.#nextPoint = null
    return { ...planted, LATCHWORK_FAIL_POINT: String(row), LATCHWORK_FAIL_AT: String(at) }
  }

  /** Row 13: the very first start is cut off in each migration of a new data folder. Each start does the one that was cut off again, and dies in the next. */
  async #dieInMigrations(round: number): Promise<void> {
    const data = round === 0 ? join(this.#folder, 'hub') : join(this.#folder, `migrated-${round}`)
    mkdirSync(join(this.#folder, 'logs'), { recursive: true })
    for (let i = 0; i < MIGRATIONS_MAX; i++) {
      const hub = this.#spawnHub(data, { LATCHWORK_FAIL_POINT: '13', LATCHWORK_FAIL_AT: i === 0 ? '1' : '2' })
      const isUp = await hub.ready().then(
        () => true,
        () => false,
      )
      if (isUp) {
        await hub.stop()
        return
      }
      this.#count(13)
    }
    throw new Error(`after ${MIGRATIONS_MAX} deaths in migrations the hub still has one to do`)
  }

  #spawnHub(data: string, env: Readonly<Record<string, string>>): Child {
    return new Child({
      name: 'hub',
      script: HUB,
      imports: [HOOK],
      args: ['start', '--json', '--config', CONFIG, '--data', data, '--port', '0'],
      env: { ...NOBODY, ...env },
      logFile: join(this.#folder, 'logs', 'other-hub.log'),
    })
  }

  #count(row: number): void {
    this.#diedAt[row] = (this.#diedAt[row] ?? 0) + 1
  }

  async #dieAt(row: (typeof ROWS)[number]): Promise<void> {
    if (row === 7) await this.#dieBeforeTheReply()
    else if (row === 12) await this.#dieBesideAnother()
    else {
      this.#nextPoint = { row, at: 1 + this.#random.below(5) }
      await this.#nextLife(() => this.#stage.crashHub())
      const name = FAIL_POINTS.find((point) => point.row === row)?.name ?? ''
      await this.#died(`row ${row} (${name})`, this.#stage.hubRestarts, FAIL_POINT_MAX_MS)
    }
    this.#count(row)
    await this.#up()
  }

  /** Row 7: the application has done it, and the hub dies before the reply is there. */
  async #dieBeforeTheReply(): Promise<void> {
    const restarts = this.#stage.hubRestarts
    const links = ['hub desk', 'hub warehouse'].map((name) => this.#proxies.get(name) as UnreliableProxy)
    let isDone = false
    for (const proxy of links) {
      proxy.onReply = (method) => {
        if (isDone || method === 'GET') return !isDone
        isDone = true
        void this.#stage.crashHub()
        return false
      }
    }
    await this.#died('row 7 (applied, reply kept back)', restarts, FAIL_POINT_MAX_MS)
    for (const proxy of links) proxy.onReply = () => true
  }

  /** Row 12: another process wants the store while this one has it, and this one dies while the other is on its way. */
  async #dieBesideAnother(): Promise<void> {
    const other = this.#spawnHub(this.#stage.hubData, {})
    const isUp = await other.ready().then(
      () => true,
      () => false,
    )
    if (isUp) {
      await other.kill()
      throw new Error('a second hub was let into the data folder of a running one')
    }
    await this.#nextLife(() => this.#stage.crashHub())
  }

  async #dieSometime(): Promise<void> {
    await delay(100 + this.#random.below(1400))
    await until('the hub is started again', () => this.#stage.isUp('hub'), UP_MAX_MS)
    await this.#nextLife(() => this.#stage.crashHub())
  }

  /** Ends this life of the hub, and waits until the next is counted. */
  async #nextLife(end: () => Promise<void>): Promise<void> {
    const before = this.#stage.hubRestarts
    await end()
    await until('the death is noticed', () => this.#stage.hubRestarts > before, UP_MAX_MS)
  }

  async #died(where: string, before: number, limitMs: number): Promise<void> {
    await until(`the hub dies at ${where}`, () => this.#stage.hubRestarts > before, limitMs)
  }

  async #up(): Promise<void> {
    await until('the hub is up again', async () => (await this.#stage.hubApi().status())?.ready === true, UP_MAX_MS)
  }

  async #cutConnections(): Promise<void> {
    await this.#up()
    const end = performance.now() + this.#options.troubleMs
    while (performance.now() < end) {
      for (const proxy of this.#proxies.values()) proxy.trouble(0.7)
      await delay(400)
    }
    for (const proxy of this.#proxies.values()) proxy.trouble(0)
  }

  /** One application is gone for a moment, its process ended in good order or its host unreachable, while users work in the other. */
  async #takeDown(app: 'desk' | 'warehouse'): Promise<void> {
    await this.#stage.stopService(app)
    await delay(700)
    await this.#stage.startService(app)
    const links = [this.#proxies.get(`hub ${app}`), this.#proxies.get(`${app} hub`)]
    for (const proxy of links) proxy?.down(true)
    await delay(700)
    for (const proxy of links) proxy?.down(false)
  }

  #connections(): Record<Trouble, number> {
    const sums: Record<Trouble, number> = { none: 0, latency: 0, slices: 0, reset: 0, 'half-open': 0, refuse: 0 }
    for (const { counts } of this.#proxies.values())
      for (const name of Object.keys(sums) as Trouble[]) sums[name] += counts[name]
    return sums
  }
}

/** The demo's config needs all of these to be read; nobody listens there. */
const NOBODY: Readonly<Record<string, string>> = {
  DESK_URL: 'http://127.0.0.1:9',
  DESK_TOKEN: 'none',
  DESK_SECRET: 'none',
  WAREHOUSE_URL: 'http://127.0.0.1:9',
  WAREHOUSE_TOKEN: 'none',
  WAREHOUSE_SECRET: 'none',
}

async function until(what: string, isSo: () => boolean | Promise<boolean>, limitMs: number): Promise<void> {
  const end = performance.now() + limitMs
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error(`${limitMs / 1000} s went by, and this had not come about: ${what}`)
    await delay(LOOK_EVERY_MS)
  }
}
