import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { PartMapping } from '../model/entity.ts'
import { type Image, type NativeRecord, partPath, type Value } from '../model/value.ts'
import { compileRecords } from './records.ts'

const field = (native: string): PartMapping['fields'][number] => ({
  field: native,
  natives: [native],
  direction: 'both',
  reference: null,
  decode: null,
  encode: null,
})
const lines = (keyType: 'text' | 'number', container = 'lines'): PartMapping => ({
  part: 'lines',
  container,
  key: 'no',
  keyType,
  fields: [field('qty'), field('price.amount')],
})
const { flatten, unflatten } = compileRecords({
  where: 'desk/orders',
  natives: ['id', 'contact.email', 'contact.phone.home', 'tags'],
  extra: ['kind', 'contact.kind'],
  parts: [lines('number')],
})
const text = compileRecords({ where: 'desk/orders', natives: ['id'], extra: [], parts: [lines('text', 'doc.lines')] })

describe('flatten', () => {
  test('takes mapped values only, and tells absent from null', () => {
    expect(flatten({ id: 1, other: 2, contact: { email: null } })).toEqual({ id: 1, 'contact.email': null })
    expect(flatten({ contact: null })).toEqual({ 'contact.email': null, 'contact.phone.home': null })
    expect(flatten({ tags: ['a', 'b'] })).toEqual({ tags: ['a', 'b'] })
  })

  test('marks a container that was sent, with the presence of each element', () => {
    expect(flatten({ lines: [{ no: 7, qty: 2, price: { amount: '1.00' } }] })).toEqual({
      lines: true,
      'lines[7]': true,
      'lines[7].qty': 2,
      'lines[7].price.amount': '1.00',
    })
    expect(flatten({ lines: [] })).toEqual({ lines: true })
    expect(flatten({ lines: null })).toEqual({ lines: true })
    expect(flatten({})).toEqual({})
  })

  test('is not confused by names that every object seems to have', () => {
    const body = JSON.parse(
      '{"__proto__":{"id":666,"lines":[]},"constructor":{"id":1},"contact":{"__proto__":{"email":"x"}},"toString":1}',
    )
    expect(flatten(body)).toEqual({})
    expect(Object.getPrototypeOf(flatten(body))).toBe(Object.prototype)
    expect(({} as Record<string, unknown>).id).toBeUndefined()
    expect(flatten(Object.assign(Object.create({ id: 5 }), { tags: [] }))).toEqual({ tags: [] })
    expect(text.flatten({ doc: { lines: [{ no: '__proto__', qty: 1 }] } })).toEqual({
      'doc.lines': true,
      'doc.lines[__proto__]': true,
      'doc.lines[__proto__].qty': 1,
    })
  })

  test.each<[string, unknown, RegExp]>([
    ['a record that is a list', [], /a record is an object, this is a list/],
    ['an object where a value is needed', { id: { a: 1 } }, /id holds an object/],
    ['a list of objects', { tags: [{}] }, /tags holds a list of objects/],
    ['a text on the way', { contact: 'x' }, /contact.email reaches into a string/],
    ['a container that is no list', { lines: {} }, /lines is an object, a list is needed/],
    ['an element that is no object', { lines: [1] }, /lines holds a number/],
    ['an element without its key', { lines: [{ qty: 1 }] }, /nothing as its key no/],
    ['a key of the wrong type', { lines: [{ no: '7' }] }, /a string as its key no, a whole number is needed/],
    ['a key twice', { lines: [{ no: 7 }, { no: 7 }] }, /two elements with no 7/],
  ])('refuses %s', (_name, record, message) => {
    expect(() => flatten(record as NativeRecord)).toThrow(message)
    expect(() => flatten(record as NativeRecord)).toThrow(expect.objectContaining({ code: 'mapping.record-shape' }))
  })
})

describe('unflatten', () => {
  test('rebuilds nested objects, and elements in the order of their keys', () => {
    const image: Image = {
      'lines[10].qty': 1,
      'lines[9]': true,
      'lines[9].price.amount': '2.00',
      'contact.email': 'a@b.c',
      'contact.kind': 'shop',
      unmapped: 1,
    }
    const record = unflatten(image)
    expect(record).toEqual({
      contact: { email: 'a@b.c', kind: 'shop' },
      lines: [
        { no: 9, price: { amount: '2.00' } },
        { no: 10, qty: 1 },
      ],
    })
  })

  test('leaves out elements that are not there, and writes an empty list for a container without any', () => {
    expect(unflatten({ 'lines[1]': false, 'lines[1].qty': 1, 'lines[2]': true })).toEqual({ lines: [{ no: 2 }] })
    expect(unflatten({ 'lines[1]': false })).toEqual({ lines: [] })
    expect(unflatten({ lines: true })).toEqual({ lines: [] })
  })
})

test('flatten is the inverse of unflatten', () => {
  const value = fc.oneof(fc.string(), fc.integer(), fc.constant(null), fc.boolean(), fc.bigInt()) as fc.Arbitrary<Value>
  const element = fc.record({ qty: value, amount: value }, { requiredKeys: [] })
  const check = (
    records: typeof text,
    container: string,
    keys: fc.Arbitrary<string>,
    fields: fc.Arbitrary<Record<string, Value>>,
  ) =>
    fc.assert(
      fc.property(fields, fc.option(fc.dictionary(keys, element, { noNullPrototype: true })), (plain, elements) => {
        const image: Record<string, Value> = { ...plain }
        if (elements !== null) {
          image[container] = true
          for (const [key, { qty, amount }] of Object.entries(elements)) {
            const path = partPath(container, key)
            image[path] = true
            if (qty !== undefined) image[`${path}.qty`] = qty
            if (amount !== undefined) image[`${path}.price.amount`] = amount
          }
        }
        expect(records.flatten(records.unflatten(image))).toEqual(image)
      }),
    )
  const optional = (names: readonly string[]) =>
    fc.record(Object.fromEntries(names.map((name) => [name, value])), { requiredKeys: [], noNullPrototype: true })
  check(
    { flatten, unflatten },
    'lines',
    fc.integer().map(String),
    optional(['id', 'contact.email', 'contact.phone.home']) as fc.Arbitrary<Record<string, Value>>,
  )
  check(
    text,
    'doc.lines',
    fc.string({ minLength: 1, unit: 'binary' }),
    optional(['id']) as fc.Arbitrary<Record<string, Value>>,
  )
})
