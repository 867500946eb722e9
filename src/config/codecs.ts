import { z } from 'zod'
import { decimalToUnits, spellDecimal, unitsToDecimal } from './decimal-text.ts'
import { type Decimal, decimal, type Instant, instant, type KindSchema } from './kinds.ts'
import { refuse } from './refuse.ts'
import { instantOfSeconds, secondsOfInstant, spellInstant } from './time-text.ts'

/** A conversion with its inverse: `decode` from the application, `encode` to it. Any `z.codec` is one. */
export type Codec<Native, Canonical> = z.ZodCodec<KindSchema<Native>, KindSchema<Canonical>>

/** The two functions of a codec made here, so that the hot path goes past the schema library. */
export interface FastCodec {
  readonly name: string
  readonly decode: (value: unknown) => unknown
  readonly encode: (value: unknown) => unknown
}

const fastCodecs = new WeakMap<object, FastCodec>()

export const fastCodecOf = (schema: object): FastCodec | undefined => fastCodecs.get(schema)

interface Conversion<Native, Canonical> {
  readonly decode: (value: Native) => Canonical | undefined
  readonly encode: (value: Canonical) => Native | undefined
}

/** A named codec; a conversion that cannot be done gives undefined, and the codec then says what it wanted. */
function codecOf<Native, Canonical>(
  name: string,
  native: z.ZodType,
  canonical: z.ZodType,
  conversion: Conversion<Native, Canonical>,
): Codec<Native, Canonical> {
  const decode = (value: unknown) => done(name, value, conversion.decode(value as Native))
  const encode = (value: unknown) => done(name, value, conversion.encode(value as Canonical))
  const schema = z.codec(native, canonical, { decode, encode })
  fastCodecs.set(schema, { name, decode, encode })
  return schema as unknown as Codec<Native, Canonical>
}

function done<T>(name: string, value: unknown, result: T | undefined): T {
  if (result !== undefined) return result
  throw new TypeError(`${name} cannot convert ${typeof value === 'string' ? JSON.stringify(value) : String(value)}`)
}

/** Whole cents in the application, `decimal(2)` here: 1250 is `12.50`. */
export const cents: Codec<number, Decimal<2>> = codecOf('cents', z.int(), decimal(2), {
  decode: (value) => (Number.isSafeInteger(value) ? (unitsToDecimal(value, 2) as Decimal<2>) : undefined),
  encode: (value) => safeNumber(typeof value === 'string' ? decimalToUnits(value, 2) : undefined),
})

/** Decimal text in any spelling in the application (`250`, `250.0`), written to it with all digits. */
export const decimalText = <const Scale extends number>(scale: Scale): Codec<string, Decimal<Scale>> => {
  const spell = (value: string) => (typeof value === 'string' ? spellDecimal(value, scale) : undefined)
  return codecOf(`decimalText(${scale})`, z.string(), decimal(scale), {
    decode: (value) => spell(value) as Decimal<Scale> | undefined,
    encode: spell,
  })
}

/** Whole numbers as text in the application: `42` is 42. Only the plain spelling, so that it goes back as it came. */
export const integerText: Codec<string, number> = codecOf('integerText', z.string(), z.int(), {
  decode: (value) => {
    const plain = typeof value === 'string' && /^(0|-?[1-9]\d{0,15})$/.test(value)
    return plain && Number.isSafeInteger(Number(value)) ? Number(value) : undefined
  },
  encode: (value) => (Number.isSafeInteger(value) ? String(value === 0 ? 0 : value) : undefined),
})

/** An instant as ISO 8601 text with any offset in the application, `instant()` here; written back in UTC. */
export const isoInstant: Codec<string, Instant> = codecOf('isoInstant', z.string(), instant(), {
  decode: (value) => (typeof value === 'string' ? (spellInstant(value) as Instant | undefined) : undefined),
  encode: (value) => (typeof value === 'string' ? spellInstant(value) : undefined),
})

/** Whole seconds since 1970 in the application. An instant with a part of a second is not written, never cut. */
export const unixSeconds: Codec<number, Instant> = codecOf('unixSeconds', z.int(), instant(), {
  decode: (value) => (Number.isSafeInteger(value) ? (instantOfSeconds(value, '') as Instant | undefined) : undefined),
  encode: (value) => {
    const parts = typeof value === 'string' ? secondsOfInstant(value) : undefined
    return parts?.fraction === '000' ? parts.seconds : undefined
  },
})

/** Milliseconds since 1970 in the application. */
export const unixMillis: Codec<number, Instant> = codecOf('unixMillis', z.int(), instant(), {
  decode: (value) => {
    if (!Number.isSafeInteger(value)) return undefined
    const rest = ((value % 1000) + 1000) % 1000
    return instantOfSeconds((value - rest) / 1000, String(rest).padStart(3, '0')) as Instant | undefined
  },
  encode: (value) => {
    const parts = typeof value === 'string' ? secondsOfInstant(value) : undefined
    return parts?.fraction.length === 3 ? parts.seconds * 1000 + Number(parts.fraction) : undefined
  },
})

/** For a reference whose id is a number in an application whose row type is not given. */
export const numberId: Codec<number, string> = codecOf('numberId', z.int(), z.string(), {
  decode: (value) => (Number.isSafeInteger(value) ? String(value) : undefined),
  encode: (value) => (typeof value === 'string' && /^-?\d{1,16}$/.test(value) ? Number(value) : undefined),
})

type Literal = string | number | boolean

/** Fixed words: `{ canonical: 'NATIVE' }`. Both sides are checked to be all the words that the field and the application know. */
export function enumMap<const Words extends Readonly<Record<string, Literal>>>(
  nativeByCanonical: Words,
): Codec<Words[keyof Words], Extract<keyof Words, string>> {
  const toNative = new Map<string, Literal>(Object.entries(nativeByCanonical))
  const toCanonical = new Map<unknown, string>()
  for (const [canonical, native] of toNative) {
    const other = toCanonical.get(native)
    if (other !== undefined) {
      refuse(
        'enumMap()',
        `'${other}' and '${canonical}' are both ${JSON.stringify(native)}, so there is no way back`,
        'Give each word its own, or say readOnly() or writeOnly().',
      )
    }
    toCanonical.set(native, canonical)
  }
  if (toNative.size === 0) refuse('enumMap()', 'there are no words in it', 'Give { canonical: native }.')
  const name = `enumMap(${JSON.stringify([...toNative])})`
  return codecOf(name, z.literal([...toNative.values()]), z.enum([...toNative.keys()]), {
    decode: (value) => toCanonical.get(value) as Extract<keyof Words, string> | undefined,
    encode: (value) => toNative.get(value) as Words[keyof Words] | undefined,
  })
}

function safeNumber(units: bigint | undefined): number | undefined {
  if (units === undefined) return undefined
  const number = Number(units)
  return Number.isSafeInteger(number) ? number : undefined
}
