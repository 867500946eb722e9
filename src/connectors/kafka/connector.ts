import { SyncError } from '../../errors/index.ts'
import type { ObjectId } from '../../model/ids.ts'
import type { Connector } from '../../ports/app.ts'
import { type ConnectorDeps, createBrokerConnector, placeFor, urlOf } from '../broker/connector.ts'
import type { PublishingSession } from '../broker/target.ts'
import { kafkaConsumer } from './consumer.ts'
import type { KafkaAppOptions, KafkaTopic } from './options.ts'
import { KafkaPublisher } from './publisher.ts'

/** The prefix of the attributes of CloudEvents among the headers, as the binding for Kafka has it. */
const EVENT_PREFIX = 'ce_'

/** An application that is reached by topics of Kafka, as the engine holds it. The options are resolved: the url is text. */
export function createKafkaConnector(options: KafkaAppOptions, deps: ConnectorDeps): Connector {
  const { app, objects, bodyBytesMax } = options
  const place = { ...options, url: urlOf(app, options.url) }
  return createBrokerConnector(
    app,
    objects,
    bodyBytesMax,
    {
      eventPrefix: EVENT_PREFIX,
      consumer: (feed) => kafkaConsumer({ ...place, ...feed }, deps.clock),
      publisher: () => openPublisher(place),
    },
    deps,
  )
}

async function openPublisher(place: KafkaAppOptions & { readonly url: string }): Promise<PublishingSession> {
  const { app, objects } = place
  const topics = new Map<ObjectId, KafkaTopic>()
  for (const { object, publish } of objects) if (publish !== null) topics.set(object, publish)
  const known = [...topics.values()].map(({ topic }) => placeFor(topic, 'update', ''))
  const publisher = await KafkaPublisher.open(app, place, known)
  const { promise: ended, resolve: end } = Promise.withResolvers<SyncError>()
  return {
    ended,
    async publish(object, kind, { body, contentType, headers, subject }) {
      const to = topics.get(object)
      if (to === undefined) throw new SyncError('internal.bug', `${app} publishes nothing for ${object}`)
      await publisher.publish({
        topic: placeFor(to.topic, kind, ''),
        key: subject,
        body,
        headers: { ...headers, 'content-type': contentType },
      })
    },
    async close() {
      end(new SyncError('broker.unreachable', `${app}: the connection was closed by the hub.`))
      await publisher.close()
    },
  }
}
