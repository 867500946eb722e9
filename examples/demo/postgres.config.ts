/**
 * The order desk's database in the place of its API: everything else is as in latchwork.config.ts. Nobody calls the order desk, and it calls nobody: its tables are followed by logical
 * replication, and written.
 *
 *     npm start -- --postgres
 */

import {
  cents,
  decimalText,
  defineHub,
  enumMap,
  env,
  type Instant,
  latest,
  prefer,
  readOnly,
  sync,
  writeOnly,
} from 'latchwork'
import { postgres } from 'latchwork/connectors/postgres'
import { address, customer, inWarehouse, isLegacy, order, product, told, warehouse } from './latchwork.config.ts'
import { Client, Item, Shipment } from './records.ts'

type Status = 'new' | 'confirmed' | 'picked' | 'shipped' | 'cancelled'

/** Rows as `latchwork introspect` writes them down; what the hub does not map is left out. */
interface Desk {
  customers: {
    id: number
    full_name: string
    email: string
    phone: string | null
    city: string | null
    credit_cents: number
  }
  products: { id: number; sku: string; title: string; price_cents: number; stock_on_hand: number }
  orders: { id: number; customer_id: number; placed_at: Instant; status: Status; note: string | null }
  order_lines: { order_id: number; line_no: number; product_id: number; quantity: number; price_cents: number }
}

const desk = postgres<Desk>({ url: env('DESK_DATABASE') })

const customers = sync(
  customer,
  {
    desk: desk.table('customers', {
      id: 'id',
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
  { conflicts: { default: latest(), fields: { creditLimit: prefer('desk') } } },
)

const products = sync(
  product,
  {
    desk: desk.table('products', {
      id: 'id',
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
    desk: desk.table('orders', {
      id: 'id',
      fields: { customer: 'customer_id', placedAt: 'placed_at', status: 'status', note: 'note' },
      parts: {
        lines: {
          from: 'order_lines',
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
  // As in latchwork.config.ts: made-up data, and users at the speed of a machine.
  brakes: { firstContactCreates: 'off', deletes: 'off' },
})
