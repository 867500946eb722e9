import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Branded } from './kinds.ts'
import type { Derived, Lossy, ReadOnly, WriteOnly } from './mapping.ts'
import type { RowType } from './row.ts'

/**
 * The checks of a config that the compiler makes. A mapping is inferred as it is written (`F`) and compared with what it should be
 * (`CheckedFields<F, ...>`), which is F itself where F is right and a `Mistake` with a text where it is not: so the error lands on the wrong
 * property and says what to do.
 */

declare const mistake: unique symbol

/** Never a value: its text is the error message. */
export interface Mistake<Text extends string> {
  readonly [mistake]: Text
}

/** What a value must be assignable to: itself when it is right, otherwise the corrected form. An intersection would print both. */
export type Valid<F, Checked> = F extends Checked ? F : Checked

/** What an entity holds, for the types: field types by name, and its parts. */
export interface EntityTypes {
  readonly fields: object
  readonly parts: object
}

export interface PartTypes {
  readonly key: string
  readonly fields: object
}

/** The field types of a schema: of a zod object, or of an object of Standard Schemas. Absence is not a type of value. */
export type FieldsOf<S> = S extends { readonly _zod: { readonly output: infer O } }
  ? { readonly [K in keyof O]-?: Exclude<O[K], undefined> }
  : { readonly [K in keyof S]: S[K] extends StandardSchemaV1<unknown, infer O> ? Exclude<O, undefined> : unknown }

export type PartsOf<P> = {
  readonly [K in keyof P]: P[K] extends { readonly key: infer Key extends string; readonly schema: infer S }
    ? { readonly key: Key; readonly fields: FieldsOf<S> }
    : PartTypes
}

/** The record type of a row schema, of `rowOf<Row>()`, or anything where none is given. */
// biome-ignore lint/suspicious/noExplicitAny: `any` is what "nothing is known of it" means to every check below.
export type RowOf<R> = R extends RowType<infer Row> ? Row : R extends StandardSchemaV1<unknown, infer Row> ? Row : any

type IsAny<T> = 0 extends 1 & T ? true : false
type Text<K> = K extends string | number ? `${K}` : 'this'

/** A type for a message. */
type Show<T> =
  IsAny<T> extends true
    ? 'any'
    : unknown extends T
      ? 'unknown'
      : null extends T
        ? [Exclude<T, null>] extends [never]
          ? 'null'
          : `${ShowPlain<Exclude<T, null>>} or null`
        : ShowPlain<T>

type ShowPlain<T> = [T] extends [never]
  ? 'never'
  : [T] extends [string]
    ? string extends T
      ? 'string'
      : ShowText<T>
    : [T] extends [bigint]
      ? 'bigint'
      : [T] extends [number]
        ? 'number'
        : [T] extends [number | bigint]
          ? 'int64'
          : [T] extends [boolean]
            ? 'boolean'
            : [T] extends [readonly unknown[]]
              ? 'a list'
              : [T] extends [string | number | boolean]
                ? 'a mix of kinds'
                : 'an object'

/** Branded text by its brand; otherwise fixed words. */
type ShowText<T extends string> = [T] extends [Branded<infer Brand>]
  ? Brand extends { readonly decimal: infer Scale extends number }
    ? `decimal(${Scale})`
    : Brand extends { readonly reference: infer Name extends string }
      ? `reference(${Name})`
      : Brand extends string
        ? Brand
        : 'branded text'
  : 'fixed words'

/** Native values */

declare const noField: unique symbol
interface NoField {
  readonly [noField]: true
}

/** The type of a native field; dots reach into nested objects, and an object that may be null makes what is in it null. */
export type NativeAt<Row, Path> =
  IsAny<Row> extends true
    ? Row
    : Path extends keyof Row
      ? Exclude<Row[Path], undefined>
      : Path extends `${infer Head}.${infer Rest}`
        ? Head extends keyof Row
          ? NativeAt<NonNullable<Row[Head]>, Rest> extends infer V
            ? [V] extends [NoField]
              ? NoField
              : V | Extract<Row[Head], null>
            : never
          : NoField
        : NoField

/** All names of native fields, dotted ones to three levels; for completion. */
export type NativeName<Row, Depth extends 0[] = []> =
  IsAny<Row> extends true
    ? string
    : Depth['length'] extends 3
      ? never
      : Row extends object
        ? { [K in keyof Row & string]: K | Nested<K, NonNullable<Row[K]>, Depth> }[keyof Row & string]
        : never

type Nested<K extends string, T, Depth extends 0[]> = T extends readonly unknown[]
  ? never
  : T extends string | number | boolean | bigint
    ? never
    : `${K}.${NativeName<T, [...Depth, 0]>}`

/** The element type of a native array. */
export type ElementAt<Row, Path> =
  NativeAt<Row, Path> extends infer List
    ? IsAny<List> extends true
      ? List
      : NonNullable<List> extends readonly (infer E)[]
        ? E
        : NoField
    : never

/** Conversions */

/** Whether a conversion without an inverse hides in a zod schema: `encode` is there on all of them, and throws only when called. */
export type HasOneWay<S> = S extends { readonly _zod: { readonly def: infer D } }
  ? D extends { readonly type: 'transform' }
    ? true
    : D extends { readonly type: 'pipe'; readonly in: infer A; readonly out: infer B }
      ? HasOneWay<A> | HasOneWay<B>
      : D extends { readonly innerType: infer Inner }
        ? HasOneWay<Inner>
        : D extends { readonly element: infer Inner }
          ? HasOneWay<Inner>
          : D extends { readonly type: 'object'; readonly shape: infer Shape }
            ? HasOneWay<Shape[keyof Shape]>
            : D extends { readonly type: 'tuple'; readonly items: readonly (infer Item)[] }
              ? HasOneWay<Item>
              : D extends { readonly options: readonly (infer Option)[] }
                ? HasOneWay<Option>
                : false
  : false

type InputOf<S> = S extends { readonly _zod: { readonly input: infer I } } ? I : unknown
type OutputOf<S> = S extends { readonly _zod: { readonly output: infer O } } ? O : unknown
type IsZod<S> = S extends { readonly _zod: unknown } ? true : false

type Direction = 'both' | 'in' | 'out'

/** A list that may be written to is as good as one that may not. */
type Norm<T> = T extends readonly unknown[] ? Readonly<T> : T

/** Whether a value may pass from A to B and, where it must, back. */
type Fits<A, B, Dir extends Direction> =
  IsAny<A> extends true
    ? true
    : IsAny<B> extends true
      ? true
      : Dir extends 'in'
        ? Passes<A, B>
        : Dir extends 'out'
          ? Passes<B, A>
          : Passes<A, B> extends true
            ? Passes<B, A>
            : false

type Passes<A, B> = [Norm<A>] extends [Norm<B>] ? true : false

/** As `Fits`, where null stands for null and does not reach the conversion. */
type FitsPastNull<A, B, Dir extends Direction> =
  Fits<A, B, Dir> extends true ? true : Fits<Exclude<A, null>, Exclude<B, null>, Dir>

/** Canonical fields */

/** A reference is the application's own id of the record, as text or a number. */
type IsReference<V> = [Exclude<V, null>] extends [Branded<{ readonly reference: string }>] ? true : false

// Texts and not whole mistakes, because an alias would stand in the message in place of the text.
type NoInverse = 'this conversion has no inverse: give a z.codec, or say readOnly() or writeOnly()'
type NotAField<N> = `'${Text<N>}' is not a field of this application's records`
type NotInSync = 'a binding alone has no entity: write it inside sync(...), or hoist the whole sync(...)'

type CheckedPlain<M extends string, V, Row, Name, Dir extends Direction> =
  NativeAt<Row, M> extends infer N
    ? IsAny<N> extends true
      ? M
      : [N] extends [NoField]
        ? Mistake<NotAField<M>>
        : IsReference<V> extends true
          ? CheckedReference<M, V, N, Name, Dir>
          : Fits<N, V, Dir> extends true
            ? M
            : Mistake<`'${M}' is ${Show<N>}, '${Text<Name>}' is ${Show<V>}: give ['${M}', codec]`>
    : never

type CheckedReference<M extends string, V, N, Name, Dir extends Direction> = [N] extends [
  string | number | bigint | null,
]
  ? Fits<Extract<N, null>, Extract<V, null>, Dir> extends true
    ? M
    : Mistake<`'${M}' is ${Show<N>}, '${Text<Name>}' is ${Show<V>}: let both or none be nullable`>
  : Mistake<`'${M}' is ${Show<N>}, the id of a referred record is text or a number`>

type NativesAt<Row, Names extends readonly unknown[]> = { [I in keyof Names]: NativeAt<Row, Names[I]> }

type CheckedName<N, Row> = N extends string
  ? [NativeAt<Row, N>] extends [NoField]
    ? IsAny<Row> extends true
      ? N
      : Mistake<NotAField<N>>
    : N
  : Mistake<'name a native field here, or several as a list'>

type CheckedNames<Names, Row> = Names extends readonly unknown[]
  ? { readonly [I in keyof Names]: CheckedName<Names[I], Row> }
  : CheckedName<Names, Row>

/** The native side of a conversion: one value, or a list for several names. */
type NativeSide<Names, Row> = Names extends readonly unknown[] ? NativesAt<Row, Names> : NativeAt<Row, Names>

type CheckedConversion<Conv, N, V, Names, Name, Dir extends Direction> =
  IsZod<Conv> extends true
    ? CheckedCodec<Conv, N, IsReference<V> extends true ? string | Extract<V, null> : V, Names, Name, Dir>
    : Conv extends (...args: never) => unknown
      ? Dir extends 'both'
        ? Mistake<NoInverse>
        : CheckedFunction<Conv, N, V, Names, Name, Dir>
      : Mistake<'give a z.codec, or one of the ready codecs, here'>

type CheckedCodec<Conv, N, V, Names, Name, Dir extends Direction> = Dir extends 'in'
  ? CheckedSides<Conv, N, V, Names, Name, Dir>
  : true extends HasOneWay<Conv>
    ? Mistake<NoInverse>
    : CheckedSides<Conv, N, V, Names, Name, Dir>

type CheckedSides<Conv, N, V, Names, Name, Dir extends Direction> =
  FitsPastNull<OutputOf<Conv>, V, Dir> extends false
    ? Mistake<Misfit<'gives', OutputOf<Conv>, `'${Text<Name>}'`, V>>
    : FitsPastNull<N, InputOf<Conv>, Dir> extends false
      ? Mistake<Misfit<'takes', InputOf<Conv>, ShowNames<Names>, N>>
      : NullsFit<Conv, N, V, Dir> extends true
        ? Conv
        : Mistake<`${ShowNames<Names>} is ${Show<N>}, '${Text<Name>}' is ${Show<V>}: say in the codec what null stands for`>

/** Why a side of a codec does not fit; of two lists of fixed words, the words that are on one side only. */
type Misfit<
  Verb extends string,
  Side,
  What extends string,
  T,
> = `${Show<Exclude<Side, null>>} ${Show<Exclude<T, null>>}` extends 'fixed words fixed words'
  ?
      | `${What} has '${Extract<Exclude<T, Side>, string>}', this codec has not`
      | `this codec has '${Extract<Exclude<Side, T>, string>}', ${What} has not`
  : `this codec ${Verb} ${Show<Side>}, ${What} is ${Show<T>}`

/** Null passes on both sides or on none, unless the codec itself takes it. */
type NullsFit<Conv, N, V, Dir extends Direction> =
  Fits<OutputOf<Conv>, V, Dir> extends true
    ? Fits<N, InputOf<Conv>, Dir> extends true
      ? true
      : Fits<Extract<N, null>, Extract<V, null>, Dir>
    : Fits<Extract<N, null>, Extract<V, null>, Dir>

type ShowNames<Names> = Names extends string ? `'${Names}'` : 'the list of native values'

type CheckedFunction<Conv, N, V, Names, Name, Dir extends Direction> = Conv extends (value: infer A) => infer R
  ? Dir extends 'in'
    ? Fits<N, A, 'in'> extends false
      ? Mistake<`this function takes ${Show<A>}, ${ShowNames<Names>} is ${Show<N>}`>
      : Fits<R, V, 'in'> extends false
        ? Mistake<`this function gives ${Show<R>}, '${Text<Name>}' is ${Show<V>}`>
        : Conv
    : Fits<V, A, 'in'> extends false
      ? Mistake<`this function takes ${Show<A>}, '${Text<Name>}' is ${Show<V>}`>
      : Fits<R, N, 'in'> extends false
        ? Mistake<`this function gives ${Show<R>}, ${ShowNames<Names>} is ${Show<N>}`>
        : Conv
  : Mistake<'a conversion takes one value'>

type CheckedForm<M, V, Row, Name, Dir extends Direction> = M extends string
  ? CheckedPlain<M, V, Row, Name, Dir>
  : M extends readonly [infer Names, infer Conv]
    ? CheckedNames<Names, Row> extends infer Checked
      ? Names extends Checked
        ? readonly [Names, CheckedConversion<Conv, NativeSide<Names, Row>, V, Names, Name, Dir>]
        : readonly [Checked, Conv]
      : never
    : Mistake<"give 'native', ['native', codec], readOnly(...), writeOnly(...) or derived(...)">

type CheckedDerived<M, Natives extends readonly string[], Given, Out, V, Row, Name> =
  CheckedNames<Natives, Row> extends infer Checked
    ? Natives extends Checked
      ? Fits<{ readonly [N in Natives[number]]: NativeAt<Row, N> }, Given, 'in'> extends false
        ? Mistake<'the type written at the parameter of derived() is not that of these native fields'>
        : Fits<Out, V, 'in'> extends false
          ? Mistake<`this function gives ${Show<Out>}, '${Text<Name>}' is ${Show<V>}`>
          : M
      : FirstMistake<Checked>
    : never

/** A mistake inside a call lands on the call: the property that it stands at. */
type FirstMistake<Checked> = Checked extends readonly unknown[]
  ? Extract<Checked[number], Mistake<string>>
  : Extract<Checked, Mistake<string>>

type CheckedOneWay<M, Form, Checked> = Form extends Checked
  ? M
  : Checked extends Mistake<string>
    ? Checked
    : Checked extends readonly [infer Names, infer Conv]
      ? Conv extends Mistake<string>
        ? Conv
        : FirstMistake<Names>
      : M

export type CheckedField<M, V, Row, Name> =
  M extends ReadOnly<infer Form>
    ? CheckedOneWay<M, Form, CheckedForm<Form, V, Row, Name, 'in'>>
    : M extends WriteOnly<infer Form>
      ? CheckedOneWay<M, Form, CheckedForm<Form, V, Row, Name, 'out'>>
      : M extends Lossy<infer Form>
        ? CheckedOneWay<M, Form, CheckedForm<Form, V, Row, Name, 'both'>>
        : M extends Derived<infer Natives, infer Given, infer Out>
          ? CheckedDerived<M, Natives, Given, Out, V, Row, Name>
          : CheckedForm<M, V, Row, Name, 'both'>

export type CheckedFields<F, Fields, Row> = {
  readonly [K in keyof F]: K extends keyof Fields
    ? CheckedField<F[K], Fields[K], Row, K>
    : Mistake<[keyof Fields] extends [never] ? NotInSync : `'${Text<K>}' is not a field of this entity`>
}

export type CheckedParts<P, Parts, Row> = {
  readonly [K in keyof P]: K extends keyof Parts
    ? Parts[K] extends PartTypes
      ? CheckedPart<P[K], Parts[K], Row>
      : never
    : Mistake<[keyof Parts] extends [never] ? 'this entity has no parts' : `'${Text<K>}' is not a part of this entity`>
}

/** Of a row of which nothing is known, nothing is missing. */
type IsMissing<T> = IsAny<T> extends true ? false : [T] extends [NoField] ? true : false

type CheckedPart<M, Part extends PartTypes, Row> = M extends {
  readonly from: infer From
  readonly key: infer Key
  readonly fields: infer F
}
  ? IsMissing<ElementAt<Row, From>> extends true
    ? {
        readonly from: Mistake<`'${Text<From>}' is not a list in this application's records`>
        readonly key: Key
        readonly fields: F
      }
    : {
        readonly from: From
        readonly key: CheckedName<Key, ElementAt<Row, From>>
        readonly keyType?: 'text' | 'number'
        readonly fields: CheckedPartFields<F, Part, ElementAt<Row, From>>
      }
  : { readonly from: string; readonly key: string; readonly keyType?: 'text' | 'number'; readonly fields: object }

type CheckedPartFields<F, Part extends PartTypes, Row> = {
  readonly [K in keyof F]: K extends Part['key']
    ? Mistake<`'${Text<K>}' is the key of this part, which 'key' maps already`>
    : K extends keyof Part['fields']
      ? CheckedField<F[K], Part['fields'][K], Row, K>
      : Mistake<`'${Text<K>}' is not a field of this part`>
}

/** Keys of entities and parts */

/** The schema of an entity checks; what it would convert could not be converted back. */
export type CheckedSchema<S> =
  true extends HasOneWay<S>
    ? Mistake<'this schema converts (transform): let it only check, and put a codec into the mapping'>
    : S

export type CheckedKey<M, Fields> = M extends { readonly kind: 'key'; readonly fields: readonly (infer Name)[] }
  ? [Name] extends [keyof Fields]
    ? M
    : Mistake<`'${Text<Exclude<Name, keyof Fields>>}' is not a field of this entity`>
  : Mistake<"give key('field', ...)">

export type CheckedEntityParts<P> = {
  readonly [K in keyof P]: P[K] extends { readonly key: infer Key; readonly schema: infer S }
    ? {
        readonly key: Key extends keyof FieldsOf<S> ? Key : Mistake<`'${Text<Key>}' is not a field of this part`>
        readonly schema: S
      }
    : P[K] extends { readonly schema: unknown }
      ? {
          readonly key: Mistake<'a part needs a key: the field that tells its elements apart'>
          readonly schema: unknown
        }
      : { readonly key: string; readonly schema: unknown }
}

/** Policies */

/** The canonical names that a binding maps: fields, parts and fields of parts. */
export type MappedOf<F, P> =
  | (keyof F & string)
  | {
      [K in keyof P & string]: K | (P[K] extends { readonly fields: infer G } ? `${K}.${keyof G & string}` : never)
    }[keyof P & string]

/** All names that a policy can be given for. */
export type PolicyName<C extends EntityTypes> =
  | (keyof C['fields'] & string)
  | {
      [K in keyof C['parts'] & string]:
        | K
        | (C['parts'][K] extends PartTypes ? `${K}.${keyof C['parts'][K]['fields'] & string}` : never)
    }[keyof C['parts'] & string]

/** The type of the values that a policy is given for; of a whole part there is none. */
export type PolicyValue<C extends EntityTypes, Name> = Name extends keyof C['fields']
  ? C['fields'][Name]
  : Name extends `${infer Part}.${infer Field}`
    ? Part extends keyof C['parts']
      ? C['parts'][Part] extends { readonly fields: infer F }
        ? Field extends keyof F
          ? F[Field]
          : never
        : never
      : never
    : never
