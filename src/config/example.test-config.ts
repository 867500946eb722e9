import { z } from 'zod'
import { apiKey, bearer, etag, header, hmac, http, poll, webhook } from '../connectors/http/index.ts'
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
} from '../index.ts'

/** A complete config of two applications with parts and references, as a user would write it; the tests of this folder use it. */

const desk = http({ baseUrl: env('DESK_URL'), auth: bearer(env('DESK_TOKEN')) })
const warehouse = http({ baseUrl: env('WAREHOUSE_URL'), auth: apiKey('X-Api-Key', env('WAREHOUSE_KEY')) })

const signed = (path: string, secret: string) =>
  webhook(path, {
    verify: hmac({ header: 'X-Signature', prefix: 'sha256=', secret: env(secret), timestamp: 'X-Timestamp' }),
    record: 'data',
    deliveryId: header('X-Event-Id'),
    deleted: { at: 'op', equals: 'deleted' },
  })

/** All that this desk's resources have in common. */
const atDesk = {
  version: 'rev',
  externalId: 'ext_ref',
  updatedAt: 'updated_at',
  conditional: true,
  idempotency: 'all',
} as const

const DeskCustomer = z.object({
  id: z.int(),
  full_name: z.string(),
  email: z.string(),
  phone: z.string().nullable(),
  city: z.string().nullable(),
  credit_cents: z.int(),
  rev: z.int(),
  updated_at: z.string(),
  ext_ref: z.string().nullable(),
})

const DeskProduct = z.object({
  id: z.int(),
  sku: z.string(),
  title: z.string(),
  price_cents: z.int(),
  stock_on_hand: z.int(),
  rev: z.int(),
  updated_at: z.string(),
  ext_ref: z.string().nullable(),
})

const DeskOrder = z.object({
  id: z.int(),
  customer_id: z.int(),
  placed_at: instant(),
  status: z.enum(['new', 'confirmed', 'picked', 'shipped', 'cancelled']),
  note: z.string().nullable(),
  lines: z.array(z.object({ line_no: z.int(), product_id: z.int(), quantity: z.int(), price_cents: z.int() })),
  rev: z.int(),
  updated_at: z.string(),
  ext_ref: z.string().nullable(),
})

const Client = z.object({
  clientId: z.string(),
  displayName: z.string(),
  mail: z.string(),
  phoneNumber: z.string().nullable(),
  address: z.object({ town: z.string().nullable() }),
  creditLimit: z.string(),
  rev: z.int(),
})

const Item = z.object({
  itemId: z.string(),
  sku: z.string(),
  description: z.string(),
  unitPrice: z.string(),
  stock: z.int(),
})

const Shipment = z.object({
  shipmentId: z.string(),
  clientId: z.string(),
  orderedAt: instant(),
  state: z.enum(['OPEN', 'RELEASED', 'PICKED', 'SENT', 'VOID']),
  remark: z.string().nullable(),
  lines: z.array(z.object({ pos: z.int(), itemId: z.string(), qty: z.int(), unitPrice: z.string() })),
})

export const customer = entity('customer', {
  schema: z.object({
    name: z.string().min(1),
    email: z.email(),
    phone: z.string().nullable(),
    city: z.string().nullable(),
    creditLimit: decimal(2),
  }),
  match: key('email'),
})

export const product = entity('product', {
  schema: z.object({ sku: z.string(), title: z.string(), price: decimal(2), stock: z.int().nullable() }),
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
      schema: z.object({ lineNo: z.int(), product: reference(product), qty: z.int().positive(), price: decimal(2) }),
    },
  },
})

const customers = sync(
  customer,
  {
    desk: desk.resource('/customers', DeskCustomer, {
      ...atDesk,
      id: 'id',
      notify: signed('/hooks/desk/customers', 'DESK_SECRET'),
      fields: { name: 'full_name', email: 'email', phone: 'phone', city: 'city', creditLimit: ['credit_cents', cents] },
    }),
    warehouse: warehouse.resource('/clients', Client, {
      id: 'clientId',
      version: etag(),
      notify: signed('/hooks/warehouse/clients', 'WAREHOUSE_SECRET'),
      fields: {
        name: 'displayName',
        email: 'mail',
        phone: 'phoneNumber',
        city: 'address.town',
        creditLimit: ['creditLimit', decimalText(2)],
      },
      onCreate: { creditLimit: '0.00' },
    }),
  },
  { conflicts: { default: latest(), fields: { creditLimit: prefer('desk') } }, deletes: 'default' },
)

const products = sync(
  product,
  {
    desk: desk.resource('/products', DeskProduct, {
      ...atDesk,
      id: 'id',
      notify: signed('/hooks/desk/products', 'DESK_SECRET'),
      fields: {
        sku: 'sku',
        title: 'title',
        price: ['price_cents', cents],
        stock: writeOnly(['stock_on_hand', (stock: number | null) => stock ?? 0]),
      },
    }),
    warehouse: warehouse.resource('/items', Item, {
      id: 'itemId',
      poll: poll({ cursorParam: 'updated_since', next: 'next', limitParam: 'limit', everyMs: 1_000 }),
      fields: {
        sku: 'sku',
        title: 'description',
        price: ['unitPrice', decimalText(2)],
        stock: readOnly(['stock', (stock: number) => stock]),
      },
    }),
  },
  { conflicts: { default: prefer('desk', 'warehouse') } },
)

const orders = sync(
  order,
  {
    desk: desk.resource('/orders', DeskOrder, {
      ...atDesk,
      id: 'id',
      notify: signed('/hooks/desk/orders', 'DESK_SECRET'),
      fields: { customer: 'customer_id', placedAt: 'placed_at', status: 'status', note: 'note' },
      parts: {
        lines: {
          from: 'lines',
          key: 'line_no',
          fields: { product: 'product_id', qty: 'quantity', price: ['price_cents', cents] },
        },
      },
    }),
    warehouse: warehouse.resource('/shipments', Shipment, {
      id: 'shipmentId',
      notify: signed('/hooks/warehouse/shipments', 'WAREHOUSE_SECRET'),
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
          fields: { product: 'itemId', qty: 'qty', price: ['unitPrice', decimalText(2)] },
        },
      },
    }),
  },
  {
    conflicts: {
      default: latest({ skewMs: 500 }),
      fields: { status: prefer('warehouse'), 'lines.qty': prefer('desk') },
    },
  },
)

export default defineHub({
  apps: { desk, warehouse },
  sync: [customers, products, orders],
  limits: { backlogMax: 50_000 },
})
