import type { AppConnector, AppHandle } from '../../config/app.ts'
import type { ListenDefinition } from '../../config/flow.ts'
import { checkKeys, refuse, refuseUnknown } from '../../config/refuse.ts'
import { type BrokerDoorOptions, checkUrl, DOOR_KEYS, readDoor } from '../broker/config.ts'
import { bindMessages } from '../broker/config-messages.ts'
import { checkTopic, describeMessages, groupOf, type KafkaMessagesBinder } from './config-messages.ts'
import type { ConfigText, KafkaPlace } from './options.ts'

/** The brokers of a Kafka cluster, as they are described in a config. */
export interface KafkaOptions {
  /** `kafka://user:password@host:9092,host:9092`, or `kafkas://` for TLS. */
  readonly url: ConfigText
  /** `latchwork` unless given. */
  readonly clientId?: string
  /** How the user and the password are proven; `PLAIN` unless given. */
  readonly mechanism?: KafkaPlace['mechanism']
}

export interface KafkaTopicOptions extends BrokerDoorOptions {
  /** The consumer group (`latchwork`): its members share the topic, and the broker keeps how far it has got. Two flows on one topic need two. */
  readonly group?: string
}

/** As an application it stands in `apps`; for doors of flows it need not. */
export interface Kafka extends AppHandle, KafkaMessagesBinder {
  /** A door on a topic: its offsets are committed only after durable. */
  topic(name: string, options?: KafkaTopicOptions): ListenDefinition
}

const MECHANISMS = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const

/** A Kafka cluster, or another one that speaks its protocol. */
export function kafka(options: KafkaOptions): Kafka {
  checkKeys('kafka()', options, ['url', 'clientId', 'mechanism'])
  const { url, clientId = 'latchwork', mechanism = 'PLAIN' } = options
  checkUrl('kafka().url', url)
  if (typeof clientId !== 'string' || clientId === '')
    refuse('kafka().clientId', 'this is not a name', "Give one such as 'hub-1'.")
  if (!MECHANISMS.includes(mechanism)) refuseUnknown('kafka().mechanism', 'a mechanism', String(mechanism), MECHANISMS)
  const place: KafkaPlace = { url, clientId, mechanism }
  const connector: AppConnector = {
    kind: 'kafka',
    describe: (app, bindings, limits) => describeMessages(app, place, bindings, limits),
  }
  const messages = (object: string, ...rest: unknown[]): unknown => bindMessages(connector, object, rest)
  return {
    connector,
    messages: messages as Kafka['messages'],
    topic: (name, given = {}) => {
      const where = `topic(${JSON.stringify(name)})`
      checkKeys(where, given, ['group', ...DOOR_KEYS])
      checkTopic(where, name)
      return {
        kind: 'kafka',
        options: { ...place, topic: name, group: groupOf(where, given.group), ...readDoor(where, given) },
      }
    },
  }
}
