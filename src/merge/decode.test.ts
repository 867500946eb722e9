import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SyncError } from '../errors/index.ts'
import type { EntityModel } from '../model/entity.ts'
import type { Image, Value } from '../model/value.ts'
import { changedValues, elementsOf, type Missing, referencesIn } from './decode.ts'
import { bindingOf, canonicals, entityOf, frozen, imageOf, references, SEED } from './fake-record.ts'
import { MissingReference } from './references.ts'

fc.configureGlobal({ seed: SEED })

const entity = entityOf()
const binding = bindingOf()
const changed = (before: Image, now: Image, of: EntityModel = entity, by = binding) =>
  changedValues(of, by, frozen(before), frozen(now), references)
const thrownBy = (run: () => unknown): unknown => {
  try {
    run()
  } catch (error) {
    return error
  }
  return undefined
}

describe('the values that an image changes', () => {
  test('are none where it says what is known', () => {
    fc.assert(fc.property(canonicals.map(imageOf), (image) => changed(image, image).length === 0))
  })

  test('are those the image stands for, of an application of which nothing was known', () => {
    fc.assert(
      fc.property(canonicals, (fields) => {
        const { score, fax, ...heard } = fields
        const told = Object.entries(heard).filter(([, value]) => value !== false)
        expect(Object.fromEntries(changed({}, imageOf(fields)).map(({ path, value }) => [path, value]))).toEqual(
          Object.fromEntries(told),
        )
      }),
    )
  })

  test('name an element before its fields, so that a new element exists when they are folded', () => {
    fc.assert(
      fc.property(canonicals.map(imageOf), canonicals.map(imageOf), (before, now) => {
        const seen = new Set<string>()
        for (const { path, element } of changed(before, now)) {
          const isNew = element !== null && before[element.replace('lines', 'items')] !== true
          if (isNew) expect(seen.has(element)).toBe(true)
          seen.add(path)
        }
      }),
    )
  })

  test('take what was not sent of a field in several native ones from what is known', () => {
    expect(changed({ first: 'Ann', last: 'Lee' }, { last: 'Kay' })).toMatchObject([
      { path: 'name', value: '["Ann","Kay"]', natives: ['first', 'last'] },
    ])
  })

  test('tell absent from null', () => {
    expect(changed({ n_email: 'a', n_phone: 'p' }, { n_phone: null })).toMatchObject([{ path: 'phone', value: null }])
  })

  test('name taken out elements only where the container was sent', () => {
    const before = imageOf({ 'lines[1]': true, 'lines[1].qty': 1 })
    expect(changed(before, { n_email: 'a' }).map((one) => one.path)).toEqual(['email'])
    expect(changed(before, { items: true })).toEqual([
      { path: 'lines[1]', element: null, value: false, natives: ['items[1]'] },
    ])
  })

  test('hold canonical keys where the application refers to a record', () => {
    expect(changed({}, { n_owner: 'n7' })).toMatchObject([{ path: 'owner', value: 'a7' }])
    expect(changed({ n_owner: 'n7' }, { n_owner: null })).toMatchObject([{ path: 'owner', value: null }])
  })
})

describe('what is no change', () => {
  const [lines] = binding.parts
  const [, email] = binding.fields

  test('is what an application tells of a field that we only write, and of one that the entity does not have', () => {
    const written = bindingOf(binding.app, {
      fields: [{ ...email!, direction: 'out' }],
      parts: [{ ...lines!, fields: [{ ...lines!.fields[0]!, direction: 'out' }, lines!.fields[1]!] }],
    })
    const image: Image = { n_email: 'a', items: true, 'items[1]': true, 'items[1].n_qty': 2, 'items[1].n_text': 't' }
    expect(changed({}, image, entity, written).map(({ path }) => path)).toEqual(['lines[1]', 'lines[1].text'])
    const { email: _, ...fields } = entity.fields
    const without = entityOf({ fields, parts: { lines: { ...entity.parts.lines!, fields: {} } } })
    expect(changed({}, image, without).map(({ path }) => path)).toEqual(['lines[1]'])
  })

  test('is a reference in an element that cannot be translated yet: it is named with its native values, and the rest is told', () => {
    const by = bindingOf(binding.app, {
      parts: [{ ...lines!, fields: [{ ...binding.fields[5]!, field: 'qty' }, lines!.fields[1]!] }],
    })
    const missing: Missing[] = []
    const image: Image = { items: true, 'items[1]': true, 'items[1].n_owner': 'x9', 'items[1].n_text': 't' }
    const told = changedValues(entity, by, {}, image, references, missing)
    expect(told).toEqual([
      { path: 'lines[1]', element: null, value: true, natives: ['items[1]'] },
      { path: 'lines[1].text', element: 'lines[1]', value: 't', natives: ['items[1].n_text'] },
    ])
    expect(missing).toMatchObject([{ reference: { nativeId: 'x9' }, natives: ['items[1].n_owner'] }])
  })
})

test('a native value that nobody knows is absent where it is decoded, not undefined', () => {
  let given: object = {}
  const decode = (values: Readonly<Record<string, Value>>): Value => {
    given = values
    return null
  }
  changed({}, { last: 'Lee' }, entity, bindingOf(binding.app, { fields: [{ ...binding.fields[0]!, decode }] }))
  expect(Object.keys(given)).toEqual(['last'])
})

describe('what cannot be decoded', () => {
  const badly = (decode: () => never) => bindingOf(binding.app, { fields: [{ ...binding.fields[1]!, decode }] })

  test('names application, entity, field and value', () => {
    const broken = badly(() => {
      throw new TypeError('not a date')
    })
    const error = thrownBy(() => changed({}, { n_email: 12n }, entity, broken))
    expect(error).toBeInstanceOf(SyncError)
    expect(error).toMatchObject({
      code: 'mapping.decode-failed',
      message: expect.stringContaining('crm: field email of customer cannot be read from n_email = 12: not a date'),
    })
  })

  test('names the place of a value in an element, whatever was thrown, and cuts off what is long', () => {
    const [lines] = binding.parts
    const throwing = (): never => {
      throw 'not a number'
    }
    const broken = bindingOf(binding.app, {
      parts: [{ ...lines!, fields: [{ ...lines!.fields[0]!, decode: throwing }] }],
    })
    const image: Image = { items: true, 'items[1]': true, 'items[1].n_qty': 'x'.repeat(400) }
    const error = thrownBy(() => changed({}, image, entity, broken))
    expect(error).toMatchObject({
      place: { app: 'crm', entity: 'customer', field: 'items[1].qty' },
      message: expect.stringContaining(`cannot be read from n_qty = "${'x'.repeat(291)}: not a number`),
    })
  })

  test('keeps the code of an error that has one', () => {
    const own = new SyncError('config.value-invalid', 'too long')
    const broken = badly(() => {
      throw own
    })
    expect(thrownBy(() => changed({}, { n_email: 'a' }, entity, broken))).toBe(own)
  })

  test('is checked by the schema of its field', () => {
    const refused = new SyncError('config.value-invalid', 'no')
    const validate = (): never => {
      throw refused
    }
    const strict = entityOf({ fields: { ...entity.fields, email: { ...entity.fields.email!, validate } } })
    expect(thrownBy(() => changed({}, { n_email: 'a' }, strict))).toBe(refused)
  })

  test('waits where it refers to a record that is not linked yet', () => {
    const missing = thrownBy(() => changed({}, { n_owner: 'x9' }))
    expect(missing).toBeInstanceOf(MissingReference)
    expect(missing).toMatchObject({ entity: 'agent', nativeId: 'x9' })
  })
})

describe('references in an image', () => {
  test('are found in fields and in elements, and a broken value is left to the fold', () => {
    const inLine = {
      ...binding.fields[5]!,
      natives: ['n_by'],
      decode: (values: Record<string, unknown>) => (values.n_by === 'bad' ? JSON.parse('{') : values.n_by),
    }
    const by = bindingOf(binding.app, { parts: [{ ...binding.parts[0]!, fields: [inLine] }] })
    const image: Image = {
      n_owner: 'n1',
      items: true,
      'items[1]': true,
      'items[1].n_by': 'n2',
      'items[2]': true,
      'items[2].n_by': 'bad',
      'items[3]': true,
      'items[3].n_by': null,
    }
    expect(referencesIn(by, image).map((one) => one.nativeId)).toEqual(['n1', 'n2'])
    expect(referencesIn(binding, { n_owner: null })).toEqual([])
    expect(referencesIn(binding, { n_email: 'a' })).toEqual([])
  })

  test('are all that the fold asks for', () => {
    fc.assert(
      fc.property(canonicals.map(imageOf), (image) => {
        const asked: string[] = []
        changedValues(entity, binding, {}, image, {
          ...references,
          keyOf: (app, of, id) => (asked.push(id) > 0 ? references.keyOf(app, of, id) : undefined),
        })
        expect(referencesIn(binding, image).map((one) => one.nativeId)).toEqual(asked)
      }),
    )
  })
})

test('elements of an image are those of its own container', () => {
  const image: Image = {
    items: true,
    'items[1]': true,
    'items[1].n_qty': 2,
    'items[%5D]': true,
    'itemsX[3]': true,
    'items[4].n_by[0]': 1,
  }
  expect(elementsOf(image, 'items').filter((path) => image[path] === true)).toEqual(['items[1]', 'items[%5D]'])
})
