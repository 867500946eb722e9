import { SyncError } from '../errors/index.ts'
import type { BindingModel, EntityModel, HubModel } from '../model/entity.ts'
import { type AppId, asAppId, type EntityName, type ObjectId } from '../model/ids.ts'
import type { AppConnector, AppDefinition, AppDescription, AppHandle, BindingSpec, HubLimits } from './app.ts'
import { LIMITS } from './app.ts'
import { type BrakesConfig, readBrakes } from './brakes.ts'
import { compileEntity, type EntityContext } from './compile-entity.ts'
import { type CompiledFlow, compileFlow, objectsOf } from './compile-flow.ts'
import { digest } from './digest.ts'
import type { SyncDefinition } from './entity.ts'
import { doorName, type FlowDefinition, isShared } from './flow.ts'
import { type ListenerConfig, type ListenerDefinition, readListener } from './listener.ts'
import { type MessagePolicy, type MessagesConfig, readMessages } from './messages.ts'
import { checkCanonicalName, checkKeys, isPlainObject, refuse, refuseUnknown } from './refuse.ts'
import { readStore, type StoreDefinition } from './store.ts'

const hubBrand = Symbol.for('latchwork.HubDefinition')

export interface HubConfig {
  /** Every application by the name under which it stands in `sync`, in the cross-reference and in the log. */
  readonly apps: Readonly<Record<string, AppHandle>>
  readonly sync?: readonly SyncDefinition[]
  readonly flows?: readonly FlowDefinition[]
  readonly limits?: Partial<HubLimits>
  /** How much may go from one application to another before a person is asked. */
  readonly brakes?: BrakesConfig
  /** What is kept of what arrived, how long, and what of it nobody may read. */
  readonly messages?: MessagesConfig
  /** How requests are taken. */
  readonly listener?: ListenerConfig
  /** Where the hub keeps its own state. Default: SQLite files in the data folder. */
  readonly store?: StoreDefinition
}

/** The config, checked and compiled: everything that the engine and the connectors need, as data and pure functions. */
export interface HubDefinition {
  readonly model: HubModel
  /** As they were given, with their schemas: for what tries the config, never for what runs it. */
  readonly declared: readonly SyncDefinition[]
  readonly apps: ReadonlyMap<AppId, AppDefinition>
  readonly flows: readonly CompiledFlow[]
  readonly limits: HubLimits
  readonly messages: MessagePolicy
  readonly listener: ListenerDefinition
  readonly store: StoreDefinition
}

/** Checks a config and compiles it. Throws SyncError `config.*`, which names the place, the reason and the next step. */
export function defineHub(config: HubConfig): HubDefinition {
  checkKeys('defineHub', config, ['apps', 'sync', 'flows', 'limits', 'brakes', 'messages', 'listener', 'store'])
  const limits = readLimits(config.limits)
  const connectors = readApps(config.apps)
  const syncs = readSyncs(config.sync)
  const flows = readFlows(config.flows)
  const bindings = readBindings(syncs, connectors, flows)
  const descriptions = describeApps(connectors, bindings, limits)
  const compiledFlows = flows.map((flow) => compileFlow(flow, connectors))
  checkListens(descriptions, compiledFlows)
  const appsByEntity = new Map(syncs.map((sync) => [sync.entity.name, new Set(Object.keys(sync.bindings))]))
  const context: EntityContext = { descriptions, appsByEntity }
  const entities = new Map<EntityName, EntityModel>()
  for (const sync of syncs) {
    const model = compileEntity(sync, context)
    entities.set(model.name, model)
  }
  const definition: HubDefinition = {
    model: { ...hubModel(entities), brakes: readBrakes(config.brakes) },
    declared: syncs,
    apps: new Map([...descriptions].map(([app, description]) => [app, description.definition])),
    flows: compiledFlows,
    limits,
    messages: readMessages(config.messages),
    listener: readListener(config.listener),
    store: readStore(config.store),
  }
  return Object.defineProperty(definition, hubBrand, { value: true })
}

/** Whether a value came from `defineHub`, also from another copy of the package. */
export const isHubDefinition = (value: unknown): value is HubDefinition =>
  typeof value === 'object' && value !== null && hubBrand in value

function readLimits(given: unknown): HubLimits {
  if (given === undefined) return LIMITS
  checkKeys('limits', given, Object.keys(LIMITS))
  for (const [name, value] of Object.entries(given as object)) {
    if (!Number.isSafeInteger(value) || value < 1) {
      refuse(`limits.${name}`, `${String(value)} is not a whole number above 0`, 'Give one, or leave it out.')
    }
  }
  return { ...LIMITS, ...(given as Partial<HubLimits>) }
}

function readApps(given: unknown): ReadonlyMap<AppId, AppConnector> {
  if (!isPlainObject(given)) refuse('apps', 'the applications are missing', 'Give apps: { name: http({ ... }) }.')
  const connectors = new Map<AppId, AppConnector>()
  for (const [name, handle] of Object.entries(given)) {
    checkCanonicalName('apps', name)
    const connector = isPlainObject(handle) ? (handle.connector as AppConnector | undefined) : undefined
    if (typeof connector?.describe !== 'function') {
      refuse(`apps.${name}`, 'this is not an application', 'Give what http({ ... }) or another connector returns.')
    }
    for (const [other, known] of connectors) {
      if (known === connector) refuse(`apps.${name}`, `it is the same application as apps.${other}`, 'Name each once.')
    }
    connectors.set(asAppId(name), connector)
  }
  return connectors
}

function readFlows(given: unknown): readonly FlowDefinition[] {
  if (given === undefined) return []
  if (!Array.isArray(given)) refuse('flows', 'a list is needed', 'Give flows: [flow(name, { ... }), ...].')
  const names = new Set<string>()
  for (const [i, flow] of (given as unknown[]).entries()) {
    if (!isPlainObject(flow) || flow.kind !== 'flow')
      refuse(`flows[${i}]`, 'this is not a flow', 'Give what flow(name, { ... }) returns.')
    const { name } = flow as unknown as FlowDefinition
    if (names.has(name)) refuse(`flows[${i}]`, `there is a flow '${name}' already`, 'Name each flow once.')
    names.add(name)
  }
  return given as FlowDefinition[]
}

function readSyncs(given: unknown): readonly SyncDefinition[] {
  if (given === undefined) return []
  if (!Array.isArray(given)) refuse('sync', 'a list is needed', 'Give sync: [sync(entity, { app: ... }), ...].')
  const names = new Set<string>()
  for (const [i, sync] of (given as unknown[]).entries()) {
    if (!isPlainObject(sync) || sync.kind !== 'sync') {
      refuse(`sync[${i}]`, 'this is not a sync', 'Give what sync(entity, { app: ... }) returns.')
    }
    const { name } = (sync as unknown as SyncDefinition).entity
    if (names.has(name))
      refuse(
        `sync[${i}]`,
        `the entity '${name}' is there already`,
        'Name each entity once; put all its applications into one sync.',
      )
    names.add(name)
  }
  return given as SyncDefinition[]
}

function readBindings(
  syncs: readonly SyncDefinition[],
  connectors: ReadonlyMap<AppId, AppConnector>,
  flows: readonly FlowDefinition[],
): ReadonlyMap<AppId, readonly BindingSpec[]> {
  const byApp = new Map<AppId, BindingSpec[]>([...connectors.keys()].map((app) => [app, []]))
  for (const sync of syncs) {
    for (const [name, spec] of Object.entries(sync.bindings)) {
      const where = `${sync.entity.name}.${name}`
      const connector = connectors.get(asAppId(name))
      if (connector === undefined) refuseUnknown(where, 'an application of this hub', name, [...connectors.keys()])
      if (connector !== spec.connector) refuseOwner(where, name, spec, connectors)
      byApp.get(asAppId(name))?.push(spec)
    }
  }
  for (const { where, spec } of objectsOf(flows)) {
    const owner = [...connectors].find(([, connector]) => connector === spec.connector)?.[0]
    if (owner === undefined)
      refuse(where, `'${spec.object}' belongs to an application that is not in apps`, 'Add that application to apps.')
    // What a sync says of an object holds for flows too.
    const known = byApp.get(owner)
    if (known?.some((other) => other.object === spec.object) === false) known.push(spec)
  }
  return byApp
}

function refuseOwner(
  where: string,
  name: string,
  spec: BindingSpec,
  connectors: ReadonlyMap<AppId, AppConnector>,
): never {
  const owner = [...connectors].find(([, connector]) => connector === spec.connector)?.[0]
  const reason =
    owner === undefined
      ? `'${spec.object}' belongs to an application that is not in apps`
      : `'${spec.object}' belongs to the application ${owner}`
  const next =
    owner === undefined ? 'Add that application to apps.' : `Write ${owner}: there, or bind an object of ${name}.`
  refuse(where, reason, next)
}

function describeApps(
  connectors: ReadonlyMap<AppId, AppConnector>,
  bindings: ReadonlyMap<AppId, readonly BindingSpec[]>,
  limits: HubLimits,
): ReadonlyMap<AppId, AppDescription> {
  const descriptions = new Map<AppId, AppDescription>()
  for (const [app, connector] of connectors) {
    descriptions.set(app, connector.describe(app, bindings.get(app) ?? [], limits))
  }
  return descriptions
}

function checkListens(descriptions: ReadonlyMap<AppId, AppDescription>, flows: readonly CompiledFlow[]): void {
  const owners = new Map<string, string>()
  const doors = new Map<string, string>()
  for (const [app, { listens }] of descriptions) {
    for (const path of listens) {
      const owner = owners.get(path)
      if (owner !== undefined)
        refuse(`apps.${app}`, `the path ${path} already belongs to ${owner}`, 'Give each webhook its own path.')
      owners.set(path, app)
    }
  }
  for (const { model, listens } of flows) {
    for (const listen of listens.filter((one) => !isShared(one))) {
      const door = doorName(listen)
      const owner = (listen.kind === 'http' ? owners.get(listen.options.path) : undefined) ?? doors.get(door)
      if (owner !== undefined)
        refuse(
          `flow ${model.name}.listen`,
          `${door} already belongs to ${owner}`,
          'Give each door its own path, or its own queue: two readers of one get half of the messages each.',
        )
      doors.set(door, `the flow ${model.name}`)
    }
  }
}

function hubModel(entities: ReadonlyMap<EntityName, EntityModel>): HubModel {
  const bindings = new Map<AppId, Map<ObjectId, BindingModel[]>>()
  for (const entity of entities.values()) {
    for (const binding of entity.bindings.values()) {
      const objects = bindings.get(binding.app) ?? new Map<ObjectId, BindingModel[]>()
      bindings.set(binding.app, objects)
      objects.set(binding.object, [...(objects.get(binding.object) ?? []), binding])
    }
  }
  const none: readonly BindingModel[] = []
  return {
    entities,
    bindingsOf: (app, object) => bindings.get(app)?.get(object) ?? none,
    mappingVersion: digest([...entities.values()].map((entity) => `${entity.name} ${entity.mappingVersion}`)),
  }
}

/** Reads what a config module exports, for `latchwork start`. */
export function hubOf(exported: unknown, file: string): HubDefinition {
  if (isHubDefinition(exported)) return exported
  throw new SyncError(
    'config.not-a-hub',
    `${file} has no default export that defineHub({ ... }) made. Add: export default defineHub({ ... })`,
    {
      place: { file },
    },
  )
}
