import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { chown, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { systemClock } from '../lib/system-clock.ts'
import { postgresBinaries, serverUser, sharedTemp } from './postgres-binaries.ts'
import { freePort, ServerProcess, START_MAX_MS } from './server-process.ts'

/**
 * A PostgreSQL server of one's own, for tests, the demo and benchmarks: what may not be done to a shared one (wal_level, restarts, kill) can be done to it.
 */
export interface PostgresServerOptions {
  /** 18 (default) is packaged with the development dependencies; 15 is taken from the system where it is installed. */
  readonly major?: number
  /** Lines of postgresql.conf, over the defaults here: logical replication on, no fsync, small. */
  readonly settings?: Readonly<Record<string, string>>
  /** Where its data are, kept after `close` and gone on with the next time; a temporary folder otherwise. */
  readonly folder?: string
  /** A free one otherwise. */
  readonly port?: number
  /** Data survive a power cut too: what a benchmark needs, and slower. Killing the server alone loses nothing either way. */
  readonly isDurable?: boolean
}

export interface PostgresServer extends AsyncDisposable {
  readonly host: string
  readonly port: number
  readonly major: number
  /** The data folder; gone after `close`, unless it was given. */
  readonly folder: string
  /** `postgres://postgres@127.0.0.1:<port>/<database>`; everybody is trusted. */
  url(database?: string, user?: string): string
  /** fast: sessions are ended, all is written. immediate: as after a crash, the next start recovers. Idempotent. */
  stop(mode?: 'fast' | 'immediate'): Promise<void>
  /** Starts it again on the same port and data. */
  start(): Promise<void>
  /** The last lines that the server logged, for a test that failed. */
  log(): string
  /** Stops it and removes its data. Idempotent. */
  close(): Promise<void>
}

const run = promisify(execFile)

const LOOK_AGAIN_MS = 50

const DEFAULTS: Readonly<Record<string, string>> = {
  wal_level: 'logical',
  max_wal_senders: '20',
  max_replication_slots: '20',
  max_connections: '100',
  shared_buffers: '32MB',
  log_min_messages: 'warning',
}

const INITDB = ['-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync', '--no-instructions']

/** Makes a cluster in a temporary folder and starts it on a free port of 127.0.0.1. */
export async function startPostgres(options: PostgresServerOptions = {}): Promise<PostgresServer> {
  const major = options.major ?? 18
  const binaries = await postgresBinaries(major)
  if (binaries === undefined) throw new Error(`PostgreSQL ${major} is not installed on this machine.`)
  const user = serverUser()
  const folder = options.folder ?? (await mkdtemp(join(sharedTemp(), 'latchwork-pg-')))
  await mkdir(folder, { recursive: true })
  if (user !== undefined) await chown(folder, user.uid, user.gid)
  const data = join(folder, 'data')
  if (existsSync(join(data, 'PG_VERSION'))) await endLeftover(data)
  else await run(join(binaries, 'initdb'), [...INITDB, '-D', data], { ...user, cwd: folder })
  const durable = options.isDurable === true ? 'on' : 'off'
  const settings = { ...DEFAULTS, fsync: durable, full_page_writes: durable, ...options.settings }
  const isKept = options.folder !== undefined
  const server = new Server(join(binaries, 'postgres'), {
    folder,
    data,
    major,
    settings,
    isKept,
    port: options.port ?? 0,
  })
  try {
    await server.start()
  } catch (error) {
    await server.close()
    throw error
  }
  return server
}

interface Place {
  readonly folder: string
  readonly data: string
  readonly major: number
  readonly settings: Readonly<Record<string, string>>
  readonly isKept: boolean
  readonly port: number
}

class Server implements PostgresServer {
  readonly host = '127.0.0.1'
  readonly major: number
  readonly folder: string
  readonly #binary: string
  readonly #place: Place
  readonly #process = new ServerProcess()
  #port: number

  constructor(binary: string, place: Place) {
    this.#binary = binary
    this.#place = place
    this.folder = place.folder
    this.major = place.major
    this.#port = place.port
  }

  get port(): number {
    return this.#port
  }

  url(database = 'postgres', user = 'postgres'): string {
    return `postgres://${user}@${this.host}:${this.#port}/${database}`
  }

  log(): string {
    return this.#process.log
  }

  async start(): Promise<void> {
    if (this.#process.isRunning) return
    if (this.#port === 0) this.#port = await freePort()
    const flags = Object.entries({
      ...this.#place.settings,
      port: String(this.#port),
      listen_addresses: this.host,
      unix_socket_directories: '',
      lc_messages: 'C',
    }).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    await this.#process.start({
      name: `PostgreSQL ${this.major}`,
      binary: this.#binary,
      args: ['-D', this.#place.data, ...flags],
      folder: this.folder,
      user: serverUser(),
      readyText: 'database system is ready to accept',
      endSignal: 'SIGQUIT',
    })
  }

  stop(mode: 'fast' | 'immediate' = 'fast'): Promise<void> {
    return this.#process.end(mode === 'fast' ? 'SIGINT' : 'SIGQUIT')
  }

  async close(): Promise<void> {
    await this.stop(this.#place.isKept ? 'fast' : 'immediate')
    if (!this.#place.isKept) await rm(this.folder, { recursive: true, force: true })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** A server on these data whose starter was killed. It is asked to end; two on the same data would be one too many, and the second refuses to start. */
async function endLeftover(data: string): Promise<void> {
  const file = join(data, 'postmaster.pid')
  const [pid, path] = await readFile(file, 'utf8').then(
    (text) => text.split('\n'),
    () => [],
  )
  if (pid === undefined || path !== data || !isPostgres(Number(pid))) return
  process.kill(Number(pid), 'SIGINT')
  const endMs = systemClock.monotonicMs() + START_MAX_MS
  while (existsSync(file) && systemClock.monotonicMs() < endMs)
    await new Promise<void>((resolve) => systemClock.timer(LOOK_AGAIN_MS, resolve))
}

/** A process id of before may belong to another program by now. */
function isPostgres(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith('postgres')
  } catch {
    return false
  }
}
