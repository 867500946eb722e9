import type { StandardSchemaV1 } from '@standard-schema/spec'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import type { Value } from '../model/value.ts'
import { cents } from './codecs.ts'
import { bytes, date, decimal, instant, int64, reference } from './kinds.ts'
import { compileField } from './schema.ts'

const fieldOf = (schema: unknown) => compileField('customer.x', 'x', schema)

describe('kinds of fields', () => {
  test.each<[string, z.ZodType, string, boolean, boolean]>([
    ['text', z.string(), 'text', false, false],
    ['email', z.email().max(100), 'text', false, false],
    ['nullable text', z.string().nullable(), 'text', true, false],
    ['optional text', z.string().optional(), 'text', false, true],
    ['int', z.int().positive(), 'int64', false, false],
    ['number().int()', z.number().int(), 'int64', false, false],
    ['bigint', z.bigint(), 'int64', false, false],
    ['int64()', int64(), 'int64', false, false],
    ['bool', z.boolean(), 'bool', false, false],
    ['enum', z.enum(['a', 'b']), 'text', false, false],
    ['literals', z.literal(['a', null]), 'text', true, false],
    ['union', z.union([z.literal('a'), z.literal('b'), z.null()]), 'text', true, false],
    ['decimal, refined', decimal(2).refine((text) => text !== '0.00'), 'decimal(2)', false, false],
    ['instant', instant().nullable(), 'instant', true, false],
    ['date', date(), 'date', false, false],
    ['bytes', bytes(), 'bytes', false, false],
    ['list', z.array(z.string().nullable()), 'list<text?>', false, false],
    ['reference', reference('order').nullable().optional(), 'reference(order)', true, true],
    ['pipe of checks', z.string().pipe(z.email()), 'text', false, false],
    ['readonly', z.string().readonly(), 'text', false, false],
    ['lazy', z.lazy(() => z.int()), 'int64', false, false],
  ])('%s', (_name, schema, kind, nullable, optional) => {
    expect(fieldOf(schema).shape).toMatchObject({ kind, nullable, optional })
  })

  test('a reference is found under its wrappers', () => {
    expect(fieldOf(reference('order').nullable()).model.reference).toBe('order')
  })
})

test.each<[string, unknown, RegExp]>([
  ['a float', z.number(), /is a float.*z\.int\(\)/],
  ['a Date', z.date(), /use instant\(\)/i],
  ['an object', z.object({ a: z.string() }), /cannot be an object.*parts/],
  ['a record', z.record(z.string(), z.string()), /cannot be an object/],
  ['a list of objects', z.array(z.object({ a: z.string() })), /cannot be an object/],
  ['a list of references', z.array(reference('order')), /parts/],
  ['a transform', z.string().transform((text) => text.length), /converts.*codec/],
  ['a hidden transform', z.string().transform(Number).pipe(z.int()).nullable().optional(), /converts/],
  ['a preprocess', z.preprocess((value) => value, z.string()), /converts/],
  ['a codec', cents, /codec cannot stand/],
  ['a default', z.string().default('x'), /default.*onCreate/],
  ['a catch', z.string().catch('x'), /catch/],
  ['two kinds', z.union([z.string(), z.int()]), /text and int64/],
  ['any', z.any(), /cannot be an any/],
  ['not a schema', 'text', /not a schema/],
  ['an asynchronous check', z.string().refine(async () => true), /asynchronous/],
])('refuses %s', (_name, schema, message) => {
  expect(() => fieldOf(schema)).toThrow(message)
  expect(() => fieldOf(schema)).toThrow(expect.objectContaining({ name: 'SyncError', code: 'config.invalid' }))
})

describe('the check of a value', () => {
  const schemas: readonly z.ZodType[] = [
    z.string(),
    z.string().nullable(),
    z.string().min(2),
    z.int(),
    z.int().min(0),
    z.boolean(),
    z.enum(['a', 'b']).nullable(),
    z
      .string()
      .nullable()
      .refine((text) => text !== 'no'),
  ]
  const values = fc.oneof(
    fc.string(),
    fc.constantFrom('', 'a', 'b', 'no', 'toString'),
    fc.integer(),
    fc.double(),
    fc.boolean(),
    fc.constant(null),
    fc.bigInt(),
    fc.array(fc.string()),
  ) as fc.Arbitrary<Value>

  test('says by its fast way what the schema says', () => {
    const compiled = schemas.map((schema) => ({ schema, validate: fieldOf(schema).model.validate }))
    fc.assert(
      fc.property(values, (value) => {
        for (const { schema, validate } of compiled) {
          const result = schema.safeParse(value)
          if (result.success) expect(validate(value)).toEqual(result.data)
          else expect(() => validate(value)).toThrow(expect.objectContaining({ code: 'config.value-invalid' }))
        }
      }),
      { numRuns: 500 },
    )
  })

  test('brings values to their canonical spelling', () => {
    expect(fieldOf(decimal(2)).model.validate('7.5')).toBe('7.50')
    expect(fieldOf(decimal(2).nullable()).model.validate('7.5')).toBe('7.50')
    expect(fieldOf(decimal(2).refine(() => true)).model.validate('7.5')).toBe('7.50')
    expect(fieldOf(instant()).model.validate('2026-03-01T12:00:00+01:00')).toBe('2026-03-01T11:00:00.000Z')
    expect(fieldOf(int64()).model.validate(5n)).toBe(5)
    expect(fieldOf(int64()).model.validate(2n ** 62n)).toBe(2n ** 62n)
    expect(fieldOf(z.string().trim()).model.validate(' a ')).toBe('a')
  })

  test.each<[z.ZodType, Value]>([
    [decimal(2), 12.5],
    [decimal(2), '1.005'],
    [decimal(2).refine((text) => text !== '0.00'), '0'],
    [int64(), 2n ** 64n],
    [int64(), 1.5],
    [bytes(), 'not base64!'],
    [date(), '2026-02-30'],
    [reference('order'), ''],
    [z.email(), 'nobody'],
  ])('refuses, naming the place and the value %#', (schema, value) => {
    expect(() => fieldOf(schema).model.validate(value)).toThrow(/^customer\.x = .*Correct it in the application/)
  })

  test('takes any Standard Schema', () => {
    const upper: StandardSchemaV1<unknown, string | null> = {
      '~standard': {
        version: 1,
        vendor: 'own',
        validate: (value) =>
          value === null || (typeof value === 'string' && value === value.toUpperCase())
            ? { value }
            : { issues: [{ message: 'upper case is needed' }] },
      },
    }
    const { model, shape } = fieldOf(upper)
    expect(shape).toMatchObject({ kind: 'standard(own)', nullable: true, optional: false })
    expect(model.validate('ABC')).toBe('ABC')
    expect(() => model.validate('abc')).toThrow(/upper case is needed/)
  })
})
