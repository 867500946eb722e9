import { randomUUID } from 'node:crypto'
import { connect as connectSocket } from 'node:net'
import amqplib, {
  type Channel,
  type ChannelModel,
  type ConfirmChannel,
  type ConsumeMessage,
  type Options,
} from 'amqplib'

/** The broker of the tests: the machine's own, or the one that AMQP_URL names. */
export const AMQP_URL = process.env.AMQP_URL ?? 'amqp://guest:guest@127.0.0.1:5672'

const answers = (url: string): Promise<boolean> =>
  new Promise((resolve) => {
    const { hostname, port } = new URL(url)
    const socket = connectSocket({ host: hostname, port: Number(port === '' ? 5672 : port) })
    const end = (found: boolean): void => {
      socket.destroy()
      resolve(found)
    }
    socket.once('connect', () => end(true)).once('error', () => end(false))
  })

/** Where a pipeline runs, a broker that is missing is a failure, not a reason to skip. */
export const hasAmqp = process.env.CI === 'true' || (await answers(AMQP_URL))

/** The other side: what publishes to the hub's queues and reads from them. Its queues go with it. */
export class Peer implements AsyncDisposable {
  readonly url: string
  readonly #connection: ChannelModel
  readonly channel: ConfirmChannel
  readonly #replies: ConsumeMessage[] = []
  readonly #queues: string[] = []
  readonly #exchanges: string[] = []
  #isAsking = false
  #isGone = false

  private constructor(url: string, connection: ChannelModel, channel: ConfirmChannel) {
    this.url = url
    this.#connection = connection
    this.channel = channel
    connection.on('error', () => {})
    connection.on('close', () => {
      this.#isGone = true
    })
    channel.on('error', () => {})
  }

  static async open(url = AMQP_URL): Promise<Peer> {
    const connection = await amqplib.connect(url)
    return new Peer(url, connection, await connection.createConfirmChannel())
  }

  async queue(kind: 'quorum' | 'classic' = 'classic', more: Readonly<Record<string, unknown>> = {}): Promise<string> {
    const name = this.name()
    await this.channel.assertQueue(name, { durable: true, arguments: { 'x-queue-type': kind, ...more } })
    return name
  }

  /** The name of a queue that somebody else will declare. */
  name(): string {
    const name = `latchwork-test-${randomUUID()}`
    this.#queues.push(name)
    return name
  }

  /** A queue that somebody else makes, and that goes with this one's. */
  own(queue: string): void {
    this.#queues.push(queue)
  }

  ownExchange(exchange: string): void {
    this.#exchanges.push(exchange)
  }

  async exchange(type: 'topic' | 'fanout' | 'direct' = 'topic'): Promise<string> {
    const name = `latchwork-test-${randomUUID()}`
    this.#exchanges.push(name)
    await this.channel.assertExchange(name, type, { durable: true })
    return name
  }

  /** Resolves when the broker has it. */
  send(queue: string, body: unknown, options: Options.Publish = {}): Promise<void> {
    return this.publish('', queue, body, options)
  }

  publish(exchange: string, key: string, body: unknown, options: Options.Publish = {}): Promise<void> {
    const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
    return new Promise((resolve, reject) => {
      this.channel.publish(
        exchange,
        key,
        bytes,
        { persistent: true, contentType: 'application/json', ...options },
        (error) => (error === null ? resolve() : reject(error)),
      )
    })
  }

  /** Asks by direct reply-to, as most callers do. */
  async ask(queue: string, body: unknown, options: Options.Publish = {}): Promise<ConsumeMessage> {
    if (!this.#isAsking) {
      this.#isAsking = true
      await this.channel.consume('amq.rabbitmq.reply-to', (reply) => void (reply && this.#replies.push(reply)), {
        noAck: true,
      })
    }
    const correlationId = randomUUID()
    await this.send(queue, body, { replyTo: 'amq.rabbitmq.reply-to', correlationId, ...options })
    const wanted = options.correlationId ?? correlationId
    return eventually(
      () => this.#replies.find((reply) => reply.properties.correlationId === wanted),
      (reply) => reply !== undefined,
    ) as Promise<ConsumeMessage>
  }

  /** Messages that the queue holds and nobody has. */
  async ready(queue: string): Promise<number> {
    return this.#look(async (channel) => (await channel.checkQueue(queue)).messageCount)
  }

  /** Messages that the queue holds, with those that were taken and not acknowledged: once nobody consumes, all come back. */
  async take(queue: string): Promise<ConsumeMessage | null> {
    const message = await this.channel.get(queue, { noAck: true })
    return message === false ? null : (message as unknown as ConsumeMessage)
  }

  /** Takes a message and gives it back, as one who dies with it does. */
  async bounce(queue: string, times: number): Promise<void> {
    for (let n = 0; n < times; n++) {
      const message = await eventually(
        () => this.channel.get(queue),
        (found) => found !== false,
      )
      if (message !== false) this.channel.nack(message, false, true)
    }
  }

  /** On a channel of its own, because a look that fails ends its channel. */
  async #look<T>(ask: (channel: Channel) => Promise<T>): Promise<T> {
    const channel = await this.#connection.createChannel()
    channel.on('error', () => {})
    try {
      return await ask(channel)
    } finally {
      await channel.close().catch(() => undefined)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const queue of this.#queues) await this.#look((channel) => channel.deleteQueue(queue)).catch(() => undefined)
    for (const exchange of this.#exchanges)
      await this.#look((channel) => channel.deleteExchange(exchange)).catch(() => undefined)
    // A connection whose broker was killed never answers its closing.
    if (!this.#isGone) await this.#connection.close().catch(() => undefined)
  }
}

/** Asks until the answer is as wanted; the test's own time limit ends a wait that never does. */
export async function eventually<T>(ask: () => Promise<T> | T, isWanted: (answer: T) => boolean): Promise<T> {
  for (;;) {
    const answer = await ask()
    if (isWanted(answer)) return answer
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
