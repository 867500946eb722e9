import { SyncError } from '../../errors/index.ts'
import type { Connector, WriteOp } from '../../ports/app.ts'
import { type ConnectorDeps, createBrokerConnector, placeFor, urlOf } from '../broker/connector.ts'
import type { PublishedChange, PublishingSession } from '../broker/target.ts'
import { connectAmqp } from './connection.ts'
import { amqpConsumer } from './consumer.ts'
import { amqpError } from './errors.ts'
import type { AmqpAppOptions, AmqpExchange } from './options.ts'
import { AmqpPublisher } from './publisher.ts'

/** The prefix of the attributes of CloudEvents among the headers, as the AMQP binding has it. */
const EVENT_PREFIX = 'cloudEvents:'

/** An application that is reached by the queues and exchanges of RabbitMQ, as the engine holds it. The options are resolved: the url is text. */
export function createAmqpConnector(options: AmqpAppOptions, deps: ConnectorDeps): Connector {
  const { app, objects, bodyBytesMax } = options
  const url = urlOf(app, options.url)
  return createBrokerConnector(
    app,
    objects,
    bodyBytesMax,
    {
      eventPrefix: EVENT_PREFIX,
      consumer: (feed) => amqpConsumer({ ...feed, url }, deps),
      publisher: () => openPublisher(options, url, deps),
    },
    deps,
  )
}

async function openPublisher(
  { app, objects }: AmqpAppOptions,
  url: string,
  deps: ConnectorDeps,
): Promise<PublishingSession> {
  const link = await connectAmqp(app, url, deps)
  try {
    const exchanges = new Map<string, AmqpExchange>()
    for (const { object, publish } of objects) if (publish !== null) exchanges.set(object, publish)
    const channel = await link.connection.createChannel()
    channel.on('error', (error) => link.end(amqpError(app, error)))
    for (const { exchange, exchangeType } of exchanges.values()) {
      if (exchangeType !== null) await channel.assertExchange(exchange, exchangeType, { durable: true })
      else if (exchange !== '') await channel.checkExchange(exchange)
    }
    const publisher = await AmqpPublisher.open(app, link, deps.clock)
    return {
      ended: link.ended,
      publish: (object, kind, message) => {
        const to = exchanges.get(object)
        if (to === undefined) throw new SyncError('internal.bug', `${app} publishes nothing for ${object}`)
        return publisher.publish({ ...outgoing(to, kind, message), mandatory: to.mandatory })
      },
      close: () => link.close(),
    }
  } catch (error) {
    await link.close()
    throw amqpError(app, error)
  }
}

function outgoing({ exchange, key }: AmqpExchange, kind: WriteOp['kind'], message: PublishedChange) {
  const { body, contentType, headers, id, subject, timeMs } = message
  return {
    exchange,
    key: placeFor(key, kind, subject),
    body,
    contentType,
    headers,
    messageId: id,
    timestampMs: timeMs,
  }
}
