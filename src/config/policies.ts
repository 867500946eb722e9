import type { MergeSide, MergeSides, Policy } from '../model/entity.ts'
import { type AppId, asAppId } from '../model/ids.ts'
import { type Value, valuesEqual } from '../model/value.ts'
import type { CompiledEntity } from './compile-entity.ts'
import type { Branded } from './kinds.ts'
import { checkKeys, refuse, refuseUnknown } from './refuse.ts'
import type { Shape } from './schema.ts'

/** What stands when two applications changed one field: the forms in which a config says so, and their checks at the start. */

export interface Latest {
  readonly kind: 'latest'
  readonly skewMs: number
}

export interface Prefer<App extends string> {
  readonly kind: 'prefer'
  readonly apps: readonly App[]
}

export interface Manual {
  readonly kind: 'manual'
}

export interface Counter {
  readonly kind: 'counter'
}

export interface AddRemove {
  readonly kind: 'addRemove'
}

/** `V` is the type of the field's values. */
export interface Merge<V> {
  readonly kind: 'merge'
  readonly merge: (sides: Sides<V>) => V
}

/** What a merge function is given: the two values, and the one that both come from as far as that is known. */
export interface Sides<V> {
  /** What the incoming application last agreed to; undefined when it never did, as at a first match. */
  readonly base: V | undefined
  readonly current: Side<V>
  readonly incoming: Side<V>
}

export interface Side<V> {
  readonly value: V
  readonly app: string
  /** When the change was made, as far as is known, ms since 1970. */
  readonly atMs: number
}

/** Source times closer than this are taken as equal: clocks of applications differ by about as much. */
const SKEW_MS = 1_000

/** The later change stands, by the applications' own times; within `skewMs` the order of the applications in `sync` decides. */
export const latest = (options: { readonly skewMs?: number } = {}): Latest => ({
  kind: 'latest',
  skewMs: options.skewMs ?? SKEW_MS,
})

/**
 * The change of the application named first stands; among those not named, the later one. Write it where it is used: the names are
 * completed and checked by the `sync` around it.
 */
export const prefer = <App extends string = never>(...apps: readonly NoInfer<App>[]): Prefer<App> => ({
  kind: 'prefer',
  apps,
})

/** Neither stands: both values are kept, the field is set aside, and a person decides with `latchwork resolve`. */
export const manual = (): Manual => ({ kind: 'manual' })

/** For numbers that are counted up and down, such as a stock: what either side added or took counts. Nothing loses. */
export const counter = (): Counter => ({ kind: 'counter' })

/** For lists used as sets, such as tags: what either side added is in, what either took out is out. Nothing loses. */
export const addRemove = (): AddRemove => ({ kind: 'addRemove' })

/**
 * Your own function. It must be pure: the same sides give the same value, whenever and however often it is asked. What it throws, or gives outside the schema,
 * sets the field aside.
 */
export const merge = <V = never>(choose: (sides: Sides<NoInfer<V>>) => NoInfer<V>): Merge<V> => ({
  kind: 'merge',
  merge: choose,
})

/** The policies that suit a field of this type, beside `prefer`; for a whole part only those that look at no value. */
export type PolicyFor<V> = [V] extends [never] ? Latest : Latest | Manual | Merge<V> | DeltaPolicyFor<Exclude<V, null>>

type DeltaPolicyFor<V> = [V] extends [number | bigint]
  ? Counter
  : [V] extends [Branded<{ readonly decimal: number }>]
    ? Counter
    : [V] extends [readonly unknown[]]
      ? AddRemove
      : never

/** What the checks need of a binding: which canonical names an application maps. */
type Bindings = ReadonlyMap<
  AppId,
  {
    readonly model: {
      readonly fields: readonly { readonly field: string }[]
      readonly parts: readonly {
        readonly part: string
        readonly key: string
        readonly fields: readonly { readonly field: string }[]
      }[]
    }
  }
>

const NEXT =
  "Give latest(), prefer('app', ...), manual(), counter(), addRemove() or merge((sides) => value), each as its function returns it."

export function readDefaultPolicy(entity: string, given: unknown, apps: readonly AppId[]): Policy {
  const where = `${entity}.conflicts.default`
  const policy = given === undefined ? latest() : given
  const kind = kindOf(policy)
  if (kind === 'counter' || kind === 'addRemove' || kind === 'merge')
    refuse(where, `${kind}() suits single fields, not all of an entity`, 'Give it under conflicts.fields.')
  return readPolicy(where, policy, apps, null)
}

export function readPolicies(
  entity: string,
  given: unknown,
  compiled: CompiledEntity,
  bindings: Bindings,
): Readonly<Record<string, Policy>> {
  const where = `${entity}.conflicts.fields`
  const fields = new Map<string, Field>()
  const known: string[] = []
  const add = (name: string, from: CompiledEntity['fields'], field: string): void => {
    const model = from.models[field]
    const shape = from.shapes[field]
    known.push(name)
    if (model !== undefined && shape !== undefined) fields.set(name, { shape, validate: model.validate })
  }
  for (const field of Object.keys(compiled.fields.models)) add(field, compiled.fields, field)
  for (const [part, own] of Object.entries(compiled.parts)) {
    known.push(part)
    for (const field of Object.keys(own.models)) add(`${part}.${field}`, own, field)
  }
  checkKeys(where, given, known)
  return Object.fromEntries(
    Object.entries(given as Record<string, unknown>).flatMap(([path, policy]) =>
      policy === undefined
        ? []
        : [[path, readPolicy(`${where}.${path}`, policy, appsMapping(path, bindings), fields.get(path) ?? null)]],
    ),
  )
}

interface Field {
  readonly shape: Shape
  readonly validate: (value: Value) => Value
}

function appsMapping(path: string, bindings: Bindings): readonly AppId[] {
  const [head, field] = path.split('.')
  return [...bindings]
    .filter(([, { model }]) => {
      const part = model.parts.find((mapping) => mapping.part === head)
      if (part !== undefined)
        return field === undefined || part.key === field || part.fields.some((mapping) => mapping.field === field)
      return model.fields.some((mapping) => mapping.field === head)
    })
    .map(([app]) => app)
}

const kindOf = (given: unknown): unknown =>
  typeof given === 'object' && given !== null && 'kind' in given ? given.kind : undefined

/** `field` is null for a default and for a whole part. */
function readPolicy(where: string, given: unknown, apps: readonly AppId[], field: Field | null): Policy {
  switch (kindOf(given)) {
    case 'latest': {
      const { skewMs } = given as Latest
      if (!Number.isFinite(skewMs) || skewMs < 0)
        refuse(where, `skewMs is ${String(skewMs)}`, 'Give milliseconds, 0 or more.')
      return { kind: 'latest', skewMs }
    }
    case 'prefer':
      return readPrefer(where, (given as { apps?: unknown }).apps, apps)
    case 'manual':
      if (field === null && where.includes('.fields.'))
        refuse(
          where,
          'manual() keeps two values of one field, and this is a whole part',
          "Name its fields: 'lines.qty'.",
        )
      return { kind: 'manual' }
    case 'counter':
      requireShape(where, field, 'counter()', 'a number or decimal', /^(int64|decimal\(\d+\)|standard\(.*\))$/)
      return { kind: 'counter' }
    case 'addRemove':
      requireShape(where, field, 'addRemove()', 'a list', /^(list<.*>|standard\(.*\))$/)
      return { kind: 'addRemove' }
    case 'merge':
      return readMerge(where, (given as { merge?: unknown }).merge, field)
    default:
      return refuse(where, 'this is not a policy', NEXT)
  }
}

function readPrefer(where: string, given: unknown, apps: readonly AppId[]): Policy {
  if (!Array.isArray(given)) refuse(where, 'this is not a policy', NEXT)
  if (given.length === 0) refuse(where, 'prefer() names no application', "Give prefer('app', ...).")
  for (const app of given as unknown[]) {
    if (!apps.includes(app as AppId)) refuseUnknown(where, 'an application that has this field', String(app), apps)
  }
  return { kind: 'prefer', apps: given.map((app) => asAppId(String(app))) }
}

function requireShape(where: string, field: Field | null, what: string, needs: string, kinds: RegExp): void {
  if (field !== null && kinds.test(field.shape.kind)) return
  const is = field === null ? 'this is a whole part' : `this is ${field.shape.kind}`
  refuse(where, `${what} needs ${needs}, ${is}`, 'Give latest(), manual() or merge(...) here.')
}

type MergeFunction = (sides: MergeSides) => Value

/** A merge function is tried at the start on values that fit the field: what fails then would fail on the first conflict, at night. */
function readMerge(where: string, given: unknown, field: Field | null): Policy {
  if (typeof given !== 'function') refuse(where, 'merge() has no function', 'Give merge((sides) => value).')
  if (field === null) refuse(where, 'merge() merges values of one field', "Name the field: 'lines.qty'.")
  const choose = given as MergeFunction
  const samples = samplesOf(field)
  for (const base of [undefined, ...samples]) {
    for (const current of samples) {
      for (const incoming of samples) {
        if (!valuesEqual(current, incoming)) tryMerge(where, choose, field, base, current, incoming)
      }
    }
  }
  return { kind: 'merge', merge: choose }
}

function tryMerge(
  where: string,
  choose: MergeFunction,
  field: Field,
  base: Value | undefined,
  current: Value,
  incoming: Value,
): void {
  const side = (value: Value, app: string, atMs: number): MergeSide => ({ value, app, atMs })
  const sides: MergeSides = { base, current: side(current, 'a', 1_000), incoming: side(incoming, 'b', 2_000) }
  const tried = `base ${shown(base)}, current ${shown(current)}, incoming ${shown(incoming)}`
  const call = (): Value => {
    try {
      return choose(sides)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      return refuse(
        where,
        `its merge function throws for ${tried}: ${reason}`,
        'Let it give a value for whatever fits the field.',
      )
    }
  }
  const value = call()
  const again = call()
  try {
    field.validate(value)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    refuse(
      where,
      `its merge function gives ${shown(value)} for ${tried}, which does not fit the field: ${reason}`,
      'Let it give a value of the field.',
    )
  }
  if (!valuesEqual(value, again))
    refuse(where, `its merge function gives ${shown(value)}, then ${shown(again)} for ${tried}`, 'It must be pure.')
}

const SAMPLES: readonly (readonly [RegExp, readonly Value[]])[] = [
  [/^int64$/, [0, 1, 7]],
  [/^decimal/, ['0', '1', '7']],
  [/^bool$/, [false, true]],
  [/^text$/, ['', 'alpha', 'beta']],
  [/^date$/, ['2024-02-29', '2025-01-01']],
  [/^instant$/, ['2024-02-29T12:00:00.000Z', '2025-01-01T00:00:00.000Z']],
  [/^list<text/, [[], ['alpha'], ['alpha', 'beta']]],
  [/^list<int64/, [[], [1], [1, 7]]],
]

/** Values that fit the field; none where its schema takes only values that nobody could guess. */
function samplesOf({ shape, validate }: Field): Value[] {
  const guessed = SAMPLES.find(([kind]) => kind.test(shape.kind))?.[1] ?? []
  return [...(shape.nullable ? [null] : []), ...guessed].flatMap((sample) => {
    try {
      return [validate(sample)]
    } catch {
      return []
    }
  })
}

const shown = (value: unknown): string =>
  typeof value === 'bigint' ? String(value) : (JSON.stringify(value) ?? String(value))
