import type { BindingSpec } from './app.ts'
import type {
  CheckedEntityParts,
  CheckedKey,
  CheckedSchema,
  EntityTypes,
  FieldsOf,
  PartsOf,
  PolicyName,
  PolicyValue,
  Valid,
} from './checked.ts'
import type { DeletesOption } from './deletes.ts'
import type { Key } from './mapping.ts'
import type { AddRemove, Counter, Latest, Manual, Merge, PolicyFor, Prefer } from './policies.ts'
import { checkCanonicalName, checkKeys, isPlainObject, refuse } from './refuse.ts'

declare const types: unique symbol
declare const mapped: unique symbol

export interface PartDefinition {
  readonly key: string
  readonly schema: unknown
}

/** A kind of thing that several applications hold, free of any application. `Types` says what it holds, for the compiler alone. */
export interface Entity<Types extends EntityTypes = EntityTypes, Name extends string = string> {
  readonly kind: 'entity'
  readonly name: Name
  readonly schema: unknown
  readonly match: Key<string> | null
  readonly hints: readonly (readonly string[])[]
  readonly parts: Readonly<Record<string, PartDefinition>>
  readonly [types]?: Types
}

/** One object of an application bound to an entity. `Mapped` are the canonical names that it maps. */
export interface Binding<Types extends EntityTypes = EntityTypes, Mapped extends string = string> {
  readonly spec: BindingSpec
  readonly [types]?: Types
  readonly [mapped]?: Mapped
}

// biome-ignore lint/suspicious/noExplicitAny: a merge function of whatever type; the sync around it has checked it.
export type AnyPolicy = Latest | Prefer<string> | Manual | Counter | AddRemove | Merge<any>

export interface SyncOptions<Types extends EntityTypes, Apps> {
  /** Which of two values stands when two applications changed the same field: for all fields, and by field (`'lines.qty'` of a part). */
  readonly conflicts?: {
    readonly default?: Latest | Manual | Prefer<keyof Apps & string>
    readonly fields?: {
      // Only applications that map the name. Written out here, because an alias would stand in the message in place of the names.
      readonly [Name in PolicyName<Types>]?:
        | PolicyFor<PolicyValue<Types, Name>>
        | Prefer<
            {
              [A in keyof Apps & string]: Apps[A] extends { readonly [mapped]?: infer M }
                ? Name extends M
                  ? A
                  : never
                : never
            }[keyof Apps & string]
          >
    }
  }
  /** What becomes of the record in the others. Default: `propagate()`. */
  readonly deletes?: DeletesOption<keyof Types['fields'] & string>
}

export interface SyncDefinition {
  readonly kind: 'sync'
  readonly entity: Entity
  readonly bindings: Readonly<Record<string, BindingSpec>>
  readonly options: {
    readonly conflicts?: {
      readonly default?: AnyPolicy
      readonly fields?: Readonly<Record<string, AnyPolicy | undefined>>
    }
    readonly deletes?: DeletesOption<string>
  }
}

/** Declares an entity: its fields, the parts it owns, and what tells that two records are the same thing. */
export function entity<const Name extends string, S, const M = Key<string>, const P = Record<never, never>>(
  name: Name,
  options: {
    /** A zod object, or an object of Standard Schemas by field name. It checks; conversions belong into the mappings. */
    readonly schema: CheckedSchema<S>
    /** The fields that identify the same thing in two applications. Without it, records are never matched, only copied. */
    readonly match?: Valid<M, CheckedKey<M, FieldsOf<S>>>
    /** Sets of fields by which two records may be the same thing. They are never joined by these, only shown to a person (`latchwork candidates`). */
    readonly hints?: readonly (readonly (keyof FieldsOf<S> & string)[])[]
    /** Lists of elements that belong to the record, such as the lines of an order, each with the field that tells its elements apart. */
    readonly parts?: Valid<P, CheckedEntityParts<P>>
  },
): Entity<{ readonly fields: FieldsOf<S>; readonly parts: PartsOf<P> }, Name> {
  checkCanonicalName('entity()', name)
  checkKeys(`entity ${name}`, options, ['schema', 'match', 'hints', 'parts'])
  const { schema, match, hints, parts } = options as {
    schema: unknown
    match?: Key<string>
    hints?: readonly (readonly string[])[]
    parts?: Record<string, PartDefinition>
  }
  if (match !== undefined && (!isPlainObject(match) || match.kind !== 'key')) {
    refuse(`entity ${name}.match`, 'this is not a key', "Give key('email').")
  }
  if (parts !== undefined && !isPlainObject(parts))
    refuse(`entity ${name}.parts`, 'an object is needed', 'Give { lines: { key, schema } }.')
  return { kind: 'entity', name, schema, match: match ?? null, hints: readHints(name, hints), parts: parts ?? {} }
}

function readHints(name: string, hints: unknown): readonly (readonly string[])[] {
  if (hints === undefined) return []
  const isList = Array.isArray(hints) && hints.every((fields) => Array.isArray(fields) && fields.length > 0)
  if (!isList)
    refuse(`entity ${name}.hints`, 'this is not a list of lists of fields', "Give [['name', 'zip'], ['phone']].")
  return hints as readonly (readonly string[])[]
}

/** Keeps an entity equal across applications. The order of the applications breaks ties between changes of the same time. */
export function sync<Types extends EntityTypes, const Apps extends Readonly<Record<string, Binding<Types>>>>(
  entity: Entity<Types>,
  apps: Apps,
  options: SyncOptions<Types, Apps> = {},
): SyncDefinition {
  if (!isPlainObject(entity) || entity.kind !== 'entity')
    refuse('sync()', 'the first argument is not an entity', 'Give what entity(...) returns.')
  const where = `sync ${entity.name}`
  checkKeys(where, options, ['conflicts', 'deletes'])
  if (options.conflicts !== undefined) checkKeys(`${where}.conflicts`, options.conflicts, ['default', 'fields'])
  if (!isPlainObject(apps)) refuse(where, 'the applications are missing', 'Give { app: app.resource(...) }.')
  const bindings: Record<string, BindingSpec> = {}
  for (const [app, binding] of Object.entries(apps)) {
    checkCanonicalName(where, app)
    const spec = isPlainObject(binding) ? (binding.spec as BindingSpec | undefined) : undefined
    if (spec === undefined) refuse(`${where}.${app}`, 'this is not a binding', 'Give what app.resource(...) returns.')
    bindings[app] = spec
  }
  return { kind: 'sync', entity, bindings, options }
}
