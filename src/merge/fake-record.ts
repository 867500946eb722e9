import fc from 'fast-check'
import type { Capabilities } from '../model/capabilities.ts'
import type { BindingModel, EntityModel, FieldMapping, FieldModel, PartMapping } from '../model/entity.ts'
import {
  type AppId,
  asAppId,
  asCanonicalKey,
  asEntityName,
  asJournalPosition,
  asNativeId,
  asObjectId,
  asOpId,
  asToken,
  type CanonicalKey,
} from '../model/ids.ts'
import type { HeadCell, Intent, Lane, Origin, RecordState } from '../model/record.ts'
import type { Fields, Image, Path, Value } from '../model/value.ts'
import { elementsOf } from './decode.ts'
import type { References } from './references.ts'

/** One entity in three applications, in all kinds of states: for the tests of the pure stages. A run never differs from the one before. */
export const SEED = 20_260_301

export const crm = asAppId('crm')
export const erp = asAppId('erp')
export const shop = asAppId('shop')
export const APPS = [crm, erp, shop] as const
export const key = asCanonicalKey('c1')
export const customer = asEntityName('customer')
export const agent = asEntityName('agent')
const object = asObjectId('clients')

const field = (name: string): FieldModel => ({ name, validate: (value) => value, optional: true })
const fieldsOf = (...names: string[]): Record<string, FieldModel> => Object.fromEntries(names.map((n) => [n, field(n)]))

/** Class A unless told otherwise. */
export const classA: Capabilities = {
  feed: 'F2',
  token: 'T2',
  condition: 'C2',
  create: 'K2',
  mark: 'M0',
  image: 'I2',
  read: 'R2',
  correlation: true,
  idempotency: 'all',
  reply: { token: true, image: true },
  batchMax: 1,
  concurrency: 4,
  atomicGroups: false,
  fenceMs: 5000,
}
export const blindC: Capabilities = { ...classA, condition: 'C0', create: 'K1', idempotency: 'none', token: 'T0' }

const plain = (name: string, more: Partial<FieldMapping> = {}): FieldMapping => ({
  field: name,
  natives: [`n_${name}`],
  direction: 'both',
  reference: null,
  decode: (values) => values[`n_${name}`] as Value,
  encode: (value) => ({ [`n_${name}`]: value }),
  ...more,
})

/** `name` stands in two native fields: a canonical value from several native ones. */
const fullName: FieldMapping = plain('name', {
  natives: ['first', 'last'],
  decode: ({ first, last }) => JSON.stringify([first ?? null, last ?? null]),
  encode: (value) => {
    const [first, last] = JSON.parse(value as string) as [Value, Value]
    return { first, last }
  },
})

const lines: PartMapping = {
  part: 'lines',
  container: 'items',
  key: 'no',
  keyType: 'text',
  fields: [plain('qty'), plain('text')],
}

/** The customer in one application: `note` is read only there, `score` is written only. */
export function bindingOf(app: AppId = crm, more: Partial<BindingModel> = {}): BindingModel {
  return {
    app,
    object,
    entity: customer,
    rank: APPS.indexOf(app as (typeof APPS)[number]),
    capabilities: classA,
    fields: [
      fullName,
      plain('email'),
      plain('phone'),
      plain('note', { direction: 'in', encode: null }),
      plain('score', { direction: 'out', decode: null }),
      plain('owner', { reference: agent }),
    ],
    parts: [lines],
    createHere: true,
    adoptHere: true,
    onCreate: {},
    createNeeds: [],
    deletes: 'propagate',
    flatten: () => ({}),
    unflatten: () => ({}),
    ...more,
  }
}

export function entityOf(more: Partial<EntityModel> = {}, bindings = APPS.map((app) => bindingOf(app))): EntityModel {
  return {
    name: customer,
    fields: {
      ...fieldsOf('name', 'email', 'phone', 'note', 'score', 'fax'),
      owner: { ...field('owner'), reference: agent },
    },
    parts: { lines: { name: 'lines', key: 'no', fields: fieldsOf('qty', 'text') } },
    match: ['email'],
    bindings: new Map(bindings.map((binding) => [binding.app, binding])),
    policyDefault: { kind: 'latest', skewMs: 100 },
    policies: {},
    deletes: 'default',
    mappingVersion: 1,
    ...more,
  }
}

/** Agents are linked everywhere: native `n7` is canonical `a7`. */
export const references: References = {
  keyOf: (_app, _entity, nativeId) => (nativeId.startsWith('n') ? asCanonicalKey('a' + nativeId.slice(1)) : undefined),
  nativeOf: (_app, agentKey) => (agentKey.startsWith('a') ? asNativeId('n' + agentKey.slice(1)) : undefined),
}

export const origin = (more: Partial<Origin> = {}): Origin => ({
  seq: asJournalPosition(5),
  app: erp,
  timeMs: 1000,
  root: asJournalPosition(5),
  hops: 0,
  ...more,
})

export const headOf = (fields: Fields, more: Partial<Origin> = {}): Record<Path, HeadCell> =>
  Object.fromEntries(Object.entries(fields).map(([path, value]) => [path, { value, origin: origin(more) }]))

export function laneOf(more: Partial<Lane> = {}): Lane {
  return {
    app: crm,
    object,
    nativeId: asNativeId('1'),
    incarnation: 0,
    exists: true,
    image: {},
    sent: {},
    token: asToken('3'),
    basis: asJournalPosition(9),
    byChance: [],
    unfolded: [],
    intent: null,
    overlays: [],
    reading: null,
    park: null,
    retry: null,
    waitsFor: null,
    detached: false,
    madeAtMs: null,
    withdrawn: false,
    own: [],
    nextOp: 1,
    readSeq: asJournalPosition(0),
    knownAtMs: 0,
    swings: null,
    ...more,
  }
}

export function recordOf(more: Partial<RecordState> = {}): RecordState {
  return {
    key,
    entity: customer,
    shard: 0,
    rev: 1,
    deleted: false,
    mappingVersion: 1,
    head: {},
    headSeq: asJournalPosition(9),
    lanes: {},
    matchKey: null,
    parkedPaths: {},
    ...more,
  }
}

export function intentOf(more: Partial<Intent> = {}): Intent {
  return {
    op: asOpId('i.1.c1.crm.1'),
    epoch: 1,
    kind: 'update',
    state: 'open',
    patch: { email: 'a' },
    native: { n_email: 'a' },
    baseImage: {},
    baseToken: asToken('3'),
    atMs: 100,
    tries: 0,
    notBeforeMs: 0,
    root: asJournalPosition(5),
    hops: 0,
    mappingVersion: 1,
    headSeq: asJournalPosition(9),
    ...more,
  }
}

/** Freezes a value with all that is in it, so that a stage which writes into its input throws. */
export function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value) || value instanceof Map) return value
  Object.freeze(value)
  for (const member of Object.values(value)) frozen(member)
  return value
}

/** Few values, so that two sides often say the same, or the same but for its spelling. */
export const words: fc.Arbitrary<Value> = fc.constantFrom<Value[]>(null, '', 'a', ' A', 'b', 'c', 1, '1.0', 7n, true)
const names = fc
  .tuple(words, words)
  .map(([first, last]) => JSON.stringify([typeof first === 'bigint' ? 0 : first, typeof last === 'bigint' ? 0 : last]))
const agents = fc.constantFrom<CanonicalKey | null>(null, asCanonicalKey('a1'), asCanonicalKey('a2'))

const optional = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined, freq: 3 })

const defined = (entries: readonly (readonly [string, Value | undefined])[]): Fields =>
  Object.fromEntries(entries.filter((entry): entry is [string, Value] => entry[1] !== undefined))

/** What a record holds: fields, and elements that are there, were taken out, or never were. */
export const canonicals: fc.Arbitrary<Fields> = fc
  .record({
    fields: fc.record({
      name: optional(names),
      email: optional(words),
      phone: optional(words),
      note: optional(words),
      score: optional(words),
      fax: optional(words),
      owner: optional(agents),
    }),
    elements: fc.array(
      fc.record({
        no: fc.constantFrom('1', '2', 'x.y'),
        there: fc.boolean(),
        qty: optional(words),
        text: optional(words),
      }),
      { maxLength: 3 },
    ),
  })
  .map(({ fields, elements }) => {
    const flat: Record<Path, Value | undefined> = { ...fields }
    for (const { no, there, qty, text } of elements) {
      const element = `lines[${no.replace('.', '%2E')}]`
      for (const path of Object.keys(flat)) if (path.startsWith(element)) delete flat[path]
      flat[element] = there
      if (there) Object.assign(flat, { [`${element}.qty`]: qty, [`${element}.text`]: text })
    }
    return defined(Object.entries(flat))
  })

/** What an application that holds these canonical values would say, its own form of them left alone. */
export function imageOf(fields: Fields): Image {
  const image: Record<Path, Value> = { items: true }
  for (const path in fields) {
    const value = fields[path] as Value
    if (path.startsWith('lines[')) {
      if (value === false && path.endsWith(']')) continue
      image[path.replace(/^lines/, 'items').replace(/\.(qty|text)$/, '.n_$1')] = value
    } else if (path === 'name') Object.assign(image, fullName.encode?.(value))
    else if (path === 'owner') image.n_owner = value === null ? null : String(value).replace('a', 'n')
    else if (path !== 'fax') image[`n_${path}`] = value
  }
  return image
}

/** An image in which some values are another's: the application's own form, or what a person changed. */
export const imagesNear = (base: Image): fc.Arbitrary<Image> =>
  fc.tuple(canonicals.map(imageOf), fc.infiniteStream(fc.nat(5)), fc.boolean()).map(([other, dice, isFull]) => {
    const image: Record<Path, Value> = {}
    const pick = (): number => dice.next().value as number
    const gone = new Set(elementsOf(base, 'items').filter(() => isFull && pick() === 0))
    for (const path in base) {
      if (
        [...gone].some((element) => path.startsWith(element)) ||
        (!isFull && (path.startsWith('items') || pick() === 0))
      )
        continue
      image[path] = path in other && pick() < 2 ? (other[path] as Value) : (base[path] as Value)
    }
    const added = isFull && pick() < 3
    for (const path in other) {
      if (path in image || (path.startsWith('items') ? !added : pick() > 1)) continue
      const element = path.slice(0, path.indexOf(']') + 1)
      if (element === '' || other[element] === true) image[path] = other[path] as Value
    }
    for (const path of Object.keys(image)) {
      const element = path.slice(0, path.indexOf(']') + 1)
      if (element !== '') Object.assign(image, { items: true, [element]: true })
    }
    return image
  })

/** A head and what an application has agreed to of it, with the application's own form of that. */
export const states: fc.Arbitrary<{ record: RecordState; lane: Lane }> = fc
  .tuple(
    canonicals,
    canonicals,
    fc.infiniteStream(fc.tuple(fc.nat(3), fc.constantFrom(...APPS), fc.nat(400), fc.nat(3))),
    fc.boolean(),
  )
  .map(([headFields, otherSent, dice, followsAll]) => {
    const head: Record<Path, HeadCell> = {}
    const sent: Record<Path, Value> = {}
    for (const path in headFields) {
      const [choice, app, timeMs, hops] = dice.next().value as [number, AppId, number, number]
      head[path] = { value: headFields[path] as Value, origin: origin({ app, timeMs: 800 + timeMs, hops }) }
      if (followsAll || choice < 3) sent[path] = headFields[path] as Value
      else if (headFields[path] === false) Object.assign(sent, { [path]: true, [`${path}.qty`]: 'held' })
    }
    for (const path in otherSent) {
      const [choice] = dice.next().value as [number]
      if (!followsAll && choice === 0 && !path.startsWith('lines')) sent[path] = otherSent[path] as Value
    }
    for (const path of Object.keys(sent)) {
      const element = path.slice(0, path.indexOf(']') + 1)
      if (element !== '' && element !== path && sent[element] !== true) delete sent[path]
    }
    return { record: recordOf({ head }), lane: laneOf({ sent, image: imageOf(sent) }) }
  })
