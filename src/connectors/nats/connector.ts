import { SyncError } from '../../errors/index.ts'
import type { ObjectId } from '../../model/ids.ts'
import type { Connector } from '../../ports/app.ts'
import { type ConnectorDeps, createBrokerConnector, placeFor, stepOf, urlOf } from '../broker/connector.ts'
import type { PublishingSession } from '../broker/target.ts'
import { connectNats } from './connection.ts'
import { natsConsumer } from './consumer.ts'
import type { NatsAppOptions, NatsTopic } from './options.ts'
import { natsPublisher } from './publisher.ts'

/** The prefix of the attributes of CloudEvents among the headers, as the binding for NATS has it. */
const EVENT_PREFIX = 'ce-'

/** An application that is reached by streams of NATS, as the engine holds it. The options are resolved: the url is text. */
export function createNatsConnector(options: NatsAppOptions, deps: ConnectorDeps): Connector {
  const { app, objects, bodyBytesMax } = options
  const url = urlOf(app, options.url)
  return createBrokerConnector(
    app,
    objects,
    bodyBytesMax,
    {
      eventPrefix: EVENT_PREFIX,
      consumer: (feed) => natsConsumer({ ...feed, url }, deps.clock),
      publisher: () => openPublisher(options, url),
    },
    deps,
  )
}

async function openPublisher({ app, objects }: NatsAppOptions, url: string): Promise<PublishingSession> {
  const topics = new Map<ObjectId, NatsTopic>()
  for (const { object, publish } of objects) if (publish !== null) topics.set(object, publish)
  const link = await connectNats(app, url)
  try {
    const publish = await natsPublisher(app, link)
    return {
      ended: link.ended,
      async publish(object, kind, { body, contentType, headers, id, subject }) {
        const to = topics.get(object)
        if (to === undefined) throw new SyncError('internal.bug', `${app} publishes nothing for ${object}`)
        await publish({
          subject: placeFor(to.subject, kind, stepOf(subject)),
          body,
          headers: { ...headers, 'content-type': contentType },
          id,
        })
      },
      close: () => link.close(),
    }
  } catch (error) {
    await link.close()
    throw error
  }
}
