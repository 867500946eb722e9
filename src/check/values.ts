import fc, { type Arbitrary } from 'fast-check'
import type { z } from 'zod'
import { kindOf } from '../config/kinds.ts'
import { defOf, isStandard, isZod } from '../config/schema.ts'

/** Values that a schema takes, made up: what people and programs put into such a field, and what stands at its edges. */

/** Money and stock of real companies, and within what `cents` can count. */
const AMOUNT_MAX = 10n ** 12n
const YEAR_MS = 365.25 * 86_400_000
const TEXT_MAX = 40
/** Tried before a generator is believed: one that finds hardly any fitting value would search for ever. */
const PROBES = 200
const PROBES_FIT = 0.1

/** What tends to be lost on the way: case, space, accents, signs, digits, and what looks like something else. */
const AWKWARD_TEXTS = [
  '',
  'a',
  'A',
  'Anna Berg',
  'van der Berg',
  ' leading',
  'trailing ',
  'two  spaces',
  'UPPER CASE',
  'Müller-Lüdenscheidt',
  '007',
  '1.50',
  '-1',
  'true',
  'null',
  'O\'Brien; "quoted"',
  'a,b',
  'line\nbreak',
  '日本語',
  '👍🏽',
  'a longer text that an application with a short column would have to cut off somewhere',
]

/** A generator for a schema, or null where nothing that fits it could be made up. */
export function valuesOf(schema: unknown): Arbitrary<unknown> | null {
  if (!isZod(schema)) return isStandard(schema) ? fitting(anything(), schemaTakes(schema)) : null
  const made = ofZod(schema, 0)
  return made === null ? null : fitting(made, schemaTakes(schema))
}

/** Whether a value fits a schema; an asynchronous one, or one that throws, says no. */
export function schemaTakes(schema: unknown): (value: unknown) => boolean {
  if (!isStandard(schema)) return () => true
  return (value) => {
    try {
      const result = schema['~standard'].validate(value)
      return !(result instanceof Promise) && result.issues === undefined
    } catch {
      return false
    }
  }
}

/** Only what fits. Where that is rare, it is looked for once, and chosen from what was found. */
function fitting(made: Arbitrary<unknown>, fits: (value: unknown) => boolean): Arbitrary<unknown> | null {
  const found = fc.sample(made, { seed: 1, numRuns: PROBES }).filter(fits)
  if (found.length >= PROBES * PROBES_FIT) return made.filter(fits)
  const more = [...found, ...fc.sample(made, { seed: 2, numRuns: PROBES * 20 }).filter(fits)]
  return more.length === 0 ? null : fc.constantFrom(...more)
}

const DEPTH_MAX = 6

function ofZod(schema: z.core.$ZodType, depth: number): Arbitrary<unknown> | null {
  if (depth > DEPTH_MAX) return null
  const own = kindOf(schema)
  if (own !== undefined) return ofKind(own.kind)
  const def = defOf(schema)
  const inner = (child: unknown): Arbitrary<unknown> | null => (isZod(child) ? ofZod(child, depth + 1) : null)
  switch (def.type) {
    case 'string':
    case 'template_literal':
      return texts(schema)
    case 'number':
      return (schema as z.ZodNumber).isInt ? integers(schema) : amounts(2).map(Number)
    case 'bigint':
      return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
    case 'boolean':
      return fc.boolean()
    case 'null':
      return fc.constant(null)
    case 'any':
    case 'unknown':
    case 'custom':
      return anything()
    case 'enum':
      return fc.constantFrom<unknown>(...Object.values(def.entries as Record<string, unknown>))
    case 'literal':
      return fc.constantFrom<unknown>(...(def.values as unknown[]))
    case 'nullable': {
      const made = inner(def.innerType)
      return made === null ? fc.constant(null) : fc.option(made, { nil: null, freq: 6 })
    }
    case 'union': {
      const options = (def.options as unknown[]).map(inner).filter((one) => one !== null)
      return options.length === 0 ? null : fc.oneof(...options)
    }
    case 'array': {
      const element = inner(def.element)
      return element === null
        ? null
        : fc.array(element, { ...lengthsOf(schema), maxLength: lengthsOf(schema).maxLength ?? 5 })
    }
    case 'object':
      return objects(def.shape as Record<string, unknown>, inner)
    case 'pipe':
      return inner(def.in)
    case 'lazy':
      return inner(def.getter())
    default:
      return inner(def.innerType)
  }
}

function objects(
  shape: Record<string, unknown>,
  inner: (child: unknown) => Arbitrary<unknown> | null,
): Arbitrary<unknown> | null {
  const members: Record<string, Arbitrary<unknown>> = {}
  for (const [name, child] of Object.entries(shape)) {
    const made = inner(child)
    if (made === null) return null
    members[name] = made
  }
  return fc.record(members)
}

const anything = (): Arbitrary<unknown> =>
  fc.oneof(generalText(), fc.integer(), fc.boolean(), fc.constant(null), fc.array(generalText(), { maxLength: 3 }))

function ofKind(kind: string): Arbitrary<unknown> {
  const scale = /^decimal\((\d+)\)$/.exec(kind)?.[1]
  if (scale !== undefined) return amounts(Number(scale))
  if (kind === 'instant') return instants()
  if (kind === 'date') return instants().map((text) => text.slice(0, 10))
  if (kind === 'bytes') return fc.uint8Array({ maxLength: 12 }).map((data) => Buffer.from(data).toString('base64'))
  if (kind === 'int64')
    return fc.oneof(fc.integer(), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(safeNumber))
  // A reference stands for an id of the application.
  return fc.integer({ min: 1, max: 999_999 }).map(String)
}

const safeNumber = (value: bigint): number | bigint => (Number.isSafeInteger(Number(value)) ? Number(value) : value)

/** Decimal text with all its digits, as `decimal(scale)` spells it. */
function amounts(scale: number): Arbitrary<string> {
  const unit = 10n ** BigInt(scale)
  const units = fc.oneof(
    fc.bigInt({ min: -AMOUNT_MAX, max: AMOUNT_MAX }),
    fc.bigInt({ min: 0n, max: 10_000n }),
    fc.constantFrom(0n, 1n, unit, 5n * unit, unit / 2n, unit - 1n),
  )
  return units.map((value) => {
    const digits = String(value < 0n ? -value : value).padStart(scale + 1, '0')
    const sign = value < 0n ? '-' : ''
    return scale === 0 ? sign + digits : `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`
  })
}

/** Half a century around now; every second one without a part of a second. */
function instants(): Arbitrary<string> {
  const seconds = fc.integer({ min: 0, max: Math.floor((65 * YEAR_MS) / 1000) })
  const millis = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 999 }))
  return fc.tuple(seconds, millis).map(([second, milli]) => new Date(second * 1000 + milli).toISOString())
}

interface Checks {
  readonly minLength?: number
  readonly maxLength?: number
  readonly min?: number
  readonly max?: number
  readonly patterns: readonly RegExp[]
  readonly format: string | null
}

interface CheckDef {
  readonly check: string
  readonly format?: string
  readonly pattern?: RegExp
  readonly minimum?: number
  readonly maximum?: number
  readonly length?: number
  readonly value?: number
}

/** What the checks of a schema ask for, as far as a generator can aim at it; the schema itself decides afterwards. */
function checksOf(schema: z.core.$ZodType): Checks {
  const def = defOf(schema)
  const own = (def.checks ?? []) as { readonly _zod: { readonly def: CheckDef } }[]
  const checks = own.map((one) => one._zod.def)
  const find = (name: string): CheckDef | undefined => checks.find(({ check }) => check === name)
  const length = find('length_equals')?.length
  const minLength = length ?? find('min_length')?.minimum
  const maxLength = length ?? find('max_length')?.maximum
  const min = find('greater_than')?.value
  const max = find('less_than')?.value
  const formats = [def as unknown as CheckDef, ...checks]
  return {
    ...(minLength !== undefined && { minLength }),
    ...(maxLength !== undefined && { maxLength }),
    ...(min !== undefined && { min: Math.ceil(Number(min)) }),
    ...(max !== undefined && { max: Math.floor(Number(max)) }),
    patterns: formats.flatMap(({ pattern }) => (pattern instanceof RegExp ? [pattern] : [])),
    format: formats.find(({ format }) => format !== undefined)?.format ?? null,
  }
}

function lengthsOf(schema: z.core.$ZodType): { minLength?: number; maxLength?: number } {
  const { minLength, maxLength } = checksOf(schema)
  return { ...(minLength !== undefined && { minLength }), ...(maxLength !== undefined && { maxLength }) }
}

function integers(schema: z.core.$ZodType): Arbitrary<number> {
  const { min = -2_147_483_648, max = 2_147_483_647 } = checksOf(schema)
  const near = fc.integer({ min: Math.max(min, Math.min(-5, max)), max: Math.min(max, Math.max(min, 1_000)) })
  return min > max ? fc.constant(min) : fc.oneof(near, fc.integer({ min, max }))
}

function texts(schema: z.core.$ZodType): Arbitrary<string> {
  const { patterns, format, minLength, maxLength } = checksOf(schema)
  switch (format) {
    case 'email':
      return mails()
    case 'uuid':
    case 'guid':
      return fc.uuid()
    case 'url':
      return fc.webUrl()
    case 'datetime':
      return instants()
    case 'date':
      return instants().map((text) => text.slice(0, 10))
  }
  const general = generalText(minLength, maxLength)
  const shaped = patterns.flatMap(matching)
  return shaped.length === 0 ? general : fc.oneof(general, ...shaped)
}

/** Mail addresses as people type them. */
function mails(): Arbitrary<string> {
  const word = fc.stringMatching(/^[A-Za-z0-9]{1,8}$/)
  const local = fc.oneof(
    word,
    fc.tuple(word, word).map((both) => both.join('.')),
    fc.tuple(word, word).map((both) => both.join('+')),
  )
  return fc
    .tuple(local, word, fc.constantFrom('com', 'org', 'de', 'CO'))
    .map(([user, host, top]) => `${user}@${host}.${top}`)
}

/** Some patterns are beyond the generator; then general texts are tried. */
function matching(pattern: RegExp): Arbitrary<string>[] {
  try {
    const made = fc.stringMatching(pattern, { maxLength: TEXT_MAX })
    fc.sample(made, { seed: 1, numRuns: 1 })
    return [made]
  } catch {
    return []
  }
}

function generalText(minLength = 0, maxLength = Math.max(TEXT_MAX, minLength)): Arbitrary<string> {
  const free = fc.string({ unit: 'grapheme', minLength, maxLength: Math.min(maxLength, Math.max(TEXT_MAX, minLength)) })
  const plain = fc.string({ minLength, maxLength: Math.min(maxLength, Math.max(TEXT_MAX, minLength)) })
  const awkward = AWKWARD_TEXTS.filter(({ length }) => length >= minLength && length <= maxLength)
  return awkward.length === 0 ? fc.oneof(free, plain) : fc.oneof(fc.constantFrom(...awkward), plain, free)
}
