import { SyncError } from '../../errors/index.ts'
import type { Clock } from '../../ports/clock.ts'
import { type Amqp1Link, hear, openSession } from './connection.ts'
import type { RheaContext, RheaSender, RheaSent, RheaSession } from './driver.ts'
import { amqp1Error } from './errors.ts'

/** A broker answers within milliseconds; one that has not by then has lost the message or the connection. Time in which it gives no credit does not count. */
const CONFIRM_MS = 30_000

interface Waiting {
  resolve(): void
  reject(error: SyncError): void
}

/** Sends to one address, in a session of its own. What it resolves for is the broker's. */
export class Amqp1Sender {
  readonly #where: string
  readonly #clock: Clock
  readonly #session: RheaSession
  readonly #sender: RheaSender
  readonly #waiting = new Map<unknown, Waiting>()
  readonly #ended: Promise<SyncError>
  readonly #end: (reason: SyncError) => void
  #creditors: (() => void)[] = []
  #under = 0

  private constructor(where: string, link: Amqp1Link, clock: Clock, address: string) {
    this.#where = `${where}: ${address}`
    this.#clock = clock
    const { promise, resolve } = Promise.withResolvers<SyncError>()
    this.#ended = promise
    this.#end = resolve
    void link.ended.then((reason) => this.#lose(reason))
    this.#session = openSession(link.connection, (error) => this.#lose(amqp1Error(this.#where, error)))
    this.#sender = this.#session.open_sender({
      target: { address },
      snd_settle_mode: 0,
      autosettle: true,
      treat_modified_as_released: false,
    })
    hear(this.#sender, ['sender_error', 'sender_close'], () => this.#lose(amqp1Error(this.#where, this.#sender.error)))
    this.#sender.on('sendable', () => {
      const creditors = this.#creditors
      this.#creditors = []
      for (const go of creditors) go()
    })
    for (const outcome of ['accepted', 'rejected', 'released', 'modified'] as const)
      this.#sender.on(outcome, (context) => this.#settled(outcome, context))
  }

  /** Rejects with SyncError `broker.refused` for an address that is not there, and leaves nothing open then. */
  static async open(where: string, link: Amqp1Link, clock: Clock, address: string): Promise<Amqp1Sender> {
    const sender = new Amqp1Sender(where, link, clock, address)
    const { promise: opened, resolve } = Promise.withResolvers<null>()
    sender.#sender.on('sender_open', () => resolve(null))
    const timer = clock.timer(CONFIRM_MS, () =>
      sender.#lose(amqp1Error(where, new Error('the broker does not answer'))),
    )
    const failed = await Promise.race([opened, sender.#ended]).finally(() => timer.cancel())
    if (failed === null && sender.#sender.target?.address !== undefined) return sender
    const reason = failed ?? (await sender.#ended)
    sender.close()
    throw reason
  }

  get ended(): Promise<SyncError> {
    return this.#ended
  }

  /** Nothing that it was given waits for an answer. */
  get isIdle(): boolean {
    return this.#under === 0
  }

  /** Rejects with `broker.unroutable` (it is nowhere), or `broker.unconfirmed` (it may be there). */
  async send(message: Readonly<Record<string, unknown>>): Promise<void> {
    this.#under++
    try {
      while (!this.#sender.sendable()) {
        const { promise: credit, resolve } = Promise.withResolvers<null>()
        this.#creditors.push(() => resolve(null))
        const failed = await Promise.race([credit, this.#ended])
        if (failed !== null) throw this.#unconfirmed(failed.message)
      }
      await this.#sent(this.#sender.send(message))
    } finally {
      this.#under--
    }
  }

  #sent(delivery: RheaSent): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#waiting.set(delivery, { resolve, reject })
    const timer = this.#clock.timer(CONFIRM_MS, () =>
      reject(this.#unconfirmed(`nothing was heard for ${CONFIRM_MS} ms.`)),
    )
    return promise.finally(() => {
      timer.cancel()
      this.#waiting.delete(delivery)
    })
  }

  #settled(outcome: 'accepted' | 'rejected' | 'released' | 'modified', { delivery }: RheaContext): void {
    const waiting = this.#waiting.get(delivery)
    if (waiting === undefined) return
    const { error, undeliverable_here: isUndeliverable } = delivery?.remote_state ?? {}
    if (outcome === 'accepted') waiting.resolve()
    else if (outcome === 'modified' && isUndeliverable !== true)
      waiting.reject(this.#unconfirmed('the broker could not take it.'))
    else {
      const { description, condition } = (error ?? {}) as Readonly<Record<string, unknown>>
      const why = [description, condition].find((text) => typeof text === 'string') ?? `the broker says: ${outcome}`
      waiting.reject(new SyncError('broker.unroutable', `${this.#where} does not take the message: ${String(why)}.`))
    }
  }

  #lose(reason: SyncError): void {
    this.#end(reason)
    for (const { reject } of this.#waiting.values()) reject(this.#unconfirmed(reason.message))
  }

  readonly #unconfirmed = (why: string): SyncError =>
    new SyncError('broker.unconfirmed', `${this.#where}: a message was not confirmed: ${why}`)

  close(): void {
    this.#lose(new SyncError('broker.unreachable', `${this.#where}: it was closed by the hub.`))
    this.#sender.close()
    this.#session.close()
  }
}
