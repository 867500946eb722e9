import type { AppConnector, AppHandle } from '../../config/app.ts'
import type { ListenDefinition } from '../../config/flow.ts'
import { checkKeys } from '../../config/refuse.ts'
import { type BrokerDoorOptions, checkUrl, DOOR_KEYS, readDoor } from '../broker/config.ts'
import { bindMessages } from '../broker/config-messages.ts'
import { describeMessages, type NatsMessagesBinder } from './config-messages.ts'
import { type ConsumerOptions, checkNatsName, checkSubject, readStream, STREAM_KEYS } from './config-stream.ts'
import type { ConfigText } from './options.ts'

/** A NATS server, as it is described in a config. */
export interface NatsOptions {
  /** `nats://user:password@host:port`, `nats://token@host:port`, or `tls://`. */
  readonly url: ConfigText
}

export interface StreamOptions extends ConsumerOptions, BrokerDoorOptions {}

export interface SubjectOptions extends BrokerDoorOptions {
  /** Subscribers of one group get each message once. */
  readonly group?: string
}

/** As an application it stands in `apps`; for doors of flows it need not. */
export interface Nats extends AppHandle, NatsMessagesBinder {
  /** A door on a stream of JetStream: acknowledged only after durable. */
  stream(name: string, options?: StreamOptions): ListenDefinition
  /** A door on a subject. Nothing keeps a message that nobody takes: for request/reply, and for what may be lost. */
  subject(name: string, options?: SubjectOptions): ListenDefinition
}

/** A NATS server: streams of JetStream, and subjects. */
export function nats(options: NatsOptions): Nats {
  checkKeys('nats()', options, ['url'])
  const { url } = options
  checkUrl('nats().url', url)
  const connector: AppConnector = {
    kind: 'nats',
    describe: (app, bindings, limits) => describeMessages(app, url, bindings, limits),
  }
  const messages = (object: string, ...rest: unknown[]): unknown => bindMessages(connector, object, rest)
  return {
    connector,
    messages: messages as Nats['messages'],
    stream: (name, given = {}) => {
      const where = `stream(${JSON.stringify(name)})`
      checkKeys(where, given, [...STREAM_KEYS, ...DOOR_KEYS])
      return { kind: 'nats', options: { ...readStream(where, name, given), url, ...readDoor(where, given) } }
    },
    subject: (name, given = {}) => {
      const where = `subject(${JSON.stringify(name)})`
      checkKeys(where, given, ['group', ...DOOR_KEYS])
      checkSubject(where, name)
      if (given.group !== undefined) checkNatsName(`${where}.group`, given.group)
      return {
        kind: 'nats',
        options: { kind: 'subject', url, subject: name, group: given.group ?? null, ...readDoor(where, given) },
      }
    },
  }
}
