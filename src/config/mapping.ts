import type { Latching } from '../model/entity.ts'
import type { Value } from '../model/value.ts'
import type { CheckedFields, CheckedParts, EntityTypes, NativeAt, NativeName, Valid } from './checked.ts'
import type { WritebackForm } from './writeback.ts'

/** The forms in which a config maps one field, as plain data. Each is built by a function of the same name. */

declare const of: unique symbol

/** `readOnly('mail')`: the application tells us, we never write it. */
export interface ReadOnly<Form> {
  readonly mapping: 'readOnly'
  readonly form: Form
}

/** `writeOnly('stock_on_hand')`: we write it; what the application says of it is not a change. */
export interface WriteOnly<Form> {
  readonly mapping: 'writeOnly'
  readonly form: Form
}

/** `lossy(['euros', wholeEuros])`: both ways, though the application keeps less than it is given. */
export interface Lossy<Form> {
  readonly mapping: 'lossy'
  readonly form: Form
}

/** `derived(['first', 'last'], (row) => ...)`: computed from what the application tells us. */
export interface Derived<Natives extends readonly string[], Row, Out> {
  readonly mapping: 'derived'
  readonly natives: Natives
  readonly compute: (row: never) => Out
  readonly [of]?: Row
}

export interface Key<Name extends string> {
  readonly kind: 'key'
  readonly fields: readonly Name[]
}

/** The value comes from this application only: its changes are taken, nothing is written to it. */
export const readOnly = <const Form>(form: Form): ReadOnly<Form> => ({ mapping: 'readOnly', form })

/** The value is written to this application only: what it says of it is not a change. */
export const writeOnly = <const Form>(form: Form): WriteOnly<Form> => ({ mapping: 'writeOnly', form })

/**
 * Mapped both ways, and known to come back as less than was written: rounded, shortened, without its letter case. What the application keeps is then not taken for
 * a change, and is left out of comparisons between applications. `latchwork check` asks for this word where a codec loses something.
 */
export const lossy = <const Form>(form: Form): Lossy<Form> => ({ mapping: 'lossy', form })

/**
 * The value is computed from one or more native fields and never written back. Write the type of the parameter down: it is checked
 * against the application's records.
 */
export const derived = <const Natives extends readonly string[], Row, Out>(
  natives: Natives,
  compute: (row: Row) => Out,
): Derived<Natives, Row, Out> => ({ mapping: 'derived', natives, compute: compute as (row: never) => Out })

/** The canonical fields that together tell that two records of different applications are the same thing. */
export const key = <const Name extends string>(...fields: readonly [Name, ...Name[]]): Key<Name> => ({
  kind: 'key',
  fields,
})

// biome-ignore lint/complexity/noBannedTypes: `{}` here means "any other value"; one refused value would garble every message.
type Anything = {} | null | undefined

/**
 * The least that is asked of a mapping: nothing, so that its literal type is always inferred and the check says the rest. What is named
 * here is what an editor offers.
 */
export type LooseFields<Fields, Row> = {
  readonly [K in keyof Fields]?:
    | NativeName<Row>
    | readonly [NativeName<Row> | readonly NativeName<Row>[], Anything]
    | Anything
} & Readonly<Record<string, Anything>>
export type LooseParts<Parts> = { readonly [K in keyof Parts]?: Anything } & Readonly<Record<string, Anything>>
export type NoParts = Record<never, never>

/** What a binding says of the mapping, checked against the entity and the application's records. */
export interface TypedMapping<Types extends EntityTypes, Row, F, P> {
  /** The native field with the application's own id of a record. */
  readonly id: NativeName<Row>
  /** Needed only where no row type says it. */
  readonly idType?: 'text' | 'number'
  /**
   * Canonical field: `'native'` where the types are equal, `['native', codec]`, `[['first', 'last'], codec]`, `readOnly(...)`, `writeOnly(...)`,
   * `lossy(...)` or `derived([...], fn)`. Only the fields that this application has.
   */
  readonly fields: Valid<F, CheckedFields<F, Types['fields'], Row>>
  /** `lines: { from: 'lines', key: 'line_no', fields: { ... } }`: the native array of a part, and the field of its elements that holds the key. */
  readonly parts?: Valid<P, CheckedParts<P, Types['parts'], Row>>
  /** Native values that only a create is given, for fields that the application needs and no other application supplies. */
  readonly onCreate?: { readonly [N in NativeName<Row>]?: NativeAt<Row, N> }
  /** Native fields that are written with the ids that the record has elsewhere, or with how far the others are. Never read as a change. */
  readonly writeback?: { readonly [N in NativeName<Row>]?: WritebackForm }
  /** false: the hub never creates records here. */
  readonly createHere?: boolean
  /** false: a record that appears here and matches nothing does not become a record elsewhere. */
  readonly adoptHere?: boolean
  /** ignore: a delete here is not carried to the others. */
  readonly deletes?: 'propagate' | 'ignore'
  /** Where the hub keeps what it has under way here. `table` asks its store for every observation; `volatile` writes before anything is committed. */
  readonly latching?: Latching
}

/** What a binding says besides its connector's own options. */
export interface MappingOptions {
  readonly id: string
  readonly idType?: 'text' | 'number'
  readonly fields: Readonly<Record<string, unknown>>
  readonly parts?: Readonly<Record<string, PartOptions>>
  readonly onCreate?: Readonly<Record<string, Value>>
  readonly writeback?: Readonly<Record<string, WritebackForm>>
  readonly createHere?: boolean
  readonly adoptHere?: boolean
  readonly deletes?: 'propagate' | 'ignore'
  readonly latching?: Latching
}

export interface PartOptions {
  readonly from: string
  readonly key: string
  readonly keyType?: 'text' | 'number'
  readonly fields: Readonly<Record<string, unknown>>
}

export const MAPPING_KEYS = [
  'id',
  'idType',
  'fields',
  'parts',
  'onCreate',
  'writeback',
  'createHere',
  'adoptHere',
  'deletes',
  'latching',
] as const satisfies readonly (keyof MappingOptions)[]
