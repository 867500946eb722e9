import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import {
  type Codec,
  cents,
  decimalText,
  enumMap,
  fastCodecOf,
  integerText,
  isoInstant,
  numberId,
  unixMillis,
  unixSeconds,
} from './codecs.ts'
import { decimalToUnits, spellDecimal, unitsToDecimal } from './decimal-text.ts'
import type { Decimal, Instant } from './kinds.ts'
import { spellInstant } from './time-text.ts'

const decimals = (scale: number) =>
  fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }).map((units) => unitsToDecimal(units, scale) as Decimal<2>)
const instants = fc
  .date({ min: new Date('0000-01-01T00:00:00Z'), max: new Date('9999-12-31T23:59:59.999Z'), noInvalidDate: true })
  .map((date) => date.toISOString() as Instant)

/** decode(encode(x)) is x, by the schema library and by the fast way past it. */
function roundTrips<N, C>(codec: Codec<N, C>, canonical: fc.Arbitrary<C>): void {
  const fast = fastCodecOf(codec)
  fc.assert(
    fc.property(canonical, (value) => {
      const native = z.encode(codec, value as never) as N
      expect(z.decode(codec, native as never)).toEqual(value)
      expect(fast?.encode(value)).toEqual(native)
      expect(fast?.decode(native)).toEqual(value)
    }),
  )
}

describe('ready codecs go back exactly', () => {
  test('cents', () =>
    roundTrips(
      cents,
      fc.maxSafeInteger().map((n) => unitsToDecimal(BigInt(n), 2) as Decimal<2>),
    ))
  test('decimalText', () => roundTrips(decimalText(2), decimals(2)))
  test('integerText', () => roundTrips(integerText, fc.maxSafeInteger()))
  test('isoInstant', () => roundTrips(isoInstant, instants))
  test('unixMillis', () => roundTrips(unixMillis, instants))
  test('unixSeconds', () =>
    roundTrips(
      unixSeconds,
      instants.map((text) => text.replace(/\.\d+Z/, '.000Z') as Instant),
    ))
  test('numberId', () => roundTrips(numberId, fc.maxSafeInteger().map(String)))
  test('enumMap', () => {
    const words = fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 8 })
    fc.assert(
      fc.property(words, (natives) => {
        const map = Object.fromEntries(natives.map((native, i) => [`word${i}`, native]))
        const codec = enumMap(map)
        for (const [canonical, native] of Object.entries(map)) {
          expect(z.encode(codec, canonical)).toBe(native)
          expect(z.decode(codec, native)).toBe(canonical)
        }
      }),
    )
  })
})

describe('ready codecs refuse what would not go back', () => {
  const refused: readonly (readonly [string, Codec<never, never>, 'decode' | 'encode', unknown])[] = [
    ['cents of a fraction', cents as never, 'decode', 12.5],
    ['cents of text', cents as never, 'decode', '1250'],
    ['cents beyond 2^53', cents as never, 'encode', '90071992547409.93'],
    ['cents of three digits', cents as never, 'encode', '1.001'],
    ['decimalText of words', decimalText(2) as never, 'decode', 'ten'],
    ['decimalText with lost digits', decimalText(2) as never, 'decode', '1.005'],
    ['integerText with zeros', integerText as never, 'decode', '007'],
    ['integerText beyond 2^53', integerText as never, 'decode', '9007199254740993'],
    ['isoInstant without an offset', isoInstant as never, 'decode', '2026-03-01T12:00:00'],
    ['isoInstant on a day that is none', isoInstant as never, 'decode', '2026-02-30T12:00:00Z'],
    ['unixSeconds of a part of a second', unixSeconds as never, 'encode', '2026-03-01T12:00:00.500Z'],
    ['unixMillis of finer digits', unixMillis as never, 'encode', '2026-03-01T12:00:00.000001Z'],
    ['enumMap of an unknown word', enumMap({ a: 'A' }) as never, 'decode', 'B'],
    ['enumMap of an inherited name', enumMap({ a: 'A' }) as never, 'encode', 'toString'],
  ]
  test.each(refused)('%s', (_name, codec, way, value) => {
    expect(() => fastCodecOf(codec)?.[way](value)).toThrow(/cannot convert/)
    expect(() => (way === 'decode' ? z.decode : z.encode)(codec, value as never)).toThrow()
  })

  test('two words that are the same in the application', () => {
    expect(() => enumMap({ open: 'O', started: 'O' })).toThrow(/'open' and 'started' are both "O"/)
  })
})

describe('decimals', () => {
  test('are exact at any size, where a float is not', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n }),
        fc.integer({ min: 0, max: 30 }),
        (units, scale) => {
          expect(decimalToUnits(unitsToDecimal(units, scale), scale)).toBe(units)
        },
      ),
    )
    expect(spellDecimal('0.1', 2)).toBe('0.10')
    expect(fastCodecOf(cents)?.encode('1.15')).toBe(115)
  })

  test.each([
    ['12.5', 2, '12.50'],
    ['+007.10', 2, '7.10'],
    ['-0.00', 2, '0.00'],
    ['5', 0, '5'],
    ['1.500', 2, '1.50'],
    ['1.501', 2, undefined],
    ['.5', 2, undefined],
    ['1e3', 2, undefined],
    ['1,5', 2, undefined],
    [' 1', 2, undefined],
  ])('%s at scale %i is %s', (text, scale, spelled) => expect(spellDecimal(text, scale)).toBe(spelled))
})

test.each([
  ['2026-03-01T12:00:00Z', '2026-03-01T12:00:00.000Z'],
  ['2026-03-01T12:00+02:00', '2026-03-01T10:00:00.000Z'],
  ['2026-03-01 00:30:00.5-0130', '2026-03-01T02:00:00.500Z'],
  ['2026-03-01T12:00:00.123456Z', '2026-03-01T12:00:00.123456Z'],
  ['0000-01-01T00:30:00+01:00', undefined],
  ['2026-03-01T24:00:00Z', undefined],
  ['2026-03-01T12:00:60Z', undefined],
  ['2026-03-01', undefined],
])('the instant %s is %s', (text, spelled) => {
  expect(spellInstant(text)).toBe(spelled)
  if (spelled !== undefined) expect(spellInstant(spelled)).toBe(spelled)
})
