import { randomUUID } from 'node:crypto'
import rhea, { type Connection, type Message, type Receiver, type Sender } from 'rhea'

/** The other side: an application that speaks AMQP 1.0. */
export class Peer implements AsyncDisposable {
  readonly #connection: Connection
  readonly #senderByAddress = new Map<string, Promise<Sender>>()
  readonly #answerById = new Map<string, (reply: Message) => void>()
  #inbox: Promise<Receiver> | null = null

  private constructor(connection: Connection) {
    this.#connection = connection
    for (const event of ['connection_error', 'disconnected', 'protocol_error', 'error']) connection.on(event, () => {})
  }

  static async open(url: string): Promise<Peer> {
    const { hostname: host, port, username, password } = new URL(url)
    const options = { host, port: Number(port), reconnect: false, tcp_no_delay: true } as const
    const connection = rhea.create_container().connect(username === '' ? options : { ...options, username, password })
    await new Promise<void>((resolve, reject) => {
      connection.once('connection_open', () => resolve())
      for (const event of ['connection_error', 'disconnected']) connection.once(event, ({ error }) => reject(error))
    })
    return new Peer(connection)
  }

  /** Resolves when the broker has it. */
  async send(address: string, message: Partial<Message>): Promise<void> {
    let sender = this.#senderByAddress.get(address)
    if (sender === undefined) {
      sender = this.#attach((session) => session.open_sender({ target: { address } }), 'sendable')
      this.#senderByAddress.set(address, sender)
    }
    const open = await sender
    if (!open.sendable()) await new Promise((resolve) => open.once('sendable', resolve))
    await new Promise<void>((resolve, reject) => {
      const delivery = open.send({ durable: true, ...message } as Message)
      for (const outcome of ['accepted', 'rejected', 'released', 'modified'] as const) {
        const hear = (context: { readonly delivery?: unknown }): void => {
          if (context.delivery !== delivery) return
          open.removeListener(outcome, hear)
          if (outcome === 'accepted') resolve()
          else reject(new Error(outcome))
        }
        open.on(outcome, hear)
      }
      open.setMaxListeners(0)
    })
  }

  /** Asks, and waits for the reply at `inbox`, or at an address that the broker makes up. */
  async ask(address: string, message: Partial<Message>, inbox: string | null = null): Promise<Message> {
    const id = message.correlation_id ?? message.message_id ?? randomUUID()
    this.#inbox ??= this.receive(inbox, (reply) => {
      this.#answerById.get(idKey(reply.correlation_id))?.(reply)
      return 'accept'
    })
    const to = inbox ?? (await this.#inbox).source.address
    await this.#inbox
    const reply = new Promise<Message>((resolve) => void this.#answerById.set(idKey(id), resolve))
    await this.send(address, { message_id: id, ...message, reply_to: to })
    return reply
  }

  /** Takes messages, and says of each what becomes of it. */
  async receive(address: string | null, take: (message: Message) => 'accept' | 'fail' | 'keep'): Promise<Receiver> {
    return this.#attach((session) => {
      const source = address === null ? { dynamic: true } : { address }
      const receiver = session.open_receiver({ source: source as { address: string }, autoaccept: false })
      receiver.on('message', ({ message, delivery }) => {
        const what = take(message as Message)
        if (what === 'accept') delivery?.accept()
        else if (what === 'fail') delivery?.modified({ delivery_failed: true, undeliverable_here: false })
      })
      return receiver
    }, 'receiver_open')
  }

  #attach<L extends Sender | Receiver>(
    open: (session: ReturnType<Connection['create_session']>) => L,
    event: string,
  ): Promise<L> {
    const session = this.#connection.create_session()
    session.begin()
    return new Promise((resolve, reject) => {
      session.on('session_error', () => reject(session.error))
      const link = open(session)
      link.once(event, () => resolve(link))
      for (const failure of ['sender_error', 'receiver_error']) link.on(failure, () => reject(link.error))
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#connection.once('connection_close', () => resolve())
      this.#connection.once('disconnected', () => resolve())
    })
    if (!this.#connection.is_open()) return
    this.#connection.close()
    await closed
  }
}

/** Ids of all types as text; those of bytes may stand in a wrapper that says of which type they are. */
const idKey = (id: unknown): string => {
  const bare = typeof id === 'object' && id !== null && 'value' in id ? id.value : id
  return bare instanceof Uint8Array ? Buffer.from(bare).toString('hex') : String(bare)
}
