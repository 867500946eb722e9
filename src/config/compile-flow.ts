import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Check, Checked, FetchModel, FlowModel, InDoubt, Message } from '../model/flow.ts'
import { type AppId, asFlowName } from '../model/ids.ts'
import type { AppConnector, BindingSpec } from './app.ts'
import type { FetchOptions, FlowDefinition, FlowOptions, ListenDefinition, ObjectHandle } from './flow.ts'
import { checkKeys, isPlainObject, refuse, refuseUnknown } from './refuse.ts'

/** A flow of the hub: what the runtime needs, its doors, and its schemas for the documents that are generated. */
export interface CompiledFlow {
  readonly model: FlowModel
  readonly listens: readonly ListenDefinition[]
  readonly schemas: { readonly input: unknown; readonly properties: unknown; readonly output: unknown }
}

// biome-ignore lint/suspicious/noExplicitAny: what the compiler has checked is read here as plain options.
type AnyOptions = FlowOptions<any, any, any, any>

/** Callers give up sooner than messages: a long queue of callers only makes all of them late. */
const CALLERS_WAITING_MAX = 256
const MESSAGES_WAITING_MAX = 10_000
const CONCURRENCY = 16
const QUEUE_TIMEOUT_MS = 5_000
const TIMEOUT_MS = 30_000
/** With pauses from 1 s to 5 min these are about half an hour: longer than a deployment or a restart of the other side. */
const RETRIES = { attemptsMax: 12, firstMs: 1_000, maxMs: 300_000 }
/** A record that is named again within this time is not read again. */
const FETCH_EVERY_MS = 0

/** The objects of applications that flows name, so that their connectors know them. */
export function objectsOf(
  flows: readonly FlowDefinition[],
): readonly { readonly where: string; readonly spec: BindingSpec }[] {
  return flows.flatMap(({ name, options }) => {
    const given = options as AnyOptions
    const named = Object.entries((given.apps ?? {}) as Record<string, unknown>).map(([key, handle]) => ({
      where: `flow ${name}.apps.${key}`,
      handle,
    }))
    const fetched =
      given.fetch === undefined ? [] : [{ where: `flow ${name}.fetch.from`, handle: given.fetch.from as unknown }]
    return [...named, ...fetched].map(({ where, handle }) => ({ where, spec: specOf(where, handle) }))
  })
}

function specOf(where: string, handle: unknown): BindingSpec {
  const spec = isPlainObject(handle) ? (handle as unknown as ObjectHandle).spec : undefined
  if (spec === undefined)
    refuse(where, 'this is not an object of an application', "Give orders.object('/orders', { id: 'id' }).")
  return spec
}

export function compileFlow(flow: FlowDefinition, connectors: ReadonlyMap<AppId, AppConnector>): CompiledFlow {
  const where = `flow ${flow.name}`
  const options = flow.options as AnyOptions
  const replies = options.output !== undefined
  const count = (name: string, value: unknown, otherwise: number, least = 1): number => {
    if (value === undefined) return otherwise
    if (!Number.isSafeInteger(value) || (value as number) < least)
      refuse(`${where}.${name}`, `${String(value)} is not a whole number of ${least} or more`, 'Give one.')
    return value as number
  }
  checkKeys(`${where}.retries`, options.retries ?? {}, Object.keys(RETRIES))
  const model: FlowModel = {
    name: asFlowName(flow.name),
    kind: replies ? 'reply' : 'later',
    limits: {
      concurrency: count('concurrency', options.concurrency, CONCURRENCY),
      queueMax: count('queueMax', options.queueMax, replies ? CALLERS_WAITING_MAX : MESSAGES_WAITING_MAX, 0),
      queueTimeoutMs: count('queueTimeoutMs', options.queueTimeoutMs, QUEUE_TIMEOUT_MS),
      timeoutMs: count('timeoutMs', options.timeoutMs, TIMEOUT_MS),
    },
    retries: {
      attemptsMax: count('retries.attemptsMax', options.retries?.attemptsMax, RETRIES.attemptsMax),
      firstMs: count('retries.firstMs', options.retries?.firstMs, RETRIES.firstMs),
      maxMs: count('retries.maxMs', options.retries?.maxMs, RETRIES.maxMs),
    },
    input: checkOf(`${where}.input`, options.input),
    properties: checkOf(`${where}.properties`, options.properties),
    output: checkOf(`${where}.output`, options.output),
    filters: filtersOf(where, options.filters),
    orderKeyOf: keyOf(where, options),
    whenParked: oneOf(`${where}.whenParked`, options.whenParked, ['hold', 'go-on']),
    inDoubt:
      typeof options.inDoubt === 'function'
        ? (options.inDoubt as InDoubt)
        : oneOf(`${where}.inDoubt`, options.inDoubt, ['rerun', 'park']),
    fetch: options.fetch === undefined ? null : fetchOf(`${where}.fetch`, options.fetch, connectors),
    run: options.run as FlowModel['run'],
    apps: Object.fromEntries(
      Object.entries((options.apps ?? {}) as Record<string, unknown>).map(([name, handle]) => [
        name,
        placeOf(`${where}.apps.${name}`, handle, connectors),
      ]),
    ),
    redact: redactOf(where, options.redact),
  }
  return {
    model,
    listens: listensOf(where, options.listen),
    schemas: { input: options.input, properties: options.properties, output: options.output },
  }
}

function placeOf(
  where: string,
  handle: unknown,
  connectors: ReadonlyMap<AppId, AppConnector>,
): { readonly app: AppId; readonly object: BindingSpec['object'] } {
  const spec = specOf(where, handle)
  const app = [...connectors].find(([, connector]) => connector === spec.connector)?.[0]
  if (app === undefined)
    refuse(
      where,
      `'${spec.object}' belongs to an application that is not in apps`,
      'Add that application to apps of defineHub.',
    )
  return { app, object: spec.object }
}

function fetchOf(where: string, given: FetchOptions, connectors: ReadonlyMap<AppId, AppConnector>): FetchModel {
  checkKeys(where, given, ['from', 'id', 'missing', 'everyMs'])
  const { id } = given
  const read = readerOf(`${where}.id`, id)
  const everyMs = given.everyMs ?? FETCH_EVERY_MS
  if (!Number.isSafeInteger(everyMs) || everyMs < 0)
    refuse(`${where}.everyMs`, `${String(everyMs)} is not a whole number of 0 or more`, 'Give milliseconds.')
  return {
    ...placeOf(`${where}.from`, given.from, connectors),
    idOf: (message) => {
      const text = textOf(read(message))
      return text === '' ? undefined : text
    },
    missing: oneOf(`${where}.missing`, given.missing, ['refuse', 'null']),
    everyMs,
  }
}

/** A value of the body (dotted; '' is the body itself), or a property. */
function readerOf(where: string, given: unknown): (message: Message) => unknown {
  if (typeof given === 'string') {
    const steps = given === '' ? [] : given.split('.')
    return ({ body }) => {
      let at: unknown = body
      for (const step of steps) at = isPlainObject(at) && Object.hasOwn(at, step) ? at[step] : undefined
      return at
    }
  }
  if (isPlainObject(given) && typeof given.property === 'string') {
    const name = given.property
    return ({ properties }) => (Object.hasOwn(properties, name) ? properties[name] : undefined)
  }
  refuse(where, 'this is not a place in a message', "Give the name of a field of the body, or property('id').")
}

const textOf = (value: unknown): string | undefined =>
  typeof value === 'string'
    ? value
    : typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean'
      ? String(value)
      : undefined

function keyOf(where: string, { key }: AnyOptions): FlowModel['orderKeyOf'] {
  if (key === undefined) return null
  if (typeof key === 'function') return (message) => String(key(message))
  const read = readerOf(`${where}.key`, key)
  // Messages without a key are in order among themselves: the safer of the two readings.
  return (message) => textOf(read(message)) ?? ''
}

function filtersOf(where: string, given: unknown): FlowModel['filters'] {
  if (given === undefined) return []
  if (!isPlainObject(given)) refuse(`${where}.filters`, 'an object is needed', 'Give { name: (message) => true }.')
  return Object.entries(given).map(([name, passes]) => {
    if (typeof passes !== 'function')
      refuse(`${where}.filters.${name}`, 'this is not a function', 'Give (message) => true or false.')
    return [name, passes as (message: Message) => boolean] as const
  })
}

function oneOf<const T extends string>(where: string, given: unknown, known: readonly [T, ...T[]]): T {
  if (given === undefined) return known[0]
  if (!known.includes(given as T)) refuseUnknown(where, 'a choice here', String(given), known)
  return given as T
}

function redactOf(where: string, given: unknown): readonly string[] {
  if (given === undefined) return []
  if (!Array.isArray(given) || given.some((name) => typeof name !== 'string' || name === ''))
    refuse(`${where}.redact`, 'a list of names is needed', "Give ['card.number', 'lines.*.secret'].")
  return given as string[]
}

const LISTEN_KINDS: readonly string[] = [
  'http',
  'amqp',
  'amqp1',
  'nats',
  'mqtt',
  'kafka',
] satisfies readonly ListenDefinition['kind'][]

function listensOf(where: string, given: unknown): readonly ListenDefinition[] {
  if (given === undefined) return []
  const list = (Array.isArray(given) ? given : [given]) as unknown[]
  for (const listen of list) {
    if (!isPlainObject(listen) || !LISTEN_KINDS.includes(String(listen.kind)))
      refuse(
        `${where}.listen`,
        'this is not a door for messages',
        "Give post('/path') of an http connector, or a queue of a broker.",
      )
  }
  return list as ListenDefinition[]
}

/** A Standard Schema as a check that answers at once where it can. */
function checkOf(where: string, schema: unknown): Check | null {
  if (schema === undefined) return null
  const standard =
    typeof schema === 'object' || typeof schema === 'function'
      ? (schema as StandardSchemaV1 | null)?.['~standard']
      : undefined
  if (typeof standard?.validate !== 'function')
    refuse(where, 'this is not a schema', 'Give a zod schema, or any other that implements Standard Schema.')
  return (value) => {
    const result = standard.validate(value)
    return result instanceof Promise ? result.then(checkedOf) : checkedOf(result)
  }
}

/** Reasons in one answer: enough to correct a message with, few enough to read. */
const ISSUES_MAX = 8

function checkedOf(result: StandardSchemaV1.Result<unknown>): Checked {
  if (result.issues === undefined) return { value: result.value }
  const issues = result.issues.slice(0, ISSUES_MAX).map(({ path, message }) => {
    const at = (path ?? []).map((step) => String(typeof step === 'object' ? step.key : step)).join('.')
    return at === '' ? message : `${at}: ${message}`
  })
  const more = result.issues.length - issues.length
  return { issues: more > 0 ? [...issues, `and ${more} more`] : issues }
}
