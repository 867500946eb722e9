/** What the records of the two applications look like: their own names, types and units. The config is checked against this as it is typed. */

import { instant } from 'latchwork'
import { z } from 'zod'

const atDesk = { id: z.int(), rev: z.int(), updated_at: z.string(), ext_ref: z.string().nullable() }

export const DeskCustomer = z.object({
  ...atDesk,
  full_name: z.string(),
  email: z.string(),
  phone: z.string().nullable(),
  city: z.string().nullable(),
  credit_cents: z.int(),
})

export const DeskProduct = z.object({
  ...atDesk,
  sku: z.string(),
  title: z.string(),
  price_cents: z.int(),
  stock_on_hand: z.int(),
})

export const DeskOrder = z.object({
  ...atDesk,
  customer_id: z.int(),
  placed_at: instant(),
  status: z.enum(['new', 'confirmed', 'picked', 'shipped', 'cancelled']),
  note: z.string().nullable(),
  lines: z.array(z.object({ line_no: z.int(), product_id: z.int(), quantity: z.int(), price_cents: z.int() })),
})

const inWarehouse = { rev: z.int(), changedAt: z.string(), extRef: z.string().nullable() }

export const Client = z.object({
  ...inWarehouse,
  clientId: z.string(),
  displayName: z.string(),
  // It keeps mail addresses in lower case, whatever it is given.
  mail: z.string().refine((kept) => kept === kept.toLowerCase()),
  phoneNumber: z.string().nullable(),
  town: z.string().nullable(),
  creditLimit: z.string(),
})

export const Item = z.object({
  ...inWarehouse,
  itemId: z.string(),
  sku: z.string(),
  description: z.string(),
  unitPrice: z.string(),
  stock: z.int(),
})

export const Shipment = z.object({
  ...inWarehouse,
  shipmentId: z.string(),
  clientId: z.string(),
  orderedAt: instant(),
  state: z.enum(['OPEN', 'RELEASED', 'PICKED', 'SENT', 'VOID']),
  remark: z.string().nullable(),
  lines: z.array(z.object({ pos: z.int(), itemId: z.string(), qty: z.int(), unitPrice: z.string() })),
})
