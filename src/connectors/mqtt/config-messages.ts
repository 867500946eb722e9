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
import {
  checkTopic,
  type MqttSession,
  readSubscription,
  SUBSCRIPTION_KEYS,
  type SubscriptionOptions,
} from './config-topic.ts'
import type { ConfigText, MqttFeed, MqttTopic } from './options.ts'

export interface MqttConsumeOptions extends SubscriptionOptions, FeedOptions, ParkingOptions {
  /** A topic, or several by `+` and `#`. */
  readonly topic: string
  /** 1 unless given. What comes with QoS 0 may be lost, so it is not taken here. */
  readonly qos?: 1 | 2
}

export interface MqttPublishOptions extends EventOptions {
  /** `{kind}` is created, updated or deleted, `{id}` the record's id. */
  readonly topic: string
  /** 1 unless given. */
  readonly qos?: 1 | 2
  /** The broker keeps the last message of each topic for who subscribes later. */
  readonly retain?: boolean
}

export type MqttMessagesOptions<Name extends string = string> = MessagesOptionsOf<
  MqttConsumeOptions,
  MqttPublishOptions,
  Name
>
export type MqttMessagesBinder = MessagesBinderOf<MqttConsumeOptions, MqttPublishOptions>

export function describeMessages(
  app: AppId,
  url: ConfigText,
  session: MqttSession,
  bindings: readonly BindingSpec[],
  { bodyBytesMax }: HubLimits,
): AppDescription {
  const consume = (where: string, given: MqttConsumeOptions): MqttFeed => readConsume(where, given, session)
  const objects = readObjects(app, bindings, { consume, publish: readPublish })
  const { clientId } = session
  return describedAs({ kind: 'mqtt', options: { app, url, clientId, bodyBytesMax, objects } }, objects)
}

function readConsume(where: string, given: MqttConsumeOptions, session: MqttSession): MqttFeed {
  checkKeys(where, given, ['topic', 'parked', ...SUBSCRIPTION_KEYS, ...FEED_KEYS])
  if (given.parked !== undefined) checkTopic(`${where}.parked`, given.parked)
  const subscription = readSubscription(where, given.topic, { ...given, qos: qosOf(where, given.qos) }, session)
  return { ...subscription, ...readParkingFeed(where, given) }
}

function readPublish(where: string, app: AppId, object: string, given: MqttPublishOptions): MqttTopic {
  checkKeys(where, given, ['topic', 'qos', 'retain', ...EVENT_KEYS])
  const { topic, qos, retain = false } = given
  checkTopic(`${where}.topic`, topic)
  return { topic, qos: qosOf(where, qos), retain, ...readEvents(where, app, object, given) }
}

function qosOf(where: string, qos: unknown): 1 | 2 {
  if (qos === undefined || qos === 1) return 1
  if (qos === 2) return 2
  refuse(`${where}.qos`, `${String(qos)} would lose records`, 'Give 1 or 2.')
}
