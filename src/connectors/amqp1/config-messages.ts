import type { AppDescription, BindingSpec, HubLimits } from '../../config/app.ts'
import { checkKeys, refuseUnknown } from '../../config/refuse.ts'
import type { AppId } from '../../model/ids.ts'
import {
  describedAs,
  EVENT_KEYS,
  type EventOptions,
  FEED_KEYS,
  type FeedOptions,
  type MessagesBinderOf,
  type MessagesOptionsOf,
  type ParkingOptions,
  readEvents,
  readObjects,
  readParkingFeed,
  readPlace,
} from '../broker/config-messages.ts'
import type { Amqp1Feed, Amqp1Topic, ConfigText } from './options.ts'

export interface Amqp1ConsumeOptions extends FeedOptions, ParkingOptions {
  readonly address: string
}

export interface Amqp1PublishOptions extends EventOptions {
  /** `{kind}` is created, updated or deleted, `{id}` the record's id. */
  readonly address: string
  /** As what the body is sent: a text message of JMS (`text`, unless given), or one of bytes. */
  readonly body?: 'text' | 'bytes'
}

export type Amqp1MessagesOptions<Name extends string = string> = MessagesOptionsOf<
  Amqp1ConsumeOptions,
  Amqp1PublishOptions,
  Name
>
export type Amqp1MessagesBinder = MessagesBinderOf<Amqp1ConsumeOptions, Amqp1PublishOptions>

export function describeMessages(
  app: AppId,
  url: ConfigText,
  bindings: readonly BindingSpec[],
  { bodyBytesMax }: HubLimits,
): AppDescription {
  const objects = readObjects(app, bindings, { consume: readConsume, publish: readPublish })
  return describedAs({ kind: 'amqp1', options: { app, url, bodyBytesMax, objects } }, objects)
}

function readConsume(where: string, given: Amqp1ConsumeOptions): Amqp1Feed {
  checkKeys(where, given, ['address', 'parked', ...FEED_KEYS])
  return { address: readPlace(`${where}.address`, given.address, 'customers'), ...readParkingFeed(where, given) }
}

function readPublish(where: string, app: AppId, object: string, given: Amqp1PublishOptions): Amqp1Topic {
  checkKeys(where, given, ['address', 'body', ...EVENT_KEYS])
  const { body = 'text' } = given
  if (body !== 'text' && body !== 'bytes') refuseUnknown(`${where}.body`, 'a body', String(body), ['text', 'bytes'])
  const address = readPlace(`${where}.address`, given.address, 'customers.{kind}')
  return { address, body, ...readEvents(where, app, object, given) }
}
