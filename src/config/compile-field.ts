import { z } from 'zod'
import { SyncError } from '../errors/index.ts'
import type { FieldMapping, FieldModel } from '../model/entity.ts'
import type { Value } from '../model/value.ts'
import { fastCodecOf } from './codecs.ts'
import { checkNativeName, isPlainObject, refuse, refuseUnknown } from './refuse.ts'
import { nativeKindOf, nativeNames } from './row.ts'
import { defOf, hasOneWay, isZod, type Shape, shown } from './schema.ts'

/** Compiles how one canonical field is read from and written to one application. */

type Values = Readonly<Record<string, Value>>
type Direction = FieldMapping['direction']

/** A conversion between native values (one, or a list in the order of the names) and the canonical value. */
interface Conversion {
  /** For the digest of the mapping. */
  readonly name: string
  readonly decode: ((value: unknown) => unknown) | null
  readonly encode: ((value: unknown) => unknown) | null
  /** Whether null is given to it; otherwise null stands for null. */
  readonly nullIn: boolean
  readonly nullOut: boolean
}

interface Form {
  readonly natives: readonly string[]
  /** Several names: the conversion takes a list. */
  readonly several: boolean
  readonly direction: Direction
  readonly lossy?: true
  readonly conversion: Conversion | null
}

export interface CompiledField {
  readonly mapping: FieldMapping
  /** What the digest of the mapping says of this field. */
  readonly shape: string
}

export function compileFieldMapping(
  where: string,
  model: FieldModel,
  shape: Shape,
  given: unknown,
  row: unknown,
): CompiledField {
  const form = readForm(where, given)
  for (const name of form.natives) checkNative(where, name, row)
  const conversion = shape.reference === null ? form.conversion : (form.conversion ?? idConversion(where, form, row))
  const { natives, direction } = form
  const decode = direction === 'out' ? null : decodeOf(where, form, conversion)
  const encode = direction === 'in' ? null : encodeOf(where, form, conversion)
  return {
    mapping: {
      field: model.name,
      natives,
      direction,
      reference: model.reference ?? null,
      decode,
      encode,
      ...(form.lossy === true && { lossy: true }),
    },
    shape: `${model.name}:${shape.kind} ${form.lossy === true ? 'lossy' : direction} ${natives.join('+')} ${conversion?.name ?? '='}`,
  }
}

function checkNative(where: string, name: unknown, row: unknown): void {
  checkNativeName(where, name)
  if (nativeKindOf(row, name) === 'missing') {
    refuseUnknown(where, "a field of this application's records", name, nativeNames(row))
  }
}

function readForm(where: string, given: unknown): Form {
  if (isPlainObject(given) && (given.mapping === 'readOnly' || given.mapping === 'writeOnly')) {
    const direction = given.mapping === 'readOnly' ? 'in' : 'out'
    return { ...readPair(where, given.form, direction), direction }
  }
  if (isPlainObject(given) && given.mapping === 'lossy') return { ...readPair(where, given.form, 'both'), lossy: true }
  if (isPlainObject(given) && given.mapping === 'derived') return readDerived(where, given)
  return readPair(where, given, 'both')
}

function readDerived(where: string, given: Record<string, unknown>): Form {
  const natives = readNames(where, given.natives)
  if (typeof given.compute !== 'function')
    refuse(where, 'derived() has no function', 'Give derived([names], (row) => value).')
  const compute = given.compute as (row: Values) => unknown
  const decode = (values: unknown) =>
    compute(Object.fromEntries(natives.map((name, i) => [name, (values as Value[])[i] as Value])))
  return {
    natives,
    several: true,
    direction: 'in',
    conversion: { name: 'derived', decode, encode: null, nullIn: true, nullOut: true },
  }
}

function readPair(where: string, given: unknown, direction: Direction): Form {
  if (typeof given === 'string') return { natives: [given], several: false, direction, conversion: null }
  if (!Array.isArray(given) || given.length !== 2) {
    const next =
      "Give 'native', ['native', codec], [['first', 'last'], codec], readOnly(...), writeOnly(...) or derived(...)."
    refuse(where, 'this is not a mapping', next)
  }
  const several = Array.isArray(given[0])
  const natives = several ? readNames(where, given[0]) : [given[0] as string]
  return { natives, several, direction, conversion: readConversion(where, given[1], direction) }
}

function readNames(where: string, names: unknown): readonly string[] {
  if (!Array.isArray(names) || names.length === 0) refuse(where, 'no native field is named', 'Name at least one.')
  if (new Set(names).size !== names.length) refuse(where, 'a native field is named twice', 'Name each once.')
  return names as string[]
}

const NO_INVERSE = 'this conversion has no inverse'
const NO_INVERSE_NEXT = 'Give a z.codec, or say readOnly() or writeOnly().'

function readConversion(where: string, given: unknown, direction: Direction): Conversion {
  if (typeof given === 'function') {
    if (direction === 'both') refuse(where, NO_INVERSE, NO_INVERSE_NEXT)
    const convert = given as (value: unknown) => unknown
    const [decode, encode] = direction === 'in' ? [convert, null] : [null, convert]
    return { name: 'function', decode, encode, nullIn: true, nullOut: true }
  }
  if (!isZod(given))
    refuse(where, 'the conversion is neither a codec nor a function', 'Give a z.codec or one of the ready codecs.')
  if (direction !== 'in' && hasOneWay(given))
    refuse(where, NO_INVERSE, direction === 'both' ? NO_INVERSE_NEXT : 'Give a z.codec or a function.')
  return codecConversion(given)
}

function codecConversion(schema: z.core.$ZodType): Conversion {
  const fast = fastCodecOf(schema)
  if (fast !== undefined) return { ...fast, nullIn: false, nullOut: false }
  return {
    name: nameOfSchema(schema),
    decode: (value) => z.core.decode(schema, value as never),
    encode: (value) => z.core.encode(schema, value as never),
    nullIn: takesNull(schema, 'in'),
    nullOut: takesNull(schema, 'out'),
  }
}

/** Whether a schema says itself what null stands for on one of its sides. */
function takesNull(schema: z.core.$ZodType, side: 'in' | 'out'): boolean {
  const def = defOf(schema)
  if (def.type === 'null' || def.type === 'nullable') return true
  if (def.type === 'pipe') return takesNull(def[side], side)
  if (def.type === 'union') return (def.options as z.core.$ZodType[]).some((option) => takesNull(option, side))
  return def.innerType !== undefined && takesNull(def.innerType, side)
}

function nameOfSchema(schema: z.core.$ZodType): string {
  const def = defOf(schema)
  if (def.type === 'pipe') return `codec<${nameOfSchema(def.in)},${nameOfSchema(def.out)}>`
  return def.innerType === undefined ? String(def.format ?? def.type) : `${def.type}<${nameOfSchema(def.innerType)}>`
}

/** References pass as the application's own ids in text; a number id is turned into its text and back. */
function idConversion(where: string, form: Form, row: unknown): Conversion {
  const name = form.natives[0] as string
  if (form.several)
    refuse(where, 'a reference has one native field', 'Name one, or give a codec from them to the id as text.')
  const kind = nativeKindOf(row, name)
  if (kind === 'other')
    refuse(where, `'${name}' is neither text nor a number, so it cannot be an id`, 'Name the field that holds the id.')
  const encode = kind === 'number' ? numberOf : (value: unknown) => value
  return { name: kind === 'number' ? 'id(number)' : 'id(text)', decode: textOf, encode, nullIn: false, nullOut: false }
}

function textOf(value: unknown): string {
  if (typeof value === 'string' && value !== '') return value
  if (typeof value === 'number' || typeof value === 'bigint') return String(value)
  throw new TypeError(`an id is text or a number, this is ${shown(value)}`)
}

function numberOf(value: unknown): number | bigint {
  if (typeof value !== 'string' || !/^-?\d+$/.test(value)) throw new TypeError(`${shown(value)} is not a number`)
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : BigInt(value)
}

/** Hot path: one closure per field, chosen when the config is read. */
function decodeOf(where: string, form: Form, conversion: Conversion | null): NonNullable<FieldMapping['decode']> {
  const { natives, several } = form
  const first = natives[0] as string
  if (several && conversion?.decode) {
    const decode = conversion.decode
    return (values) => guard('decode', where, values, () => decode(natives.map((name) => values[name])) as Value)
  }
  if (conversion?.decode) {
    const { decode, nullIn } = conversion
    return (values) => {
      const value = sent(where, values, first)
      return value === null && !nullIn ? null : guard('decode', where, value, () => decode(value) as Value)
    }
  }
  return (values) => sent(where, values, first)
}

function encodeOf(where: string, form: Form, conversion: Conversion | null): NonNullable<FieldMapping['encode']> {
  const { natives, several } = form
  const first = natives[0] as string
  if (conversion?.encode == null) return (value) => ({ [first]: value })
  const { encode, nullOut } = conversion
  if (!several) {
    return (value) => ({
      [first]: value === null && !nullOut ? null : guard('encode', where, value, () => encode(value) as Value),
    })
  }
  return (value) => {
    if (value === null && !nullOut) return Object.fromEntries(natives.map((name) => [name, null]))
    const list = guard('encode', where, value, () => listOf(encode(value), natives.length))
    return Object.fromEntries(natives.map((name, i) => [name, list[i] as Value]))
  }
}

function listOf(given: unknown, length: number): readonly Value[] {
  if (Array.isArray(given) && given.length === length) return given as Value[]
  throw new TypeError(`${length} values are needed, the codec gives ${shown(given)}`)
}

function sent(where: string, values: Values, name: string): Value {
  const value = values[name]
  if (value !== undefined) return value
  throw new SyncError(
    'mapping.decode-failed',
    `${where}: '${name}' was not sent. Name it in the notification, or map another field.`,
    {
      place: { at: where, native: name },
    },
  )
}

/** A thrown reason becomes an error that names the field and the value. */
function guard<T>(way: 'decode' | 'encode', where: string, value: unknown, convert: () => T): T {
  try {
    const result = convert()
    if (result !== undefined) return result
  } catch (error) {
    if (SyncError.is(error)) throw error
    fail(way, where, value, reasonOf(error), error)
  }
  return fail(way, where, value, 'it gives undefined', undefined)
}

function fail(way: 'decode' | 'encode', where: string, value: unknown, reason: string, cause: unknown): never {
  const code = way === 'decode' ? 'mapping.decode-failed' : 'mapping.encode-failed'
  const verb = way === 'decode' ? 'read from' : 'written from'
  throw new SyncError(code, `${where} cannot be ${verb} ${shown(value)}: ${reason}. Correct the value, or the codec.`, {
    place: { at: where },
    cause,
  })
}

function reasonOf(error: unknown): string {
  if (error instanceof z.core.$ZodError) return error.issues[0]?.message ?? 'it does not fit'
  return error instanceof Error ? error.message : String(error)
}
