import type { ListenDefinition } from '../../config/flow.ts'
import { checkKeys, refuse } from '../../config/refuse.ts'
import { type BrokerDoorOptions, checkUrl, DOOR_KEYS, readDoor } from '../broker/config.ts'
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

export interface TopicOptions extends BrokerDoorOptions {
  /** 1 unless given. With 0 nothing is acknowledged: what comes while nobody listens, or is not durable when the hub dies, is lost. */
  readonly qos?: 0 | 1 | 2
  /** Subscribers of one group get each message once (a shared subscription). */
  readonly group?: string
}

export interface Mqtt {
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
  return {
    topic: (filter, given = {}) => {
      const where = `topic(${JSON.stringify(filter)})`
      checkKeys(where, given, ['qos', 'group', ...DOOR_KEYS])
      const { qos = 1, group } = given
      if (
        typeof filter !== 'string' ||
        !/^(?:[^+#\0]*|(?:(?:\+|[^+#/\0]*)\/)*(?:\+|#|[^+#/\0]*))$/.test(filter) ||
        filter === ''
      )
        refuse(where, 'this is not a filter of topics', "Give one such as 'orders/new', 'orders/+' or 'orders/#'.")
      if (qos !== 0 && qos !== 1 && qos !== 2) refuse(`${where}.qos`, `${String(qos)} is not a QoS`, 'Give 0, 1 or 2.')
      if (group !== undefined && (typeof group !== 'string' || !/^[^/+#\0]+$/.test(group)))
        refuse(`${where}.group`, 'this is not the name of a group', 'Give text without / + and #.')
      return {
        kind: 'mqtt',
        options: {
          url,
          clientId: `${clientId}:${filter}`,
          topic: filter,
          group: group ?? null,
          qos,
          sessionExpiryS,
          ...readDoor(where, given),
        },
      }
    },
  }
}
