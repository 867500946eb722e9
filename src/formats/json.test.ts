import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SyncError } from '../errors/index.ts'
import { decodeData } from '../model/value.ts'
import { FORMAT_LIMITS } from './format.ts'
import { jsonFormat, parseJson, parseJsonReply, writeJson } from './json.ts'

const parse = (text: string): unknown => parseJson(Buffer.from(text))
const messageOf = (text: string): string => {
  try {
    parse(text)
    return 'parsed'
  } catch (error) {
    return SyncError.is(error) ? `${error.code} ${error.message}` : String(error)
  }
}

describe('numbers', () => {
  test.each<[string, unknown]>([
    ['0', 0],
    ['9007199254740991', 9007199254740991],
    ['9007199254740992', 9007199254740992n],
    ['-9223372036854775808', -9223372036854775808n],
    ['18446744073709551616', 18446744073709551616n],
    [`1${'0'.repeat(50)}`, `1${'0'.repeat(50)}`],
    ['1.50', 1.5],
    ['0.1', 0.1],
    ['0.10000000000000000', 0.1],
    ['0.1000000000000000055511151231257827', '0.1000000000000000055511151231257827'],
    ['12345678901234567.25', '12345678901234567.25'],
    ['9007199254740993.0', '9007199254740993.0'],
    ['1e3', 1000],
    ['1.5E-3', 0.0015],
    ['1e25', '1e25'],
    ['1e-400', '1e-400'],
    ['-1e400', '-1e400'],
    ['4.9e-324', 5e-324],
    ['0e5', 0],
  ])('%s', (text, value) => {
    const expected = text === '4.9e-324' ? '4.9e-324' : value
    expect(parse(text)).toEqual(expected)
    expect(parse(`{"a":[ ${text}\n]}`)).toEqual({ a: [expected] })
  })

  test('any integer keeps its digits', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(10n ** 39n), max: 10n ** 39n }), (n) => {
        expect(String(parse(`[${n}]`))).toBe(String(n))
      }),
    )
  })

  test('any decimal is the same number or the same text', () => {
    const digits = fc.stringMatching(/^[1-9][0-9]{0,25}$/)
    fc.assert(
      fc.property(digits, digits, (whole, fraction) => {
        const text = `${whole}.${fraction}`
        const value = parse(text)
        const plain = text.replace(/\.?0+$/, '')
        expect(typeof value === 'string' ? value : String(value)).toBe(typeof value === 'string' ? text : plain)
      }),
    )
  })
})

describe('any JSON', () => {
  test('comes back as written, unless a number was risky', () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        const text = JSON.stringify(value)
        if (/\\ud|__proto__|e[+-]?\d|\d{15}/i.test(text)) return
        expect(parse(text)).toEqual(JSON.parse(text))
      }),
    )
  })

  test('cut or changed anywhere is refused where V8 refuses it, and at an offset inside the text', () => {
    const sample = '{"a":[1,-2.5e3,true,false,null],"b\\u00e9":{"c":"x\\n"},"d":""}'
    for (let at = 0; at < sample.length; at++) {
      for (const text of [
        sample.slice(0, at),
        `${sample.slice(0, at)}#${sample.slice(at + 1)}`,
        `${sample.slice(0, at)}}${sample.slice(at)}`,
      ]) {
        let native: string | undefined
        try {
          JSON.parse(text)
        } catch (error) {
          native = (error as Error).message
        }
        if (native === undefined) continue
        const message = messageOf(text)
        expect(message).toMatch(/^intake\.malformed .*offset \d+ \(line 1, column \d+\)/)
        const offset = Number(/offset (\d+)/.exec(message)?.[1])
        const position = /at position (\d+)/.exec(native)?.[1]
        if (
          position !== undefined &&
          !native.startsWith('Expected') &&
          !/escape|number|fraction|exponent|token/i.test(native)
        )
          expect(offset).toBe(Number(position))
        expect(offset).toBeLessThanOrEqual(text.length)
      }
    }
  })

  test('says the line and column', () => {
    expect(messageOf('{\n  "a": 1,\n  b: 2\n}')).toContain('offset 14 (line 3, column 3)')
  })
})

test('what is written keeps big integers as numbers', () => {
  expect(writeJson({ a: 9007199254740993n, b: [1n], c: 'x' })).toBe('{"a":9007199254740993,"b":[1],"c":"x"}')
})

/** JSON with space before every colon. */
const spaced = (data: unknown): string =>
  typeof data !== 'object' || data === null
    ? JSON.stringify(data)
    : Array.isArray(data)
      ? `[${data.map(spaced).join()}]`
      : `{${Object.entries(data)
          .map(([key, value]) => `${JSON.stringify(key)} :${spaced(value)}`)
          .join()}}`

describe('keys that programs read differently', () => {
  test.each([
    '{"a":1,"a":2}',
    '{"a" : 1, "a":2}',
    '{"a":1,"\\u0061":2}',
    '[{"x":{"b":"\\":","b":[]}}]',
    '{"\\\\":1,"b":2,"\\\\":3}',
    '{"a":":","b":":","a":"\\":"}',
    '{"a"\n:1,"b":"x \\" : y","a"\t:2}',
  ])('a key that stands twice: %s', (text) => {
    expect(messageOf(text)).toMatch(/^intake\.forbidden .*stands twice in one object at offset \d+/)
    expect(() => parseJsonReply(Buffer.from(text))).not.toThrow()
  })

  test('any JSON whose keys all differ is read, however its strings look', () => {
    const tricky = fc.constantFrom('":', '" :', '"', ':', ': ', '\\', '\\"', 'a', '{"a":1,"a":2}', ' :')
    const text = fc.array(tricky, { maxLength: 4 }).map((parts) => parts.join(''))
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        text,
        fc.array(tie('value'), { maxLength: 4 }),
        fc.dictionary(text, tie('value'), { maxKeys: 5, noNullPrototype: true }),
      ),
    }))
    fc.assert(
      fc.property(value, fc.constantFrom(0, 1), (data, indent) => {
        const written = JSON.stringify(data, null, indent)
        expect(parse(written)).toEqual(data)
        expect(parse(spaced(data))).toEqual(data)
      }),
      { numRuns: 1000 },
    )
  })

  test('a key with an escape is itself, whatever was read before (V8 13.6 takes one for another)', () => {
    for (let i = 0; i < 3; i++) {
      expect(parse('{"name":1,"stra\\\\u":2}')).toEqual({ name: 1, 'stra\\u': 2 })
      expect(parse('{"name":1,"stra\\u00dfe":2}')).toEqual({ name: 1, straße: 2 })
      expect(parse('{"":[],"\\\\\\"":[]}')).toEqual({ '': [], '\\"': [] })
      expect(parse('{"":[],"\\":":[9007199254740993, -1.50, true, null, {}]}')).toEqual({
        '': [],
        '":': [9007199254740993n, -1.5, true, null, {}],
      })
    }
  })

  test.each([
    '{"__proto__":1}',
    '[{"a":{"__proto__":{"x":1}}}]',
    '{"__pr\\u006fto__":{"x":1}}',
    '{"constructor":{"prototype":{"x":1}}}',
  ])('keys by which programs are tricked: %s', (text) => {
    expect(messageOf(text)).toMatch(/^intake\.forbidden /)
    const reply = parseJsonReply(Buffer.from(text)) as object
    expect(Object.hasOwn(reply, '__proto__')).toBe(false)
    expect(({} as { x?: unknown }).x).toBe(undefined)
  })
})

describe('the text of a message', () => {
  const textOf = (sent: string) => jsonFormat.decode(Buffer.from(sent), {}, FORMAT_LIMITS)

  test('is given along only where whoever reads it back gets the same data', () => {
    const data = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 3 },
        fc.string(),
        fc.constantFrom('$int64', '\\', 'a"b', '-1e5'),
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }),
        fc.integer(),
        fc.constantFrom(null, true, {}, { $int64: '5' }),
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom('a', 'b', '$int64', 'c d'), tie('value'), { noNullPrototype: true }),
      ),
    })).value
    let given = 0
    fc.assert(
      fc.property(fc.dictionary(fc.string({ maxLength: 3 }), data, { noNullPrototype: true }), (record) => {
        const sent = writeJson(record)
        let decoded: ReturnType<typeof textOf>
        try {
          decoded = textOf(sent)
        } catch {
          return
        }
        if (decoded.text === undefined) return
        given++
        expect(decodeData(decoded.text)).toEqual(decoded.data)
      }),
      { numRuns: 1_000 },
    )
    expect(given).toBeGreaterThan(100)
  })

  test.each([
    '{"a":12345678901234567890}',
    '{"a":{"$int64":"5"}}',
    '{"\\u0061":1}',
    '{"a":1.00000000000000005}',
    '[1,2]',
  ])('is not given for %s', (sent) => expect(textOf(sent).text).toBeUndefined())

  test('is given as it came', () => expect(textOf('{ "a" : 1.50 }').text).toBe('{ "a" : 1.50 }'))
})
