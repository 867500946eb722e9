import { SyncError } from '../../errors/index.ts'
import type { Clock } from '../../ports/clock.ts'
import type { BrokerDriver, BrokerMessage, BrokerSession, OutgoingMessage } from '../broker/port.ts'
import { type Amqp1Link, connectAmqp1, hear, openSession } from './connection.ts'
import type { RheaDelivery, RheaLibrary, RheaMessage, RheaReceiver } from './driver.ts'
import { amqp1Error } from './errors.ts'
import { bodyOf, idText, isBytes, isUuid, jmsBody, textsOf } from './message.ts'
import { Amqp1Senders } from './senders.ts'

/** A broker that does not answer must not keep the hub from trying anew. */
const OPEN_MS = 30_000
const DETACH_MS = 1_000

export interface Amqp1Queue {
  readonly url: string
  readonly address: string
  readonly inFlightMax: number
  /** Where what is no record is sent. */
  readonly parked?: string | null
}

/** Consumes one address of a broker that speaks AMQP 1.0. */
export const amqp1Consumer = (options: Amqp1Queue, clock: Clock): BrokerDriver => ({
  async open(take) {
    const where = `address ${options.address}`
    const link = await connectAmqp1(where, options.url, clock, options.inFlightMax)
    const timer = clock.timer(OPEN_MS, () =>
      link.end(new SyncError('broker.unreachable', `${where}: the broker has not answered within ${OPEN_MS} ms.`)),
    )
    try {
      return await consume(where, link, options, clock, take)
    } catch (error) {
      await link.close()
      throw amqp1Error(where, error)
    } finally {
      timer.cancel()
    }
  },
})

async function consume(
  where: string,
  link: Amqp1Link,
  options: Amqp1Queue,
  clock: Clock,
  take: (message: BrokerMessage) => void,
): Promise<BrokerSession> {
  const session = openSession(link.connection, (error) => link.end(amqp1Error(where, error)))
  const receiver = session.open_receiver({
    // Brokers that make queues when they are missing make topics of them unless they are told.
    source: { address: options.address, capabilities: ['queue'] },
    snd_settle_mode: 0,
    rcv_settle_mode: 0,
    credit_window: 0,
    autoaccept: false,
    autosettle: true,
  })
  hear(receiver, ['receiver_error', 'receiver_close'], () => link.end(amqp1Error(where, receiver.error)))
  const taking = new Taking(where, link, receiver, options.inFlightMax, take)
  const { promise: opened, resolve } = Promise.withResolvers<null>()
  receiver.on('receiver_open', () => resolve(null))
  const failed = await Promise.race([opened, link.ended])
  if (failed !== null) throw failed
  // A broker that refuses opens a link without a source first, and closes it then.
  if (receiver.source?.address === undefined) throw await link.ended
  taking.begin()
  const senders = new Amqp1Senders(where, link, clock)
  return {
    ended: link.ended,
    async reply(message, request) {
      const sent = senders.send(message.address, replyOf(link.library, message, taking.original(request)))
      await sent.catch((error: unknown) => {
        const reason = SyncError.from(error)
        // Who gave an address that is not there will not get an answer, however often it is tried.
        throw reason.code === 'broker.refused' ? new SyncError('broker.unroutable', reason.message) : reason
      })
    },
    async park(message, { code, message: reason }) {
      const original = taking.original(message)
      if (original === undefined || typeof options.parked !== 'string')
        throw new SyncError('internal.bug', `${where}: nothing is parked at a broker that has no place for it`)
      const { application_properties: properties, body, content_type, correlation_id, message_id } = original
      const marked = { ...properties, 'latchwork-code': code, 'latchwork-reason': reason }
      const given = { body, content_type, correlation_id, message_id }
      const known = Object.entries(given).filter(([, value]) => value !== undefined)
      await senders.send(options.parked, {
        durable: true,
        ...Object.fromEntries(known),
        application_properties: marked,
      })
    },
    async pause() {
      taking.pause()
    },
    async close() {
      // The broker has heard what goes back when it confirms that the link is closed.
      if (taking.giveBack()) await detached(receiver, link, clock)
      await link.close()
    },
  }
}

async function detached(receiver: RheaReceiver, link: Amqp1Link, clock: Clock): Promise<void> {
  const { promise: closed, resolve } = Promise.withResolvers<void>()
  receiver.on('receiver_close', () => resolve())
  void link.ended.then(() => resolve())
  const timer = clock.timer(DETACH_MS, resolve)
  receiver.close()
  await closed
  timer.cancel()
}

/** What was taken and is not settled yet. For each that is, the broker may send another. */
class Taking {
  readonly #where: string
  readonly #receiver: RheaReceiver
  readonly #inFlightMax: number
  readonly #take: (message: BrokerMessage) => void
  /** By the order in which they came; oldest first. */
  readonly #unsettled = new Map<number, RheaDelivery>()
  readonly #originals = new WeakMap<BrokerMessage, RheaMessage>()
  #came = 0
  /** What the broker may send, and what it may send as soon as that is used up. */
  #credit = 0
  #owed = 0
  #isOpen = true
  #isPaused = false

  constructor(
    where: string,
    link: Amqp1Link,
    receiver: RheaReceiver,
    inFlightMax: number,
    take: (message: BrokerMessage) => void,
  ) {
    this.#where = where
    this.#receiver = receiver
    this.#inFlightMax = inFlightMax
    this.#take = take
    void link.ended.then(() => {
      this.#isOpen = false
    })
    receiver.on('message', ({ message, delivery }) => {
      if (message !== undefined && delivery !== undefined) this.#taken(message, delivery)
    })
  }

  begin(): void {
    this.#owed = this.#inFlightMax
    this.#grant()
  }

  pause(): void {
    this.#isPaused = true
  }

  original(message: BrokerMessage): RheaMessage | undefined {
    return this.#originals.get(message)
  }

  #taken(given: RheaMessage | Uint8Array, delivery: RheaDelivery): void {
    if (!this.#isOpen) return
    const n = this.#came++
    this.#credit--
    this.#unsettled.set(n, delivery)
    // What comes after the pause stays the broker's.
    if (this.#isPaused) return
    const original = given instanceof Uint8Array ? { body: given } : given
    const message = this.#messageOf(original, (how) => {
      if (!this.#isOpen || !this.#unsettled.delete(n)) return
      how(delivery)
      this.#owed++
      this.#grant()
    })
    this.#originals.set(message, original)
    this.#take(message)
    this.#grant()
  }

  /** Only when all was used: RabbitMQ takes credit for more than it is where messages are on their way. */
  #grant(): void {
    if (this.#credit > 0 || this.#owed === 0 || this.#isPaused || !this.#isOpen) return
    this.#credit = this.#owed
    this.#owed = 0
    this.#receiver.add_credit(this.#credit)
  }

  #messageOf(original: RheaMessage, settle: (how: (delivery: RheaDelivery) => void) => void): BrokerMessage {
    const { subject, content_type: contentType, reply_to: replyTo, creation_time: created } = original
    const headers = textsOf(original.application_properties)
    const time = created instanceof Date ? created.getTime() : created
    return {
      body: bodyOf(original.body),
      contentType,
      headers,
      facts: { address: this.#where.slice('address '.length), ...(subject === undefined ? {} : { subject }) },
      id: idText(original.message_id),
      correlationId: idText(original.correlation_id),
      replyTo,
      deliveries: deliveriesOf(original, headers),
      isKept: true,
      timeMs: typeof time === 'number' && Number.isSafeInteger(time) ? time : undefined,
      ack: () => settle((delivery) => delivery.accept()),
      reject: () =>
        settle((delivery) =>
          delivery.reject({
            condition: 'amqp:decode-error',
            description: 'the message cannot be taken; see the log of the hub',
          }),
        ),
    }
  }

  /** What was not taken in the end goes back: untouched when the hub stops, as tried in vain when something went wrong with it. */
  giveBack(): boolean {
    if (!this.#isOpen) return false
    const canCount = namesOf(this.#receiver.source?.outcomes).includes('amqp:modified:list')
    for (const delivery of this.#unsettled.values())
      if (this.#isPaused || !canCount) delivery.release()
      else delivery.modified({ delivery_failed: true, undeliverable_here: false })
    this.#unsettled.clear()
    return true
  }
}

/** Brokers that count say how many deliveries failed. RabbitMQ says it of quorum queues in a header of its own, and of others only that there was one. */
function deliveriesOf(
  { delivery_count: failed, first_acquirer: isFirst }: RheaMessage,
  headers: Readonly<Record<string, string>>,
): number | null {
  const counted = Number(headers['x-delivery-count'] ?? failed ?? 0)
  if (Number.isSafeInteger(counted) && counted > 0) return counted + 1
  return isFirst === false ? null : 1
}

const namesOf = (given: unknown): readonly string[] => (Array.isArray(given) ? given : [given]).map(String)

/** In kind: who asked with bytes is answered with bytes, under an id of the same type. */
function replyOf(
  library: RheaLibrary,
  { address, body, contentType, headers, correlationId }: OutgoingMessage,
  request: RheaMessage | undefined,
): Readonly<Record<string, unknown>> {
  const inBytes = request !== undefined && isBytes(request)
  const id = request?.correlation_id ?? request?.message_id ?? correlationId
  return {
    durable: true,
    to: address,
    content_type: contentType,
    ...(id === undefined
      ? {}
      : { correlation_id: id instanceof Uint8Array && !isUuid(id) ? library.types.wrap_binary(id) : id }),
    ...(Object.keys(headers).length === 0 ? {} : { application_properties: headers }),
    ...jmsBody(library, body, inBytes),
  }
}
