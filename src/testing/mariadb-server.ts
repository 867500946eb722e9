import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chown, mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { systemClock } from '../lib/system-clock.ts'

/** A MariaDB server of one's own, for tests: what may not be done to a shared one (its log, restarts) can be done to it. */
export interface MariadbServer extends AsyncDisposable {
  readonly port: number
  url(database?: string, user?: string, password?: string): string
  /** A crash: the next start recovers. */
  kill(): Promise<void>
  start(): Promise<void>
  close(): Promise<void>
}

const BINARY = ['/usr/sbin/mariadbd', '/usr/local/bin/mariadbd', '/usr/libexec/mariadbd'].find((path) =>
  existsSync(path),
)
const INSTALL = ['/usr/bin/mariadb-install-db', '/usr/local/bin/mariadb-install-db'].find((path) => existsSync(path))

/** Whether this machine has a server that can be started. */
export const hasMariadb = BINARY !== undefined && INSTALL !== undefined

const START_MAX_MS = 60_000
const LOG_CHARS_MAX = 20_000

/** Row log on, no fsync, small. */
const SETTINGS: Readonly<Record<string, string>> = {
  'server-id': '1',
  'log-bin': 'log',
  'binlog-format': 'ROW',
  'binlog-row-image': 'FULL',
  'binlog-row-metadata': 'FULL',
  'sync-binlog': '0',
  'innodb-flush-log-at-trx-commit': '2',
  'innodb-buffer-pool-size': '32M',
  'innodb-log-file-size': '16M',
  'skip-name-resolve': 'ON',
}

export async function startMariadb(settings: Readonly<Record<string, string>> = {}): Promise<MariadbServer> {
  if (BINARY === undefined || INSTALL === undefined) throw new Error('MariaDB is not installed on this machine.')
  const user = await serverUser()
  const folder = await mkdtemp(join(tmpdir(), 'latchwork-mariadb-'))
  if (user !== undefined) await chown(folder, user.uid, user.gid)
  const data = join(folder, 'data')
  await promisify(execFile)(
    INSTALL,
    [
      '--no-defaults',
      `--datadir=${data}`,
      '--auth-root-authentication-method=normal',
      '--skip-test-db',
      '--innodb-log-file-size=16M',
      ...(user === undefined ? [] : [`--user=${user.name}`]),
    ],
    { cwd: folder },
  )
  const server = new Server(BINARY, folder, data, { ...SETTINGS, ...settings })
  try {
    await server.start()
  } catch (error) {
    await server.close()
    throw error
  }
  return server
}

class Server implements MariadbServer {
  readonly #binary: string
  readonly #folder: string
  readonly #data: string
  readonly #settings: Readonly<Record<string, string>>
  #port = 0
  #child: ChildProcess | null = null
  #ended: Promise<void> = Promise.resolve()
  #log = ''

  constructor(binary: string, folder: string, data: string, settings: Readonly<Record<string, string>>) {
    this.#binary = binary
    this.#folder = folder
    this.#data = data
    this.#settings = settings
  }

  get port(): number {
    return this.#port
  }

  url(database = 'mysql', user = 'root', password = ''): string {
    return `mysql://${user}:${password}@127.0.0.1:${this.#port}/${database}`
  }

  async start(): Promise<void> {
    if (this.#child !== null) return
    if (this.#port === 0) this.#port = await freePort()
    const user = await serverUser()
    const flags = Object.entries({
      datadir: this.#data,
      socket: join(this.#folder, 'socket'),
      'pid-file': join(this.#folder, 'pid'),
      port: String(this.#port),
      'bind-address': '127.0.0.1',
      ...(user === undefined ? {} : { user: user.name }),
      ...this.#settings,
    }).map(([name, value]) => `--${name}=${value}`)
    const child = spawn(this.#binary, ['--no-defaults', ...flags], {
      cwd: this.#folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    this.#child = child
    // A test process that ends without closing must not leave a server behind.
    const killAtExit = (): void => void child.kill('SIGKILL')
    process.once('exit', killAtExit)
    this.#ended = new Promise((resolve) => {
      child.once('error', () => resolve())
      child.once('exit', () => {
        process.off('exit', killAtExit)
        if (this.#child === child) this.#child = null
        resolve()
      })
    })
    await this.#ready(child)
  }

  #ready(child: ChildProcess): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const tooLong = systemClock.timer(START_MAX_MS, () => fail('did not become ready'))
    const fail = (why: string): void => {
      tooLong.cancel()
      reject(new Error(`MariaDB ${why}:\n${this.#log}`))
    }
    child.stderr?.setEncoding('utf8')
    child.stderr?.on('data', (text: string) => {
      this.#log = (this.#log + text).slice(-LOG_CHARS_MAX)
      if (!text.includes('ready for connections')) return
      tooLong.cancel()
      resolve()
    })
    child.once('error', (error) => fail(error.message))
    child.once('exit', (code) => fail(`ended with ${code}`))
    return promise
  }

  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL')
    await this.#ended
  }

  async close(): Promise<void> {
    await this.kill()
    await rm(this.#folder, { recursive: true, force: true })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** The server refuses to run as root. */
async function serverUser(): Promise<
  { readonly name: string; readonly uid: number; readonly gid: number } | undefined
> {
  if (userInfo().uid !== 0) return undefined
  const id = async (flag: string): Promise<number> => Number((await promisify(execFile)('id', [flag, 'mysql'])).stdout)
  return { name: 'mysql', uid: await id('-u'), gid: await id('-g') }
}

function freePort(): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const server = createServer()
  server.once('error', reject)
  server.listen(0, '127.0.0.1', () => {
    const address = server.address()
    server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
  })
  return promise
}
