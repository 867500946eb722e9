import { z } from 'zod'
import type { Value } from '../model/value.ts'
import { spellDecimal } from './decimal-text.ts'
import { refuse } from './refuse.ts'
import { spellDate, spellInstant } from './time-text.ts'

/** The kinds of value that JSON has no word for. They are text in one canonical spelling, branded so that cents are not taken for euros. */

declare const kindBrand: unique symbol

/** What a branded text is branded as; the brand exists only in the types. */
export interface Branded<Brand> {
  readonly [kindBrand]: Brand
}

/** Decimal text with a fixed number of digits after the point: `12.50` is a Decimal<2>. */
export type Decimal<Scale extends number> = string & Branded<{ readonly decimal: Scale }>
/** A point in time: ISO 8601 text in UTC, `2026-03-01T12:00:00.000Z`. */
export type Instant = string & Branded<'instant'>
/** A calendar date, `2026-03-01`. */
export type DateText = string & Branded<'date'>
/** Bytes as base64 text with padding. */
export type BytesText = string & Branded<'bytes'>
/** Any integer of 64 bits: a number while it is safe, otherwise a bigint. */
export type Int64 = number | bigint
/** The key of a record of another entity. */
export type Reference<Name extends string> = string & Branded<{ readonly reference: Name }>

/** A schema that neither changes the type of a value nor refuses to go back. */
export type KindSchema<T> = z.ZodType<T, T>

interface KindMeta {
  readonly kind: string
  readonly reference?: string
}

/** What a schema made here stands for. A registry, because refined and wrapped copies of a schema inherit from it. */
const kinds = z.registry<KindMeta>()
/** The same check without zod, for schemas exactly as made here; undefined says "let zod decide and explain". */
const fastChecks = new WeakMap<object, (value: Value) => Value | undefined>()

export const kindOf = (schema: z.core.$ZodType): KindMeta | undefined => kinds.get(schema) as KindMeta | undefined
export const fastCheckOf = (schema: object): ((value: Value) => Value | undefined) | undefined => fastChecks.get(schema)

/** Text in a canonical spelling, brought to it when it is read. */
function spelled<T>(meta: KindMeta, spell: (text: string) => string | undefined, message: string): KindSchema<T> {
  const schema = z
    .string()
    .overwrite((text) => spell(text) ?? text)
    .refine((text) => spell(text) !== undefined, { error: message })
  kinds.add(schema, meta)
  fastChecks.set(schema, (value) => (typeof value === 'string' ? spell(value) : undefined))
  return schema as unknown as KindSchema<T>
}

/** Decimal text with `scale` digits after the point: `decimal(2)` for money. Never a float. */
export function decimal<const Scale extends number>(scale: Scale): KindSchema<Decimal<Scale>> {
  if (!Number.isInteger(scale) || scale < 0 || scale > 30) {
    refuse('decimal()', `the scale ${scale} is not a whole number from 0 to 30`, 'Give the digits after the point.')
  }
  return spelled(
    { kind: `decimal(${scale})` },
    (text) => spellDecimal(text, scale),
    `expected decimal text with at most ${scale} digits after the point`,
  )
}

/** ISO 8601 text with an offset, kept in UTC. */
export const instant = (): KindSchema<Instant> =>
  spelled({ kind: 'instant' }, spellInstant, 'expected ISO 8601 text with an offset, such as 2026-03-01T12:00:00Z')

/** A calendar date, `YYYY-MM-DD`. */
export const date = (): KindSchema<DateText> => spelled({ kind: 'date' }, spellDate, 'expected a date, YYYY-MM-DD')

/** Bytes as base64 text (with padding, not the URL alphabet). */
export const bytes = (): KindSchema<BytesText> => spelled({ kind: 'bytes' }, spellBytes, 'expected base64 text')

const spellBytes = (text: string): string | undefined =>
  Buffer.from(text, 'base64').toString('base64') === text ? text : undefined

/** An integer of 64 bits: number while it is safe, otherwise bigint. `z.int()` is enough where all values are safe. */
export function int64(): KindSchema<Int64> {
  const schema = z
    .unknown()
    .overwrite((value) => spellInt64(value as Value) ?? value)
    .refine((value) => spellInt64(value as Value) !== undefined, { error: 'expected an integer of 64 bits' })
  kinds.add(schema, { kind: 'int64' })
  fastChecks.set(schema, spellInt64)
  return schema as unknown as KindSchema<Int64>
}

function spellInt64(value: Value): Int64 | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? value : undefined
  if (typeof value !== 'bigint' || BigInt.asIntN(64, value) !== value) return undefined
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

/**
 * The key of a record of another entity, given as that entity or (where two refer to each other) by its name. In an application the field
 * holds that application's own id of the record; the hub translates.
 */
export function reference<const Name extends string>(to: { readonly name: Name } | Name): KindSchema<Reference<Name>> {
  const name = typeof to === 'string' ? to : to.name
  const schema = z.string().min(1)
  kinds.add(schema, { kind: `reference(${name})`, reference: name })
  fastChecks.set(schema, (value) => (typeof value === 'string' && value !== '' ? value : undefined))
  return schema as unknown as KindSchema<Reference<Name>>
}
