import type { AppConnector, AppDescription, AppHandle, BindingSpec, HubLimits } from '../../config/app.ts'
import type { EntityTypes, MappedOf, NativeName, RowOf } from '../../config/checked.ts'
import type { Binding } from '../../config/entity.ts'
import type { ObjectHandle } from '../../config/flow.ts'
import {
  type LooseFields,
  type LooseParts,
  MAPPING_KEYS,
  type MappingOptions,
  type NoParts,
  type TypedMapping,
} from '../../config/mapping.ts'
import { checkKeys, checkNativeName, isPlainObject, refuse, refuseUnknown } from '../../config/refuse.ts'
import { nativeKindOf, nativeNames } from '../../config/row.ts'
import type { FormatSpec } from '../../formats/index.ts'
import type { Capabilities } from '../../model/capabilities.ts'
import { type AppId, asObjectId } from '../../model/ids.ts'
import { httpCapabilities } from './capabilities.ts'
import { checkText, oneOf, positive } from './config-checks.ts'
import type {
  ConfigText,
  HttpAppOptions,
  HttpAuth,
  HttpPoll,
  HttpResource,
  HttpSoapService,
  HttpWebhook,
} from './options.ts'

/** How an HTTP application is described in a config. Everything here becomes plain data (`HttpAppOptions`). */

export interface HttpOptions {
  readonly baseUrl: ConfigText
  readonly auth?: HttpAuth
  /** Sent with every request. Secrets belong into `auth`. */
  readonly headers?: Readonly<Record<string, string>>
  /** Name of the header that takes the key of a write, where resources say that they honour one. */
  readonly idempotencyHeader?: string
  readonly requestTimeoutMs?: number
  /** Requests to this application at once. */
  readonly connectionsMax?: number
  /** The longest time that the application, or a proxy before it, may still apply a request that we gave up on. */
  readonly fenceMs?: number
}

const HTTP_KEYS = [
  'baseUrl',
  'auth',
  'headers',
  'idempotencyHeader',
  'requestTimeoutMs',
  'connectionsMax',
  'fenceMs',
] as const satisfies readonly (keyof HttpOptions)[]

/** The version of a record in the ETag header: equality only, unless it is declared to grow with every change. */
export interface EtagVersion {
  readonly in: 'etag'
  readonly ordered: boolean
}

/** The version of a record in a field that does not grow with every change (a hash, a random text). */
export interface FieldVersion {
  readonly in: 'field'
  readonly field: string
  readonly ordered: boolean
}

// biome-ignore lint/suspicious/noExplicitAny: nothing is known of the records of this application.
type AnyRow = any

export interface ResourceOptions<Name extends string = string> {
  /** The field whose number grows with every change of the record, or `etag()`. Without one, records are compared by content alone. */
  readonly version?: Name | EtagVersion | FieldVersion
  /** The field that keeps the hub's id of a record, and the query parameter that finds by it (the same name unless given; null: none). */
  readonly externalId?: Name | { readonly field: Name; readonly findParam?: string | null }
  /** The field with the time of the last change, for the policy `latest`. */
  readonly updatedAt?: Name
  readonly updateMethod?: 'patch' | 'put'
  /** The application refuses a write whose If-Match is not the record's version. Say it only where it is so: it is what edits are kept by. */
  readonly conditional?: boolean
  /** Writes for which the application honours the idempotency key. */
  readonly idempotency?: 'all' | 'create' | 'none'
  readonly notify?: HttpWebhook
  readonly poll?: PollOptions
  /** How all records are listed for `verify`, `rehearse` and `backfill`; as they are polled unless given. */
  readonly list?: PollOptions
  /** Replies to writes do not carry the record. */
  readonly replyImage?: boolean
  /** How bodies of requests and replies are written: `xml({ ... })`, `form()`, ...; JSON unless given. */
  readonly format?: FormatSpec
  /** How replies are written, where that differs: a form is answered in JSON unless given. */
  readonly replyFormat?: FormatSpec
  /** The calls of a SOAP service, instead of REST. Whole records are written unless `updateMethod` says 'patch'. */
  readonly soap?: HttpSoapService
  /** R2: a read sees an own earlier write at once; R1: only after a while; R0: records cannot be read. */
  readonly read?: 'R2' | 'R1' | 'R0'
  /** The name of the object in the cross-reference; the path without its slashes unless given. */
  readonly object?: string
}

const RESOURCE_KEYS = [
  'version',
  'externalId',
  'updatedAt',
  'updateMethod',
  'conditional',
  'idempotency',
  'notify',
  'poll',
  'list',
  'replyImage',
  'format',
  'replyFormat',
  'soap',
  'read',
  'object',
] as const satisfies readonly (keyof ResourceOptions)[]

export interface HttpApp extends AppHandle {
  /**
   * A resource of this application bound to the entity of the `sync` around it. `row` says what its records look like: a zod object
   * or `rowOf<Row>()`; without it native names and types are not checked by the compiler.
   */
  resource<
    Types extends EntityTypes,
    R,
    const F extends LooseFields<NoInfer<Types>['fields'], RowOf<R>>,
    const P extends LooseParts<NoInfer<Types>['parts']> = NoParts,
  >(
    path: string,
    row: R,
    options: ResourceOptions<NativeName<RowOf<R>>> & TypedMapping<NoInfer<Types>, RowOf<R>, F, P>,
  ): Binding<Types, MappedOf<F, P>>
  resource<
    Types extends EntityTypes,
    const F extends LooseFields<NoInfer<Types>['fields'], AnyRow>,
    const P extends LooseParts<NoInfer<Types>['parts']> = NoParts,
  >(path: string, options: ResourceOptions & TypedMapping<NoInfer<Types>, AnyRow, F, P>): Binding<Types, MappedOf<F, P>>
  /** A resource of this application for flows to read and write; nothing is synced by it. Where a sync binds the same resource, its options hold. */
  object<R>(path: string, row: R, options: ObjectOptions<NativeName<RowOf<R>>>): ObjectHandle<RowOf<R>>
  object(path: string, options: ObjectOptions): ObjectHandle
}

/** What has to be known of a resource to read and write its records. */
export interface ObjectOptions<Name extends string = string> extends Omit<ResourceOptions<Name>, 'notify' | 'poll'> {
  readonly id: Name
  readonly idType?: 'text' | 'number'
}

/** An application that is spoken to over HTTP: REST calls out, webhooks or polling in. */
export function http(options: HttpOptions): HttpApp {
  checkKeys('http()', options, HTTP_KEYS)
  checkText('http().baseUrl', options.baseUrl)
  const connector: AppConnector = {
    kind: 'http',
    describe: (app, bindings, limits) => describe(app, options, bindings, limits),
  }
  return {
    connector,
    resource: (path: string, ...rest: unknown[]) => resource(connector, path, rest),
    object: (path: string, ...rest: unknown[]) => {
      const [row, given] = rest.length > 1 ? rest : [undefined, rest[0]]
      return resource(connector, path, [row, { ...(given as object), fields: {} }]) as ObjectHandle<never>
    },
  }
}

/** One resource of the application bound to an entity: where it is, what it can do, and how its fields map. */
function resource(connector: AppConnector, path: string, rest: readonly unknown[]): Binding<never, never> {
  const where = `resource(${JSON.stringify(path)})`
  if (typeof path !== 'string' || !/^\/[^?#\s]*[^/?#\s]$/.test(path)) {
    refuse(
      where,
      'the path is not one below the base URL',
      "Give '/customers', without a query and without a slash at the end.",
    )
  }
  const [row, options] = rest.length > 1 ? rest : [undefined, rest[0]]
  checkKeys(where, options, [...RESOURCE_KEYS, ...MAPPING_KEYS])
  const native = options as ResourceOptions & MappingOptions
  const object = native.object ?? path.slice(1)
  checkNativeName(`${where}.object`, object)
  const spec: BindingSpec = { connector, object: asObjectId(object), row, mapping: native, native: { ...native, path } }
  return { spec } as Binding<never, never>
}

type NativeOptions = ResourceOptions & MappingOptions & { readonly path: string }

function describe(app: AppId, given: HttpOptions, bindings: readonly BindingSpec[], limits: HubLimits): AppDescription {
  const where = `apps.${app}`
  const resources = new Map<string, HttpResource>()
  for (const spec of bindings) {
    const made = readResource(`${where}${(spec.native as NativeOptions).path}`, spec)
    const known = resources.get(made.object)
    if (known !== undefined && JSON.stringify(known) !== JSON.stringify(made)) {
      refuse(`${where}.${made.object}`, 'two entities share it, but its options differ', 'Give both the same options.')
    }
    resources.set(made.object, made)
  }
  const options: HttpAppOptions = {
    app,
    baseUrl: given.baseUrl,
    auth: given.auth ?? null,
    headers: { ...given.headers },
    idempotencyHeader: given.idempotencyHeader ?? 'Idempotency-Key',
    requestTimeoutMs: positive(`${where}.requestTimeoutMs`, given.requestTimeoutMs, 10_000),
    connectionsMax: positive(`${where}.connectionsMax`, given.connectionsMax, 32),
    bodyBytesMax: limits.bodyBytesMax,
    fenceMs: positive(`${where}.fenceMs`, given.fenceMs, 60_000),
    resources: [...resources.values()],
  }
  return {
    definition: { kind: 'http', options },
    capabilities: new Map(options.resources.map((made) => [made.object, capabilitiesOf(options, made)])),
    listens: options.resources.flatMap((made) => (made.notify === null ? [] : [made.notify.path])),
  }
}

function readResource(where: string, spec: BindingSpec): HttpResource {
  const given = spec.native as NativeOptions
  const field = (name: string, key: string): string => {
    checkNativeName(`${where}.${name}`, key)
    if (nativeKindOf(spec.row, key) === 'missing') {
      refuseUnknown(`${where}.${name}`, "a field of this application's records", key, nativeNames(spec.row))
    }
    return key
  }
  const version = readVersion(where, given.version, field)
  const conditional = given.conditional ?? false
  if (conditional && version === null) {
    refuse(
      `${where}.conditional`,
      'there is no version to write against',
      "Name it: version: 'rev', or version: etag().",
    )
  }
  const { soap } = given
  if (soap !== undefined) checkSoap(where, given, soap)
  return {
    object: spec.object,
    path: given.path,
    id: field('id', given.id),
    idType: idTypeOf(where, given, spec.row),
    version,
    externalId: readExternalId(given.externalId, field),
    updatedAt: given.updatedAt === undefined ? null : field('updatedAt', given.updatedAt),
    updateMethod: oneOf(`${where}.updateMethod`, given.updateMethod ?? (soap === undefined ? 'patch' : 'put'), [
      'patch',
      'put',
    ]),
    conditional,
    idempotency: oneOf(`${where}.idempotency`, given.idempotency, ['none', 'create', 'all']),
    notify: given.notify ?? null,
    poll: given.poll === undefined ? null : readPoll(`${where}.poll`, given.path, given.poll),
    list: given.list === undefined ? null : readPoll(`${where}.list`, given.path, given.list),
    replyImage: given.replyImage ?? true,
    read: oneOf(`${where}.read`, given.read ?? (soap !== undefined && soap.calls.read === undefined ? 'R0' : 'R2'), [
      'R2',
      'R1',
      'R0',
    ]),
    ...(given.format === undefined ? {} : { format: given.format }),
    ...(given.replyFormat === undefined ? {} : { replyFormat: given.replyFormat }),
    ...(soap === undefined ? {} : { soap }),
  }
}

/** What a SOAP service cannot do is said at start, not at the first write. */
function checkSoap(where: string, given: NativeOptions, soap: HttpSoapService): void {
  if (given.format !== undefined || given.replyFormat !== undefined || given.poll !== undefined)
    refuse(`${where}.soap`, 'a SOAP service has no format or poll beside its calls', 'Leave them out.')
  if (given.conditional === true && soap.calls.update !== undefined && soap.calls.update.baseVersion === null)
    refuse(`${where}.conditional`, 'the call that updates takes no version', "Give it baseVersion: 'version'.")
  if (given.read !== undefined && given.read !== 'R0' && soap.calls.read === undefined)
    refuse(`${where}.read`, 'no call reads a record', 'Give soapService({ read: soapCall({ ... }) }).')
}

type Field = (name: string, key: string) => string

function readVersion(where: string, given: ResourceOptions['version'], field: Field): HttpResource['version'] {
  if (given === undefined) return null
  if (typeof given === 'string') return { in: 'field', field: field('version', given), ordered: true }
  if (!isPlainObject(given) || (given.in !== 'etag' && given.in !== 'field')) {
    refuse(`${where}.version`, 'this is not a version', "Give the name of a field, unordered('field') or etag().")
  }
  return given.in === 'etag'
    ? { in: 'etag', ordered: given.ordered }
    : { in: 'field', field: field('version', given.field), ordered: given.ordered }
}

function readExternalId(given: ResourceOptions['externalId'], field: Field): HttpResource['externalId'] {
  if (given === undefined) return null
  const name = field('externalId', typeof given === 'string' ? given : given.field)
  const findParam = typeof given === 'string' ? undefined : given.findParam
  return { field: name, findParam: findParam === undefined ? name : findParam }
}

function idTypeOf(where: string, given: NativeOptions, row: unknown): 'text' | 'number' {
  const kind = nativeKindOf(row, given.id)
  if (kind === 'text' || kind === 'number') return kind
  if (kind === 'other')
    refuse(`${where}.id`, `'${given.id}' is neither text nor a number`, 'Name the field with the id.')
  return oneOf(`${where}.idType`, given.idType, ['text', 'number'])
}

/** What an application can do, in the letters of docs/protocol.md section 1. Only what its options declare is relied on. */
export const capabilitiesOf = (options: HttpAppOptions, resource: HttpResource): Capabilities =>
  httpCapabilities(options, resource)

export interface PollOptions {
  /** The query parameter that takes the cursor. */
  readonly cursorParam: string
  /** The cursor of the very first read, where the application wants one (`'0'`); without it the parameter is left out. */
  readonly firstCursor?: string
  readonly limitParam?: string
  /** The list's path; the resource's own unless given. */
  readonly path?: string
  /** Where the items stand in the reply; '' when the reply is the list. */
  readonly items?: string
  /** Where the next cursor stands in the reply. */
  readonly next?: string
  /** Or the field of the items whose greatest value is the next cursor. */
  readonly cursorField?: string
  /** An item with this field true is a deletion. */
  readonly deletedField?: string
  readonly everyMs?: number
  readonly max?: number
}

/** Reads changes by cursor, for an application that does not notify. */
export function poll(options: PollOptions): PollOptions {
  checkKeys('poll()', options, [
    'cursorParam',
    'firstCursor',
    'limitParam',
    'path',
    'items',
    'next',
    'cursorField',
    'deletedField',
    'everyMs',
    'max',
  ])
  if (options.next === undefined && options.cursorField === undefined) {
    refuse('poll()', 'it does not say where the next cursor comes from', "Give next: 'next' or cursorField: 'rev'.")
  }
  return options
}

function readPoll(where: string, path: string, given: PollOptions): HttpPoll {
  if (typeof given.cursorParam !== 'string')
    refuse(where, 'cursorParam is missing', 'Name the query parameter that takes the cursor.')
  return {
    path: given.path ?? path,
    cursorParam: given.cursorParam,
    ...(given.firstCursor === undefined ? {} : { firstCursor: given.firstCursor }),
    limitParam: given.limitParam ?? null,
    items: given.items ?? 'items',
    next: given.next ?? null,
    cursorField: given.cursorField ?? null,
    deletedField: given.deletedField ?? null,
    everyMs: positive(`${where}.everyMs`, given.everyMs, 5_000),
    max: positive(`${where}.max`, given.max, 200),
  }
}

/** The version is the ETag of a record. `ordered: true` only where it is a number that grows with every change. */
export const etag = (options: { readonly ordered?: boolean } = {}): EtagVersion => ({
  in: 'etag',
  ordered: options.ordered ?? false,
})

/** The version is a field that changes with every change, but does not grow. */
export const unordered = (field: string): FieldVersion => ({ in: 'field', field, ordered: false })
