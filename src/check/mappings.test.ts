import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { http } from '../connectors/http/index.ts'
import {
  cents,
  decimal,
  decimalText,
  defineHub,
  entity,
  instant,
  isoInstant,
  lossy,
  readOnly,
  reference,
  sync,
  unixSeconds,
  writeOnly,
} from '../index.ts'
import { checkMappings, type MappingReport } from './mappings.ts'

const OPTIONS = { values: 200, seed: 1 }

/** One field between a desk and a warehouse, each with its native field `x` of the given schema, mapped as given. */
function checked(
  schema: z.ZodType,
  desk: { readonly row: z.ZodType; readonly as: unknown },
  warehouse: { readonly row: z.ZodType; readonly as: unknown },
  options = OPTIONS,
): MappingReport {
  const apps = { desk: http({ baseUrl: 'http://desk.test' }), warehouse: http({ baseUrl: 'http://warehouse.test' }) }
  const bound = (app: keyof typeof apps, { row, as }: typeof desk) =>
    apps[app].resource('/things', z.object({ id: z.int(), x: row, y: row }), {
      id: 'id',
      fields: { value: as } as never,
    })
  const thing = entity('thing', { schema: z.object({ value: schema }) })
  const bindings = { desk: bound('desk', desk), warehouse: bound('warehouse', warehouse) }
  return checkMappings(defineHub({ apps, sync: [sync(thing, bindings as never)] }), options)
}

const text = { row: z.string(), as: 'x' }
const lower = z.codec(z.string(), z.string(), { decode: (kept) => kept, encode: (value) => value.toLowerCase() })
const wholeEuros = z.codec(z.int(), decimal(2), {
  decode: (euros) => `${euros}.00` as never,
  encode: (amount) => Math.trunc(Number(amount)),
})

const codes = ({ findings }: MappingReport): string[] => findings.map(({ code, app }) => `${code} in ${app}`)

describe('mappings that hold', () => {
  test.each<[string, z.ZodType, Parameters<typeof checked>[1], Parameters<typeof checked>[2]]>([
    ['equal texts', z.string(), text, text],
    [
      'money in cents and as text',
      decimal(2),
      { row: z.int(), as: ['x', cents] },
      { row: z.string(), as: ['x', decimalText(2)] },
    ],
    [
      'points in time, where one application knows no parts of a second and the other tells none',
      instant(),
      { row: z.int(), as: ['x', unixSeconds] },
      { row: z.int(), as: readOnly(['x', (seconds: number) => new Date(Math.trunc(seconds) * 1000).toISOString()]) },
    ],
    [
      'a value that is only written',
      z.int(),
      { row: z.int(), as: readOnly('x') },
      { row: z.int(), as: writeOnly('x') },
    ],
    [
      'words that may be null',
      z.enum(['a', 'b']).nullable(),
      { row: z.enum(['a', 'b']).nullable(), as: 'x' },
      { row: z.enum(['a', 'b']).nullable(), as: 'x' },
    ],
  ])('%s', (_name, schema, desk, warehouse) => {
    const report = checked(schema, desk, warehouse)
    expect(report.findings).toEqual([])
    expect(report.entities[0]?.values).toBeGreaterThan(OPTIONS.values)
  })
})

describe('mappings that do not hold', () => {
  test('a loss that is not declared is found, with what is written and what is read back', () => {
    const report = checked(z.string(), text, { row: z.string(), as: ['x', lower] })
    expect(codes(report)).toContain('check.lossy in warehouse')
    const [finding] = report.findings
    expect(finding).toMatchObject({ entity: 'thing', field: 'value', from: 'desk' })
    expect(finding?.back).toBe(String(finding?.value).toLowerCase())
    expect(finding?.message).toContain('read back as')
    expect(finding?.next).toContain('lossy(')
  })

  test('a loss that is declared holds, and so does a rounding', () => {
    expect(codes(checked(z.string(), text, { row: z.string(), as: lossy(['x', lower]) }))).toEqual([])
    const amount = { row: z.string(), as: ['x', decimalText(2)] }
    expect(codes(checked(decimal(2), amount, { row: z.int(), as: ['x', wholeEuros] }))).toEqual([
      'check.lossy in warehouse',
    ])
    expect(codes(checked(decimal(2), amount, { row: z.int(), as: lossy(['x', wholeEuros]) }))).toEqual([])
  })

  test('a value that shrinks each time is no declared loss', () => {
    const shorter = z.codec(z.string(), z.string(), { decode: (kept) => kept, encode: (value) => value.slice(0, -1) })
    const report = checked(z.string(), text, { row: z.string(), as: lossy(['x', shorter]) })
    expect(codes(report)).toEqual(['check.unstable in warehouse'])
  })

  test('what one application tells and the other cannot be given is found', () => {
    const report = checked(
      instant(),
      { row: z.string(), as: ['x', isoInstant] },
      { row: z.int(), as: ['x', unixSeconds] },
    )
    expect(codes(report)).toEqual(['check.unwritable in warehouse'])
  })

  test('what the records of an application do not take is found; where nobody tells it, it is not', () => {
    const short = { row: z.string().max(5), as: 'x' }
    expect(codes(checked(z.string(), text, short))).toEqual(['check.does-not-fit in warehouse'])
    expect(codes(checked(z.string(), short, short))).toEqual([])
    expect(codes(checked(z.string(), text, { ...short, as: lossy('x') }))).toEqual([])
  })

  test('a conversion that depends on more than its value is found', () => {
    let calls = 0
    const counting = z.codec(z.string(), z.string(), {
      decode: (kept) => kept.split('#')[0] ?? '',
      encode: (value) => `${value}#${calls++}`,
    })
    expect(codes(checked(z.string(), text, { row: z.string(), as: ['x', counting] }))).toContain(
      'check.not-pure in warehouse',
    )
  })

  test('several native fields of one value that do not come apart as they were are found', () => {
    const both = z.codec(z.tuple([z.string(), z.string()]), z.string(), {
      decode: ([first, last]) => `${first} ${last}`,
      encode: (name) => [name.split(' ')[0] ?? '', name.split(' ')[1] ?? ''] as [string, string],
    })
    expect(codes(checked(z.string(), text, { row: z.string(), as: [['x', 'y'], both] }))).toContain(
      'check.lossy in warehouse',
    )
  })

  test('native names that lie inside one another are found', () => {
    const apps = { desk: http({ baseUrl: 'http://desk.test' }) }
    const thing = entity('thing', { schema: z.object({ all: z.string(), town: z.string() }) })
    const report = checkMappings(
      defineHub({
        apps,
        sync: [
          sync(thing, {
            desk: apps.desk.resource('/things', { id: 'id', fields: { all: 'address', town: 'address.town' } }),
          }),
        ],
      }),
      OPTIONS,
    )
    expect(codes(report)).toEqual(['check.record-shape in desk'])
  })
})

test('the smallest value that breaks a law is told, and the same seed tells the same', () => {
  const cut = z.codec(z.string(), z.string(), { decode: (kept) => kept, encode: (value) => value.slice(0, 3) })
  const run = () =>
    checked(z.string().regex(/^x*$/), { row: z.string().regex(/^x*$/), as: 'x' }, { row: z.string(), as: ['x', cut] })
  expect(run().findings[0]?.value).toBe('xxxx')
  expect(run()).toEqual(run())
})

test('parts, and references in the ids of their own application, are tried too', () => {
  const apps = { desk: http({ baseUrl: 'http://desk.test' }), warehouse: http({ baseUrl: 'http://warehouse.test' }) }
  const item = entity('item', { schema: z.object({ sku: z.string() }) })
  const order = entity('order', {
    schema: z.object({ item: reference(item) }),
    parts: { lines: { key: 'no', schema: z.object({ no: z.int(), note: z.string() }) } },
  })
  const Row = z.object({ id: z.int(), item: z.int(), rows: z.array(z.object({ n: z.int(), note: z.string() })) })
  const common = { id: 'id', fields: { item: 'item' } } as const
  const lines = (note: unknown) => ({ lines: { from: 'rows', key: 'n', fields: { note } } }) as never
  const items = sync(item, {
    desk: apps.desk.resource('/items', { id: 'id', fields: { sku: 'sku' } }),
    warehouse: apps.warehouse.resource('/items', { id: 'id', fields: { sku: 'sku' } }),
  })
  const orders = sync(order, {
    desk: apps.desk.resource('/orders', Row, { ...common, parts: lines('note') }),
    warehouse: apps.warehouse.resource('/orders', Row, { ...common, parts: lines(['note', lower]) }),
  })
  const report = checkMappings(defineHub({ apps, sync: [items, orders] }), OPTIONS)
  expect([
    ...new Set(report.findings.map(({ code, entity, field, app }) => `${code} ${entity}.${field} in ${app}`)),
  ]).toEqual(['check.lossy order.lines.note in warehouse'])
  expect(report.notes).toEqual([])
})

test('what was not tried is said', () => {
  const report = checked(
    z.string().nullable(),
    { row: z.string(), as: writeOnly('x') },
    { row: z.string(), as: writeOnly('x') },
  )
  expect(report.notes.map(({ text }) => text)).toContain('no application tells it')
})
