import { brokerSyncSuite, type SeenMessage } from '../broker/fixture-sync-suite.ts'
import { textsOf } from './connection.ts'
import { hasNats, NATS_URL, Peer } from './fixture-nats.ts'
import { nats } from './index.ts'

brokerSyncSuite('NATS', hasNats, async () => {
  const peer = await Peer.open()
  const stream = await peer.stream()
  const hear = (subject: string): (() => Promise<SeenMessage | null>) => {
    const seen: SeenMessage[] = []
    peer.connection.subscribe(subject, {
      callback: (_error, { data, headers: given }) => {
        const headers = textsOf(given)
        const { 'content-type': contentType, 'nats-msg-id': id } = headers
        seen.push({ headers, contentType, body: Buffer.from(data).toString(), id })
      },
    })
    return async () => seen.shift() ?? null
  }
  const published = hear(`${stream}.changes.*`)
  const parked = hear(`${stream}.parked`)
  await peer.connection.flush()
  return {
    bus: () => nats({ url: NATS_URL }) as never,
    consume: { stream, filter: `${stream}.told`, parked: `${stream}.parked`, consumer: 'told' },
    publish: { subject: `${stream}.changes.{kind}` },
    subscribe: { stream, filter: `${stream}.changes.*` },
    eventPrefix: 'ce-',
    // Under no id that the stream knows it by: all that is sent reaches the hub.
    send: (body, id, headers = {}) => peer.send(`${stream}.told`, body, { ...headers, 'x-id': id }),
    published,
    parked,
    again: ({ body, headers: { 'nats-msg-id': _, ...headers } }) =>
      peer.send(`${stream}.changes.again`, body, headers as Record<string, string>),
    [Symbol.asyncDispose]: () => peer[Symbol.asyncDispose](),
  }
})
