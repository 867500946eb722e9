import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { http, unverified, webhook } from '../connectors/http/index.ts'
import {
  cents,
  decimal,
  defineHub,
  derived,
  entity,
  enumMap,
  key,
  latest,
  prefer,
  readOnly,
  reference,
  sync,
  writeOnly,
} from '../index.ts'
import type { BindingModel, FieldMapping } from '../model/entity.ts'
import { asAppId, asEntityName, asObjectId } from '../model/ids.ts'
import { type HubDefinition, hubOf, isHubDefinition } from './define-hub.ts'
import hub from './example.test-config.ts'

const bindingOf = (app: string, object: string): BindingModel => {
  const [binding] = hub.model.bindingsOf(asAppId(app), asObjectId(object))
  if (binding === undefined) throw new Error(`${app}/${object} is not bound`)
  return binding
}
const fieldOf = (binding: BindingModel, name: string): FieldMapping => {
  const found = [...binding.fields, ...binding.parts.flatMap((part) => part.fields)].find(({ field }) => field === name)
  if (found === undefined) throw new Error(`${name} is not mapped`)
  return found
}

function httpApp(hub: HubDefinition, name: string) {
  const app = hub.apps.get(asAppId(name))
  return app?.kind === 'http' ? app : undefined
}

describe('the compiled example', () => {
  const order = hub.model.entities.get(asEntityName('order'))

  test('has its entities, in the order of their applications', () => {
    expect([...hub.model.entities.keys()]).toEqual(['customer', 'product', 'order'])
    expect([...(order?.bindings.values() ?? [])].map(({ app, object, rank }) => [app, object, rank])).toEqual([
      ['desk', 'orders', 0],
      ['warehouse', 'shipments', 1],
    ])
    expect(hub.model.bindingsOf(asAppId('desk'), asObjectId('nothing'))).toEqual([])
    expect(order?.fields.customer?.reference).toBe('customer')
    expect(order?.parts.lines).toMatchObject({ name: 'lines', key: 'lineNo' })
    expect(Object.keys(order?.parts.lines?.fields ?? {})).toEqual(['lineNo', 'product', 'qty', 'price'])
    expect(hub.limits.backlogMax).toBe(50_000)
  })

  test('knows policies, deletes and what a create needs', () => {
    expect(order?.policyDefault).toEqual({ kind: 'latest', skewMs: 500 })
    expect(order?.policies).toEqual({
      status: { kind: 'prefer', apps: ['warehouse'] },
      'lines.qty': { kind: 'prefer', apps: ['desk'] },
    })
    expect(order?.deletes).toBe('default')
    expect(bindingOf('desk', 'orders').createNeeds).toEqual(['customer', 'placedAt', 'status'])
    expect(bindingOf('warehouse', 'clients').createNeeds).toEqual(['name', 'email'])
    expect(bindingOf('warehouse', 'clients').onCreate).toEqual({ creditLimit: '0.00' })
  })

  test('carries one record of the desk into the warehouse', () => {
    const desk = bindingOf('desk', 'orders')
    const warehouse = bindingOf('warehouse', 'shipments')
    const image = desk.flatten({
      id: 50_001,
      customer_id: 1007,
      placed_at: '2026-03-01T12:00:00.000Z',
      status: 'picked',
      note: null,
      lines: [{ line_no: 1, product_id: 3, quantity: 2, price_cents: 1999 }],
    })
    const native: Record<string, unknown> = {}
    for (const mapping of desk.fields) {
      const value = mapping.decode?.(image as never) ?? null
      Object.assign(native, fieldOf(warehouse, mapping.field).encode?.(value))
    }
    expect(native).toEqual({ clientId: '1007', orderedAt: '2026-03-01T12:00:00.000Z', state: 'PICKED', remark: null })
    expect(
      fieldOf(warehouse, 'price').encode?.(fieldOf(desk, 'price').decode?.({ price_cents: 1999 }) ?? null),
    ).toEqual({
      unitPrice: '19.99',
    })
  })

  test('turns ids of references into text and back into the type of the application', () => {
    const customer = fieldOf(bindingOf('desk', 'orders'), 'customer')
    expect(customer.reference).toBe('customer')
    expect(customer.decode?.({ customer_id: 1007 })).toBe('1007')
    expect(customer.encode?.('1007')).toEqual({ customer_id: 1007 })
    expect(customer.encode?.('9007199254740993')).toEqual({ customer_id: 9007199254740993n })
    expect(() => customer.encode?.('C-1')).toThrow(/mapping|not a number/)
    expect(fieldOf(bindingOf('warehouse', 'shipments'), 'customer').encode?.('C-1')).toEqual({ clientId: 'C-1' })
  })

  test('maps in one direction where it was said so', () => {
    const shown = fieldOf(bindingOf('desk', 'products'), 'stock')
    const owned = fieldOf(bindingOf('warehouse', 'items'), 'stock')
    expect([shown.direction, shown.decode]).toEqual(['out', null])
    expect([owned.direction, owned.encode]).toEqual(['in', null])
    expect(shown.encode?.(null)).toEqual({ stock_on_hand: 0 })
  })

  test('names the field and the value where a codec cannot', () => {
    const credit = fieldOf(bindingOf('desk', 'customers'), 'creditLimit')
    expect(() => credit.decode?.({ credit_cents: 'much' })).toThrow(
      expect.objectContaining({
        code: 'mapping.decode-failed',
        message: expect.stringContaining('creditLimit cannot be read from "much"'),
      }),
    )
    expect(() => credit.encode?.('1.001')).toThrow(expect.objectContaining({ code: 'mapping.encode-failed' }))
    expect(() => credit.decode?.({})).toThrow(/'credit_cents' was not sent/)
  })

  test('is a hub definition, and other things are none', () => {
    expect(isHubDefinition(hub)).toBe(true)
    expect(hubOf(hub, 'latchwork.config.ts')).toBe(hub)
    expect(() => hubOf({ model: {} }, 'latchwork.config.ts')).toThrow(
      expect.objectContaining({ code: 'config.not-a-hub' }),
    )
  })

  test('is plain data for its connectors, with secrets still as names', () => {
    const { options } = httpApp(hub, 'desk') ?? {}
    expect(structuredClone(options)).toEqual(options)
    expect(options?.auth).toEqual({ kind: 'bearer', token: { env: 'DESK_TOKEN' } })
    expect(options?.resources.map(({ object, idType, path }) => [object, idType, path])).toEqual([
      ['customers', 'number', '/customers'],
      ['products', 'number', '/products'],
      ['orders', 'number', '/orders'],
    ])
  })
})

/** A small config, given as JavaScript users give it: without the compiler. */
// biome-ignore lint/suspicious/noExplicitAny: what the compiler would refuse is what is tried here.
type Any = any

const build = (change: (parts: Any) => void = () => {}): Any => {
  const left = http({ baseUrl: 'http://left' }) as Any
  const right = http({ baseUrl: 'http://right' }) as Any
  const parts: Any = {
    left,
    right,
    name: 'item',
    schema: z.object({ sku: z.string(), title: z.string(), price: decimal(2) }),
    entity: {
      match: key('sku'),
      parts: { sizes: { key: 'code', schema: z.object({ code: z.string(), stock: z.int() }) } },
    },
    row: z.object({
      id: z.int(),
      sku: z.string(),
      title: z.string(),
      cents: z.int(),
      sizes: z.array(z.object({ code: z.string(), n: z.int() })),
    }),
    atLeft: {
      id: 'id',
      fields: { sku: 'sku', title: 'title', price: ['cents', cents] },
      parts: { sizes: { from: 'sizes', key: 'code', fields: { stock: 'n' } } },
    },
    atRight: { id: 'key', fields: { sku: 'code', title: 'text', price: 'price' } },
    options: {},
    apps: { left, right },
    more: {},
  }
  change(parts)
  const item = entity(parts.name, { schema: parts.schema, ...parts.entity })
  const bindings = parts.bindings ?? {
    left: left.resource('/items', parts.row, parts.atLeft),
    right: right.resource('/articles', parts.atRight),
  }
  const syncs = parts.syncs?.(item, bindings) ?? [sync(item, bindings, parts.options)]
  return defineHub({ apps: parts.apps, sync: syncs, ...parts.more })
}

test('the small config is right as it stands', () => {
  expect(isHubDefinition(build())).toBe(true)
})

test.each<[string, (parts: Any) => void, RegExp, string?]>([
  [
    'an unknown key of the hub',
    (p) => {
      p.more.limit = {}
    },
    /defineHub: 'limit' is not known here\. Did you mean 'limits'\?/,
    'config.unknown-key',
  ],
  [
    'an unknown limit',
    (p) => {
      p.more.limits = { backlogMx: 1 }
    },
    /limits: 'backlogMx'.*'backlogMax'/,
    'config.unknown-key',
  ],
  [
    'a limit that is no number',
    (p) => {
      p.more.limits = { backlogMax: 0 }
    },
    /limits\.backlogMax/,
  ],
  [
    'an unknown key of an entity',
    (p) => {
      p.entity.mtch = key('sku')
    },
    /entity item: 'mtch'.*'match'/,
    'config.unknown-key',
  ],
  [
    'an unknown key of a resource',
    (p) => {
      p.atLeft.verson = 'rev'
    },
    /'verson'.*'version'/,
    'config.unknown-key',
  ],
  [
    'an unknown key of a part',
    (p) => {
      p.atLeft.parts.sizes.form = 'x'
    },
    /'form'.*'from'/,
    'config.unknown-key',
  ],
  [
    'an unknown key of a sync',
    (p) => {
      p.options.conflict = {}
    },
    /sync item: 'conflict'.*'conflicts'/,
    'config.unknown-key',
  ],
  [
    'an unknown key of conflicts',
    (p) => {
      p.options.conflicts = { field: {} }
    },
    /'field'.*'fields'/,
    'config.unknown-key',
  ],
  [
    'no applications',
    (p) => {
      p.apps = undefined
    },
    /apps: the applications are missing/,
  ],
  [
    'something else as an application',
    (p) => {
      p.apps = { left: {} }
    },
    /apps\.left: this is not an application/,
  ],
  [
    'one application twice',
    (p) => {
      p.apps = { left: p.left, right: p.right, again: p.left }
    },
    /apps\.again: it is the same application as apps\.left/,
  ],
  [
    'an application that is not in apps',
    (p) => {
      p.apps = { lft: p.left, right: p.right }
    },
    /item\.left: 'left' is not an application.*Did you mean 'lft'/,
  ],
  [
    'a binding under another name',
    (p) => {
      p.apps = { left: p.right, right: p.left }
    },
    /item\.left: 'items' belongs to the application right/,
  ],
  [
    'a binding of a stranger',
    (p) => {
      p.apps = { left: http({ baseUrl: 'x' }), right: p.right }
    },
    /belongs to an application that is not in apps/,
  ],
  [
    'something else as a sync',
    (p) => {
      p.syncs = () => [{}]
    },
    /sync\[0\]: this is not a sync/,
  ],
  [
    'something else as a binding',
    (p) => {
      p.bindings = { left: {} }
    },
    /sync item\.left: this is not a binding/,
  ],
  [
    'an entity twice',
    (p) => {
      p.syncs = (item: Any, bindings: Any) => [sync(item, bindings), sync(item, bindings)]
    },
    /sync\[1\]: the entity 'item' is there already/,
  ],
  [
    'an unknown canonical field',
    (p) => {
      p.atLeft.fields.titel = 'title'
    },
    /item\.left\.fields: 'titel' is not a field of item\. Did you mean 'title'/,
  ],
  [
    'an unknown native field',
    (p) => {
      p.atLeft.fields.title = 'titel'
    },
    /item\.left\.fields\.title: 'titel' is not a field of this application's records\. Did you mean 'title'/,
  ],
  [
    'an unknown id field',
    (p) => {
      p.atLeft.id = 'idd'
    },
    /items\.id: 'idd' is not a field/,
  ],
  [
    'an inherited name as a field',
    (p) => {
      p.atLeft.fields = JSON.parse('{"__proto__":"sku"}')
    },
    /'__proto__' is not a field/,
  ],
  [
    'a field of the entity named __proto__',
    (p) => {
      p.schema = JSON.parse('{"__proto__":1}')
    },
    /'__proto__' cannot be a name/,
  ],
  [
    'a native name with __proto__ in it',
    (p) => {
      p.atRight.fields.title = 'a.__proto__.b'
    },
    /cannot be a name/,
  ],
  [
    'a control character',
    (p) => {
      p.name = 'it\u0000em'
    },
    /control character/,
  ],
  [
    'a name that is too long',
    (p) => {
      p.name = 'x'.repeat(201)
    },
    /at most 200 characters, this has 201/,
  ],
  [
    'a dot in a canonical name',
    (p) => {
      p.name = 'a.b'
    },
    /dot or a bracket/,
  ],
  [
    'a function without inverse',
    (p) => {
      p.atRight.fields.title = ['text', (value: string) => value]
    },
    /fields\.title: this conversion has no inverse.*z\.codec/,
  ],
  [
    'a transform',
    (p) => {
      p.atRight.fields.title = ['text', z.string().transform((value) => value)]
    },
    /no inverse/,
  ],
  [
    'a transform in a pipe',
    (p) => {
      p.atRight.fields.title = [
        'text',
        z
          .string()
          .pipe(z.transform((value) => value))
          .pipe(z.string()),
      ]
    },
    /no inverse/,
  ],
  [
    'a transform under nullable and optional',
    (p) => {
      p.atRight.fields.title = [
        'text',
        z
          .string()
          .transform((value) => value)
          .nullable()
          .optional(),
      ]
    },
    /no inverse/,
  ],
  [
    'a transform in a list in an object',
    (p) => {
      p.atRight.fields.title = ['text', z.object({ a: z.array(z.string().transform((value) => value)) })]
    },
    /no inverse/,
  ],
  [
    'a transform that is only written',
    (p) => {
      p.atRight.fields.title = writeOnly(['text', z.string().transform((value) => value)])
    },
    /no inverse/,
  ],
  [
    'a codec by its functions alone',
    (p) => {
      p.atRight.fields.title = ['text', { decode: String, encode: String }]
    },
    /neither a codec nor a function/,
  ],
  [
    'something else as a mapping',
    (p) => {
      p.atRight.fields.title = 7
    },
    /this is not a mapping/,
  ],
  [
    'a native field written twice',
    (p) => {
      p.atRight.fields.title = 'code'
    },
    /'code' is already written by 'sku'/,
  ],
  [
    'a match on a field that an application lacks',
    (p) => {
      delete p.atRight.fields.sku
      p.atRight.createHere = false
      p.atLeft.createHere = false
    },
    /item\.match: 'sku' is not mapped both ways in right/,
  ],
  [
    'a match on a field that is only read',
    (p) => {
      p.atRight.fields.sku = readOnly('code')
    },
    /'sku' is not mapped both ways in right/,
  ],
  [
    'a match on an unknown field',
    (p) => {
      p.entity.match = { kind: 'key', fields: ['sk'] }
    },
    /item\.match: 'sk' is not a field.*'sku'/,
  ],
  [
    'a match that is no key',
    (p) => {
      p.entity.match = 'sku'
    },
    /this is not a key/,
  ],
  [
    'two applications that only tell',
    (p) => {
      p.atLeft.fields.title = readOnly('title')
      p.atRight.fields.title = derived(['text'], () => 'x')
    },
    /item\.right\.fields\.title: it is read-only here and in left/,
  ],
  [
    'a required field that nobody supplies',
    (p) => {
      delete p.atRight.fields.title
    },
    /item\.left\.fields\.title: a new record needs 'title' here/,
  ],
  [
    'a policy for an unknown application',
    (p) => {
      p.options.conflicts = { default: prefer('lft' as never) }
    },
    /item\.conflicts\.default: 'lft' is not an application.*'left'/,
  ],
  [
    'a policy for an application without the field',
    (p) => {
      p.options.conflicts = { fields: { 'sizes.stock': prefer('right' as never) } }
    },
    /sizes\.stock: 'right' is not an application that has this field/,
  ],
  [
    'a policy for an unknown field',
    (p) => {
      p.options.conflicts = { fields: { titel: latest() } }
    },
    /item\.conflicts\.fields: 'titel'.*'title'/,
    'config.unknown-key',
  ],
  [
    'a policy that is none',
    (p) => {
      p.options.conflicts = { default: 'left' }
    },
    /this is not a policy/,
  ],
  [
    'a policy without applications',
    (p) => {
      p.options.conflicts = { default: prefer() }
    },
    /names no application/,
  ],
  [
    'an unknown delete policy',
    (p) => {
      p.options.deletes = 'delete-win'
    },
    /item\.deletes: 'delete-win'.*'delete-wins'/,
  ],
  [
    'an unknown part',
    (p) => {
      p.atLeft.parts.size = p.atLeft.parts.sizes
    },
    /item\.left\.parts: 'size' is not a part of item.*'sizes'/,
  ],
  [
    'a part without a key',
    (p) => {
      delete p.entity.parts.sizes.key
    },
    /item\.sizes: a part needs a key/,
  ],
  [
    'a part whose key is no field',
    (p) => {
      p.entity.parts.sizes.key = 'cod'
    },
    /item\.sizes\.key: 'cod' is not a field of this part.*'code'/,
  ],
  [
    'a part whose key may be missing',
    (p) => {
      p.entity.parts.sizes.schema = z.object({ code: z.string().nullable(), stock: z.int() })
    },
    /'code' may be missing/,
  ],
  [
    'a part without a native key',
    (p) => {
      delete p.atLeft.parts.sizes.key
    },
    /the part has no key here/,
  ],
  [
    'a part whose key is mapped again',
    (p) => {
      p.atLeft.parts.sizes.fields.code = 'code'
    },
    /'code' is the key of the part/,
  ],
  [
    'a reference to an unknown entity',
    (p) => {
      p.schema = z.object({ sku: z.string(), parent: reference('itm') })
    },
    /item\.parent: 'itm' is not an entity of this hub\. Did you mean 'item'/,
  ],
  [
    'an onCreate of an unknown native field',
    (p) => {
      p.atLeft.onCreate = { colour: 'red' }
    },
    /item\.left\.onCreate: 'colour' is not a field/,
  ],
  [
    'an onCreate that is nested',
    (p) => {
      p.atRight.onCreate = { a: { b: 1 } }
    },
    /a single value is needed/,
  ],
  [
    'a flag that is no boolean',
    (p) => {
      p.atRight.createHere = 'no'
    },
    /createHere: no is not a boolean/,
  ],
  [
    'conditional writes without a version',
    (p) => {
      p.atRight.conditional = true
    },
    /there is no version to write against/,
  ],
  [
    'one webhook path in two places',
    (p) => {
      p.atLeft.notify = p.atRight.notify = webhook('/hooks', { verify: unverified() })
    },
    /apps\.right: the path \/hooks already belongs to left/,
  ],
  [
    'a float',
    (p) => {
      p.schema = z.object({ sku: z.string(), title: z.string(), price: z.number() })
    },
    /item\.price: a plain number is a float/,
  ],
  [
    'a schema without fields',
    (p) => {
      p.schema = z.string()
    },
    /item: its schema is a string/,
  ],
])('refuses %s', (_name, change, message, code = 'config.invalid') => {
  expect(() => build(change)).toThrow(
    expect.objectContaining({ name: 'SyncError', code, message: expect.stringMatching(message) }),
  )
})

test('refuses a reference to an entity that is not synced in that application', () => {
  const left = http({ baseUrl: 'http://left' })
  const right = http({ baseUrl: 'http://right' })
  const owner = entity('owner', { schema: z.object({ name: z.string() }) })
  const pet = entity('pet', { schema: z.object({ owner: reference(owner) }) })
  const pets = { id: 'id', fields: { owner: 'owner_id' } } as const
  const make = () =>
    defineHub({
      apps: { left, right },
      sync: [
        sync(owner, { left: left.resource('/owners', { id: 'id', fields: { name: 'name' } }) }),
        sync(pet, { left: left.resource('/pets', pets), right: right.resource('/pets', pets) }),
      ],
    })
  expect(make).toThrow(/pet\.right\.fields\.owner: it refers to the entity owner, which is not synced in right/)
})

describe('what is right', () => {
  test('a field that only some applications have, with a value for new records', () => {
    const made = build((p) => {
      delete p.atRight.fields.title
      p.atLeft.onCreate = { title: 'untitled' }
    })
    expect(made.model.entities.get('item').bindings.get('left').createNeeds).toEqual(['sku', 'price'])
  })

  test('an application in which nothing is created', () => {
    const made = build((p) => {
      delete p.atRight.fields.title
      p.atLeft.createHere = false
      p.atRight.adoptHere = false
    })
    const { bindings } = made.model.entities.get('item')
    expect([bindings.get('left').createHere, bindings.get('right').adoptHere]).toEqual([false, false])
  })

  test('two entities on one object', () => {
    const app = http({ baseUrl: 'http://left' })
    const first = entity('first', { schema: z.object({ a: z.string() }) })
    const second = entity('second', { schema: z.object({ b: z.string() }) })
    const made = defineHub({
      apps: { app },
      sync: [
        sync(first, { app: app.resource('/both', { id: 'id', fields: { a: 'a' } }) }),
        sync(second, { app: app.resource('/both', { id: 'id', fields: { b: 'b' } }) }),
      ],
    })
    expect(made.model.bindingsOf(asAppId('app'), asObjectId('both')).map(({ entity: name }) => name)).toEqual([
      'first',
      'second',
    ])
    expect(httpApp(made, 'app')?.options.resources).toHaveLength(1)
  })

  test('several native fields in one, with a codec over the list', () => {
    const name = z.codec(z.tuple([z.string(), z.string()]), z.string(), {
      decode: ([first, last]) => `${first} ${last}`,
      encode: (text): [string, string] => [text.split(' ')[0] ?? '', text.split(' ')[1] ?? ''],
    })
    const made = build((p) => {
      p.atRight.fields.title = [['first', 'last'], name]
    })
    const mapping = made.model.entities.get('item').bindings.get('right').fields[1]
    expect(mapping.natives).toEqual(['first', 'last'])
    expect(mapping.decode({ first: 'Ada', last: 'Byron' })).toBe('Ada Byron')
    expect(mapping.encode('Ada Byron')).toEqual({ first: 'Ada', last: 'Byron' })
    expect(() => mapping.decode({ first: 'Ada' })).toThrow(expect.objectContaining({ code: 'mapping.decode-failed' }))
  })

  test('null, which passes a codec that does not speak of it', () => {
    const empty = z.codec(z.string(), z.string().nullable(), {
      decode: (text) => text || null,
      encode: (text) => text ?? '',
    })
    const made = build((p) => {
      p.schema = z.object({ sku: z.string(), title: z.string().nullable(), price: decimal(2).nullable() })
      p.atRight.fields = { sku: 'code', title: ['text', empty], price: ['cents', cents] }
    })
    const [, title, price] = made.model.entities.get('item').bindings.get('right').fields
    expect([price.decode({ cents: null }), price.encode(null)]).toEqual([null, { cents: null }])
    expect([title.decode({ text: '' }), title.encode(null)]).toEqual([null, { text: '' }])
  })

  test('the version of the mapping is the same for the same shape, and another for another', () => {
    const version = (change?: (parts: Any) => void) => build(change).model.mappingVersion
    expect(version()).toBe(version())
    expect(version()).toBe(
      version((p) => {
        p.options.conflicts = { default: latest() }
      }),
    )
    const versions = [
      version(),
      version((p) => {
        p.atRight.fields.title = 'label'
      }),
      version((p) => {
        p.atRight.fields.title = readOnly('text')
      }),
      version((p) => {
        p.atRight.fields.title = ['text', enumMap({ a: 'A' })]
      }),
      version((p) => {
        p.schema = z.object({ sku: z.string(), title: z.string().nullable(), price: decimal(2) })
      }),
      version((p) => {
        p.schema = z.object({ sku: z.string(), title: z.string(), price: decimal(3) })
      }),
      version((p) => {
        p.atLeft.parts.sizes.from = 'sizes'
        p.entity.parts.sizes.key = 'code'
        delete p.atLeft.parts.sizes.fields.stock
      }),
    ]
    expect(new Set(versions).size).toBe(versions.length)
    for (const each of versions) expect(each).toBeLessThan(2 ** 31)
  })
})
