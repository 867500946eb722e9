import type { AddressInfo, Server } from 'node:net'
import rhea, { type Connection, type Delivery, type Message, type Receiver, type Sender } from 'rhea'

interface Kept {
  readonly message: Message
  failures: number
}

interface Given {
  readonly queue: string
  readonly kept: Kept
}

/**
 * A broker of queues in this process, as brokers for JMS behave: it counts failed deliveries, gives back what a consumer leaves, keeps what was rejected among dead letters, and makes up queues for
 * replies. Only queues that were made, or are its own, can be written to.
 */
export class JmsBroker implements AsyncDisposable {
  readonly #server: Server
  readonly #queues = new Map<string, Kept[]>()
  readonly #consumers: { readonly queue: string; readonly sender: Sender }[] = []
  readonly #given = new Map<Delivery, Given>()
  readonly #connections = new Set<Connection>()
  readonly url: string
  /** What became of deliveries, in order. */
  readonly outcomes: string[] = []
  readonly #copies = new Map<string, readonly string[]>()
  #temporary = 0

  private constructor(server: Server, port: number) {
    this.#server = server
    this.url = `amqp://127.0.0.1:${port}`
  }

  static async start(...queues: readonly string[]): Promise<JmsBroker> {
    const container = rhea.create_container({ sender_options: { treat_modified_as_released: false } })
    const server = container.listen({ port: 0, host: '127.0.0.1' })
    await new Promise((resolve) => server.once('listening', resolve))
    const broker = new JmsBroker(server, (server.address() as AddressInfo).port)
    for (const queue of queues) broker.#queues.set(queue, [])
    container.on('connection_open', ({ connection }) => void broker.#connections.add(connection))
    container.on('sender_open', ({ sender }) => broker.#consumes(sender as Sender))
    container.on('receiver_open', ({ receiver }) => broker.#produces(receiver as Receiver))
    container.on('message', ({ message, receiver }) => broker.#put(receiver?.target.address ?? '', message as Message))
    container.on('sendable', () => broker.#pump())
    // Outcomes that came with a closing are told behind it.
    container.on('sender_close', ({ sender }) => setImmediate(() => broker.#leaves((given) => given === sender)))
    for (const event of ['disconnected', 'connection_close'])
      container.on(event, ({ connection }) => {
        broker.#connections.delete(connection)
        setImmediate(() => broker.#leaves((sender) => sender.connection === connection))
      })
    for (const outcome of ['accepted', 'rejected', 'released', 'modified'])
      container.on(outcome, ({ delivery }) => broker.#settled(outcome, delivery as Delivery))
    for (const event of ['connection_error', 'session_error', 'sender_error', 'receiver_error', 'error'])
      container.on(event, () => {})
    return broker
  }

  count(queue: string): number {
    return this.#queues.get(queue)?.length ?? 0
  }

  make(queue: string): void {
    this.#queues.set(queue, [])
  }

  /** What comes to a queue goes to these instead. */
  copy(queue: string, to: readonly string[]): void {
    this.#copies.set(queue, to)
  }

  take(queue: string): Message | null {
    return this.#queues.get(queue)?.shift()?.message ?? null
  }

  put(queue: string, message: Message): void {
    this.#put(queue, message)
  }

  /** Ends all connections without a word. */
  cut(): void {
    for (const { socket } of this.#connections) socket.destroy(new Error('cut'))
  }

  #consumes(sender: Sender): void {
    let { address } = sender.source
    if ((sender.source as { dynamic?: boolean }).dynamic === true) {
      address = `temp-queue://${++this.#temporary}`
      this.#queues.set(address, [])
    }
    if (!this.#queues.has(address)) {
      sender.close({ condition: 'amqp:not-found', description: `no queue ${address}` })
      return
    }
    sender.set_source({
      address,
      outcomes: ['amqp:accepted:list', 'amqp:rejected:list', 'amqp:released:list', 'amqp:modified:list'],
    } as never)
    this.#consumers.push({ queue: address, sender })
    this.#pump()
  }

  #produces(receiver: Receiver): void {
    const { address } = receiver.target as { address: string }
    if (this.#queues.has(address)) receiver.set_target({ address })
    else receiver.close({ condition: 'amqp:not-found', description: `no queue ${address}` })
  }

  #put(queue: string, message: Message): void {
    // The driver would send bytes on as a UUID.
    const { correlation_id: id } = message as { correlation_id?: unknown }
    if (id instanceof Uint8Array && id.length !== 16)
      message.correlation_id = rhea.types.wrap_binary(id) as unknown as string
    for (const to of this.#copies.get(queue) ?? [queue]) this.#queues.get(to)?.push({ message, failures: 0 })
    this.#pump()
  }

  /** One message of a turn for each consumer, because the driver counts credit only when it has sent. */
  #pump(): void {
    let isMore = false
    for (const { queue, sender } of this.#consumers) {
      const kept = sender.is_open() && sender.sendable() ? this.#queues.get(queue)?.shift() : undefined
      if (kept === undefined) continue
      isMore = true
      const delivery = sender.send({ ...kept.message, delivery_count: kept.failures } as Message)
      this.#given.set(delivery, { queue, kept })
    }
    if (isMore) setImmediate(() => this.#pump())
  }

  #settled(outcome: string, delivery: Delivery): void {
    const given = this.#given.get(delivery)
    if (given === undefined) return
    this.#given.delete(delivery)
    this.outcomes.push(outcome)
    const { queue, kept } = given
    if (outcome === 'modified') kept.failures++
    if (outcome === 'modified' || outcome === 'released') this.#queues.get(queue)?.unshift(kept)
    if (outcome === 'rejected') this.#queues.get('dead-letters')?.push(kept)
    this.#pump()
  }

  /** A consumer that goes leaves what it had: whether it had failed nobody knows, so it counts. */
  #leaves(isGone: (sender: Sender) => boolean): void {
    for (const [delivery, { queue, kept }] of [...this.#given].reverse()) {
      if (!isGone(delivery.link as unknown as Sender)) continue
      this.#given.delete(delivery)
      this.outcomes.push('left')
      kept.failures++
      this.#queues.get(queue)?.unshift(kept)
    }
    const left = this.#consumers.filter(({ sender }) => !isGone(sender))
    this.#consumers.splice(0, this.#consumers.length, ...left)
    this.#pump()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.cut()
    await closed
  }
}
