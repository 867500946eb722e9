import type { AppConnector, AppHandle } from '../../config/app.ts'
import type { ListenDefinition } from '../../config/flow.ts'
import { checkKeys } from '../../config/refuse.ts'
import { type BrokerDoorOptions, checkUrl, DOOR_KEYS, readDoor } from '../broker/config.ts'
import { bindMessages } from '../broker/config-messages.ts'
import { describeMessages, type MessagesBinder } from './config-messages.ts'
import { QUEUE_KEYS, type QueueOptions, readQueue } from './config-queue.ts'
import type { ConfigText } from './options.ts'

/** A broker that speaks AMQP 0-9-1, as it is described in a config. */
export interface RabbitmqOptions {
  /** `amqp://user:password@host:port/vhost`, or `amqps://`. */
  readonly url: ConfigText
}

/** As an application it stands in `apps`; for doors of flows it need not. */
export interface Rabbitmq extends AppHandle, MessagesBinder {
  /** A door for messages to a flow. */
  queue(name: string, options?: QueueOptions & BrokerDoorOptions): ListenDefinition
}

/** RabbitMQ, or another broker that speaks AMQP 0-9-1. */
export function rabbitmq(options: RabbitmqOptions): Rabbitmq {
  checkKeys('rabbitmq()', options, ['url'])
  const { url } = options
  checkUrl('rabbitmq().url', url)
  const connector: AppConnector = {
    kind: 'amqp',
    describe: (app, bindings, limits) => describeMessages(app, url, bindings, limits),
  }
  const messages = (object: string, ...rest: unknown[]): unknown => bindMessages(connector, object, rest)
  return {
    connector,
    messages: messages as Rabbitmq['messages'],
    queue: (name, given = {}) => {
      const where = `queue(${JSON.stringify(name)})`
      checkKeys(where, given, [...QUEUE_KEYS, ...DOOR_KEYS])
      return { kind: 'amqp', options: { url, ...readQueue(where, name, given), ...readDoor(where, given) } }
    },
  }
}
