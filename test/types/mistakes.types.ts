import {
  cents,
  decimal,
  decimalText,
  defineHub,
  derived,
  entity,
  enumMap,
  instant,
  key,
  latest,
  prefer,
  readOnly,
  reference,
  rowOf,
  sync,
  writeOnly,
} from 'latchwork'
import { http } from '../../src/connectors/http/config.ts'
import { z } from 'zod'

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
const desk = http({ baseUrl: 'http://desk' })
const store = http({ baseUrl: 'http://store' })
const shout = z.string().transform((text) => text.toUpperCase())

export const a = sync(customer, {
  desk: desk.resource('/customers', Row, {
    id: 'id',
    fields: {
      nme: 'full_name',
      name: 'full_nam',
      email: 'credit_cents',
      creditLimit: ['credit_cents', decimalText(2)],
      phone: ['phone', (text: string) => text],
      status: ['state', enumMap({ active: 'A', closd: 'C' })],
    },
  }),
})

export const b = sync(customer, {
  desk: desk.resource('/customers', Row, {
    id: 'idd',
    fields: {
      name: ['full_name', shout],
      email: ['full_name', shout.nullable()],
      creditLimit: ['credit_cents', z.codec(z.int(), z.string(), { decode: String, encode: Number })],
      phone: 'phone',
      status: ['state', enumMap({ active: 'A' })],
    },
  }),
})

export const c = sync(customer, {
  desk: desk.resource('/customers', Row, {
    id: 'id',
    fields: {
      name: readOnly('nope'),
      email: writeOnly(['email', (value: number) => String(value)]),
      creditLimit: readOnly(['credit_cents', (value: string) => value as never]),
      phone: derived(['first', 'lst'], (row: { first: string }) => row.first),
      status: derived(['state'], (row: { state: number }) => (row.state ? 'active' : 'closed')),
    },
  }),
})
export const c2 = sync(customer, {
  desk: desk.resource('/customers', Row, {
    id: 'id',
    fields: {
      name: [['first', 'lst'], z.codec(z.tuple([z.string(), z.string()]), z.string(), { decode: (v) => v.join(' '), encode: (v) => [v, v] as [string, string] })],
      email: 'contact.mial',
      phone: 'contact.mail',
      creditLimit: ['contact.mail', cents],
    },
  }),
})
export const d = sync(
  customer,
  {
    desk: desk.resource('/customers', Row, { id: 'id', fields: { name: 'full_name', email: 'email' } }),
    store: store.resource('/clients', { id: 'key', fields: { email: 'mail', nme: 'x' } }),
  },
  {
    conflicts: {
      default: prefer('dsk'),
      fields: {
        name: prefer('store'),
        emial: latest(),
        email: prefer('store', 'desk', 'nobody'),
      },
    },
    deletes: 'never',
  },
)
export const e = entity('e', { schema: z.object({ email: z.string() }), match: key('emial') })
export const f = entity('f', {
  schema: z.object({ email: z.string() }),
  parts: { lines: { key: 'no', schema: z.object({ lineNo: z.int() }) }, more: { schema: z.object({ lineNo: z.int() }) } },
})
interface OrderRow { id: string; who: boolean; at: string; items: { pos: number; n: string; q: number }[] }
export const g = sync(order, {
  desk: desk.resource('/orders', rowOf<OrderRow>(), {
    id: 'id',
    fields: { customer: 'who', placedAt: 'at' },
    parts: {
      lines: { from: 'items', key: 'ps', fields: { qty: 'n', lineNo: 'pos' } },
      lnes: { from: 'items', key: 'pos', fields: { qty: 'q' } },
    },
  }),
  store: store.resource('/orders', rowOf<OrderRow>(), {
    id: 'id',
    fields: {},
    parts: { lines: { from: 'item', key: 'pos', fields: { qty: 'q' } } },
    onCreat: {},
  }),
})
const hoisted = desk.resource('/customers', Row, { id: 'id', fields: { name: 'full_name' } })
export const h = sync(customer, { desk: hoisted })
export default defineHub({ apps: { desk }, sync: [d], limit: {} })
