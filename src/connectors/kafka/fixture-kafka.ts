import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { Consumer, Producer } from '@platformatic/kafka'

/**
 * No broker of Kafka is at hand for the tests: `kcat` hosts a mock of one, as its library is tested with. It says that it knows ListOffsets up to version 5, and answers versions 4 and 5 with
 * an error, because it overlooks a field that is new in them; so a proxy stands before it that has it say 3. All else is passed on as it is.
 */

const API_VERSIONS = 18
const LIST_OFFSETS = 2
const LIST_OFFSETS_MAX = 3

/** Whether kcat is on this machine. */
export const hasKcat = ((): boolean => {
  try {
    execFileSync('kcat', ['-V'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
})()

export class MockKafka implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly broker: string

  private constructor(child: ChildProcess, server: Server, port: number) {
    this.#child = child
    this.#server = server
    this.broker = `127.0.0.1:${port}`
    server.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
  }

  static async start(): Promise<MockKafka> {
    // It lives as long as its consumer, which has nothing to do.
    const args = ['-b', 'none', '-X', 'test.mock.num.brokers=1', '-X', 'debug=mock', '-C', '-t', 'unused', '-u']
    const child = spawn('kcat', args, { stdio: ['ignore', 'ignore', 'pipe'] })
    process.once('exit', () => child.kill('SIGKILL'))
    const behind = await new Promise<number>((resolve, reject) => {
      let said = ''
      child.once('error', reject)
      child.stderr?.setEncoding('utf8').on('data', (text: string) => {
        if (said === null) return
        said = (said + text).slice(-10_000)
        const port = /bootstrap\.servers=127\.0\.0\.1:(\d+)/.exec(said)?.[1]
        if (port !== undefined) resolve(Number(port))
      })
    })
    const server = createServer((client) => {
      client.on('error', () => {})
      const upstream = connect({ host: '127.0.0.1', port: behind, noDelay: true })
      upstream.on('error', () => client.destroy())
      upstream.on('close', () => client.destroy())
      client.on('close', () => upstream.destroy())
      const asked = new Map<number, number>()
      pipeFrames(client, upstream, (frame) => void asked.set(frame.readInt32BE(8), frame.readInt16BE(4)))
      pipeFrames(upstream, client, (frame) => {
        const port = (server.address() as AddressInfo).port
        if (asked.get(frame.readInt32BE(4)) === API_VERSIONS) capListOffsets(frame)
        else movePorts(frame, behind, port)
        asked.delete(frame.readInt32BE(4))
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
    return new MockKafka(child, server, (server.address() as AddressInfo).port)
  }

  /** Ends all connections without a word. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL')
    this.cut()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

/** Frames begin with their length. */
function pipeFrames(from: Socket, to: Socket, see: (frame: Buffer) => void): void {
  let rest = Buffer.alloc(0)
  from.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk])
    while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE(0)) {
      const frame = rest.subarray(0, 4 + rest.readInt32BE(0))
      rest = rest.subarray(frame.length)
      see(frame)
      to.write(Buffer.from(frame))
    }
  })
}

/** Of versions 0 to 2 of the answer: length, correlation id, error, count, and for each API its key, and the oldest and newest version. */
function capListOffsets(frame: Buffer): void {
  const count = frame.readInt32BE(10)
  for (let n = 0, at = 14; n < count && at + 6 <= frame.length; n++, at += 6)
    if (frame.readInt16BE(at) === LIST_OFFSETS)
      frame.writeInt16BE(Math.min(LIST_OFFSETS_MAX, frame.readInt16BE(at + 4)), at + 4)
}

/** Where the mock says under which address it is reached, it is reached by the proxy. */
function movePorts(frame: Buffer, behind: number, port: number): void {
  const address = Buffer.alloc('127.0.0.1'.length + 4)
  address.write('127.0.0.1')
  address.writeInt32BE(behind, address.length - 4)
  for (let at = frame.indexOf(address); at >= 0; at = frame.indexOf(address, at + 1))
    frame.writeInt32BE(port, at + address.length - 4)
}

export interface SeenRecord {
  readonly key: string
  readonly value: string
  readonly headers: Readonly<Record<string, string>>
}

/** The other side: what publishes to the hub's topics and hears its own. */
export class Peer implements AsyncDisposable {
  readonly #broker: string
  readonly #producer: Producer<Buffer, Buffer, Buffer, Buffer>
  readonly #consumers: Consumer<Buffer, Buffer, Buffer, Buffer>[] = []

  constructor(broker: string) {
    this.#broker = broker
    this.#producer = new Producer({ clientId: 'peer', bootstrapBrokers: [broker], autocreateTopics: true })
  }

  topic(): string {
    return `latchwork-test-${randomUUID()}`
  }

  async send(topic: string, body: unknown, headers: Readonly<Record<string, string>> = {}, key = ''): Promise<void> {
    const value = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
    const given = new Map(Object.entries(headers).map(([name, text]) => [Buffer.from(name), Buffer.from(text)]))
    await this.#producer.send({ messages: [{ topic, key: Buffer.from(key), value, headers: given }], acks: -1 })
  }

  /** What stands in a topic, from its beginning, oldest first. */
  async hear(topic: string): Promise<SeenRecord[]> {
    const seen: SeenRecord[] = []
    const consumer = new Consumer({ clientId: 'peer', groupId: `peer-${topic}`, bootstrapBrokers: [this.#broker] })
    this.#consumers.push(consumer)
    const stream = await consumer.consume({ topics: [topic], mode: 'earliest', autocommit: false, maxWaitTime: 50 })
    stream.on('error', () => {})
    stream.on('data', ({ key, value, headers }) => {
      const texts = [...headers].map(([name, text]) => [String(name), String(text)])
      seen.push({ key: String(key), value: String(value), headers: Object.fromEntries(texts) })
    })
    return seen
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const consumer of this.#consumers) await consumer.close(true).catch(() => undefined)
    await this.#producer.close().catch(() => undefined)
  }
}
