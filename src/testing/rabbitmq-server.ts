import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { systemClock } from '../lib/system-clock.ts'

/** A RabbitMQ node of one's own, for tests: what may not be done to a shared one (crashes, alarms, plug-ins) can be done to it. */
export interface RabbitmqServer extends AsyncDisposable {
  readonly url: string
  /** A crash: the next start recovers. */
  kill(): Promise<void>
  start(): Promise<void>
  /** `rabbitmqctl` on this node. */
  control(...args: readonly string[]): Promise<string>
}

const BIN = '/usr/lib/rabbitmq/bin'

/** Whether this machine has a server that can be started. */
export const hasRabbitmq = existsSync(`${BIN}/rabbitmq-server`)

const START_MAX_MS = 90_000
const LOG_CHARS_MAX = 20_000

export async function startRabbitmq(plugins: readonly string[] = []): Promise<RabbitmqServer> {
  if (!hasRabbitmq) throw new Error('RabbitMQ is not installed on this machine.')
  const folder = await mkdtemp(join(tmpdir(), 'latchwork-rabbitmq-'))
  // A cookie of its own: the node can be reached by its own control program alone.
  await mkdir(join(folder, 'home'))
  await writeFile(join(folder, 'plugins'), `[${plugins.join(',')}].\n`)
  const server = new Server(folder, await freePort(), await freePort())
  try {
    await server.start()
  } catch (error) {
    await server[Symbol.asyncDispose]()
    throw error
  }
  return server
}

class Server implements RabbitmqServer {
  readonly url: string
  readonly #folder: string
  readonly #env: NodeJS.ProcessEnv
  #child: ChildProcess | null = null
  #log = ''

  constructor(folder: string, port: number, distributionPort: number) {
    this.#folder = folder
    this.url = `amqp://guest:guest@127.0.0.1:${port}`
    this.#env = {
      ...process.env,
      HOME: join(folder, 'home'),
      RABBITMQ_NODENAME: `latchwork${port}@localhost`,
      RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
      RABBITMQ_NODE_PORT: String(port),
      RABBITMQ_DIST_PORT: String(distributionPort),
      RABBITMQ_MNESIA_BASE: join(folder, 'mnesia'),
      RABBITMQ_LOG_BASE: join(folder, 'log'),
      RABBITMQ_CONFIG_FILE: join(folder, 'none'),
      RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'plugins'),
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1} +S 1:1',
    }
  }

  async start(): Promise<void> {
    this.#log = ''
    // A group of its own, because the server is a child of the script that starts it.
    const child = spawn(`${BIN}/rabbitmq-server`, { env: this.#env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    // A test that was given up disposes of nothing, and a server in a group of its own would outlive it.
    process.once('exit', this.#killNow)
    const { promise: ready, resolve, reject } = Promise.withResolvers<void>()
    const hear = (text: string): void => {
      this.#log = (this.#log + text).slice(-LOG_CHARS_MAX)
      if (this.#log.includes('Starting broker... completed')) resolve()
    }
    child.stdout?.setEncoding('utf8').on('data', hear)
    child.stderr?.setEncoding('utf8').on('data', hear)
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`RabbitMQ ended with ${code}:\n${this.#log}`)))
    const timer = systemClock.timer(START_MAX_MS, () => reject(new Error(`RabbitMQ has not started:\n${this.#log}`)))
    await ready.finally(() => timer.cancel())
  }

  readonly #killNow = (): void => {
    if (this.#child?.pid === undefined) return
    try {
      process.kill(-this.#child.pid, 'SIGKILL')
    } catch {
      // It has ended by itself.
    }
  }

  async kill(): Promise<void> {
    process.off('exit', this.#killNow)
    const child = this.#child
    this.#child = null
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child.once('close', resolve))
    process.kill(-child.pid, 'SIGKILL')
    await ended
  }

  async control(...args: readonly string[]): Promise<string> {
    const { stdout } = await promisify(execFile)(`${BIN}/rabbitmqctl`, [...args], { env: this.#env })
    return stdout
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
    await rm(this.#folder, { recursive: true, force: true })
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}
