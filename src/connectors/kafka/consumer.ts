import { SyncError } from '../../errors/index.ts'
import type { Clock } from '../../ports/clock.ts'
import type { BrokerDriver, BrokerMessage, BrokerSession } from '../broker/port.ts'
import { kafkaError, placeOptions } from './connection.ts'
import { type KafkaConsumer, type KafkaRecord, type KafkaStream, loadKafka } from './driver.ts'
import type { KafkaSubscription, ResolvedPlace } from './options.ts'
import { Progress } from './progress.ts'
import { KafkaPublisher } from './publisher.ts'

/** The group waits so long for a member that died, and so does its partitions' next one. */
const SESSION_TIMEOUT_MS = 10_000
const HEARTBEAT_MS = 3_000
/** The broker answers a fetch that finds nothing after this. */
const FETCH_WAIT_MS = 500
const CLOSE_MS = 5_000
const [REPLY_HEADER, CORRELATION_HEADER] = ['reply-to', 'correlation-id']

type Options = ResolvedPlace & KafkaSubscription & { readonly inFlightMax: number; readonly parked?: string | null }

/** Consumes one topic as a member of a group. */
export const kafkaConsumer = (options: Options, clock: Clock): BrokerDriver => ({
  async open(take) {
    const where = `topic ${options.topic}`
    const { Consumer } = await loadKafka()
    const consumer = new Consumer({
      ...placeOptions(where, options),
      groupId: options.group,
      sessionTimeout: SESSION_TIMEOUT_MS,
      rebalanceTimeout: SESSION_TIMEOUT_MS,
      heartbeatInterval: HEARTBEAT_MS,
    })
    try {
      const stream = await consumer.consume({
        topics: [options.topic],
        mode: 'committed',
        fallbackMode: 'earliest',
        autocommit: false,
        maxWaitTime: FETCH_WAIT_MS,
        // What is not read yet is held here; while it is full nothing is fetched.
        highWaterMark: options.inFlightMax,
      })
      return new Session(where, options, consumer, stream, clock, take)
    } catch (error) {
      await consumer.close(true).catch(() => undefined)
      throw kafkaError(where, error)
    }
  },
})

class Session implements BrokerSession {
  readonly ended: Promise<SyncError>
  readonly #end: (reason: SyncError) => void
  readonly #where: string
  readonly #options: Options
  readonly #consumer: KafkaConsumer
  readonly #stream: KafkaStream
  readonly #clock: Clock
  readonly #progress = new Progress()
  #publisher: Promise<KafkaPublisher> | null = null
  #committing: Promise<void> | null = null
  #isOpen = true
  #isPaused = false
  /** The reading waits for room. */
  #room: (() => void) | null = null

  constructor(
    where: string,
    options: Options,
    consumer: KafkaConsumer,
    stream: KafkaStream,
    clock: Clock,
    take: (message: BrokerMessage) => void,
  ) {
    const { promise, resolve } = Promise.withResolvers<SyncError>()
    this.ended = promise
    this.#end = resolve
    this.#where = where
    this.#options = options
    this.#consumer = consumer
    this.#stream = stream
    this.#clock = clock
    stream.on('error', (error) => this.#lost(error))
    void this.#read(take).catch((error: unknown) => this.#lost(error))
  }

  /** Pulls, so that what is not pulled stays at the broker. */
  async #read(take: (message: BrokerMessage) => void): Promise<void> {
    for await (const record of this.#stream) {
      if (!this.#isOpen || this.#isPaused) return
      this.#progress.took(record.partition, record.offset)
      take(this.#messageOf(record))
      while (this.#progress.openCount >= this.#options.inFlightMax)
        await new Promise<void>((resolve) => {
          this.#room = resolve
        })
    }
    this.#lost(new Error('the stream of messages has ended'))
  }

  #messageOf({ topic, partition, offset, key, value, headers: given, timestamp }: KafkaRecord): BrokerMessage {
    const headers: Record<string, string> = Object.create(null)
    for (const [name, text] of given) headers[String(Buffer.from(name)).toLowerCase()] ??= String(Buffer.from(text))
    let isSettled = false
    const settle = (): void => {
      if (isSettled || !this.#isOpen) return
      isSettled = true
      this.#progress.settled(partition, offset)
      this.#room?.()
      void this.#commit()
    }
    return {
      body: value ?? new Uint8Array(),
      contentType: headers['content-type'],
      headers,
      facts: {
        topic,
        partition: String(partition),
        ...(key === undefined || key === null || key.length === 0 ? {} : { key: String(Buffer.from(key)) }),
      },
      // Its place in the log tells it from all others.
      id: `${topic}:${partition}:${offset}`,
      correlationId: headers[CORRELATION_HEADER],
      replyTo: headers[REPLY_HEADER],
      // Nobody counts them.
      deliveries: 1,
      isKept: true,
      timeMs: Number(timestamp),
      ack: settle,
      // Kafka has no dead letters: it is passed over.
      reject: settle,
    }
  }

  /** One at a time; what is settled meanwhile goes with the next. */
  #commit(): Promise<void> {
    this.#committing ??= this.#commitAll()
      .catch((error: unknown) => this.#lost(error))
      .finally(() => {
        this.#committing = null
      })
    return this.#committing
  }

  async #commitAll(): Promise<void> {
    for (;;) {
      const assigned = this.#consumer.assignments
      const isOurs = (partition: number): boolean =>
        assigned?.some(({ topic, partitions }) => topic === this.#options.topic && partitions.includes(partition)) ??
        false
      const offsets = this.#progress.toCommit(this.#options.topic, isOurs)
      if (offsets.length === 0) return
      await this.#consumer.commit({ offsets })
      this.#progress.committed(offsets)
    }
  }

  #lost(error: unknown): void {
    this.#isOpen = false
    this.#room?.()
    this.#end(kafkaError(this.#where, error))
  }

  async #publish(topic: string, body: string | Uint8Array, headers: Readonly<Record<string, string>>): Promise<void> {
    this.#publisher ??= KafkaPublisher.open(this.#where, this.#options, [topic])
    const publisher = await this.#publisher.catch((error: unknown) => {
      this.#publisher = null
      throw error
    })
    await publisher.publish({ topic, key: undefined, body, headers })
  }

  async reply({
    address,
    body,
    contentType,
    headers,
    correlationId,
  }: Parameters<BrokerSession['reply']>[0]): Promise<void> {
    const marked = {
      ...headers,
      'content-type': contentType,
      ...(correlationId === undefined ? {} : { [CORRELATION_HEADER]: correlationId }),
    }
    try {
      await this.#publish(address, body, marked)
    } catch (error) {
      const reason = SyncError.from(error)
      // Who names a topic that is not there will not get an answer, however often it is tried.
      throw new SyncError(reason.code === 'broker.refused' ? 'broker.unroutable' : 'broker.unconfirmed', reason.message)
    }
  }

  async park({ body, headers }: BrokerMessage, { code, message: reason }: SyncError): Promise<void> {
    const { parked } = this.#options
    if (typeof parked !== 'string')
      throw new SyncError('internal.bug', `${this.#where}: nothing is parked at a broker that has no place for it`)
    await this.#publish(parked, body, { ...headers, 'latchwork-code': code, 'latchwork-reason': reason })
  }

  async pause(): Promise<void> {
    this.#isPaused = true
  }

  async close(): Promise<void> {
    this.#isPaused = true
    if (this.#isOpen) await this.#commit()
    this.#isOpen = false
    this.#room?.()
    this.#end(new SyncError('broker.unreachable', `${this.#where}: the connection was closed by the hub.`))
    const { promise: tooLong, resolve } = Promise.withResolvers<void>()
    const timer = this.#clock.timer(CLOSE_MS, resolve)
    const publisher = await this.#publisher?.catch(() => null)
    await Promise.race([Promise.allSettled([publisher?.close(), this.#consumer.close(true)]), tooLong])
    timer.cancel()
  }
}
