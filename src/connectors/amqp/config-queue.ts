import { checkKeys, isPlainObject, refuse, refuseUnknown } from '../../config/refuse.ts'
import type { AmqpBinding, AmqpQueue } from './options.ts'

export interface QueueOptions {
  /** The hub declares the queue, durable, as this kind. Without it the queue must be there. Quorum queues count deliveries, also over a crash of the hub. */
  readonly declare?: 'quorum' | 'classic'
  /** Further arguments of the declaration, such as `x-dead-letter-exchange`. */
  readonly arguments?: Readonly<Record<string, string | number | boolean>>
  /** What the queue is bound to. With a `type` the exchange is declared, durable, as this type; without it the exchange must be there. */
  readonly bind?: AmqpBindOptions | readonly AmqpBindOptions[]
}

export interface AmqpBindOptions {
  readonly exchange: string
  /** A routing key, or a pattern such as `order.*`; empty unless given. */
  readonly key?: string
  readonly type?: 'topic' | 'direct' | 'fanout' | 'headers'
}

export const QUEUE_KEYS = ['declare', 'arguments', 'bind'] as const satisfies readonly (keyof QueueOptions)[]
export const EXCHANGE_TYPES = ['topic', 'direct', 'fanout', 'headers'] as const

export function readQueue(
  where: string,
  name: unknown,
  { declare, arguments: more = {}, bind = [] }: QueueOptions,
): AmqpQueue {
  if (typeof name !== 'string' || name === '' || Buffer.byteLength(name) > 255)
    refuse(where, 'this is not the name of a queue', 'Give 1 to 255 bytes of text.')
  if (declare !== undefined && declare !== 'quorum' && declare !== 'classic')
    refuseUnknown(`${where}.declare`, 'a kind of queue', String(declare), ['quorum', 'classic'])
  if (!isPlainObject(more)) refuse(`${where}.arguments`, 'an object is needed', 'Give { name: value }.')
  const binds = (Array.isArray(bind) ? bind : [bind]) as readonly AmqpBindOptions[]
  return { queue: name, declare: declare ?? null, arguments: more, bind: binds.map((one) => readBinding(where, one)) }
}

function readBinding(at: string, given: AmqpBindOptions): AmqpBinding {
  const where = `${at}.bind`
  checkKeys(where, given, ['exchange', 'key', 'type'])
  const { exchange, key = '', type } = given
  if (typeof exchange !== 'string' || exchange === '')
    refuse(`${where}.exchange`, 'a name is needed', 'Name the exchange.')
  if (typeof key !== 'string')
    refuse(`${where}.key`, 'this is not text', "Give a routing key, or a pattern such as 'order.*'.")
  if (type !== undefined && !EXCHANGE_TYPES.includes(type))
    refuseUnknown(`${where}.type`, 'a type of exchange', String(type), EXCHANGE_TYPES)
  return { exchange, key, type: type ?? null }
}
