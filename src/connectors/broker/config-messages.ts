import type { AppConnector, AppDescription, BindingSpec } from '../../config/app.ts'
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
import { brokerCapabilities } from './capabilities.ts'
import { type BrokerDoorOptions, DOOR_KEYS, placeOf, readDoor } from './config.ts'
import type { BrokerFeed, BrokerPlace, BrokerTopic, MessagesObject } from './options.ts'

/** How records that are told of by messages are bound to an entity, whatever broker brings them. */

// biome-ignore lint/suspicious/noExplicitAny: nothing is known of the records of this application.
type AnyRow = any

export interface FeedOptions extends Omit<BrokerDoorOptions, 'properties'> {
  /** Where the record stands in the message (dotted); the message itself unless given. Of a CloudEvent: in its data. */
  readonly record?: string
  /** A message in which this stands tells of a deletion: `{ at: header('kind'), equals: 'deleted' }`. A CloudEvent whose type ends with `.deleted` always does. */
  readonly deleted?: { readonly at: string | BrokerPlace; readonly equals: string }
}

/** Of a broker that has no place of its own for what cannot be taken. */
export interface ParkingOptions {
  /** Where a message that is no record is published, with the reason in its headers. Without it the message is handed back as rejected. */
  readonly parked?: string
}

export interface EventOptions {
  /** `plain`: the record alone. `binary` and `structured`: a CloudEvent, whose attributes are headers, or stand around the record. */
  readonly form?: 'plain' | 'binary' | 'structured'
  /** The `source` of CloudEvents; `/latchwork/<app>` unless given. */
  readonly source?: string
  /** What the types of CloudEvents begin with; the object's name unless given. */
  readonly eventType?: string
}

export interface MessagesOptionsOf<Consume, Publish, Name extends string = string> {
  /** The field whose number grows with every change, for what is consumed. Without it every message must be a CloudEvent with the extension `sequence`. */
  readonly version?: Name
  /** The field with the time of the last change; the time of the message unless given. */
  readonly updatedAt?: Name
  /** What tells of changes here. Nothing is written here then: let the fields be `readOnly(...)`, but for those that records are matched by. */
  readonly consume?: Consume
  /** Where changes are published. Nothing is heard of this application then. */
  readonly publish?: Publish
}

type LooseMessages = MessagesOptionsOf<never, never> & MappingOptions

const MESSAGES_KEYS = [
  'version',
  'updatedAt',
  'consume',
  'publish',
] as const satisfies readonly (keyof MessagesOptionsOf<never, never>)[]
export const FEED_KEYS: readonly string[] = ['record', 'deleted', ...DOOR_KEYS.filter((key) => key !== 'properties')]
export const EVENT_KEYS = ['form', 'source', 'eventType'] as const satisfies readonly (keyof EventOptions)[]

export interface MessagesBinderOf<Consume, Publish> {
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
    options: MessagesOptionsOf<Consume, Publish, NativeName<RowOf<R>>> & TypedMapping<NoInfer<Types>, RowOf<R>, F, P>,
  ): Binding<Types, MappedOf<F, P>>
  messages<
    Types extends EntityTypes,
    const F extends LooseFields<NoInfer<Types>['fields'], AnyRow>,
    const P extends LooseParts<NoInfer<Types>['parts']> = NoParts,
  >(
    object: string,
    options: MessagesOptionsOf<Consume, Publish> & TypedMapping<NoInfer<Types>, AnyRow, F, P>,
  ): Binding<Types, MappedOf<F, P>>
}

/** What `bus.messages(...)` gives; typed by `MessagesBinderOf`. */
export function bindMessages(connector: AppConnector, object: string, rest: readonly unknown[]): Binding<never, never> {
  const where = `messages(${JSON.stringify(object)})`
  checkNativeName(where, object)
  const [row, options] = rest.length > 1 ? rest : [undefined, rest[0]]
  checkKeys(where, options, [...MESSAGES_KEYS, ...MAPPING_KEYS])
  const native = options as LooseMessages
  if ((native.consume === undefined) === (native.publish === undefined))
    refuse(
      where,
      native.consume === undefined ? 'it neither consumes nor publishes' : 'it consumes and publishes',
      'Give `consume` or `publish`; for both directions two applications, each with a connector of its own.',
    )
  // Where nothing is published nothing can be created.
  const mapping = native.publish === undefined ? { ...native, createHere: false } : native
  return { spec: { connector, object: asObjectId(object), row, mapping, native } } as Binding<never, never>
}

/** How one kind of broker reads its own options. */
export interface MessagesReader<C extends BrokerFeed, P extends BrokerTopic> {
  consume(where: string, given: never): C
  publish(where: string, app: AppId, object: string, given: never): P
}

/** The objects of an application, from the bindings that name it. */
export function readObjects<C extends BrokerFeed, P extends BrokerTopic>(
  app: AppId,
  bindings: readonly BindingSpec[],
  reader: MessagesReader<C, P>,
): readonly MessagesObject<C, P>[] {
  const objects = new Map<string, MessagesObject<C, P>>()
  for (const spec of bindings) {
    const made = readObject(app, `apps.${app}.${spec.object}`, spec, reader)
    const known = objects.get(made.object)
    if (known !== undefined && JSON.stringify(known) !== JSON.stringify(made))
      refuse(
        `apps.${app}.${made.object}`,
        'two entities share it, but its options differ',
        'Give both the same options.',
      )
    objects.set(made.object, made)
  }
  return [...objects.values()]
}

export const describedAs = (
  definition: AppDescription['definition'],
  objects: readonly MessagesObject<BrokerFeed, BrokerTopic>[],
): AppDescription => ({
  definition,
  capabilities: new Map(objects.map(({ object, consume }) => [object, brokerCapabilities(consume !== null)])),
  listens: [],
})

function readObject<C extends BrokerFeed, P extends BrokerTopic>(
  app: AppId,
  where: string,
  spec: BindingSpec,
  reader: MessagesReader<C, P>,
): MessagesObject<C, P> {
  const { consume, publish, ...given } = spec.native as LooseMessages
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
    consume: consume === undefined ? null : reader.consume(`${where}.consume`, consume),
    publish: publish === undefined ? null : reader.publish(`${where}.publish`, app, spec.object, publish),
  }
}

/** Where the record stands, and how its messages are taken. */
export function readFeed(where: string, given: FeedOptions): BrokerFeed {
  const { record = '', deleted } = given
  if (record !== '') checkNativeName(`${where}.record`, record)
  if (deleted !== undefined) {
    checkKeys(`${where}.deleted`, deleted, ['at', 'equals'])
    if (typeof deleted.equals !== 'string')
      refuse(`${where}.deleted.equals`, 'this is not text', "Give equals: 'deleted'.")
  }
  return {
    ...readDoor(where, given),
    record,
    deleted: deleted === undefined ? null : { at: placeOf(`${where}.deleted.at`, deleted.at), equals: deleted.equals },
  }
}

/** The same where a place for what cannot be taken has to be named. */
export function readParkingFeed(
  where: string,
  given: FeedOptions & ParkingOptions,
): BrokerFeed & { readonly parked: string | null } {
  const { parked, poison = parked === undefined ? 'reject' : 'park' } = given
  if (parked !== undefined && (typeof parked !== 'string' || parked === ''))
    refuse(`${where}.parked`, 'a name is needed', 'Name the place, in the words of the broker.')
  if (poison === 'park' && parked === undefined)
    refuse(`${where}.poison`, 'this broker has no place of its own for such messages', 'Name one by `parked`.')
  return { ...readFeed(where, { ...given, poison }), parked: parked ?? null }
}

export function readEvents(where: string, app: AppId, object: string, given: EventOptions): BrokerTopic {
  const { form = 'plain' } = given
  if (form !== 'plain' && form !== 'binary' && form !== 'structured')
    refuseUnknown(`${where}.form`, 'a form', String(form), ['plain', 'binary', 'structured'])
  return { form, source: given.source ?? `/latchwork/${app}`, type: given.eventType ?? object }
}

/** A place in which `{kind}` and `{id}` are filled in. */
export function readPlace(where: string, given: unknown, example: string): string {
  if (typeof given === 'string' && given !== '') return given
  refuse(where, 'this is not text', `Give one such as '${example}'.`)
}
