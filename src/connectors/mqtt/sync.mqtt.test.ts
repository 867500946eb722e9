import type { IPublishPacket } from 'mqtt'
import { brokerSyncSuite, type SeenMessage } from '../broker/fixture-sync-suite.ts'
import { hasMqtt, MQTT_URL, Peer } from './fixture-mqtt.ts'
import { mqtt } from './index.ts'

brokerSyncSuite('MQTT', hasMqtt, async () => {
  const peer = await Peer.open()
  const { topic, clientId } = peer.names()
  // A broker keeps nothing for a session that is not there yet.
  for (const filter of [`${topic}/told`, `${topic}/changes/+`]) await peer.openSession(`${clientId}:${filter}`, filter)
  const hear = async (filter: string): Promise<() => Promise<SeenMessage | null>> => {
    const packets = await peer.hear(filter)
    return async () => {
      const packet = packets.shift()
      return packet === undefined ? null : seen(packet)
    }
  }
  const published = await hear(`${topic}/changes/+`)
  const parked = await hear(`${topic}/parked`)
  return {
    bus: () => mqtt({ url: MQTT_URL, clientId }) as never,
    consume: { topic: `${topic}/told`, parked: `${topic}/parked` },
    publish: { topic: `${topic}/changes/{kind}` },
    subscribe: { topic: `${topic}/changes/+` },
    eventPrefix: '',
    send: (body, _id, headers = {}) =>
      peer.send(
        `${topic}/told`,
        body,
        Object.keys(headers).length === 0 ? {} : { properties: { userProperties: { ...headers } } },
      ),
    published,
    parked,
    again: ({ body, headers, contentType }) =>
      peer.send(`${topic}/changes/again`, body, {
        properties: {
          userProperties: headers as Record<string, string>,
          ...(contentType === undefined ? {} : { contentType }),
        },
      }),
    [Symbol.asyncDispose]: () => peer[Symbol.asyncDispose](),
  }
})

const seen = ({ payload, properties }: IPublishPacket): SeenMessage => ({
  headers: { ...properties?.userProperties },
  contentType: properties?.contentType,
  body: payload.toString(),
  id: undefined,
})
