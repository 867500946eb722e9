/**
 * Keeps an order desk and a warehouse equal: customers are clients there, products are items, orders are shipments.
 *
 *     latchwork start --config examples/demo/latchwork.config.ts
 *
 * postgres.config.ts beside it does the same with the order desk's database in the place of its API.
 *
 * With LEGACY_WAREHOUSE=1 the warehouse is taken for the older kind of API that it then has: no revisions, no conditions, no idempotency keys, no
 * external ids, and notifications that hold nothing but an id.
 */

import {
  cents,
  decimal,
  decimalText,
  defineHub,
  entity,
  enumMap,
  env,
  instant,
  key,
  latest,
  prefer,
  readOnly,
  reference,
  sync,
  writeOnly,
} from 'latchwork'
import { bearer, header, hmac, http, poll, webhook } from 'latchwork/connectors/http'
import { z } from 'zod'
import { Client, DeskCustomer, DeskOrder, DeskProduct, Item, Shipment } from './records.ts'

// What both applications agree on, in words of neither.

export const customer = entity('customer', {
  schema: z.object({
    name: z.string().min(1),
    email: z.string(),
    phone: z.string().nullable(),
    city: z.string().nullable(),
    creditLimit: decimal(2),
  }),
  match: key('email'),
})

export const product = entity('product', {
  schema: z.object({ sku: z.string(), title: z.string(), price: decimal(2), stock: z.int() }),
  match: key('sku'),
})

export const order = entity('order', {
  schema: z.object({
    customer: reference(customer),
    placedAt: instant(),
    status: z.enum(['new', 'confirmed', 'picked', 'shipped', 'cancelled']),
    note: z.string().nullable(),
  }),
  parts: {
    lines: {
      key: 'lineNo',
      schema: z.object({ lineNo: z.int(), product: reference(product), quantity: z.int(), price: decimal(2) }),
    },
  },
})

// The two applications, and how each tells of changes.

const desk = http({ baseUrl: env('DESK_URL'), auth: bearer(env('DESK_TOKEN')) })
export const warehouse = http({ baseUrl: env('WAREHOUSE_URL'), auth: bearer(env('WAREHOUSE_TOKEN')) })

/** Mail addresses are the same whatever their letter case; the warehouse keeps them in lower case, and the desk as they are typed. */
export const address = z.codec(z.string(), z.string(), {
  decode: (typed) => typed.toLowerCase(),
  encode: (kept) => kept,
})

export const isLegacy = process.env.LEGACY_WAREHOUSE === '1'

/** A signed notification of one record. Each has an id of its own, so that one sent twice is handled once. */
export const told = (path: string, secret: string, idOnly = false) =>
  webhook(path, {
    verify: hmac({ header: 'X-Signature', prefix: 'sha256=', secret: env(secret), timestamp: 'X-Timestamp' }),
    deliveryId: header('X-Event-Id'),
    record: 'data',
    idOnly,
    deleted: { at: 'data.deleted', equals: true },
  })

/** The first load, and a look every half minute for whatever no notification told. */
const changes = poll({
  cursorParam: 'updated_since',
  firstCursor: '0',
  next: 'next',
  limitParam: 'limit',
  deletedField: 'deleted',
  everyMs: 30_000,
})

const atDesk = {
  id: 'id',
  version: 'rev',
  updatedAt: 'updated_at',
  externalId: 'ext_ref',
  conditional: true,
  idempotency: 'all',
  poll: changes,
} as const

const current = { version: 'rev', externalId: 'extRef', conditional: true, idempotency: 'all' } as const
export const inWarehouse = { updatedAt: 'changedAt', poll: changes, ...(isLegacy ? {} : current) } as const

// What is kept equal.

const customers = sync(
  customer,
  {
    desk: desk.resource('/customers', DeskCustomer, {
      ...atDesk,
      notify: told('/hooks/desk/customers', 'DESK_SECRET'),
      fields: {
        name: 'full_name',
        email: ['email', address],
        phone: 'phone',
        city: 'city',
        creditLimit: ['credit_cents', cents],
      },
    }),
    warehouse: warehouse.resource('/clients', Client, {
      ...inWarehouse,
      id: 'clientId',
      notify: told('/hooks/warehouse/clients', 'WAREHOUSE_SECRET', isLegacy),
      fields: {
        name: 'displayName',
        email: 'mail',
        phone: 'phoneNumber',
        city: 'town',
        creditLimit: ['creditLimit', decimalText(2)],
      },
    }),
  },
  // Two people change the same field at once: the later one stands, but credit is the desk's to say. The other value is in the conflict log.
  { conflicts: { default: latest(), fields: { creditLimit: prefer('desk') } } },
)

const products = sync(
  product,
  {
    desk: desk.resource('/products', DeskProduct, {
      ...atDesk,
      notify: told('/hooks/desk/products', 'DESK_SECRET'),
      fields: { sku: 'sku', title: 'title', price: ['price_cents', cents], stock: writeOnly('stock_on_hand') },
    }),
    warehouse: warehouse.resource('/items', Item, {
      ...inWarehouse,
      id: 'itemId',
      notify: told('/hooks/warehouse/items', 'WAREHOUSE_SECRET', isLegacy),
      fields: { sku: 'sku', title: 'description', price: ['unitPrice', decimalText(2)], stock: readOnly('stock') },
    }),
  },
  { conflicts: { default: latest(), fields: { price: prefer('desk') } } },
)

const orders = sync(
  order,
  {
    desk: desk.resource('/orders', DeskOrder, {
      ...atDesk,
      notify: told('/hooks/desk/orders', 'DESK_SECRET'),
      fields: { customer: 'customer_id', placedAt: 'placed_at', status: 'status', note: 'note' },
      parts: {
        lines: {
          from: 'lines',
          key: 'line_no',
          fields: { product: 'product_id', quantity: 'quantity', price: ['price_cents', cents] },
        },
      },
    }),
    warehouse: warehouse.resource('/shipments', Shipment, {
      ...inWarehouse,
      id: 'shipmentId',
      notify: told('/hooks/warehouse/shipments', 'WAREHOUSE_SECRET', isLegacy),
      fields: {
        customer: 'clientId',
        placedAt: 'orderedAt',
        status: [
          'state',
          enumMap({ new: 'OPEN', confirmed: 'RELEASED', picked: 'PICKED', shipped: 'SENT', cancelled: 'VOID' }),
        ],
        note: 'remark',
      },
      parts: {
        lines: {
          from: 'lines',
          key: 'pos',
          fields: { product: 'itemId', quantity: 'qty', price: ['unitPrice', decimalText(2)] },
        },
      },
    }),
  },
  { conflicts: { default: latest(), fields: { status: prefer('warehouse') } } },
)

export default defineHub({
  apps: { desk, warehouse },
  sync: [customers, products, orders],
  // What both hold at the start is made up, and is to come together before one's eyes. With real data, leave this out and ask `latchwork rehearse` first.
  // And the made-up users delete at the speed of a machine, which is what the brake on deletes is for.
  brakes: { firstContactCreates: 'off', deletes: 'off' },
})
