import { type DeclaredEntity, declaredEntities, type FieldSite, sitesOf } from '../../../check/sites.ts'
import type { HubDefinition } from '../../../config/define-hub.ts'
import { SyncError } from '../../../errors/index.ts'
import type { Capabilities } from '../../../model/capabilities.ts'
import type { BindingModel, EntityModel, HubModel, Policy } from '../../../model/entity.ts'
import type { AppId, EntityName } from '../../../model/ids.ts'
import { encodeData, type Value } from '../../../model/value.ts'
import { lettersOf } from '../../../server/promises.ts'
import type { EntitySpec, FieldSpec, Taint } from '../fields.ts'
import { type OwnField, OwnObject, type OwnPart } from './object.ts'
import { type PoolValue, poolOf } from './pool.ts'

/** A config's own entities and applications, as the simulator plays them. */
export interface OwnWorld {
  readonly specs: readonly EntitySpec[]
  readonly apps: readonly OwnApp[]
  /** The compiled model, with what the simulated applications offer. */
  readonly model: HubModel
  /** How many things there may be: match fields with few values allow few. */
  readonly recordsMax: number
  /** How many entities stand before one that refers to them. */
  readonly depths: ReadonlyMap<EntityName, number>
  /** Where users of a config's applications can be at odds so that a person has to decide. */
  readonly decides: boolean
  readonly updateWins: boolean
}

export interface OwnApp {
  readonly app: AppId
  readonly letters: string
  readonly capabilities: Capabilities
  readonly objects: readonly OwnObject[]
  /** Its users do nothing where nothing would tell of it. */
  readonly isTold: boolean
}

/** Small batches, so that they are split; a fence that outlasts the simulated network. */
const BOUNDS = { batchMax: 8, concurrency: 4, fenceMs: 7000 } as const
const RECORDS_MAX = 60

/** Throws SyncError `simulate.unsupported` where a config cannot be played. */
export function ownWorld(definition: HubDefinition): OwnWorld {
  const declared = declaredEntities(definition)
  if (declared.length === 0) refuse('the config', 'it syncs no entity', 'Flows are tried by tests of their own.')
  const capabilities = capabilitiesOf(declared)
  const drafts = new Map(declared.map((one) => [one.model.name, draftOf(one)]))
  const apps = [...definition.apps.keys()].flatMap((app): OwnApp[] => {
    const own = capabilities.get(app)
    if (own === undefined) return []
    const objects = declared.flatMap(({ model }) => {
      const binding = model.bindings.get(app)
      return binding === undefined ? [] : [objectOf(drafts.get(model.name) as Draft, binding)]
    })
    const shared = objects.find((one, i) => objects.findIndex(({ object }) => object === one.object) !== i)
    if (shared !== undefined)
      refuse(`${app}/${shared.object}`, 'two entities share it', 'Try each entity in a config of its own.')
    return [{ app, letters: lettersOf(own), capabilities: own, objects, isTold: own.feed !== 'none' }]
  })
  const entities = declared.map(({ model }) => model)
  return {
    specs: [...drafts.values()].map(({ spec }) => spec),
    apps,
    model: playedModel(definition.model, capabilities),
    recordsMax: Math.min(...[...drafts.values()].map(({ identities }) => identities?.length ?? RECORDS_MAX)),
    depths: depthsOf(entities),
    decides: entities.some((entity) => [entity.policyDefault, ...Object.values(entity.policies)].some(needsPeople)),
    updateWins: entities.some(({ deletes }) => deletes === 'update-wins'),
  }
}

const needsPeople = ({ kind }: Policy): boolean => kind === 'manual' || kind === 'merge' || kind === 'counter'

function refuse(where: string, reason: string, next: string): never {
  throw new SyncError('simulate.unsupported', `${where} cannot be simulated: ${reason}. ${next}`, {
    place: { at: where },
  })
}

const ORDERS = {
  feed: ['F3', 'F2', 'F1', 'F0', 'none'],
  token: ['T2', 'T1', 'T0'],
  condition: ['C2', 'C0'],
  create: ['K2', 'K1', 'K0'],
  mark: ['M2', 'M1', 'Mr', 'M0'],
  image: ['I2', 'I1', 'I0'],
  idempotency: ['all', 'create', 'none'],
} as const

/** What each application offers: of every letter the weakest that one of its objects has, as one simulated application has one API. */
function capabilitiesOf(declared: readonly DeclaredEntity[]): ReadonlyMap<AppId, Capabilities> {
  const byApp = Map.groupBy(
    declared.flatMap(({ model }) => [...model.bindings.values()]),
    ({ app }) => app,
  )
  return new Map([...byApp].map(([app, bindings]) => [app, weakest(bindings.map((one) => one.capabilities))]))
}

function weakest(all: readonly Capabilities[]): Capabilities {
  const [first] = all as [Capabilities, ...Capabilities[]]
  const least = <K extends keyof typeof ORDERS>(letter: K): Capabilities[K] => {
    const order: readonly string[] = ORDERS[letter]
    return order[Math.max(...all.map((one) => order.indexOf(one[letter])))] as Capabilities[K]
  }
  const { conditionOn: _, ...rest } = first
  const on = all.find((one) => one.conditionOn === 'patch') ?? all.find((one) => one.conditionOn === 'values')
  const feed = least('feed')
  return {
    ...rest,
    // Notifications that may be lost cannot be judged: they all arrive here.
    feed: feed === 'F0' ? 'F2' : feed,
    token: least('token'),
    condition: least('condition'),
    ...(on?.conditionOn !== undefined && least('condition') === 'C2' && { conditionOn: on.conditionOn }),
    create: least('create'),
    mark: least('mark') === 'M2' ? 'M2' : 'M0',
    image: least('image') === 'I2' ? 'I2' : 'I0',
    read: 'R2',
    idempotency: least('idempotency'),
    correlation: least('create') !== 'K0' && all.every((one) => one.correlation),
    reply: {
      token: all.every((one) => one.reply.token) && least('token') !== 'T0',
      image: all.every((one) => one.reply.image),
    },
    batchMax: Math.min(BOUNDS.batchMax, ...all.map((one) => one.batchMax)),
    concurrency: Math.min(BOUNDS.concurrency, ...all.map((one) => one.concurrency)),
    atomicGroups: false,
    fenceMs: BOUNDS.fenceMs,
  }
}

interface Draft {
  readonly model: EntityModel
  readonly spec: EntitySpec
  readonly sites: readonly FieldSite[]
  readonly pools: ReadonlyMap<string, readonly PoolValue[]>
  readonly identities: readonly (readonly PoolValue[])[] | null
}

function draftOf(declared: DeclaredEntity): Draft {
  const { model } = declared
  const sites = sitesOf(declared)
  const pools = new Map(sites.map((site) => [site.path, isReference(site) ? [] : poolOf(site)]))
  const specOf = (site: FieldSite): FieldSpec => specField(model, site)
  const inPart = (part: string) => sites.filter(({ path, isKey }) => path.startsWith(`${part}.`) && !isKey)
  const spec: EntitySpec = {
    name: model.name,
    fields: sites.filter(({ path }) => !path.includes('.')).map(specOf),
    parts: Object.values(model.parts).map(({ name, key }) => ({ name, key, fields: inPart(name).map(specOf) })),
  }
  return { model, spec, sites, pools, identities: identitiesOf(model, pools) }
}

const isReference = ({ model }: FieldSite): boolean => model.reference !== undefined

function specField(entity: EntityModel, site: FieldSite): FieldSpec {
  const { model, ends } = site
  const policy = entity.policies[site.path] ?? entity.policies[site.path.split('.')[0] ?? ''] ?? entity.policyDefault
  return {
    name: model.name,
    kind: isReference(site) ? 'reference' : 'value',
    nullable: takesNull(site),
    ...(model.reference !== undefined && { refersTo: model.reference }),
    taint: tainter(ends.filter(({ mapping }) => mapping.lossy === true).map(({ mapping }) => mapping)),
    ...(policy.kind !== 'latest' && policy.kind !== 'prefer' && policy.kind !== 'manual' && { blends: true }),
  }
}

function takesNull({ model }: FieldSite): boolean {
  try {
    return model.validate(null) === null
  } catch {
    return false
  }
}

const TAINTS = new Map<string, Taint>()
const TAINT_FIRST = 10_000_000

/** Two values are one to the judges when an application that declares its loss cannot tell them apart. */
function tainter(lossy: readonly BindingModel['fields'][number][]): (value: Value) => Taint {
  return (value) => {
    let kept = value
    for (let round = 0; round < 3; round++) for (const mapping of lossy) kept = throughMapping(mapping, kept)
    const text = encodeData(kept)
    const known = TAINTS.get(text)
    if (known !== undefined) return known
    const taint = TAINT_FIRST + TAINTS.size
    TAINTS.set(text, taint)
    return taint
  }
}

function throughMapping(mapping: BindingModel['fields'][number], value: Value): Value {
  try {
    return mapping.decode?.(mapping.encode?.(value) ?? {}) ?? value
  } catch {
    return value
  }
}

/** One set of match values for each thing, no two alike; only such as every application can hold. */
function identitiesOf(
  model: EntityModel,
  pools: ReadonlyMap<string, readonly PoolValue[]>,
): readonly (readonly PoolValue[])[] | null {
  if (model.match === null) return null
  const lists = model.match.map((name) =>
    (pools.get(name) ?? []).filter(({ value, cells }) => {
      const isEmpty = value === null || String(value).trim() === ''
      return !isEmpty && [...model.bindings.keys()].every((app) => cells.has(app))
    }),
  )
  const count = Math.max(...lists.map((list) => list.length))
  if (lists.some((list) => list.length === 0))
    refuse(
      `${model.name}.match`,
      'no value could be made up that all applications can hold',
      'Give the schemas of the records, or a schema of the entity that says what such a value looks like.',
    )
  return Array.from({ length: count }, (_, i) => lists.map((list) => list[i % list.length] as PoolValue))
}

function objectOf({ model, spec, sites, pools, identities }: Draft, binding: BindingModel): OwnObject {
  const own = (prefix: string, specs: readonly FieldSpec[]): OwnField[] =>
    specs.flatMap((field): OwnField[] => {
      const site = sites.find(({ path }) => path === prefix + field.name)
      const end = site?.ends.find(({ app }) => app === binding.app)
      if (site === undefined || end === undefined) return []
      const pool = (pools.get(site.path) ?? []).filter(({ cells }) => cells.has(binding.app))
      const isTold = end.mapping.decode !== null && end.mapping.direction !== 'out'
      if (isTold && pool.length === 0 && !isReference(site))
        refuse(
          `${site.entity}.${site.path} in ${binding.app}`,
          'nothing could be made up that its users would enter',
          'Give the schema of its records.',
        )
      const isKey = model.match?.includes(site.path) === true
      return [
        {
          ...field,
          isEdited: isTold && !isKey,
          isEntered: isTold,
          ...(end.mapping.lossy === true && { isInexact: true }),
          mapping: end.mapping,
          model: site.model,
          schemas: end.natives,
          pool,
        },
      ]
    })
  const parts = spec.parts.flatMap(({ name, fields }): OwnPart[] => {
    const mapping = binding.parts.find((one) => one.part === name)
    return mapping === undefined ? [] : [{ name, container: mapping.container, fields: own(`${name}.`, fields) }]
  })
  return new OwnObject({
    binding,
    spec,
    fields: own('', spec.fields),
    parts,
    identities,
    match: model.match ?? [],
    isDeletable: isPlainlyDeleted(model),
  })
}

/** Deletions that are kept back, turned into a value or not carried over are tried by tests of their own. */
const isPlainlyDeleted = (model: EntityModel): boolean =>
  model.deletes !== 'ignore' &&
  model.softDelete === undefined &&
  model.quarantineMs === undefined &&
  [...model.bindings.values()].every(({ deletes }) => deletes === 'propagate')

function depthsOf(entities: readonly EntityModel[]): ReadonlyMap<EntityName, number> {
  const depths = new Map<EntityName, number>()
  const depth = (name: EntityName, seen: ReadonlySet<EntityName>): number => {
    const entity = entities.find((one) => one.name === name)
    if (entity === undefined || seen.has(name)) return 0
    const fields = [entity.fields, ...Object.values(entity.parts).map((part) => part.fields)].flatMap(Object.values)
    const further = fields.flatMap(({ reference }) =>
      reference === undefined || reference === name ? [] : [reference],
    )
    return Math.max(0, ...further.map((one: EntityName) => 1 + depth(one, new Set([...seen, name]))))
  }
  for (const { name } of entities) depths.set(name, depth(name, new Set()))
  return depths
}

/** Brakes hold what people mean to look at; here nobody looks. A volatile latch writes before its intent is committed, which is what the judges forbid. */
function playedModel(model: HubModel, capabilities: ReadonlyMap<AppId, Capabilities>): HubModel {
  const played = new Map<BindingModel, BindingModel>()
  const entities = new Map(
    [...model.entities].map(([name, entity]): [EntityName, EntityModel] => {
      const bindings = new Map(
        [...entity.bindings].map(([app, binding]): [AppId, BindingModel] => {
          const own: BindingModel = {
            ...binding,
            capabilities: capabilities.get(app) ?? binding.capabilities,
            latching: binding.latching === 'table' ? 'table' : 'memory',
          }
          played.set(binding, own)
          return [app, own]
        }),
      )
      return [name, { ...entity, bindings }]
    }),
  )
  return {
    ...model,
    entities,
    bindingsOf: (app, object) => model.bindingsOf(app, object).map((binding) => played.get(binding) ?? binding),
    brakes: { deletes: null, writesPerMinute: null, firstContactCreates: null },
  }
}
