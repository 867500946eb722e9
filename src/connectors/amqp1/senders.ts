import type { Clock } from '../../ports/clock.ts'
import type { Amqp1Link } from './connection.ts'
import { Amqp1Sender } from './sender.ts'

/** Callers are few, and each has an address of its own for as long as it lives; so have the records that are published. */
const ADDRESSES_MAX = 64

/** Sends to whatever addresses are named, each exactly as it was given. */
export class Amqp1Senders {
  readonly #where: string
  readonly #link: Amqp1Link
  readonly #clock: Clock
  /** Least recently used first. */
  readonly #senderByAddress = new Map<string, Promise<Amqp1Sender>>()

  constructor(where: string, link: Amqp1Link, clock: Clock) {
    this.#where = where
    this.#link = link
    this.#clock = clock
  }

  /** Rejects with `broker.refused` for an address that is not there, `broker.unroutable` or `broker.unconfirmed`. */
  async send(address: string, message: Readonly<Record<string, unknown>>): Promise<void> {
    const sender = await this.#senderTo(address)
    await sender.send(message)
  }

  #senderTo(address: string): Promise<Amqp1Sender> {
    const known = this.#senderByAddress.get(address)
    this.#senderByAddress.delete(address)
    const opening = known ?? this.#open(address)
    this.#senderByAddress.set(address, opening)
    return opening
  }

  #open(address: string): Promise<Amqp1Sender> {
    void this.#trim()
    const opening = Amqp1Sender.open(this.#where, this.#link, this.#clock, address)
    const forget = (): void => {
      if (this.#senderByAddress.get(address) === opening) this.#senderByAddress.delete(address)
    }
    opening.then((sender) => sender.ended.then(forget), forget)
    return opening
  }

  async #trim(): Promise<void> {
    for (const [address, opening] of [...this.#senderByAddress]) {
      if (this.#senderByAddress.size < ADDRESSES_MAX) return
      const sender = await opening.catch(() => null)
      if (sender === null || !sender.isIdle || this.#senderByAddress.get(address) !== opening) continue
      this.#senderByAddress.delete(address)
      sender.close()
    }
  }
}
