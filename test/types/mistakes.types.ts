import {
  addRemove,
  cents,
  counter,
  decimal,
  decimalText,
  defineHub,
  derived,
  entity,
  enumMap,
  flow,
  instant,
  key,
  latest,
  lossy,
  manual,
  merge,
  prefer,
  readOnly,
  reference,
  rowOf,
  sync,
  writeOnly,
} from 'latchwork'
import { http, post, webhook } from 'latchwork/connectors/http'
import { z } from 'zod'

/**
 * Mistakes that the compiler finds. Each stands under a comment with the text that its error must hold; the comment makes `tsc` fail
 * when there is no error on that line, and mistakes.test.ts compares the texts.
 */

const customer = entity('customer', {
  schema: z.object({
    name: z.string(),
    email: z.email(),
    creditLimit: decimal(2),
    phone: z.string().nullable(),
    status: z.enum(['active', 'closed']),
  }),
  match: key('email'),
})
const order = entity('order', {
  schema: z.object({ customer: reference(customer), placedAt: instant() }),
  parts: { lines: { key: 'lineNo', schema: z.object({ lineNo: z.int(), qty: z.int() }) } },
})

const Row = z.object({
  id: z.int(),
  full_name: z.string(),
  first: z.string(),
  last: z.string(),
  email: z.string(),
  credit_cents: z.int(),
  phone: z.string(),
  state: z.enum(['A', 'C']),
  contact: z.object({ mail: z.string() }).nullable(),
})
interface OrderRow {
  id: string
  who: boolean
  buyer: string
  at: string
  items: { pos: number; name: string; count: number }[]
}

const desk = http({ baseUrl: 'http://desk' })
const store = http({ baseUrl: 'http://store' })
const shout = z.string().transform((text) => text.toUpperCase())
const joined = z.codec(z.tuple([z.string(), z.string()]), z.string(), {
  decode: ([first, last]) => `${first} ${last}`,
  encode: (name): [string, string] => [name, ''],
})

export const fields = sync(customer, {
  desk: desk.resource('/customers', Row, {
    // @ts-expect-error Type '"idd"' is not assignable to type
    id: 'idd',
    fields: {
      // @ts-expect-error 'nme' is not a field of this entity
      nme: 'full_name',
      // @ts-expect-error 'full_nam' is not a field of this application's records
      name: 'full_nam',
      // @ts-expect-error 'credit_cents' is number, 'email' is string: give ['credit_cents', codec]
      email: 'credit_cents',
      // @ts-expect-error this codec takes string, 'credit_cents' is number
      creditLimit: ['credit_cents', decimalText(2)],
      // @ts-expect-error this conversion has no inverse: give a z.codec, or say readOnly() or writeOnly()
      phone: ['phone', (text: string) => text],
      // @ts-expect-error 'status' has 'closed', this codec has not
      status: ['state', enumMap({ active: 'A', closd: 'C' })],
    },
  }),
})

export const conversions = sync(customer, {
  desk: desk.resource('/customers', Row, {
    id: 'id',
    fields: {
      // @ts-expect-error this conversion has no inverse
      name: ['full_name', shout],
      // @ts-expect-error this conversion has no inverse
      email: ['full_name', shout.nullable().optional()],
      // @ts-expect-error this codec gives string, 'creditLimit' is decimal(2)
      creditLimit: ['credit_cents', z.codec(z.int(), z.string(), { decode: String, encode: Number })],
      // @ts-expect-error 'phone' is string, 'phone' is string or null
      phone: 'phone',
      // @ts-expect-error this conversion has no inverse
      status: ['state', z.array(z.object({ a: shout }))],
    },
  }),
})

export const losing = sync(customer, {
  desk: desk.resource('/customers', Row, {
    id: 'id',
    fields: {
      // @ts-expect-error this conversion has no inverse
      name: lossy(['full_name', shout]),
      // @ts-expect-error 'nope' is not a field of this application's records
      email: lossy('nope'),
    },
  }),
})

export const oneWay = sync(customer, {
  desk: desk.resource('/customers', Row, {
    id: 'id',
    fields: {
      // @ts-expect-error 'nope' is not a field of this application's records
      name: readOnly('nope'),
      // @ts-expect-error this function takes number, 'email' is string
      email: writeOnly(['email', (value: number) => String(value)]),
      // @ts-expect-error this function gives string, 'creditLimit' is decimal(2)
      creditLimit: readOnly(['credit_cents', (value: number) => String(value)]),
      // @ts-expect-error 'lst' is not a field of this application's records
      phone: derived(['first', 'lst'], (row: { first: string }) => row.first),
      // @ts-expect-error the type written at the parameter of derived() is not that of these native fields
      status: derived(['state'], (row: { state: number }) => (row.state > 0 ? 'active' : 'closed')),
    },
  }),
})

export const nested = sync(customer, {
  desk: desk.resource('/customers', Row, {
    id: 'id',
    fields: {
      // @ts-expect-error 'lst' is not a field of this application's records
      name: [['first', 'lst'], joined],
      // @ts-expect-error 'contact.mial' is not a field of this application's records
      email: 'contact.mial',
      phone: 'contact.mail',
      // @ts-expect-error this codec takes number, 'contact.mail' is string or null
      creditLimit: ['contact.mail', cents],
      // @ts-expect-error this function gives boolean, 'status' is fixed words
      status: derived(['state'], () => true),
    },
    // @ts-expect-error Type 'string' is not assignable to type 'number'
    onCreate: { credit_cents: '0' },
  }),
  store: store.resource('/clients', {
    id: 'key',
    fields: {
      email: 'mail',
      // @ts-expect-error 'nme' is not a field of this entity
      nme: 'displayName',
      // @ts-expect-error this codec gives decimal(2), 'name' is string
      name: ['displayName', cents],
    },
  }),
})

export const policies = sync(
  customer,
  {
    desk: desk.resource('/customers', Row, { id: 'id', fields: { name: 'full_name', email: 'email' } }),
    store: store.resource('/clients', { id: 'key', fields: { email: 'mail' } }),
  },
  {
    conflicts: {
      // @ts-expect-error Argument of type '"dsk"' is not assignable to parameter of type '"desk" | "store"'
      default: prefer('dsk'),
      fields: {
        // @ts-expect-error Argument of type '"store"' is not assignable to parameter of type '"desk"'
        name: prefer('store'),
        // @ts-expect-error Did you mean to write 'email'?
        emial: latest(),
        // @ts-expect-error Argument of type '"nobody"' is not assignable to parameter of type '"desk" | "store"'
        email: prefer('store', 'desk', 'nobody'),
      },
    },
    // @ts-expect-error Type '"never"' is not assignable to type
    deletes: 'never',
  },
)

const article = entity('article', {
  schema: z.object({ title: z.string(), stock: z.int(), price: decimal(2), tags: z.array(z.string()) }),
  parts: { sizes: { key: 'no', schema: z.object({ no: z.int(), qty: z.int(), label: z.string() }) } },
})
export const merges = sync(
  article,
  {
    desk: desk.resource('/articles', { id: 'id', fields: { title: 't', stock: 's', price: 'p', tags: 'g' } }),
  },
  {
    conflicts: {
      // @ts-expect-error Type 'Counter' is not assignable to type
      default: counter(),
      fields: {
        // @ts-expect-error Type 'Counter' is not assignable to type
        title: counter(),
        // @ts-expect-error Type 'AddRemove' is not assignable to type
        stock: addRemove(),
        // @ts-expect-error Type 'number' is not assignable to type 'Decimal<2>'
        price: merge(() => 12),
        // @ts-expect-error Type 'Counter' is not assignable to type
        tags: counter(),
        // @ts-expect-error Type 'AddRemove' is not assignable to type
        'sizes.qty': addRemove(),
        // @ts-expect-error Property 'toFixed' does not exist on type 'string'
        'sizes.label': merge(({ incoming }) => incoming.value.toFixed(2)),
        // @ts-expect-error Type 'Manual' is not assignable to type
        sizes: manual(),
      },
    },
  },
)

export const wrongMatch = entity('client', {
  schema: z.object({ email: z.string() }),
  // @ts-expect-error 'emial' is not a field of this entity
  match: key('emial'),
})
export const wrongSchema = entity('client', {
  // @ts-expect-error this schema converts (transform)
  schema: z.object({ email: z.string(), size: shout.optional() }),
})
export const wrongParts = entity('client', {
  schema: z.object({ email: z.string() }),
  parts: {
    lines: {
      // @ts-expect-error 'no' is not a field of this part
      key: 'no',
      schema: z.object({ lineNo: z.int() }),
    },
    // @ts-expect-error a part needs a key: the field that tells its elements apart
    more: { schema: z.object({ lineNo: z.int() }) },
  },
})

export const parts = sync(order, {
  desk: desk.resource('/orders', rowOf<OrderRow>(), {
    id: 'id',
    fields: {
      // @ts-expect-error 'who' is boolean, the id of a referred record is text or a number
      customer: 'who',
      // @ts-expect-error 'at' is string, 'placedAt' is instant: give ['at', codec]
      placedAt: 'at',
    },
    parts: {
      lines: {
        from: 'items',
        // @ts-expect-error 'ps' is not a field of this application's records
        key: 'ps',
        fields: {
          // @ts-expect-error 'name' is string, 'qty' is number: give ['name', codec]
          qty: 'name',
          // @ts-expect-error 'lineNo' is the key of this part, which 'key' maps already
          lineNo: 'pos',
        },
      },
      lnes: {
        // @ts-expect-error 'lnes' is not a part of this entity
        from: 'items',
        key: 'pos',
        fields: { qty: 'count' },
      },
    },
  }),
  store: store.resource('/orders', rowOf<OrderRow>(), {
    id: 'id',
    fields: { customer: 'buyer' },
    parts: {
      lines: {
        // @ts-expect-error 'item' is not a list in this application's records
        from: 'item',
        key: 'pos',
        fields: { qty: 'count' },
      },
    },
  }),
})

export const unknownKeys = sync(customer, {
  desk: desk.resource('/customers', Row, {
    id: 'id',
    fields: { name: 'full_name' },
    // @ts-expect-error 'onCreat' does not exist in type
    onCreat: {},
  }),
  store: store.resource('/clients', Row, {
    id: 'id',
    fields: { name: 'full_name' },
    // @ts-expect-error Property 'verify' is missing
    notify: webhook('/hooks/clients', {}),
  }),
})

const hoisted = desk.resource('/customers', Row, {
  id: 'id',
  fields: {
    // @ts-expect-error a binding alone has no entity: write it inside sync(...)
    name: 'full_name',
  },
})
// @ts-expect-error Type 'Binding<EntityTypes, "name">' is not assignable to type
export const late = sync(customer, { desk: hoisted })

const AddressOut = z.object({ ok: z.boolean() })

export const someWays = flow('some-ways', {
  listen: post('/some-ways'),
  input: z.object({ zip: z.string() }),
  output: AddressOut,
  // @ts-expect-error Type 'undefined' is not assignable to type '{ ok: boolean; }'
  run: async ({ message }) => {
    if (message.body.zip !== '') return { ok: true }
    return
  },
})

export const noWay = flow('no-way', {
  output: AddressOut,
  // @ts-expect-error Type 'void' is not assignable to type
  run: () => {},
})

export const otherType = flow('other-type', {
  output: AddressOut,
  // @ts-expect-error Type 'string' is not assignable to type 'boolean'
  run: async () => ({ ok: 'yes' }),
})

export const otherInput = flow('other-input', {
  input: z.object({ zip: z.string() }),
  // @ts-expect-error Property 'zp' does not exist on type '{ zip: string; }'
  run: ({ message }) => message.body.zp,
})

const Client = z.object({ id: z.string(), city: z.string() })

export const otherRecord = flow('other-record', {
  apps: { clients: store.object('/clients', Client, { id: 'id' }) },
  run: async ({ apps }) => {
    // @ts-expect-error 'town' does not exist in type
    await apps.clients.update('1', { town: 'Ulm' })
    // @ts-expect-error Property 'orders' does not exist on type
    await apps.orders.read('1')
  },
})

export const otherId = store.object('/clients', Client, {
  // @ts-expect-error Did you mean '"id"'?
  id: 'ID',
})

export const unknownOption = flow('unknown-option', {
  run: () => null,
  // @ts-expect-error 'retry' does not exist in type
  retry: { attemptsMax: 3 },
})

export default defineHub({
  apps: { desk, store },
  sync: [policies],
  // @ts-expect-error Did you mean to write 'limits'?
  limit: {},
})
