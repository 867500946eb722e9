import type { StandardSchemaV1 } from '@standard-schema/spec'
import { z } from 'zod'
import { SyncError } from '../errors/index.ts'
import type { FieldModel } from '../model/entity.ts'
import { asEntityName } from '../model/ids.ts'
import type { Value } from '../model/value.ts'
import { fastCheckOf, kindOf } from './kinds.ts'
import { refuse } from './refuse.ts'

/** Reads canonical schemas: which kind of value a field holds, and how one value of it is checked. */

export interface Shape {
  /** A word for the digest of the mapping: `text`, `decimal(2)`, `list<text>`. */
  readonly kind: string
  readonly nullable: boolean
  readonly optional: boolean
  readonly reference: string | null
}

export const isZod = (schema: unknown): schema is z.core.$ZodType =>
  typeof schema === 'object' && schema !== null && '_zod' in schema

export const isStandard = (schema: unknown): schema is StandardSchemaV1 =>
  (typeof schema === 'object' || typeof schema === 'function') && schema !== null && '~standard' in schema

/** The fields of an entity's or a part's schema: a zod object, or an object of Standard Schemas by field name. */
export function fieldSchemasOf(where: string, schema: unknown): Readonly<Record<string, unknown>> {
  if (isZod(schema)) {
    if (defOf(schema).type === 'object') return { ...(defOf(schema).shape as Record<string, unknown>) }
    const reason = `its schema is ${article(defOf(schema).type)}, so it has no fields to map`
    refuse(where, reason, 'Give z.object({ ... }); checks across fields belong in the applications.')
  }
  if (isStandard(schema) || typeof schema !== 'object' || schema === null) {
    refuse(
      where,
      'its schema has no fields that can be read one by one',
      'Give z.object({ ... }), or { field: schema }.',
    )
  }
  return { ...(schema as Record<string, unknown>) }
}

export function compileField(where: string, name: string, schema: unknown): { model: FieldModel; shape: Shape } {
  if (!isZod(schema) && !isStandard(schema)) {
    refuse(where, 'this is not a schema', 'Give a zod schema or any other Standard Schema.')
  }
  const shape = isZod(schema) ? shapeOf(where, schema) : shapeOfStandard(where, schema)
  const model: FieldModel = {
    name,
    validate: isZod(schema) ? zodValidate(where, schema) : standardValidate(where, schema),
    optional: shape.optional,
    ...(shape.reference === null ? {} : { reference: asEntityName(shape.reference) }),
  }
  return { model, shape }
}

// biome-ignore lint/suspicious/noExplicitAny: the definition of a zod schema of any type is read structurally.
type AnyDef = { readonly type: string; readonly [key: string]: any }

export const defOf = (schema: z.core.$ZodType): AnyDef => schema._zod.def as unknown as AnyDef

const scalar = (kind: string): Shape => ({ kind, nullable: false, optional: false, reference: null })

const CONVERSION_NEXT = 'Let the schema only check, and put the conversion into the mapping as [name, codec].'
const ABSENCE_NEXT = 'Use .nullable() here, and onCreate in the binding for values of new records.'

/** What a zod schema holds, or a refusal: values that are kept come from a closed list, so that equality is exact everywhere. */
export function shapeOf(where: string, schema: z.core.$ZodType): Shape {
  const own = kindOf(schema)
  if (own !== undefined) return { ...scalar(own.kind), reference: own.reference ?? null }
  const def = defOf(schema)
  const read = SHAPES[def.type]
  if (read === undefined) {
    refuse(
      where,
      `a field cannot be ${article(def.type)}`,
      'Fields are text, bool, int, decimal, instant, date, bytes or a list of them.',
    )
  }
  return read(where, def, schema)
}

const SHAPES: Readonly<Record<string, (where: string, def: AnyDef, schema: z.core.$ZodType) => Shape>> = {
  string: () => scalar('text'),
  template_literal: () => scalar('text'),
  boolean: () => scalar('bool'),
  bigint: () => scalar('int64'),
  custom: () => scalar('custom'),
  null: () => ({ ...scalar('null'), nullable: true }),
  number: (where, _def, schema) =>
    (schema as z.ZodNumber).isInt
      ? scalar('int64')
      : refuse(
          where,
          'a plain number is a float, and floats are never exactly equal',
          'Use z.int() for whole numbers, decimal(2) for money and other fractions.',
        ),
  enum: (where, def) => literals(where, Object.values(def.entries as Record<string, unknown>)),
  literal: (where, def) => literals(where, def.values as unknown[]),
  nullable: (where, def) => ({ ...shapeOf(where, def.innerType), nullable: true }),
  optional: (where, def) => ({ ...shapeOf(where, def.innerType), optional: true }),
  nonoptional: (where, def) => ({ ...shapeOf(where, def.innerType), optional: false }),
  readonly: (where, def) => shapeOf(where, def.innerType),
  lazy: (where, def) => shapeOf(where, def.getter()),
  array: (where, def) => listOf(where, shapeOf(`${where}[]`, def.element)),
  union: (where, def) =>
    unionOf(
      where,
      (def.options as z.core.$ZodType[]).map((option) => shapeOf(where, option)),
    ),
  pipe: (where, def) => {
    if (hasOneWay(def.in) || hasOneWay(def.out)) {
      refuse(where, 'the schema of the entity converts (transform, preprocess)', CONVERSION_NEXT)
    }
    if (def.transform !== undefined) refuse(where, 'a codec cannot stand in the schema of the entity', CONVERSION_NEXT)
    return shapeOf(where, def.out)
  },
  transform: (where) => refuse(where, 'the schema of the entity converts (transform)', CONVERSION_NEXT),
  default: (where) => refuse(where, 'a default would turn "not sent" into a value', ABSENCE_NEXT),
  prefault: (where) => refuse(where, 'a default would turn "not sent" into a value', ABSENCE_NEXT),
  catch: (where) =>
    refuse(where, '.catch() would replace a wrong value unseen', 'Leave it out: a wrong value is parked and shown.'),
  date: (where) => refuse(where, 'a Date is not kept', 'Use instant() for points in time, date() for calendar dates.'),
  object: (where) =>
    refuse(
      where,
      'a field cannot be an object',
      'Give each of its values a field (natives reach in with dots), declare it under `parts`, or write a codec to text.',
    ),
  record: (where) =>
    refuse(where, 'a field cannot be an object', 'Declare it under `parts`, or write a codec to text.'),
}

function literals(where: string, values: readonly unknown[]): Shape {
  return unionOf(
    where,
    values.map((value) => {
      if (value === null) return { ...scalar('null'), nullable: true }
      if (typeof value === 'string') return scalar('text')
      if (typeof value === 'boolean') return scalar('bool')
      if (typeof value === 'bigint' || Number.isSafeInteger(value)) return scalar('int64')
      return refuse(where, `${String(value)} cannot be kept`, 'Use text, whole numbers or booleans.')
    }),
  )
}

function unionOf(where: string, shapes: readonly Shape[]): Shape {
  const kinds = new Set(shapes.map((shape) => shape.kind).filter((kind) => kind !== 'null'))
  const references = new Set(shapes.filter((shape) => shape.kind !== 'null').map((shape) => shape.reference))
  if (kinds.size !== 1 || references.size !== 1) {
    refuse(
      where,
      `a field holds one kind of value, this has ${[...kinds].join(' and ') || 'none'}`,
      'Choose one; a codec in the mapping brings the other to it.',
    )
  }
  return {
    kind: [...kinds][0] ?? 'null',
    nullable: shapes.some((shape) => shape.nullable),
    optional: shapes.some((shape) => shape.optional),
    reference: [...references][0] ?? null,
  }
}

function listOf(where: string, element: Shape): Shape {
  if (element.reference !== null)
    refuse(
      where,
      'a list of references cannot be translated',
      'Declare it under `parts`, with the reference as a field.',
    )
  return scalar(`list<${element.kind}${element.nullable ? '?' : ''}>`)
}

function shapeOfStandard(where: string, schema: StandardSchemaV1): Shape {
  const nullable = accepts(where, schema, null)
  return {
    kind: `standard(${schema['~standard'].vendor})`,
    nullable,
    optional: accepts(where, schema, undefined),
    reference: null,
  }
}

function accepts(where: string, schema: StandardSchemaV1, value: unknown): boolean {
  const result = schema['~standard'].validate(value)
  if (result instanceof Promise) refuseAsync(where)
  return result.issues === undefined
}

/**
 * Whether a conversion without an inverse hides anywhere in a schema. Every zod schema has `encode`; that of a transform throws
 * only when it is called.
 */
export function hasOneWay(schema: z.core.$ZodType, seen: Set<unknown> = new Set()): boolean {
  if (seen.has(schema)) return false
  seen.add(schema)
  const def = defOf(schema)
  if (def.type === 'transform') return true
  const inner: unknown[] = [
    def.innerType,
    def.in,
    def.out,
    def.element,
    def.left,
    def.right,
    def.keyType,
    def.valueType,
    def.rest,
  ]
  if (Array.isArray(def.options)) inner.push(...def.options)
  if (Array.isArray(def.items)) inner.push(...def.items)
  if (def.type === 'object') inner.push(...Object.values(def.shape))
  if (def.type === 'lazy') inner.push(def.getter())
  return inner.some((child) => isZod(child) && hasOneWay(child, seen))
}

/** The check of one value. Hot path: called for every changed field, so the common schemas do not go through zod. */
function zodValidate(where: string, schema: z.core.$ZodType): (value: Value) => Value {
  const fast = fastOf(schema)
  const slow = (value: Value): Value => {
    const result = guardAsync(where, () => z.core.safeParse(schema, value))
    if (result.success) return keep(where, result.data)
    return refuseValue(where, value, result.error.issues[0]?.message ?? 'it does not fit')
  }
  probeAsync(slow)
  if (fast === undefined) return slow
  return (value) => {
    const checked = fast(value)
    return checked === undefined ? slow(value) : checked
  }
}

/** An equivalent of the schema's check for the simplest schemas; undefined from it means: let zod say. */
function fastOf(schema: z.core.$ZodType): ((value: Value) => Value | undefined) | undefined {
  const own = fastCheckOf(schema)
  if (own !== undefined) return own
  const def = defOf(schema)
  if ((def.checks?.length ?? 0) > 0 || def.coerce === true) return undefined
  switch (def.type) {
    case 'string':
      return def.format === undefined ? (value) => (typeof value === 'string' ? value : undefined) : undefined
    case 'boolean':
      return (value) => (typeof value === 'boolean' ? value : undefined)
    case 'number':
      return def.format === 'safeint' ? (value) => (Number.isSafeInteger(value) ? value : undefined) : undefined
    case 'enum': {
      const words = new Set<unknown>(Object.values(def.entries))
      return (value) => (typeof value === 'string' && words.has(value) ? value : undefined)
    }
    case 'nullable': {
      const inner = fastOf(def.innerType)
      return inner === undefined ? undefined : (value) => (value === null ? null : inner(value))
    }
    default:
      return undefined
  }
}

function standardValidate(where: string, schema: StandardSchemaV1): (value: Value) => Value {
  return (value) => {
    const result = schema['~standard'].validate(value)
    if (result instanceof Promise) return refuseAsync(where)
    if (result.issues === undefined) return keep(where, result.value)
    return refuseValue(where, value, result.issues[0]?.message ?? 'it does not fit')
  }
}

/** A schema must not smuggle in what cannot be kept (a Date, an object, a float that is not a number). */
function keep(where: string, data: unknown): Value {
  if (isValue(data)) return data
  return refuse(where, `the schema gives ${typeof data}, which cannot be kept`, CONVERSION_NEXT)
}

function isValue(data: unknown): data is Value {
  if (typeof data === 'number') return Number.isFinite(data)
  if (data === null || typeof data === 'string' || typeof data === 'boolean' || typeof data === 'bigint') return true
  return Array.isArray(data) && data.every(isValue)
}

function guardAsync<T>(where: string, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    if (error instanceof z.core.$ZodAsyncError) return refuseAsync(where)
    throw error
  }
}

/** An asynchronous check shows itself only when a value passes the checks before it; these values find most of them at start. */
function probeAsync(validate: (value: Value) => Value): void {
  for (const sample of ['', 'a', 0, 1, true, null, []]) {
    try {
      validate(sample)
    } catch (error) {
      if (SyncError.is(error) && error.place.async !== undefined) throw error
    }
  }
}

function refuseAsync(where: string): never {
  return refuse(
    where,
    'its schema is asynchronous; a value is decided on without waiting',
    'Check it in the application, or in a flow.',
    { async: 'true' },
  )
}

function refuseValue(where: string, value: Value, reason: string): never {
  throw new SyncError('config.value-invalid', `${where} = ${shown(value)}: ${reason}. Correct it in the application.`, {
    place: { at: where },
  })
}

/** A value for a message, short. */
export function shown(value: unknown): string {
  if (typeof value === 'bigint') return String(value)
  const text =
    JSON.stringify(value, (_key, inner) => (typeof inner === 'bigint' ? String(inner) : inner)) ?? 'undefined'
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}

const article = (word: string): string => (/^[aeiou]/.test(word) ? `an ${word}` : `a ${word}`)
