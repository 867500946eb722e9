import type { AppConnector, AppDescription, BindingSpec, HubLimits } from '../../config/app.ts'
import type { EntityTypes, MappedOf, NativeName, RowOf } from '../../config/checked.ts'
import type { Binding } from '../../config/entity.ts'
import {
  type LooseFields,
  type LooseParts,
  MAPPING_KEYS,
  type MappingOptions,
  type NoParts,
  type TypedMapping,
} from '../../config/mapping.ts'
import { checkKeys, checkNativeName, refuse, refuseUnknown } from '../../config/refuse.ts'
import { nativeKindOf, nativeNames } from '../../config/row.ts'
import { type AppId, asObjectId } from '../../model/ids.ts'
import { type BrokerDoorOptions, DOOR_KEYS, placeOf, readDoor } from '../broker/config.ts'
import type { BrokerPlace } from '../broker/options.ts'
import { amqpCapabilities } from './capabilities.ts'
import { EXCHANGE_TYPES, QUEUE_KEYS, type QueueOptions, readQueue } from './config-queue.ts'
import type { AmqpAppOptions, AmqpBinding, AmqpObject, ConfigText } from './options.ts'

/** How records that are told of by messages are bound to an entity. */

// biome-ignore lint/suspicious/noExplicitAny: nothing is known of the records of this application.
type AnyRow = any

export interface ConsumeOptions extends QueueOptions, Omit<BrokerDoorOptions, 'properties'> {
  readonly queue: string
  /** Where the record stands in the message (dotted); the message itself unless given. Of a CloudEvent: in its data. */
  readonly record?: string
  /** A message in which this stands tells of a deletion: `{ at: header('kind'), equals: 'deleted' }`. A CloudEvent whose type ends with `.deleted` always does. */
  readonly deleted?: { readonly at: string | BrokerPlace; readonly equals: string }
}

export interface PublishOptions {
  /** '' publishes to the queue that `key` names. */
  readonly exchange: string
  /** The exchange is declared, durable, as this type; without it the exchange must be there. */
  readonly type?: AmqpBinding['type'] & string
  /** The routing key; `{kind}` is created, updated or deleted, `{id}` the record's id. `<object>.{kind}` unless given. */
  readonly key?: string
  /** `plain`: the record alone. `binary` and `structured`: a CloudEvent, whose attributes are headers, or stand around the record. */
  readonly form?: 'plain' | 'binary' | 'structured'
  /** The `source` of CloudEvents; `/latchwork/<app>` unless given. */
  readonly source?: string
  /** What the types of CloudEvents begin with; the object's name unless given. */
  readonly eventType?: string
  /** A change that no queue takes is set aside, instead of taken as published to nobody. */
  readonly mandatory?: boolean
}

export interface MessagesOptions<Name extends string = string> {
  /** The field whose number grows with every change, for what is consumed. Without it every message must be a CloudEvent with the extension `sequence`. */
  readonly version?: Name
  /** The field with the time of the last change; the time of the message unless given. */
  readonly updatedAt?: Name
  /** The queue that tells of changes here. Nothing is written here then: let the fields be `readOnly(...)`, but for those that records are matched by. */
  readonly consume?: ConsumeOptions
  /** Where changes are published. Nothing is heard of this application then. */
  readonly publish?: PublishOptions
}

const MESSAGES_KEYS = [
  'version',
  'updatedAt',
  'consume',
  'publish',
] as const satisfies readonly (keyof MessagesOptions)[]
const CONSUME_KEYS = ['queue', 'record', 'deleted', ...QUEUE_KEYS, ...DOOR_KEYS.filter((key) => key !== 'properties')]
const PUBLISH_KEYS = ['exchange', 'type', 'key', 'form', 'source', 'eventType', 'mandatory']

export interface MessagesBinder {
  /**
   * Records of an application that is reached by messages, bound to the entity of the `sync` around it. `row` says what the records look like: a zod object or `rowOf<Row>()`; without it native names and
   * types are not checked by the compiler.
   */
  messages<
    Types extends EntityTypes,
    R,
    const F extends LooseFields<NoInfer<Types>['fields'], RowOf<R>>,
    const P extends LooseParts<NoInfer<Types>['parts']> = NoParts,
  >(
    object: string,
    row: R,
    options: MessagesOptions<NativeName<RowOf<R>>> & TypedMapping<NoInfer<Types>, RowOf<R>, F, P>,
  ): Binding<Types, MappedOf<F, P>>
  messages<
    Types extends EntityTypes,
    const F extends LooseFields<NoInfer<Types>['fields'], AnyRow>,
    const P extends LooseParts<NoInfer<Types>['parts']> = NoParts,
  >(
    object: string,
    options: MessagesOptions & TypedMapping<NoInfer<Types>, AnyRow, F, P>,
  ): Binding<Types, MappedOf<F, P>>
}

/** What `bus.messages(...)` gives; typed by `MessagesBinder`. */
export function bindMessages(connector: AppConnector, object: string, rest: readonly unknown[]): Binding<never, never> {
  const where = `messages(${JSON.stringify(object)})`
  checkNativeName(where, object)
  const [row, options] = rest.length > 1 ? rest : [undefined, rest[0]]
  checkKeys(where, options, [...MESSAGES_KEYS, ...MAPPING_KEYS])
  const native = options as MessagesOptions & MappingOptions
  if ((native.consume === undefined) === (native.publish === undefined))
    refuse(
      where,
      native.consume === undefined ? 'it neither consumes nor publishes' : 'it consumes and publishes',
      "Give consume: { queue: '...' } or publish: { exchange: '...' }; for both directions two applications, each with a rabbitmq(...) of its own.",
    )
  // Where nothing is published nothing can be created.
  const mapping = native.publish === undefined ? { ...native, createHere: false } : native
  return { spec: { connector, object: asObjectId(object), row, mapping, native } } as Binding<never, never>
}

export function describeMessages(
  app: AppId,
  url: ConfigText,
  bindings: readonly BindingSpec[],
  limits: HubLimits,
): AppDescription {
  const objects = new Map<string, AmqpObject>()
  for (const spec of bindings) {
    const made = readObject(app, `apps.${app}.${spec.object}`, spec)
    const known = objects.get(made.object)
    if (known !== undefined && JSON.stringify(known) !== JSON.stringify(made))
      refuse(
        `apps.${app}.${made.object}`,
        'two entities share it, but its options differ',
        'Give both the same options.',
      )
    objects.set(made.object, made)
  }
  const options: AmqpAppOptions = { app, url, bodyBytesMax: limits.bodyBytesMax, objects: [...objects.values()] }
  return {
    definition: { kind: 'amqp', options },
    capabilities: new Map(options.objects.map((made) => [made.object, amqpCapabilities(made)])),
    listens: [],
  }
}

function readObject(app: AppId, where: string, spec: BindingSpec): AmqpObject {
  const { consume, publish, ...given } = spec.native as MessagesOptions & MappingOptions
  const field = (name: string, key: string): string => {
    checkNativeName(`${where}.${name}`, key)
    if (nativeKindOf(spec.row, key) === 'missing')
      refuseUnknown(`${where}.${name}`, "a field of this application's records", key, nativeNames(spec.row))
    return key
  }
  if (given.idType === 'number' || nativeKindOf(spec.row, given.id) === 'number')
    if (publish !== undefined)
      refuse(
        `${where}.id`,
        'the ids are numbers, and a record that is created here gets the key of the hub, which is text',
        'Let the ids be text, or only consume.',
      )
  return {
    object: spec.object,
    id: field('id', given.id),
    version: given.version === undefined ? null : field('version', given.version),
    updatedAt: given.updatedAt === undefined ? null : field('updatedAt', given.updatedAt),
    consume: consume === undefined ? null : readConsume(`${where}.consume`, consume),
    publish: publish === undefined ? null : readPublish(`${where}.publish`, app, spec.object, publish),
  }
}

function readConsume(where: string, given: ConsumeOptions): NonNullable<AmqpObject['consume']> {
  checkKeys(where, given, CONSUME_KEYS)
  const { queue, record = '', deleted } = given
  if (record !== '') checkNativeName(`${where}.record`, record)
  if (deleted !== undefined) {
    checkKeys(`${where}.deleted`, deleted, ['at', 'equals'])
    if (typeof deleted.equals !== 'string')
      refuse(`${where}.deleted.equals`, 'this is not text', "Give equals: 'deleted'.")
  }
  return {
    ...readQueue(where, queue, given),
    ...readDoor(where, given),
    record,
    deleted: deleted === undefined ? null : { at: placeOf(`${where}.deleted.at`, deleted.at), equals: deleted.equals },
  }
}

function readPublish(
  where: string,
  app: AppId,
  object: string,
  given: PublishOptions,
): NonNullable<AmqpObject['publish']> {
  checkKeys(where, given, PUBLISH_KEYS)
  const { exchange, type, key = `${object}.{kind}`, form = 'plain', mandatory = exchange === '' } = given
  if (typeof exchange !== 'string')
    refuse(`${where}.exchange`, 'a name is needed', "Name the exchange, or '' and a queue as key.")
  if (typeof key !== 'string')
    refuse(`${where}.key`, 'this is not text', "Give a routing key such as 'customer.{kind}'.")
  if (type !== undefined && !EXCHANGE_TYPES.includes(type))
    refuseUnknown(`${where}.type`, 'a type of exchange', String(type), EXCHANGE_TYPES)
  if (form !== 'plain' && form !== 'binary' && form !== 'structured')
    refuseUnknown(`${where}.form`, 'a form', String(form), ['plain', 'binary', 'structured'])
  return {
    exchange,
    exchangeType: type ?? null,
    key,
    mandatory,
    form,
    source: given.source ?? `/latchwork/${app}`,
    type: given.eventType ?? object,
  }
}
