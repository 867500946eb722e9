import { SyncError } from '../../errors/index.ts'
import type { Clock } from '../../ports/clock.ts'
import type { AmqpLink } from './connection.ts'
import type { AmqpConfirmChannel, AmqpDelivery } from './driver.ts'
import { amqpError } from './errors.ts'

/** A broker confirms within milliseconds; one that has not by then has lost the message or the connection. Time in which it is blocked does not count. */
const CONFIRM_MS = 30_000

export interface AmqpOutgoing {
  readonly exchange: string
  readonly key: string
  readonly body: string | Uint8Array
  readonly contentType: string
  readonly headers: Readonly<Record<string, unknown>>
  readonly messageId?: string
  readonly correlationId?: string
  readonly type?: string
  readonly timestampMs?: number
  /** What no queue takes is refused; true unless given. */
  readonly mandatory?: boolean
}

/** Publishes with confirms: what it resolves for is on the broker's disk, and in a queue. */
export class AmqpPublisher {
  readonly #where: string
  readonly #link: AmqpLink
  readonly #clock: Clock
  readonly #channel: AmqpConfirmChannel
  /** Messages that came back, before their confirms: how many of each. */
  readonly #returned = new Map<string, number>()

  private constructor(where: string, link: AmqpLink, clock: Clock, channel: AmqpConfirmChannel) {
    this.#where = where
    this.#link = link
    this.#clock = clock
    this.#channel = channel
    channel.on('error', (error) => link.end(amqpError(where, error)))
    channel.on('close', () => link.end(amqpError(where, new Error('the channel was closed'))))
    channel.on('return', (delivery) => {
      const name = nameOf(delivery)
      this.#returned.set(name, (this.#returned.get(name) ?? 0) + 1)
    })
  }

  static async open(where: string, link: AmqpLink, clock: Clock): Promise<AmqpPublisher> {
    const channel = await link.connection.createConfirmChannel().catch((error: unknown) => {
      throw amqpError(where, error)
    })
    return new AmqpPublisher(where, link, clock, channel)
  }

  /** Rejects with `broker.unroutable` (it is nowhere), or `broker.unconfirmed` (it may be there). */
  publish(message: AmqpOutgoing): Promise<void> {
    const { exchange, key, messageId, correlationId } = message
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const lost = (why: string): void =>
      reject(new SyncError('broker.unconfirmed', `${this.#where}: ${shown(exchange, key)} was not confirmed: ${why}`))
    let timer = { cancel(): void {} }
    const wait = (): void => {
      timer = this.#clock.timer(CONFIRM_MS, () => {
        if (this.#link.isBlocked()) wait()
        else lost(`nothing was heard for ${CONFIRM_MS} ms.`)
      })
    }
    wait()
    void this.#link.ended.then((reason) => lost(reason.message))
    const properties = {
      persistent: true,
      mandatory: message.mandatory ?? true,
      contentType: message.contentType,
      headers: message.headers,
      ...(messageId === undefined ? {} : { messageId }),
      ...(correlationId === undefined ? {} : { correlationId }),
      ...(message.type === undefined ? {} : { type: message.type }),
      ...(message.timestampMs === undefined ? {} : { timestamp: Math.floor(message.timestampMs / 1_000) }),
    }
    const { body } = message
    const bytes = typeof body === 'string' ? Buffer.from(body) : Buffer.from(body.buffer, body.byteOffset, body.length)
    try {
      this.#channel.publish(exchange, key, bytes, properties, (error) => {
        // The broker sends what it cannot route back before it confirms it.
        const name = nameOf({ fields: { exchange, routingKey: key }, properties })
        const returned = this.#returned.get(name) ?? 0
        if (returned > 1) this.#returned.set(name, returned - 1)
        else this.#returned.delete(name)
        if (error !== null && error !== undefined) lost('the broker says no.')
        else if (returned > 0)
          reject(
            new SyncError('broker.unroutable', `${this.#where}: no queue takes ${shown(exchange, key)}.`, {
              place: { exchange, key },
            }),
          )
        else resolve()
      })
    } catch (error) {
      lost(amqpError(this.#where, error).message)
    }
    return promise.finally(() => timer.cancel())
  }
}

const shown = (exchange: string, key: string): string =>
  exchange === '' ? `a message to the queue ${key}` : `a message to the exchange ${exchange} with the key ${key}`

const nameOf = ({
  fields: { exchange, routingKey },
  properties: { messageId, correlationId },
}: Pick<AmqpDelivery, 'fields' | 'properties'>): string =>
  [exchange, routingKey, messageId ?? '', correlationId ?? ''].join('\u0000')
