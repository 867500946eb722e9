import type { Message } from 'rhea'
import { brokerSyncSuite, type SeenMessage } from '../broker/fixture-sync-suite.ts'
import { JmsBroker } from './fixture-jms-broker.ts'
import { amqp1 } from './index.ts'
import { bodyOf } from './message.ts'

/** What is published goes to two queues: one is looked at, the other is a hub's. */
brokerSyncSuite('AMQP 1.0', true, async () => {
  const broker = await JmsBroker.start('told', 'parked', 'changes', 'seen', 'subscribed')
  broker.copy('changes', ['seen', 'subscribed'])
  const take = async (queue: string): Promise<SeenMessage | null> => {
    const message = broker.take(queue)
    if (message === null) return null
    const { application_properties: headers = {}, content_type: contentType, body, message_id: id } = message
    return { headers, contentType, body: Buffer.from(bodyOf(body)).toString(), id: String(id) }
  }
  return {
    bus: () => amqp1({ url: broker.url }) as never,
    consume: { address: 'told', parked: 'parked' },
    publish: { address: 'changes' },
    subscribe: { address: 'subscribed' },
    eventPrefix: 'cloudEvents_',
    send: async (body, id, headers = {}) =>
      broker.put('told', { body, message_id: id, application_properties: headers } as unknown as Message),
    published: () => take('seen'),
    parked: () => take('parked'),
    again: async ({ headers, contentType, body }) =>
      broker.put('subscribed', {
        body,
        application_properties: headers,
        content_type: contentType,
      } as unknown as Message),
    [Symbol.asyncDispose]: () => broker[Symbol.asyncDispose](),
  }
})
