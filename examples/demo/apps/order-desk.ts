/** The order desk: sells. Integer ids, snake_case names, money in whole cents; keeps text exactly as it was typed. */

import type { AppDescription } from './app-kit/description.ts'
import { runApp } from './app-kit/run.ts'
import { orderDeskSeed } from './seed.ts'

export const orderDesk: AppDescription = {
  name: 'order-desk',
  title: 'Order Desk',
  tagline: 'Sales',
  accent: { light: '#4f46e5', dark: '#a5a6ff' },
  idKind: 'integer',
  text: 'verbatim',
  names: { rev: 'rev', changedAt: 'updated_at', extRef: 'ext_ref' },
  token: { variable: 'ORDER_DESK_API_TOKEN', initial: 'desk-api-token' },
  portInitial: 4101,
  objects: [
    {
      name: 'customers',
      one: 'customer',
      label: 'Customers',
      idField: 'id',
      titleField: 'full_name',
      idFromSequence: (sequence) => 1000 + sequence,
      fields: [
        { name: 'full_name', label: 'Name', kind: 'text' },
        { name: 'email', label: 'Email', kind: 'email', unique: true },
        { name: 'phone', label: 'Phone', kind: 'text', optional: true, lengthMax: 60 },
        { name: 'city', label: 'City', kind: 'text', optional: true },
        { name: 'credit_cents', label: 'Credit', kind: 'cents', initial: 0 },
      ],
    },
    {
      name: 'products',
      one: 'product',
      label: 'Products',
      idField: 'id',
      titleField: 'title',
      idFromSequence: (sequence) => sequence,
      fields: [
        { name: 'sku', label: 'SKU', kind: 'code', unique: true, lengthMax: 60 },
        { name: 'title', label: 'Title', kind: 'text' },
        { name: 'price_cents', label: 'Price', kind: 'cents' },
        { name: 'stock_on_hand', label: 'In stock', kind: 'integer', initial: 0, min: -1_000_000, shownOnly: true },
      ],
    },
    {
      name: 'orders',
      one: 'order',
      label: 'Orders',
      idField: 'id',
      titleField: 'id',
      idFromSequence: (sequence) => 50_000 + sequence,
      fields: [
        { name: 'customer_id', label: 'Customer', kind: 'reference', refersTo: 'customers' },
        { name: 'placed_at', label: 'Placed', kind: 'instant', initial: 'now' },
        {
          name: 'status',
          label: 'Status',
          kind: 'choice',
          choices: ['new', 'confirmed', 'picked', 'shipped', 'cancelled'],
          initial: 'new',
        },
        { name: 'note', label: 'Note', kind: 'text', optional: true, lengthMax: 2000 },
      ],
      lines: {
        name: 'lines',
        table: 'order_lines',
        key: 'line_no',
        fields: [
          { name: 'line_no', label: 'Line', kind: 'integer', min: 1 },
          { name: 'product_id', label: 'Product', kind: 'reference', refersTo: 'products' },
          { name: 'quantity', label: 'Quantity', kind: 'integer', min: 1 },
          { name: 'price_cents', label: 'Price', kind: 'cents' },
        ],
      },
    },
  ],
}

if (import.meta.main) await runApp(orderDesk, orderDeskSeed)
