import { decimal, decimalText, entity, int64, key, sync } from 'latchwork'
import { postgres } from 'latchwork/connectors/postgres'
import { z } from 'zod'

/** What a config of a PostgreSQL application must make of its row types: each line after `@ts-expect-error` is a mistake that the compiler finds. */

interface Db {
  readonly customers: {
    readonly id: number | bigint
    readonly full_name: string
    readonly email: string
    readonly credit: string
    readonly note: string | null
  }
  readonly orders: { readonly id: number; readonly customer_id: number | bigint }
  readonly order_lines: { readonly order_id: number; readonly line_no: number; readonly qty: number }
}

const db = postgres<Db>({ url: 'postgres://127.0.0.1/app' })
const untyped = postgres({ url: 'postgres://127.0.0.1/app' })

const customer = entity('customer', {
  schema: z.object({ name: z.string(), email: z.string(), credit: decimal(2), note: z.string().nullable() }),
  match: key('email'),
})
const order = entity('order', {
  schema: z.object({ customer: int64() }),
  parts: { lines: { key: 'lineNo', schema: z.object({ lineNo: z.int(), qty: z.int() }) } },
})

export const right = sync(customer, {
  db: db.table('customers', {
    id: 'id',
    fields: { name: 'full_name', email: 'email', credit: ['credit', decimalText(2)], note: 'note' },
  }),
})

export const withParts = sync(order, {
  db: db.table('orders', {
    id: 'id',
    fields: { customer: 'customer_id' },
    parts: { lines: { from: 'order_lines', key: 'line_no', fields: { qty: 'qty' } } },
  }),
})

export const anything = sync(customer, {
  db: untyped.table('whatever', { id: 'any', fields: { name: 'any_name', email: 'mail' } }),
})

export const wrongColumn = sync(customer, {
  // @ts-expect-error 'fullname' is not a field of this application's records
  db: db.table('customers', { id: 'id', fields: { name: 'fullname' } }),
})

export const wrongKind = sync(customer, {
  // @ts-expect-error 'id' is a number or bigint, name is text
  db: db.table('customers', { id: 'id', fields: { name: 'id' } }),
})

export const wrongTable = sync(customer, {
  // @ts-expect-error there is no such table
  db: db.table('clients', { id: 'id', fields: {} }),
})

export const wrongId = sync(customer, {
  // @ts-expect-error the id is not a column
  db: db.table('customers', { id: 'ident', fields: { name: 'full_name' } }),
})

export const wrongPart = sync(order, {
  db: db.table('orders', {
    id: 'id',
    fields: { customer: 'customer_id' },
    // @ts-expect-error 'amount' is not a column of the child table
    parts: { lines: { from: 'order_lines', key: 'line_no', fields: { qty: 'amount' } } },
  }),
})
