import { decimal, decimalText, defineHub, entity, env, key, latest, prefer, reference, rowOf, sync } from 'latchwork'
import { mariadb } from 'latchwork/connectors/mariadb'
import { postgres } from 'latchwork/connectors/postgres'
import { z } from 'zod'

/** An order desk on PostgreSQL and a warehouse on MariaDB: customers, and orders with their lines, kept equal in both directions. */

interface DeskDb {
  readonly customers: { readonly id: number; readonly full_name: string; readonly email: string }
  readonly orders: {
    readonly id: number
    readonly order_no: string
    readonly customer_id: number
    readonly state: string
  }
  readonly order_lines: {
    readonly order_id: number
    readonly line_no: number
    readonly sku: string
    readonly qty: number
    readonly price: string
  }
}

interface Client {
  readonly id: number
  readonly name: string
  readonly mail: string
}

interface Shipment {
  readonly id: number
  readonly reference: string
  readonly client_id: number
  readonly state: string
  readonly items: readonly {
    readonly pos: number
    readonly article: string
    readonly amount: number
    readonly price: string
  }[]
}

const desk = postgres<DeskDb>({ url: env('DESK_URL') })
const warehouse = mariadb({ url: env('WAREHOUSE_URL') })

const customer = entity('customer', {
  schema: z.object({ name: z.string().min(1), email: z.string() }),
  match: key('email'),
})

const order = entity('order', {
  schema: z.object({ number: z.string(), customer: reference(customer), state: z.string() }),
  match: key('number'),
  parts: {
    lines: {
      key: 'lineNo',
      schema: z.object({ lineNo: z.int(), sku: z.string(), qty: z.int(), price: decimal(2) }),
    },
  },
})

export default defineHub({
  apps: { desk, warehouse },
  sync: [
    sync(
      customer,
      {
        desk: desk.table('customers', { id: 'id', fields: { name: 'full_name', email: 'email' } }),
        warehouse: warehouse.table('clients', rowOf<Client>(), {
          id: 'id',
          idType: 'number',
          fields: { name: 'name', email: 'mail' },
        }),
      },
      { conflicts: { default: latest({ skewMs: 0 }) } },
    ),
    sync(
      order,
      {
        desk: desk.table('orders', {
          id: 'id',
          children: { order_lines: { parent: 'order_id' } },
          fields: { number: 'order_no', customer: 'customer_id', state: 'state' },
          parts: {
            lines: {
              from: 'order_lines',
              key: 'line_no',
              keyType: 'number',
              fields: { sku: 'sku', qty: 'qty', price: ['price', decimalText(2)] },
            },
          },
        }),
        warehouse: warehouse.table('shipments', rowOf<Shipment>(), {
          id: 'id',
          idType: 'number',
          children: { items: { table: 'shipment_items', parent: 'shipment_id' } },
          fields: { number: 'reference', customer: 'client_id', state: 'state' },
          parts: {
            lines: {
              from: 'items',
              key: 'pos',
              keyType: 'number',
              fields: { sku: 'article', qty: 'amount', price: ['price', decimalText(2)] },
            },
          },
        }),
      },
      // What the warehouse says of an order's state stands; of everything else the later word.
      { conflicts: { default: latest({ skewMs: 0 }), fields: { state: prefer('warehouse') } } },
    ),
  ],
})
