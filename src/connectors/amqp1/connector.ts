import { SyncError } from '../../errors/index.ts'
import type { ObjectId } from '../../model/ids.ts'
import type { Connector } from '../../ports/app.ts'
import { type ConnectorDeps, createBrokerConnector, placeFor, urlOf } from '../broker/connector.ts'
import type { PublishingSession } from '../broker/target.ts'
import { connectAmqp1 } from './connection.ts'
import { amqp1Consumer } from './consumer.ts'
import { jmsBody } from './message.ts'
import type { Amqp1AppOptions, Amqp1Topic } from './options.ts'
import { Amqp1Senders } from './senders.ts'

/** The prefix of the attributes of CloudEvents among the properties, in the spelling that names of JMS allow. */
const EVENT_PREFIX = 'cloudEvents_'

/** An application that is reached by addresses of AMQP 1.0, as the engine holds it. The options are resolved: the url is text. */
export function createAmqp1Connector(options: Amqp1AppOptions, deps: ConnectorDeps): Connector {
  const { app, objects, bodyBytesMax } = options
  const url = urlOf(app, options.url)
  return createBrokerConnector(
    app,
    objects,
    bodyBytesMax,
    {
      eventPrefix: EVENT_PREFIX,
      consumer: (feed) => amqp1Consumer({ ...feed, url }, deps.clock),
      publisher: () => openPublisher(options, url, deps),
    },
    deps,
  )
}

async function openPublisher(
  { app, objects }: Amqp1AppOptions,
  url: string,
  { clock }: ConnectorDeps,
): Promise<PublishingSession> {
  const topics = new Map<ObjectId, Amqp1Topic>()
  for (const { object, publish } of objects) if (publish !== null) topics.set(object, publish)
  const link = await connectAmqp1(app, url, clock, 1)
  const senders = new Amqp1Senders(app, link, clock)
  return {
    ended: link.ended,
    async publish(object, kind, { body, contentType, headers, id, subject, timeMs }) {
      const to = topics.get(object)
      if (to === undefined) throw new SyncError('internal.bug', `${app} publishes nothing for ${object}`)
      await senders.send(placeFor(to.address, kind, subject), {
        durable: true,
        message_id: id,
        content_type: contentType,
        creation_time: timeMs,
        application_properties: headers,
        ...jmsBody(link.library, body, to.body === 'bytes'),
      })
    },
    close: () => link.close(),
  }
}
