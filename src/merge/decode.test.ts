import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SyncError } from '../errors/index.ts'
import type { EntityModel } from '../model/entity.ts'
import type { Image } from '../model/value.ts'
import { changedValues, elementsOf, referencesIn } from './decode.ts'
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
