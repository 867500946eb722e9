import { SyncError } from '../../errors/index.ts'
import type { Clock } from '../../ports/clock.ts'
import type { BrokerDriver, BrokerMessage, BrokerSession, OutgoingMessage } from '../broker/port.ts'
import { connectNats, headersOf, type NatsLink, natsError, textsOf } from './connection.ts'
import { type JetStreamManager, type JetStreamMessage, loadJetStream, type NatsMessage } from './driver.ts'
import type { NatsStream, NatsSubject } from './options.ts'
import { natsPublisher } from './publisher.ts'

/** The header that names where a reply is wanted, for messages of a stream: their own reply subject is the server's. */
const REPLY_HEADER = 'reply-to'
const CORRELATION_HEADER = 'correlation-id'

type Resolved<T> = T & { readonly url: string; readonly parked?: string | null }

/** Consumes a subject, or a stream through a durable consumer. */
export function natsConsumer(options: Resolved<NatsStream | NatsSubject>, clock: Clock): BrokerDriver {
  const where = options.kind === 'stream' ? `stream ${options.stream}` : `subject ${options.subject}`
  return {
    async open(take) {
      const link = await connectNats(where, options.url)
      try {
        return options.kind === 'stream'
          ? await consumeStream(where, link, options, clock, take)
          : await subscribe(where, link, options, take)
      } catch (error) {
        await link.close()
        throw natsError(where, error)
      }
    },
  }
}

async function consumeStream(
  where: string,
  link: NatsLink,
  options: Resolved<NatsStream>,
  clock: Clock,
  take: (message: BrokerMessage) => void,
): Promise<BrokerSession> {
  const { connection } = link
  if (connection.info?.jetstream !== true)
    throw new SyncError(
      'broker.refused',
      `${where}: the server has no JetStream. Start it with JetStream, or listen to a subject, which nothing keeps messages of.`,
    )
  const { jetstream, jetstreamManager } = await loadJetStream()
  await declare(await jetstreamManager(connection), options)
  const consumer = await jetstream(connection).consumers.get(options.stream, options.consumer)
  const messages = await consumer.consume({ max_messages: options.inFlightMax })
  let isOpen = true
  const unsettled = new Set<JetStreamMessage>()
  void link.ended.then(() => {
    isOpen = false
    heartbeat.cancel()
  })
  // What waits here (the flow is full) is not given to anybody else meanwhile.
  const beat = (): { cancel(): void } =>
    clock.timer(Math.max(50, Math.floor(options.ackWaitMs / 3)), () => {
      if (!isOpen) return
      for (const message of unsettled) message.working()
      heartbeat = beat()
    })
  let heartbeat = beat()
  const settle = (message: JetStreamMessage, how: () => void): void => {
    if (unsettled.delete(message) && isOpen) how()
  }
  void (async () => {
    for await (const message of messages) {
      if (!isOpen) return
      unsettled.add(message)
      take(streamMessage(options.stream, message, settle))
    }
    link.end(new SyncError('broker.unreachable', `${where}: the consumer has ended.`))
  })().catch((error: unknown) => link.end(natsError(where, error)))
  void (async () => {
    for await (const { type } of messages.status())
      if (type === 'consumer_deleted' || type === 'consumer_not_found' || type === 'stream_not_found')
        link.end(new SyncError('broker.refused', `${where}: ${type.replaceAll('_', ' ')}. It is looked for again.`))
  })().catch(() => undefined)
  return {
    ended: link.ended,
    reply: (message) => publish(where, link, message),
    park: (message, reason) => park(where, link, options.parked ?? null, message, reason),
    async pause() {
      messages.stop()
    },
    async close() {
      heartbeat.cancel()
      messages.stop()
      await link.close()
    },
  }
}

/** Makes what is missing, and sets of the consumer what is the hub's to say: how much is in flight, and how long. */
async function declare(manager: JetStreamManager, options: NatsStream): Promise<void> {
  const { stream, consumer, filter, declare: subjects, inFlightMax, ackWaitMs } = options
  try {
    await manager.streams.info(stream)
  } catch (error) {
    if (subjects === null || (error as { name?: string }).name !== 'StreamNotFoundError') throw error
    await manager.streams.add({ name: stream, subjects })
  }
  const own = { ack_wait: ackWaitMs * 1_000_000, max_ack_pending: inFlightMax }
  try {
    const { config } = await manager.consumers.info(stream, consumer)
    if (config.ack_wait !== own.ack_wait || config.max_ack_pending !== own.max_ack_pending)
      await manager.consumers.update(stream, consumer, own)
  } catch (error) {
    if ((error as { name?: string }).name !== 'ConsumerNotFoundError') throw error
    await manager.consumers.add(stream, {
      durable_name: consumer,
      ack_policy: 'explicit',
      deliver_policy: 'all',
      ...own,
      ...(filter === null ? {} : { filter_subject: filter }),
    })
  }
}

function streamMessage(
  stream: string,
  message: JetStreamMessage,
  settle: (message: JetStreamMessage, how: () => void) => void,
): BrokerMessage {
  const headers = textsOf(message.headers)
  return {
    body: message.data,
    contentType: headers['content-type'],
    headers,
    facts: { subject: message.subject },
    // Its place in the stream tells it from all others, also where its publisher gave no id.
    id: headers['nats-msg-id'] ?? `${stream}:${message.seq}`,
    correlationId: headers[CORRELATION_HEADER],
    replyTo: headers[REPLY_HEADER],
    deliveries: message.info.deliveryCount,
    timeMs: Math.floor(message.info.timestampNanos / 1_000_000),
    isKept: true,
    ack: () => settle(message, () => message.ack()),
    reject: () => settle(message, () => message.term()),
  }
}

async function subscribe(
  where: string,
  link: NatsLink,
  options: NatsSubject,
  take: (message: BrokerMessage) => void,
): Promise<BrokerSession> {
  const { connection } = link
  const answered = new Set<string>()
  let isOpen = true
  void link.ended.then(() => {
    isOpen = false
  })
  const subscription = connection.subscribe(options.subject, {
    ...(options.group === null ? {} : { queue: options.group }),
    callback: (error: unknown, message: NatsMessage) => {
      if (error !== null) link.end(natsError(where, error))
      else if (isOpen)
        take(
          subjectMessage(message, () => {
            const { reply } = message
            if (reply === undefined || reply === '' || !isOpen || answered.delete(reply)) return
            // Whoever made a request of it, and not only a message, is told that it is durable now.
            connection.publish(reply, '')
          }),
        )
    },
  })
  await connection.flush()
  return {
    ended: link.ended,
    async reply(message) {
      await publish(where, link, message)
      answered.add(message.address)
    },
    park: noParking,
    async pause() {
      subscription.unsubscribe()
    },
    close: () => link.close(),
  }
}

function subjectMessage({ subject, data, headers: given, reply }: NatsMessage, ack: () => void): BrokerMessage {
  const headers = textsOf(given)
  return {
    body: data,
    contentType: headers['content-type'],
    headers,
    facts: { subject },
    id: headers['nats-msg-id'],
    correlationId: headers[CORRELATION_HEADER],
    replyTo: reply === '' ? undefined : reply,
    deliveries: 1,
    timeMs: undefined,
    isKept: false,
    ack,
    reject() {},
  }
}

async function publish(where: string, link: NatsLink, message: OutgoingMessage): Promise<void> {
  const { address, body, contentType, correlationId } = message
  const headers = headersOf(link.library, {
    ...message.headers,
    'content-type': contentType,
    ...(correlationId === undefined ? {} : { [CORRELATION_HEADER]: correlationId }),
  })
  try {
    link.connection.publish(address, body, { headers })
    // The server has read it: what a subject can promise.
    await link.connection.flush()
  } catch (error) {
    throw new SyncError('broker.unconfirmed', `${where}: a reply was not confirmed: ${natsError(where, error).message}`)
  }
}

/** Into another stream, by a subject of it. */
async function park(
  where: string,
  link: NatsLink,
  subject: string | null,
  { body, headers, contentType, id }: BrokerMessage,
  { code, message: reason }: SyncError,
): Promise<void> {
  if (subject === null) return noParking()
  const marked = {
    ...headers,
    ...(contentType === undefined ? {} : { 'content-type': contentType }),
    'latchwork-code': code,
    // A header is one line.
    'latchwork-reason': reason.replace(/\s+/g, ' '),
  }
  const publish = await natsPublisher(where, link)
  await publish({ subject, body, headers: marked, id })
}

const noParking = async (): Promise<void> => {
  throw new SyncError('internal.bug', 'nothing is parked at a NATS server: doors of flows keep it in the hub')
}
