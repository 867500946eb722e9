import type { AppConnector, AppHandle } from '../../config/app.ts'
import type { ListenDefinition } from '../../config/flow.ts'
import { checkKeys, refuse } from '../../config/refuse.ts'
import { type BrokerDoorOptions, checkUrl, DOOR_KEYS, readDoor } from '../broker/config.ts'
import { bindMessages } from '../broker/config-messages.ts'
import { describeMessages, type MqttMessagesBinder } from './config-messages.ts'
import { readSubscription, SUBSCRIPTION_KEYS, type SubscriptionOptions } from './config-topic.ts'
import type { ConfigText } from './options.ts'

/** A broker that speaks MQTT 5, as it is described in a config. */
export interface MqttOptions {
  /** `mqtt://user:password@host:1883`, `mqtts://`, `ws://` or `wss://`. */
  readonly url: ConfigText
  /** What the sessions of this hub begin with at the broker. Two hubs on one broker need two. */
  readonly clientId: string
  /** How long the broker keeps what comes while the hub is away (7 days). */
  readonly sessionExpiryS?: number
}

export interface TopicOptions extends BrokerDoorOptions, SubscriptionOptions {
  /** 1 unless given. With 0 nothing is acknowledged: what comes while nobody listens, or is not durable when the hub dies, is lost. */
  readonly qos?: 0 | 1 | 2
}

/** As an application it stands in `apps`; for doors of flows it need not. */
export interface Mqtt extends AppHandle, MqttMessagesBinder {
  /** A door on a topic, or on several by `+` and `#`. */
  topic(filter: string, options?: TopicOptions): ListenDefinition
}

const SESSION_EXPIRY_S = 7 * 86_400

/** A broker that speaks MQTT 5, such as Mosquitto. */
export function mqtt(options: MqttOptions): Mqtt {
  checkKeys('mqtt()', options, ['url', 'clientId', 'sessionExpiryS'])
  const { url, clientId, sessionExpiryS = SESSION_EXPIRY_S } = options
  checkUrl('mqtt().url', url)
  if (typeof clientId !== 'string' || clientId === '' || /[/+#\s]/.test(clientId))
    refuse(
      'mqtt().clientId',
      'the broker keeps messages by it, so it is needed',
      "Give a name such as 'hub-1', without / + # and spaces.",
    )
  if (!Number.isSafeInteger(sessionExpiryS) || sessionExpiryS < 1 || sessionExpiryS > 0xffff_ffff)
    refuse(
      'mqtt().sessionExpiryS',
      `${String(sessionExpiryS)} is not a number of seconds`,
      'Give a whole number above 0.',
    )
  const session = { clientId, sessionExpiryS }
  const connector: AppConnector = {
    kind: 'mqtt',
    describe: (app, bindings, limits) => describeMessages(app, url, session, bindings, limits),
  }
  const messages = (object: string, ...rest: unknown[]): unknown => bindMessages(connector, object, rest)
  return {
    connector,
    messages: messages as Mqtt['messages'],
    topic: (filter, given = {}) => {
      const where = `topic(${JSON.stringify(filter)})`
      checkKeys(where, given, [...SUBSCRIPTION_KEYS, ...DOOR_KEYS])
      const { qos = 1 } = given
      const subscription = readSubscription(where, filter, { ...given, qos }, session)
      return { kind: 'mqtt', options: { ...subscription, url, ...readDoor(where, given) } }
    },
  }
}
