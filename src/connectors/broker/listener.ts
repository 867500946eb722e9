import { SyncError } from '../../errors/index.ts'
import { problemOf } from '../../formats/index.ts'
import type { FlowKind, Message, SetAside } from '../../model/flow.ts'
import type { FlowName } from '../../model/ids.ts'
import type { Clock, Log, Random } from '../../ports/clock.ts'
import type { Delivered, FlowDoor, MessageListener } from '../../ports/listen.ts'
import { KeptOpen } from './keep-open.ts'
import type { BrokerDoor } from './options.ts'
import type { BrokerDriver, BrokerMessage, BrokerSession } from './port.ts'
import { createReader, headersOf, type MessageReader } from './read.ts'

export interface ListenerDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** Longest body; a longer one is a message that cannot be taken. */
  readonly bodyBytesMax: number
}

/** The pause while a flow is full or the hub cannot write; doubled up to the longest. Messages wait at the broker meanwhile, beyond those in flight. */
const PAUSE_FIRST_MS = 50
const PAUSE_MAX_MS = 5_000
/** For messages under way when the hub stops. What is not over by then is delivered again. */
const CLOSE_MS = 5_000
/** Messages whose redeliveries are counted here, for brokers that do not count. */
const COUNTED_MAX = 10_000

/** Lost messages are said at the first and then seldom. */
const LOST_SAID_EVERY = 1_000

/** What a caller is told by its broker waiting, not by an answer: nothing was done, and it will be tried again. */
const NOT_NOW: ReadonlySet<string> = new Set([
  'flow.overloaded',
  'flow.queue-timeout',
  'intake.overloaded',
  'intake.stopping',
])

interface Item {
  readonly n: number
  readonly message: BrokerMessage
  readonly session: number
  /** Which delivery this is, as far as somebody counts. */
  readonly deliveries: number
}

/**
 * A door for messages of a broker to one flow: consume, journal, acknowledge. The same for every broker; its driver connects and knows its words.
 *
 * Messages are handed over in the broker's order; one that cannot be taken now (the flow is full, the disk says no) holds up those behind it. An acknowledgement
 * goes out only after the message is durable here, or is answered, or is set aside.
 */
export class BrokerListener implements MessageListener {
  readonly routes = []
  readonly #flow: FlowName
  readonly #kind: FlowKind
  readonly #origin: string
  readonly #door: BrokerDoor
  readonly #reader: MessageReader
  readonly #deps: ListenerDeps
  readonly #kept: KeptOpen<BrokerSession>
  #to: FlowDoor | null = null
  /** Taken and not handed over yet, oldest first. */
  #line: Item[] = []
  #underWay = 0
  #taken = 0
  #lost = 0
  #session = 0
  #failures = 0
  #pause: { cancel(): void } | null = null
  #isClosing = false
  #idle: (() => void) | null = null
  readonly #deliveriesById = new Map<string, number>()

  constructor(
    flow: { readonly name: FlowName; readonly kind: FlowKind },
    origin: string,
    door: BrokerDoor,
    driver: BrokerDriver,
    deps: ListenerDeps,
  ) {
    this.#flow = flow.name
    this.#kind = flow.kind
    this.#origin = origin
    this.#door = door
    this.#reader = createReader(door, deps.bodyBytesMax)
    this.#deps = deps
    this.#kept = new KeptOpen(`${origin} of ${flow.name}`, () => this.#open(driver), deps)
  }

  /** Why nothing is consumed now; null while it is. */
  get reason(): SyncError | null {
    return this.#kept.reason
  }

  async start(door: FlowDoor): Promise<void> {
    this.#to = door
    this.#kept.start()
  }

  async #open(driver: BrokerDriver): Promise<BrokerSession> {
    const number = ++this.#session
    // What an earlier session brought comes again in this one.
    this.#line = []
    const session = await driver.open((message) => this.#take(message, number))
    void session.ended.then(() => {
      this.#line = this.#line.filter((item) => item.session !== number)
    })
    return session
  }

  #take(message: BrokerMessage, session: number): void {
    if (session !== this.#session || this.#isClosing) return
    if (!message.isKept && this.#line.length + this.#underWay >= this.#door.inFlightMax) {
      this.#tooMany(message)
      return
    }
    this.#line.push({ n: this.#taken++, message, session, deliveries: this.#deliveriesOf(message) })
    this.#pump()
  }

  /** HOT PATH. */
  #pump(): void {
    while (this.#line.length > 0 && this.#pause === null && !this.#isClosing) {
      const full = this.#to?.refusal(this.#flow) ?? null
      if (full !== null) {
        this.#wait(full)
        return
      }
      const item = this.#line.shift() as Item
      this.#underWay++
      void this.#handle(item).then(
        () => this.#over(),
        (error: unknown) => {
          this.#again(item, SyncError.from(error))
          this.#over()
        },
      )
    }
  }

  /** More than can be taken, of a kind that nobody keeps: who asked is told to come back, the rest is lost, and that is said. */
  #tooMany(message: BrokerMessage): void {
    const error = new SyncError(
      'flow.overloaded',
      `${this.#flow} has ${this.#door.inFlightMax} messages of ${this.#origin} under way. Nothing was done; send it again.`,
    )
    this.#to?.refused(this.#flow, this.#messageOf(message, null), error)
    if (message.replyTo !== undefined) this.#answer(message, error).catch(() => undefined)
    if (this.#lost++ % LOST_SAID_EVERY === 0)
      this.#say(
        `more messages come than are taken, and nobody keeps them; ${this.#lost} were refused so far`,
        error.code,
      )
  }

  #over(): void {
    this.#underWay--
    if (this.#underWay === 0) this.#idle?.()
  }

  /** Resolves when the message is acknowledged or rejected; rejects when it must be tried again. */
  async #handle({ message, deliveries }: Item): Promise<void> {
    const { body: bytes, id } = message
    let read: Message | null = null
    try {
      if (deliveries > this.#door.deliveriesMax)
        throw new SyncError(
          'broker.redelivered',
          `${this.#origin}: a message was delivered ${deliveries} times and not acknowledged. Look at what it does, then release its run.`,
        )
      read = this.#messageOf(message, this.#reader.decode(bytes, headersOf(message)))
      if (this.#kind === 'reply' && read.replyTo === undefined)
        throw new SyncError(
          'broker.no-reply-to',
          `${this.#origin}: a message to ${this.#flow}, which replies, has no reply-to. Let its sender set one.`,
        )
      const delivered = await (this.#to as FlowDoor).deliver(this.#flow, read, null, 'none')
      if (delivered.kind === 'replied') await this.#reply(message, delivered)
    } catch (error) {
      await this.#refused(message, read, SyncError.from(error))
    }
    this.#failures = 0
    if (id !== undefined) this.#deliveriesById.delete(id)
    message.ack()
  }

  #messageOf(message: BrokerMessage, body: Message['body'], setAside?: SetAside): Message {
    const deliveryId = this.#reader.deliveryId(message, body)
    const { correlationId, replyTo } = message
    return {
      origin: this.#origin,
      properties: this.#reader.properties(message, body),
      body,
      ...(deliveryId === undefined ? {} : { deliveryId }),
      ...(correlationId === undefined ? {} : { correlationId }),
      ...(replyTo === undefined ? {} : { replyTo }),
      ...(setAside === undefined ? {} : { setAside }),
    }
  }

  /** Rejects when the message must be tried again; otherwise it may be acknowledged. */
  async #refused(message: BrokerMessage, read: Message | null, error: SyncError): Promise<void> {
    if (error.code === 'broker.unroutable') {
      // Whoever asked has gone, and its reply has nowhere to go: asking the flow again would not help.
      this.#say(error.message, error.code)
      return
    }
    if (NOT_NOW.has(error.code) || error.code === 'broker.unconfirmed') throw error
    const isAsked = this.#kind === 'reply' && message.replyTo !== undefined
    const known = read ?? this.#messageOf(message, null)
    const to = this.#to as FlowDoor
    if (isAsked && error.code !== 'broker.redelivered') {
      await this.#answer(message, error)
      to.refused(this.#flow, known, error)
      return
    }
    // `stop` and `bug` are no fault of the message: it stays at the broker.
    if (error.handling !== 'park') throw error
    const { code, message: reason } = error
    if (this.#door.poison === 'reject') {
      message.reject()
      to.refused(this.#flow, known, error)
      this.#say(`a message is rejected: ${reason}`, code)
      return
    }
    const setAside: SetAside = { code, reason, raw: read === null ? rawOf(message) : null }
    const kept = await to.setAside(this.#flow, { ...known, setAside })
    const run = kept.kind === 'accepted' ? kept.run : null
    this.#say(
      run === null
        ? `a message that was set aside came again: ${reason}`
        : `a message is set aside as run ${run}: ${reason}`,
      code,
    )
  }

  #say(text: string, code: string): void {
    this.#deps.log.log('warn', `${this.#origin}: ${text}`, { code, flow: this.#flow })
  }

  async #reply(message: BrokerMessage, { value }: Delivered & { readonly kind: 'replied' }): Promise<void> {
    const headers = headersOf(message)
    await this.#send(message, this.#reader.formatOf(headers).encode(value, headers), {})
  }

  async #answer(message: BrokerMessage, error: SyncError): Promise<void> {
    const headers = headersOf(message)
    const problem = problemOf(error, this.#origin)
    const written = this.#reader.formatOf(headers).fault(problem, headers)
    await this.#send(message, written, { 'latchwork-error': error.code }).catch((failure: unknown) => {
      const reason = SyncError.from(failure)
      if (reason.code !== 'broker.unroutable') throw reason
      this.#say(reason.message, reason.code)
    })
  }

  async #send(
    message: BrokerMessage,
    { contentType, body }: { readonly contentType: string; readonly body: string },
    headers: Readonly<Record<string, string>>,
  ): Promise<void> {
    const session = this.#kept.session
    if (session === null)
      throw new SyncError('broker.unconfirmed', 'the connection ended before the reply could be sent')
    const correlationId = message.correlationId ?? message.id
    const address = message.replyTo as string
    await session.reply({ address, body, contentType, headers, id: undefined, correlationId }, message)
  }

  #deliveriesOf({ deliveries, id }: BrokerMessage): number {
    if (deliveries !== null) return deliveries
    if (id === undefined) return 1
    const count = (this.#deliveriesById.get(id) ?? 1) + 1
    this.#deliveriesById.delete(id)
    this.#deliveriesById.set(id, count)
    for (const oldest of this.#deliveriesById.keys()) {
      if (this.#deliveriesById.size <= COUNTED_MAX) break
      this.#deliveriesById.delete(oldest)
    }
    return count
  }

  /** Back to its place in the line, which waits. */
  #again(item: Item, error: SyncError): void {
    if (item.session !== this.#session || this.#isClosing) return
    const at = this.#line.findIndex(({ n }) => n > item.n)
    this.#line.splice(at < 0 ? this.#line.length : at, 0, item)
    if (error.code === 'broker.unconfirmed') void this.#kept.session?.close()
    else this.#wait(error)
  }

  #wait(reason: SyncError): void {
    if (this.#pause !== null || this.#isClosing) return
    const { clock, log, random } = this.#deps
    const full = Math.min(PAUSE_MAX_MS, PAUSE_FIRST_MS * 2 ** Math.min(this.#failures, 20))
    // A full flow is no trouble: that is what the broker's queue is for.
    if (this.#failures === 0 && !NOT_NOW.has(reason.code))
      log.log('warn', `${this.#origin}: nothing is taken for now: ${reason.message}`, {
        code: reason.code,
        flow: this.#flow,
      })
    this.#failures++
    this.#pause = clock.timer(Math.round(full / 2 + (full / 2) * random.next()), () => {
      this.#pause = null
      this.#pump()
    })
  }

  decode(message: Message): Message | null {
    const raw = message.setAside?.raw ?? null
    if (raw === null || message.origin !== this.#origin) return null
    const body = this.#reader.decode(Buffer.from(raw.base64, 'base64'), raw.headers)
    const facts = message.properties
    const properties = this.#reader.properties({ headers: headersIn(raw.headers), facts }, body)
    return { ...message, body, properties }
  }

  async close(): Promise<void> {
    if (this.#isClosing) return
    this.#isClosing = true
    this.#pause?.cancel()
    await this.#kept.session?.pause().catch(() => undefined)
    this.#line = []
    if (this.#underWay > 0)
      await new Promise<void>((resolve) => {
        const timer = this.#deps.clock.timer(CLOSE_MS, resolve)
        this.#idle = () => {
          timer.cancel()
          resolve()
        }
      })
    await this.#kept.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

const rawOf = (message: BrokerMessage): SetAside['raw'] => ({
  base64: Buffer.from(message.body).toString('base64'),
  headers: headersIn(headersOf(message)),
})

const headersIn = (headers: Readonly<Record<string, string | undefined>>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).filter((entry): entry is [string, string] => entry[1] !== undefined))
