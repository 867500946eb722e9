import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chown, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort, ServerProcess } from './server-process.ts'

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
  readonly #process = new ServerProcess()
  #port = 0

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
    if (this.#process.isRunning) return
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
    await this.#process.start({
      name: 'MariaDB',
      binary: this.#binary,
      args: ['--no-defaults', ...flags],
      folder: this.#folder,
      // It changes to its user by itself.
      user: undefined,
      readyText: 'ready for connections',
      endSignal: 'SIGKILL',
    })
  }

  kill(): Promise<void> {
    return this.#process.end('SIGKILL')
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
