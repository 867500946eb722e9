import { refuse } from '../../config/refuse.ts'
import type { NatsStream } from './options.ts'

export interface ConsumerOptions {
  /** The name of the durable consumer (`latchwork`); the hub makes it when it is missing. Two readers of one stream need two. */
  readonly consumer?: string
  /** Which subjects of the stream, such as `orders.*`; all unless given. */
  readonly filter?: string
  /** The hub makes the stream when it is missing, for these subjects. */
  readonly declare?: string | readonly [string, ...string[]]
  /** What was not acknowledged for so long is delivered again (30 s): how long a message waits after a crash of the hub. */
  readonly ackWaitMs?: number
}

export const STREAM_KEYS = [
  'consumer',
  'filter',
  'declare',
  'ackWaitMs',
] as const satisfies readonly (keyof ConsumerOptions)[]

const ACK_WAIT_MS = 30_000

type StreamPlace = Pick<NatsStream, 'kind' | 'stream' | 'consumer' | 'filter' | 'declare' | 'ackWaitMs'>

export function readStream(where: string, stream: string, given: ConsumerOptions): StreamPlace {
  const { consumer = 'latchwork', filter, declare, ackWaitMs = ACK_WAIT_MS } = given
  checkNatsName(where, stream)
  checkNatsName(`${where}.consumer`, consumer)
  if (filter !== undefined) checkSubject(`${where}.filter`, filter)
  const subjects = declare === undefined ? null : typeof declare === 'string' ? [declare] : declare
  for (const subject of subjects ?? []) checkSubject(`${where}.declare`, subject)
  if (!Number.isSafeInteger(ackWaitMs) || ackWaitMs < 100)
    refuse(`${where}.ackWaitMs`, `${String(ackWaitMs)} is not a whole number of 100 or more`, 'Give milliseconds.')
  return { kind: 'stream', stream, consumer, filter: filter ?? null, declare: subjects, ackWaitMs }
}

export function checkNatsName(where: string, name: unknown): void {
  if (typeof name !== 'string' || !/^[^\s.*>/\\]+$/.test(name))
    refuse(where, 'this is not a name of NATS', 'Give text without spaces, dots, asterisks, slashes and >.')
}

export function checkSubject(where: string, subject: unknown): void {
  if (typeof subject !== 'string' || !/^[^\s.]+(?:\.[^\s.]+)*$/.test(subject))
    refuse(where, 'this is not a subject', "Give one such as 'orders.new', 'orders.*' or 'orders.>'.")
}
