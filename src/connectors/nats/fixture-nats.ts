import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { connect as connectSocket, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream'
import { connect, headers, type Msg, type NatsConnection } from '@nats-io/transport-node'

/** The server of the tests: the machine's own, or the one that NATS_URL names. */
export const NATS_URL = process.env.NATS_URL ?? 'nats://127.0.0.1:4222'

const answers = (url: string): Promise<boolean> =>
  new Promise((resolve) => {
    const { hostname, port } = new URL(url)
    const socket = connectSocket({ host: hostname, port: Number(port) })
    const end = (found: boolean): void => {
      socket.destroy()
      resolve(found)
    }
    socket.once('connect', () => end(true)).once('error', () => end(false))
  })

/** Where a pipeline runs, a server that is missing is a failure, not a reason to skip. */
export const hasNats = process.env.CI === 'true' || (await answers(NATS_URL))

/** The other side: what publishes to the hub. Its streams go with it. */
export class Peer implements AsyncDisposable {
  readonly connection: NatsConnection
  readonly manager: JetStreamManager
  readonly #streams: string[] = []

  private constructor(connection: NatsConnection, manager: JetStreamManager) {
    this.connection = connection
    this.manager = manager
  }

  static async open(url = NATS_URL): Promise<Peer> {
    const connection = await connect({ servers: new URL(url).host })
    return new Peer(connection, await jetstreamManager(connection))
  }

  /** A name for a stream, whose subjects begin with it; made by whoever makes it. */
  name(): string {
    const name = `latchwork-test-${randomUUID()}`
    this.#streams.push(name)
    return name
  }

  async stream(name = this.name()): Promise<string> {
    await this.manager.streams.add({ name, subjects: [`${name}.>`] })
    return name
  }

  /** Resolves when the stream has it. */
  async send(subject: string, body: unknown, given: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.#request(subject, body, given)
  }

  async ask(subject: string, body: unknown, given: Readonly<Record<string, string>> = {}): Promise<Msg> {
    return this.#request(subject, body, given)
  }

  #request(subject: string, body: unknown, given: Readonly<Record<string, string>>): Promise<Msg> {
    const own = headers()
    for (const [name, value] of Object.entries(given)) own.set(name, value)
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    return this.connection.request(subject, text, { timeout: 20_000, headers: own })
  }

  async consumer(
    stream: string,
  ): Promise<{ readonly pending: number; readonly unacknowledged: number; readonly redelivered: number }> {
    const info = await this.manager.consumers.info(stream, 'latchwork')
    return { pending: info.num_pending, unacknowledged: info.num_ack_pending, redelivered: info.num_redelivered }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const stream of this.#streams) await this.manager.streams.delete(stream).catch(() => undefined)
    await this.connection.close().catch(() => undefined)
  }
}

const BINARY = ['/usr/sbin/nats-server', '/usr/local/bin/nats-server'].find((path) => existsSync(path))
export const hasNatsBinary = BINARY !== undefined

/** A server of one's own, which can be killed. */
export class NatsServer implements AsyncDisposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'latchwork-nats-'))
  #port = 0
  #child: ChildProcess | null = null

  get url(): string {
    return `nats://127.0.0.1:${this.#port}`
  }

  async start(): Promise<this> {
    this.#port ||= await freePort()
    this.#child = spawn(BINARY as string, ['-a', '127.0.0.1', '-p', String(this.#port), '-js', '-sd', this.#folder], {
      stdio: 'ignore',
    })
    await eventually(
      () => answers(this.url),
      (found) => found,
    )
    return this
  }

  async kill(): Promise<void> {
    const child = this.#child
    this.#child = null
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await ended
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
    rmSync(this.#folder, { recursive: true, force: true })
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

/** Asks until the answer is as wanted; the test's own time limit ends a wait that never does. */
export async function eventually<T>(ask: () => Promise<T> | T, isWanted: (answer: T) => boolean): Promise<T> {
  for (;;) {
    const answer = await ask()
    if (isWanted(answer)) return answer
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
