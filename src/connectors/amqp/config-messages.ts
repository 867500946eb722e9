import type { AppDescription, BindingSpec, HubLimits } from '../../config/app.ts'
import { checkKeys, refuse, refuseUnknown } from '../../config/refuse.ts'
import type { AppId } from '../../model/ids.ts'
import {
  describedAs,
  EVENT_KEYS,
  type EventOptions,
  FEED_KEYS,
  type FeedOptions,
  type MessagesBinderOf,
  type MessagesOptionsOf,
  readEvents,
  readFeed,
  readObjects,
} from '../broker/config-messages.ts'
import { EXCHANGE_TYPES, QUEUE_KEYS, type QueueOptions, readQueue } from './config-queue.ts'
import type { AmqpBinding, AmqpObject, ConfigText } from './options.ts'

export interface ConsumeOptions extends QueueOptions, FeedOptions {
  readonly queue: string
}

export interface PublishOptions extends EventOptions {
  /** '' publishes to the queue that `key` names. */
  readonly exchange: string
  /** The exchange is declared, durable, as this type; without it the exchange must be there. */
  readonly type?: AmqpBinding['type'] & string
  /** The routing key; `{kind}` is created, updated or deleted, `{id}` the record's id. `<object>.{kind}` unless given. */
  readonly key?: string
  /** A change that no queue takes is set aside, instead of taken as published to nobody. */
  readonly mandatory?: boolean
}

export type MessagesOptions<Name extends string = string> = MessagesOptionsOf<ConsumeOptions, PublishOptions, Name>
export type MessagesBinder = MessagesBinderOf<ConsumeOptions, PublishOptions>

const CONSUME_KEYS = ['queue', ...QUEUE_KEYS, ...FEED_KEYS]
const PUBLISH_KEYS = ['exchange', 'type', 'key', 'mandatory', ...EVENT_KEYS]

export function describeMessages(
  app: AppId,
  url: ConfigText,
  bindings: readonly BindingSpec[],
  limits: HubLimits,
): AppDescription {
  const objects = readObjects(app, bindings, { consume: readConsume, publish: readPublish })
  return describedAs({ kind: 'amqp', options: { app, url, bodyBytesMax: limits.bodyBytesMax, objects } }, objects)
}

function readConsume(where: string, given: ConsumeOptions): NonNullable<AmqpObject['consume']> {
  checkKeys(where, given, CONSUME_KEYS)
  return { ...readQueue(where, given.queue, given), ...readFeed(where, given) }
}

function readPublish(
  where: string,
  app: AppId,
  object: string,
  given: PublishOptions,
): NonNullable<AmqpObject['publish']> {
  checkKeys(where, given, PUBLISH_KEYS)
  const { exchange, type, key = `${object}.{kind}`, mandatory = exchange === '' } = given
  if (typeof exchange !== 'string')
    refuse(`${where}.exchange`, 'a name is needed', "Name the exchange, or '' and a queue as key.")
  if (typeof key !== 'string')
    refuse(`${where}.key`, 'this is not text', "Give a routing key such as 'customer.{kind}'.")
  if (type !== undefined && !EXCHANGE_TYPES.includes(type))
    refuseUnknown(`${where}.type`, 'a type of exchange', String(type), EXCHANGE_TYPES)
  return { exchange, exchangeType: type ?? null, key, mandatory, ...readEvents(where, app, object, given) }
}
