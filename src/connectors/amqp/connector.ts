import { SyncError } from '../../errors/index.ts'
import { systemRandom } from '../../lib/system-clock.ts'
import type { Connector, WriteOp } from '../../ports/app.ts'
import type { Clock, Log } from '../../ports/clock.ts'
import { createBrokerSource } from '../broker/source.ts'
import { createBrokerTarget, type PublishedChange, type PublishingSession } from '../broker/target.ts'
import { amqpCapabilities } from './capabilities.ts'
import { connectAmqp } from './connection.ts'
import { amqpConsumer } from './consumer.ts'
import { amqpError } from './errors.ts'
import type { AmqpAppOptions, AmqpExchange } from './options.ts'
import { AmqpPublisher } from './publisher.ts'

interface Deps {
  readonly clock: Clock
  readonly log: Log
}

/** The prefix of the attributes of CloudEvents among the headers, as the AMQP binding has it. */
const EVENT_PREFIX = 'cloudEvents:'

/** An application that is reached by the queues and exchanges of RabbitMQ, as the engine holds it. The options are resolved: the url is text. */
export function createAmqpConnector(options: AmqpAppOptions, { clock, log }: Deps): Connector {
  const { app, url, objects, bodyBytesMax } = options
  if (typeof url !== 'string')
    throw new SyncError('internal.bug', `${app}: the environment variables of the config have not been read`)
  const deps = { clock, log, random: systemRandom, bodyBytesMax }
  const feeds = objects.flatMap((object) =>
    object.consume === null
      ? []
      : [{ object, feed: object.consume, driver: amqpConsumer({ ...object.consume, url }, deps) }],
  )
  const topics = objects.flatMap((object) => (object.publish === null ? [] : [{ object, topic: object.publish }]))
  const capabilities = new Map(objects.map((object) => [object.object as string, amqpCapabilities(object)]))
  return {
    app,
    source: createBrokerSource(app, feeds, deps),
    target: createBrokerTarget(app, topics, EVENT_PREFIX, () => openPublisher(options, url, { clock, log }), deps),
    capabilities: (object) => {
      const found = capabilities.get(object)
      if (found !== undefined) return found
      throw new SyncError('config.invalid', `${app} declares no messages ${object}.`)
    },
  }
}

async function openPublisher({ app, objects }: AmqpAppOptions, url: string, deps: Deps): Promise<PublishingSession> {
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

const KINDS = { create: 'created', update: 'updated', delete: 'deleted' } as const

function outgoing({ exchange, key }: AmqpExchange, kind: WriteOp['kind'], message: PublishedChange) {
  const { body, contentType, headers, id, subject, timeMs } = message
  const values: Readonly<Record<string, string>> = { kind: KINDS[kind], id: subject }
  return {
    exchange,
    key: key.replace(/\{(kind|id)\}/g, (_, name: string) => values[name] as string),
    body,
    contentType,
    headers,
    messageId: id,
    timestampMs: timeMs,
  }
}
