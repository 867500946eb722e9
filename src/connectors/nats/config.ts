import type { ListenDefinition } from '../../config/flow.ts'
import { checkKeys, refuse } from '../../config/refuse.ts'
import { type BrokerDoorOptions, checkUrl, DOOR_KEYS, readDoor } from '../broker/config.ts'
import type { ConfigText } from './options.ts'

/** A NATS server, as it is described in a config. */
export interface NatsOptions {
  /** `nats://user:password@host:port`, `nats://token@host:port`, or `tls://`. */
  readonly url: ConfigText
}

export interface StreamOptions extends BrokerDoorOptions {
  /** The name of the durable consumer (`latchwork`); the hub makes it when it is missing. Two flows on one stream need two. */
  readonly consumer?: string
  /** Which subjects of the stream, such as `orders.*`; all unless given. */
  readonly filter?: string
  /** The hub makes the stream when it is missing, for these subjects. */
  readonly declare?: string | readonly [string, ...string[]]
  /** What was not acknowledged for so long is delivered again (30 s): how long a message waits after a crash of the hub. */
  readonly ackWaitMs?: number
}

export interface SubjectOptions extends BrokerDoorOptions {
  /** Subscribers of one group get each message once. */
  readonly group?: string
}

export interface Nats {
  /** A door on a stream of JetStream: acknowledged only after durable. */
  stream(name: string, options?: StreamOptions): ListenDefinition
  /** A door on a subject. Nothing keeps a message that nobody takes: for request/reply, and for what may be lost. */
  subject(name: string, options?: SubjectOptions): ListenDefinition
}

const ACK_WAIT_MS = 30_000

/** A NATS server: streams of JetStream, and subjects. */
export function nats(options: NatsOptions): Nats {
  checkKeys('nats()', options, ['url'])
  const { url } = options
  checkUrl('nats().url', url)
  return {
    stream: (name, given = {}) => {
      const where = `stream(${JSON.stringify(name)})`
      checkKeys(where, given, ['consumer', 'filter', 'declare', 'ackWaitMs', ...DOOR_KEYS])
      const { consumer = 'latchwork', filter, declare, ackWaitMs = ACK_WAIT_MS } = given
      checkNatsName(where, name)
      checkNatsName(`${where}.consumer`, consumer)
      if (filter !== undefined) checkSubject(`${where}.filter`, filter)
      const subjects = declare === undefined ? null : typeof declare === 'string' ? [declare] : declare
      for (const subject of subjects ?? []) checkSubject(`${where}.declare`, subject)
      if (!Number.isSafeInteger(ackWaitMs) || ackWaitMs < 100)
        refuse(`${where}.ackWaitMs`, `${String(ackWaitMs)} is not a whole number of 100 or more`, 'Give milliseconds.')
      return {
        kind: 'nats',
        options: {
          kind: 'stream',
          url,
          stream: name,
          consumer,
          filter: filter ?? null,
          declare: subjects,
          ackWaitMs,
          ...readDoor(where, given),
        },
      }
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

function checkNatsName(where: string, name: unknown): void {
  if (typeof name !== 'string' || !/^[^\s.*>/\\]+$/.test(name))
    refuse(where, 'this is not a name of NATS', 'Give text without spaces, dots, asterisks, slashes and >.')
}

function checkSubject(where: string, subject: unknown): void {
  if (typeof subject !== 'string' || !/^[^\s.]+(?:\.[^\s.]+)*$/.test(subject))
    refuse(where, 'this is not a subject', "Give one such as 'orders.new', 'orders.*' or 'orders.>'.")
}
