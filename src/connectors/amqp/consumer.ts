import { SyncError } from '../../errors/index.ts'
import type { BrokerDriver, BrokerMessage, BrokerSession } from '../broker/port.ts'
import { type AmqpDeps, type AmqpLink, connectAmqp } from './connection.ts'
import type { AmqpChannel, AmqpDelivery } from './driver.ts'
import { amqpError } from './errors.ts'
import type { AmqpQueue } from './options.ts'
import { type AmqpOutgoing, AmqpPublisher } from './publisher.ts'

/** Consumes one queue of a broker that speaks AMQP 0-9-1. */
export const amqpConsumer = (
  options: AmqpQueue & { readonly url: string; readonly inFlightMax: number },
  deps: AmqpDeps,
): BrokerDriver => ({
  async open(take) {
    const where = `queue ${options.queue}`
    const link = await connectAmqp(where, options.url, deps)
    const timer = deps.clock.timer(OPEN_MS, () =>
      link.end(new SyncError('broker.unreachable', `${where}: the broker has not answered within ${OPEN_MS} ms.`)),
    )
    try {
      const failed = link.ended.then((reason) => Promise.reject(reason))
      return await Promise.race([consume(where, link, options, deps, take), failed])
    } catch (error) {
      await link.close()
      throw amqpError(where, error)
    } finally {
      timer.cancel()
    }
  },
})

/** A queue whose node is away can be long in answering; one that never does must not keep the hub from trying anew. */
const OPEN_MS = 30_000

async function consume(
  where: string,
  link: AmqpLink,
  options: AmqpQueue & { readonly inFlightMax: number },
  { clock }: AmqpDeps,
  take: (message: BrokerMessage) => void,
): Promise<BrokerSession> {
  const channel = await link.connection.createChannel()
  channel.on('error', (error) => link.end(amqpError(where, error)))
  channel.on('close', () => link.end(amqpError(where, new Error('the channel was closed'))))
  await declareQueue(channel, options)
  await channel.prefetch(options.inFlightMax)
  let isOpen = true
  void link.ended.then(() => {
    isOpen = false
  })
  const { consumerTag } = await channel.consume(options.queue, (delivery) => {
    // The broker takes the right to consume back when the queue is deleted or moves.
    if (delivery === null) link.end(amqpError(where, new Error('the broker has cancelled the consumer')))
    else if (isOpen) take(messageOf(channel, delivery, () => isOpen))
  })
  let publisher: Promise<AmqpPublisher> | null = null
  const publish = async (message: AmqpOutgoing): Promise<void> => {
    publisher ??= AmqpPublisher.open(where, link, clock)
    await (await publisher).publish(message)
  }
  return {
    ended: link.ended,
    async reply({ address, body, contentType, headers, correlationId }) {
      // A reply goes to the queue that is named, by the exchange that has no name.
      const to = { exchange: '', key: address, body, contentType, headers }
      await publish(correlationId === undefined ? to : { ...to, correlationId })
    },
    async park(message, reason) {
      const parked = `${options.queue}.parked`
      await channel.assertQueue(parked, { durable: true })
      const { body, contentType = 'application/octet-stream', correlationId, id } = message
      const headers = { ...message.headers, 'latchwork-code': reason.code, 'latchwork-reason': reason.message }
      await publish({
        exchange: '',
        key: parked,
        body,
        contentType,
        headers,
        ...(id === undefined ? {} : { messageId: id }),
        ...(correlationId === undefined ? {} : { correlationId }),
      })
    },
    async pause() {
      if (isOpen) await channel.cancel(consumerTag)
    },
    close: () => link.close(),
  }
}

/** Makes what the config declares, and looks whether the rest is there. */
export async function declareQueue(
  channel: AmqpChannel,
  { queue, declare, arguments: more, bind }: AmqpQueue,
): Promise<void> {
  if (declare === null) await channel.checkQueue(queue)
  else await channel.assertQueue(queue, { durable: true, arguments: { ...more, 'x-queue-type': declare } })
  for (const { exchange, key, type } of bind) {
    if (type === null) await channel.checkExchange(exchange)
    else await channel.assertExchange(exchange, type, { durable: true })
    await channel.bindQueue(queue, exchange, key)
  }
}

function messageOf(channel: AmqpChannel, delivery: AmqpDelivery, isOpen: () => boolean): BrokerMessage {
  const { content, fields, properties } = delivery
  const { contentType, headers = {}, messageId, correlationId, replyTo, timestamp } = properties
  let isSettled = false
  const settle = (how: () => void): void => {
    if (isSettled || !isOpen()) return
    isSettled = true
    how()
  }
  // Quorum queues count the deliveries before this one; other queues say only that there was one.
  const counted = headers['x-delivery-count']
  return {
    body: content,
    contentType,
    headers: textsOf(headers),
    facts: { exchange: fields.exchange, routingKey: fields.routingKey },
    id: messageId,
    correlationId,
    replyTo,
    deliveries: typeof counted === 'number' ? counted + 1 : fields.redelivered === true ? null : 1,
    isKept: true,
    timeMs: typeof timestamp === 'number' ? timestamp * 1_000 : undefined,
    ack: () => settle(() => channel.ack(delivery)),
    reject: () => settle(() => channel.reject(delivery, false)),
  }
}

/** Headers that have a text form. Tables and lists (`x-death`) are the broker's own bookkeeping. */
function textsOf(headers: Readonly<Record<string, unknown>>): Record<string, string> {
  const texts: Record<string, string> = Object.create(null)
  for (const [name, value] of Object.entries(headers))
    if (
      typeof value === 'string' ||
      typeof value === 'number' ||
      typeof value === 'boolean' ||
      typeof value === 'bigint'
    )
      texts[name.toLowerCase()] = String(value)
  return texts
}
