import type { AppDescription, BindingSpec, HubLimits } from '../../config/app.ts'
import { checkKeys } from '../../config/refuse.ts'
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
} from '../broker/config-messages.ts'
import { type ConsumerOptions, checkSubject, readStream, STREAM_KEYS } from './config-stream.ts'
import type { ConfigText, NatsFeed, NatsTopic } from './options.ts'

export interface NatsConsumeOptions extends ConsumerOptions, FeedOptions, ParkingOptions {
  readonly stream: string
}

export interface NatsPublishOptions extends EventOptions {
  /** A subject that a stream keeps; `{kind}` is created, updated or deleted, `{id}` the record's id. */
  readonly subject: string
}

export type NatsMessagesOptions<Name extends string = string> = MessagesOptionsOf<
  NatsConsumeOptions,
  NatsPublishOptions,
  Name
>
export type NatsMessagesBinder = MessagesBinderOf<NatsConsumeOptions, NatsPublishOptions>

export function describeMessages(
  app: AppId,
  url: ConfigText,
  bindings: readonly BindingSpec[],
  { bodyBytesMax }: HubLimits,
): AppDescription {
  const objects = readObjects(app, bindings, { consume: readConsume, publish: readPublish })
  return describedAs({ kind: 'nats', options: { app, url, bodyBytesMax, objects } }, objects)
}

function readConsume(where: string, given: NatsConsumeOptions): NatsFeed {
  checkKeys(where, given, ['stream', 'parked', ...STREAM_KEYS, ...FEED_KEYS])
  if (given.parked !== undefined) checkSubject(`${where}.parked`, given.parked)
  return { ...readStream(where, given.stream, given), ...readParkingFeed(where, given) }
}

function readPublish(where: string, app: AppId, object: string, given: NatsPublishOptions): NatsTopic {
  checkKeys(where, given, ['subject', ...EVENT_KEYS])
  checkSubject(`${where}.subject`, given.subject)
  return { subject: given.subject, ...readEvents(where, app, object, given) }
}
