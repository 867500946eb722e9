import { brokerSyncSuite, type SeenMessage } from '../broker/fixture-sync-suite.ts'
import { hasKcat, MockKafka, Peer, type SeenRecord } from './fixture-kafka.ts'
import { kafka } from './index.ts'

brokerSyncSuite('Kafka (a mock broker)', hasKcat || process.env.CI === 'true', async () => {
  const mock = await MockKafka.start()
  const peer = new Peer(mock.broker)
  const [told, parkedIn, changes] = [peer.topic(), peer.topic(), peer.topic()]
  // The mock makes a topic when it is first written to. What is written here tells of nothing.
  await peer.send(told, { data: { no: '0', called: 'Nobody', town: 'Nowhere', v: 1 } }, { kind: 'gone' })
  for (const topic of [parkedIn, changes])
    await peer.send(topic, { id: '0', v: 1 }, { ce_specversion: '1.0', ce_type: 'none.deleted', ce_sequence: '1' })
  const hear = async (topic: string): Promise<() => Promise<SeenMessage | null>> => {
    const seen = await peer.hear(topic)
    while (seen.length === 0) await new Promise((resolve) => setTimeout(resolve, 10))
    seen.shift()
    return async () => {
      const record = seen.shift()
      return record === undefined ? null : seenOf(record)
    }
  }
  const [published, parked] = [await hear(changes), await hear(parkedIn)]
  return {
    bus: () => kafka({ url: `kafka://${mock.broker}` }) as never,
    consume: { topic: told, parked: parkedIn },
    publish: { topic: changes },
    subscribe: { topic: changes },
    eventPrefix: 'ce_',
    send: (body, _id, headers = {}) => peer.send(told, body, headers),
    published,
    parked,
    again: ({ body, headers }) => peer.send(changes, body, headers as Record<string, string>),
    [Symbol.asyncDispose]: async () => {
      await peer[Symbol.asyncDispose]()
      await mock[Symbol.asyncDispose]()
    },
  }
})

const seenOf = ({ value, headers }: SeenRecord): SeenMessage => ({
  headers,
  contentType: headers['content-type'],
  body: value,
  id: undefined,
})
