import { SyncError } from '../../errors/index.ts'
import type { ObjectId } from '../../model/ids.ts'
import type { Connector } from '../../ports/app.ts'
import { type ConnectorDeps, createBrokerConnector, placeFor, stepOf, urlOf } from '../broker/connector.ts'
import type { PublishingSession } from '../broker/target.ts'
import { connectMqtt, publishMqtt } from './connection.ts'
import { mqttConsumer } from './consumer.ts'
import type { MqttAppOptions, MqttTopic } from './options.ts'

/** Attributes of CloudEvents are user properties under their own names. */
const EVENT_PREFIX = ''

/** An application that is reached by topics of MQTT 5, as the engine holds it. The options are resolved: the url is text. */
export function createMqttConnector(options: MqttAppOptions, deps: ConnectorDeps): Connector {
  const { app, objects, bodyBytesMax } = options
  const url = urlOf(app, options.url)
  return createBrokerConnector(
    app,
    objects,
    bodyBytesMax,
    {
      eventPrefix: EVENT_PREFIX,
      consumer: (feed) => mqttConsumer({ ...feed, url }, deps.clock),
      publisher: () => openPublisher(options, url, deps),
    },
    deps,
  )
}

async function openPublisher(
  { app, clientId, objects }: MqttAppOptions,
  url: string,
  { clock }: ConnectorDeps,
): Promise<PublishingSession> {
  const topics = new Map<ObjectId, MqttTopic>()
  for (const { object, publish } of objects) if (publish !== null) topics.set(object, publish)
  const link = await connectMqtt(app, url, clock, { clientId: `${clientId}:publish:${app}`, clean: true })
  return {
    ended: link.ended,
    async publish(object, kind, { body, contentType, headers, subject }) {
      const to = topics.get(object)
      if (to === undefined) throw new SyncError('internal.bug', `${app} publishes nothing for ${object}`)
      const { qos, retain } = to
      const topic = placeFor(to.topic, kind, stepOf(subject))
      await publishMqtt(app, link, { topic, body, contentType, headers, qos, retain })
    },
    close: () => link.close(),
  }
}
