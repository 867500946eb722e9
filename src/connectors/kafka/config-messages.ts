import type { AppDescription, BindingSpec, HubLimits } from '../../config/app.ts'
import { checkKeys, refuse } from '../../config/refuse.ts'
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
import type { KafkaFeed, KafkaPlace, KafkaTopic } from './options.ts'

export interface KafkaConsumeOptions extends FeedOptions, ParkingOptions {
  readonly topic: string
  /** The consumer group; `latchwork` unless given. */
  readonly group?: string
}

export interface KafkaPublishOptions extends EventOptions {
  /** `{kind}` is created, updated or deleted. The key of a message is the record's id, so that what is told of one record is in order. */
  readonly topic: string
}

export type KafkaMessagesOptions<Name extends string = string> = MessagesOptionsOf<
  KafkaConsumeOptions,
  KafkaPublishOptions,
  Name
>
export type KafkaMessagesBinder = MessagesBinderOf<KafkaConsumeOptions, KafkaPublishOptions>

export function describeMessages(
  app: AppId,
  place: KafkaPlace,
  bindings: readonly BindingSpec[],
  { bodyBytesMax }: HubLimits,
): AppDescription {
  const objects = readObjects(app, bindings, { consume: readConsume, publish: readPublish })
  return describedAs({ kind: 'kafka', options: { ...place, app, bodyBytesMax, objects } }, objects)
}

function readConsume(where: string, given: KafkaConsumeOptions): KafkaFeed {
  checkKeys(where, given, ['topic', 'group', 'parked', ...FEED_KEYS])
  checkTopic(`${where}.topic`, given.topic)
  if (given.parked !== undefined) checkTopic(`${where}.parked`, given.parked)
  return { topic: given.topic, group: groupOf(where, given.group), ...readParkingFeed(where, given) }
}

function readPublish(where: string, app: AppId, object: string, given: KafkaPublishOptions): KafkaTopic {
  checkKeys(where, given, ['topic', ...EVENT_KEYS])
  checkTopic(`${where}.topic`, typeof given.topic === 'string' ? given.topic.replaceAll('{kind}', 'kind') : given.topic)
  return { topic: given.topic, ...readEvents(where, app, object, given) }
}

export function checkTopic(where: string, topic: unknown): void {
  if (typeof topic !== 'string' || !/^[\w.-]{1,249}$/.test(topic))
    refuse(where, 'this is not a topic', 'Give 1 to 249 letters, digits, dots, underscores and hyphens.')
}

export function groupOf(where: string, group: unknown = 'latchwork'): string {
  if (typeof group === 'string' && group !== '') return group
  refuse(`${where}.group`, 'this is not the name of a group', "Give one such as 'hub-1'.")
}
