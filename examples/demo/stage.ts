/** Everything that runs in the demo: two applications, the hub between them, and simulated users. */

import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { startTraffic, type Traffic } from './apps/traffic.ts'
import { Child } from './child.ts'
import { HubApi } from './hub-api.ts'
import { awaitLeftovers, forgetProcesses, noteProcesses } from './leftovers.ts'

export interface StageOptions {
  /** Kept and taken up again; a temporary folder, gone at the end, when it is not given. */
  readonly data?: string
  readonly rate: number
  readonly isLegacy: boolean
  /** The order desk keeps its data in PostgreSQL, and the hub follows and writes that instead of calling its API. */
  readonly isPostgres?: boolean
  readonly ports: { readonly desk: number; readonly warehouse: number; readonly hub: number }
  readonly seed: number
  /** One line for whoever watches: a process started, died, came back. */
  readonly note: (text: string) => void
  /** What stands between two processes, for tests: the port that the first is told of the second. */
  readonly route?: (from: Service, to: Service, port: number) => number
  /** For tests: modules that the hub's process loads first, and more of its environment, by the number of its life. */
  readonly hub?: {
    readonly imports: readonly string[]
    readonly env: (life: number) => Readonly<Record<string, string>>
  }
}

export type Service = 'desk' | 'warehouse' | 'hub'

/** First records: enough to look at, few enough to be in step in a second. */
const SEED_RECORDS = 40
/** What a supervisor would wait before it starts a process again. */
const RESTART_MS = 300
const TOKENS = { desk: 'desk-api-token', warehouse: 'warehouse-api-token' }

export class Stage {
  readonly options: StageOptions
  readonly dataDir: string
  readonly #isTemporary: boolean
  readonly #secrets = { desk: randomBytes(16).toString('hex'), warehouse: randomBytes(16).toString('hex') }
  readonly #children = new Map<Service, Child>()
  readonly #wanted = new Set<Service>()
  #ports: StageOptions['ports'] = { desk: 0, warehouse: 0, hub: 0 }
  #databasePort = 0
  #traffic: Traffic | null = null
  #isStopping = false
  hubRestarts = 0

  constructor(options: StageOptions) {
    this.options = options
    this.#isTemporary = options.data === undefined
    this.dataDir = options.data === undefined ? mkdtempSync(join(tmpdir(), 'latchwork-demo-')) : resolve(options.data)
    mkdirSync(join(this.dataDir, 'logs'), { recursive: true })
  }

  get hubPid(): number {
    return this.#children.get('hub')?.pid ?? 0
  }

  get hubData(): string {
    return join(this.dataDir, 'hub')
  }

  get traffic(): Traffic | null {
    return this.#traffic
  }

  url(service: Service): string {
    return `http://127.0.0.1:${this.#ports[service]}`
  }

  /** Where one process finds another. */
  #urlFor(from: Service, to: Service): string {
    const port = this.#ports[to]
    return `http://127.0.0.1:${this.options.route?.(from, to, port) ?? port}`
  }

  isUp(service: Service): boolean {
    return this.#children.get(service)?.isRunning === true
  }

  hubApi(): HubApi {
    return new HubApi(this.url('hub'))
  }

  /** Starts both applications and the hub; resolves when all three are ready. */
  async start(): Promise<void> {
    await awaitLeftovers(this.dataDir)
    const { desk, warehouse, hub } = this.options.ports
    this.#ports = { desk: await freePort(desk), warehouse: await freePort(warehouse), hub: await freePort(hub) }
    if (this.options.isPostgres === true) await this.#openDatabase()
    await Promise.all([this.startService('desk'), this.startService('warehouse'), this.startService('hub')])
  }

  /** The server of the database runs as another user where this is root, and its folder must be reached by that one. */
  async #openDatabase(): Promise<void> {
    const { installedMajor } = await import('./apps/order-desk-postgres.ts')
    await installedMajor()
    this.#databasePort = await freePort(0)
    chmodSync(this.dataDir, statSync(this.dataDir).mode | 0o001)
  }

  /** A process that ends although nobody asked it to is started again, as a supervisor would. */
  async startService(service: Service): Promise<void> {
    this.#wanted.add(service)
    const child = this.#spawn(service)
    this.#children.set(service, child)
    this.#noteProcesses()
    void child.exited.then(() => this.#ended(service, child))
    await child.ready()
    if (service === 'hub') this.options.note(`hub process ${child.pid} on ${this.url('hub')}`)
  }

  async stopService(service: Service): Promise<void> {
    this.#wanted.delete(service)
    await this.#children.get(service)?.stop()
  }

  /** kill -9 and a new start: what was acknowledged must be there, and nothing twice. */
  async crashHub(): Promise<void> {
    await this.#children.get('hub')?.kill()
  }

  #ended(service: Service, child: Child): void {
    if (this.#isStopping || !this.#wanted.has(service) || this.#children.get(service) !== child) return
    this.options.note(`the ${child.name} (process ${child.pid}) has died; starting it again`)
    if (service === 'hub') this.hubRestarts++
    void delay(RESTART_MS)
      .then(() => (this.#isStopping ? undefined : this.startService(service)))
      .catch((error: unknown) => this.options.note(error instanceof Error ? error.message : String(error)))
  }

  #noteProcesses(): void {
    noteProcesses(
      this.dataDir,
      [...this.#children.values()].filter((child) => child.isRunning).map((child) => child.pid),
    )
  }

  #spawn(service: Service): Child {
    const logFile = join(this.dataDir, 'logs', `${service}.log`)
    if (service !== 'hub') return this.#spawnApp(service, logFile)
    const root = join(import.meta.dirname, '..', '..')
    return new Child({
      name: 'hub',
      script: join(root, 'src', 'cli', 'main.ts'),
      imports: this.options.hub?.imports ?? [],
      args: [
        'start',
        '--json',
        '--config',
        join(import.meta.dirname, this.options.isPostgres === true ? 'postgres.config.ts' : 'latchwork.config.ts'),
        '--data',
        this.hubData,
        '--port',
        String(this.#ports.hub),
      ],
      env: {
        DESK_URL: this.#urlFor('hub', 'desk'),
        DESK_TOKEN: TOKENS.desk,
        DESK_SECRET: this.#secrets.desk,
        WAREHOUSE_URL: this.#urlFor('hub', 'warehouse'),
        WAREHOUSE_TOKEN: TOKENS.warehouse,
        WAREHOUSE_SECRET: this.#secrets.warehouse,
        ...(this.options.isLegacy ? { LEGACY_WAREHOUSE: '1' } : {}),
        ...(this.options.isPostgres === true
          ? { DESK_DATABASE: `postgres://api@127.0.0.1:${this.#databasePort}/desk` }
          : {}),
        ...this.options.hub?.env(this.hubRestarts + 1),
      },
      logFile,
    })
  }

  #spawnApp(service: 'desk' | 'warehouse', logFile: string): Child {
    const isDesk = service === 'desk'
    const isPostgres = isDesk && this.options.isPostgres === true
    const script = isPostgres ? 'order-desk-postgres.ts' : isDesk ? 'order-desk.ts' : 'warehouse.ts'
    return new Child({
      name: isDesk ? 'order desk' : 'warehouse',
      script: join(import.meta.dirname, 'apps', script),
      args: [
        '--port',
        String(this.#ports[service]),
        '--data',
        join(this.dataDir, isPostgres ? 'desk-postgres' : `${service}.sqlite`),
        '--seed',
        String(SEED_RECORDS),
        ...(isPostgres
          ? ['--postgres-port', String(this.#databasePort)]
          : ['--webhook', `${this.#urlFor(service, 'hub')}/hooks/${service}`]),
        ...(this.options.isLegacy && !isDesk ? ['--legacy'] : []),
      ],
      // Secrets go by the environment: arguments can be read by everybody on the machine.
      env: {
        WEBHOOK_SECRET: this.#secrets[service],
        [isDesk ? 'ORDER_DESK_API_TOKEN' : 'WAREHOUSE_API_TOKEN']: TOKENS[service],
      },
      logFile,
    })
  }

  startTraffic(rate = this.options.rate): void {
    this.#traffic = startTraffic({
      deskUrl: this.url('desk'),
      warehouseUrl: this.url('warehouse'),
      rate,
      seed: this.options.seed,
    })
  }

  async stopTraffic(): Promise<void> {
    const traffic = this.#traffic
    this.#traffic = null
    await traffic?.stop()
  }

  /** Ends everything in an order in which nothing has to wait: first those who make work. */
  async stop(): Promise<void> {
    if (this.#isStopping) return
    this.#isStopping = true
    await this.stopTraffic()
    await Promise.all([...this.#children.values()].map((child) => child.stop()))
    forgetProcesses(this.dataDir)
    if (this.#isTemporary) rmSync(this.dataDir, { recursive: true, force: true })
  }
}

/** The port itself, or where that is taken (or 0) any free one. */
async function freePort(wanted: number): Promise<number> {
  const server = createServer()
  const listen = (port: number): Promise<number> =>
    new Promise((resolvePort, reject) => {
      server.once('error', reject)
      server.listen(port, '127.0.0.1', () => {
        const address = server.address()
        server.close(() => resolvePort(typeof address === 'object' && address !== null ? address.port : 0))
      })
    })
  try {
    return await listen(wanted)
  } catch {
    return listen(0)
  }
}
