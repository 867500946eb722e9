/**
 * What corresponds to what in the two applications, written down a second time and independently of the config that the hub runs on: a
 * mistake in the mapping would otherwise be compared with itself.
 */

import type { AppName, ConflictRow, Row } from './evidence.ts'

/** A value in the one spelling in which both sides are compared. */
export type Plain = string | null
/** A record flat: `''` is its presence, `lines[3]` that of a line, all others are fields. */
export type PlainRecord = ReadonlyMap<string, Plain>

/** Gives the canonical key of a record that another refers to. */
export type KeyOf = (app: AppName, object: string, id: unknown) => string

interface FieldShape {
  readonly name: string
  readonly as: 'text' | 'mail' | 'cents' | 'amount' | 'number' | 'instant' | 'state' | { readonly refersTo: string }
  /** False where the application only shows the field: what it holds there is nobody's edit. */
  readonly owned?: false
}

interface Side {
  readonly object: string
  readonly id: string
  readonly fields: Readonly<Record<string, FieldShape>>
  readonly lines?: { readonly key: string; readonly fields: Readonly<Record<string, FieldShape>> }
}

export interface Shape {
  readonly entity: string
  /** The field by which a person would recognise the record in the other application. */
  readonly naturalKey: string | null
  readonly desk: Side
  readonly warehouse: Side
}

export const SHAPES: readonly Shape[] = [
  {
    entity: 'customer',
    naturalKey: 'email',
    desk: {
      object: 'customers',
      id: 'id',
      fields: {
        name: { name: 'full_name', as: 'text' },
        email: { name: 'email', as: 'mail' },
        phone: { name: 'phone', as: 'text' },
        city: { name: 'city', as: 'text' },
        creditLimit: { name: 'credit_cents', as: 'cents' },
      },
    },
    warehouse: {
      object: 'clients',
      id: 'clientId',
      fields: {
        name: { name: 'displayName', as: 'text' },
        email: { name: 'mail', as: 'mail' },
        phone: { name: 'phoneNumber', as: 'text' },
        city: { name: 'town', as: 'text' },
        creditLimit: { name: 'creditLimit', as: 'amount' },
      },
    },
  },
  {
    entity: 'product',
    naturalKey: 'sku',
    desk: {
      object: 'products',
      id: 'id',
      fields: {
        sku: { name: 'sku', as: 'text' },
        title: { name: 'title', as: 'text' },
        price: { name: 'price_cents', as: 'cents' },
        stock: { name: 'stock_on_hand', as: 'number', owned: false },
      },
    },
    warehouse: {
      object: 'items',
      id: 'itemId',
      fields: {
        sku: { name: 'sku', as: 'text' },
        title: { name: 'description', as: 'text' },
        price: { name: 'unitPrice', as: 'amount' },
        stock: { name: 'stock', as: 'number' },
      },
    },
  },
  {
    entity: 'order',
    naturalKey: null,
    desk: {
      object: 'orders',
      id: 'id',
      fields: {
        customer: { name: 'customer_id', as: { refersTo: 'customers' } },
        placedAt: { name: 'placed_at', as: 'instant' },
        status: { name: 'status', as: 'text' },
        note: { name: 'note', as: 'text' },
      },
      lines: {
        key: 'line_no',
        fields: {
          product: { name: 'product_id', as: { refersTo: 'products' } },
          quantity: { name: 'quantity', as: 'number' },
          price: { name: 'price_cents', as: 'cents' },
        },
      },
    },
    warehouse: {
      object: 'shipments',
      id: 'shipmentId',
      fields: {
        customer: { name: 'clientId', as: { refersTo: 'clients' } },
        placedAt: { name: 'orderedAt', as: 'instant' },
        status: { name: 'state', as: 'state' },
        note: { name: 'remark', as: 'text' },
      },
      lines: {
        key: 'pos',
        fields: {
          product: { name: 'itemId', as: { refersTo: 'items' } },
          quantity: { name: 'qty', as: 'number' },
          price: { name: 'unitPrice', as: 'amount' },
        },
      },
    },
  },
]

export const PRESENT = 'present'
const STATES: Readonly<Record<string, string>> = {
  OPEN: 'new',
  RELEASED: 'confirmed',
  PICKED: 'picked',
  SENT: 'shipped',
  VOID: 'cancelled',
}

export const shapeOfObject = (app: AppName, object: string): Shape | undefined =>
  SHAPES.find((shape) => shape[app].object === object)

/** A record of an application, flat and plain; null is a record that is not there. */
export function plainRecord(shape: Shape, app: AppName, row: Row | null, keyOf: KeyOf): PlainRecord {
  const plain = new Map<string, Plain>()
  if (row === null) return plain
  const side = shape[app]
  plain.set('', PRESENT)
  for (const [path, field] of Object.entries(side.fields))
    plain.set(path, plainValue(field, row[field.name], app, keyOf))
  const lines = side.lines === undefined ? [] : ((row.lines ?? []) as readonly Row[])
  for (const line of lines) {
    const element = `lines[${String(line[side.lines?.key ?? ''])}]`
    plain.set(element, PRESENT)
    for (const [name, field] of Object.entries(side.lines?.fields ?? {}))
      plain.set(`${element}.${name}`, plainValue(field, line[field.name], app, keyOf))
  }
  return plain
}

function plainValue(field: FieldShape, value: unknown, app: AppName, keyOf: KeyOf): Plain {
  if (value === null || value === undefined) return null
  if (typeof field.as === 'object') return keyOf(app, field.as.refersTo, value)
  switch (field.as) {
    case 'text':
      return String(value).trim()
    case 'mail':
      return String(value).trim().toLowerCase()
    case 'cents':
      return (Number(value) / 100).toFixed(2)
    case 'amount':
      return Number(value).toFixed(2)
    case 'number':
      return String(value)
    case 'instant':
      return new Date(String(value)).toISOString()
    case 'state':
      return STATES[String(value)] ?? String(value)
  }
}

/** Whether people of this application may decide the field. */
export function isOwned(shape: Shape, app: AppName, path: string): boolean {
  return shape[app].fields[path]?.owned !== false
}

/** The value that lost, in the spelling of `plainRecord`. It stands in the list in the hub's own units, which are those of `plainRecord` but for case and space. */
export function plainLoser({ path, loserValue }: ConflictRow): Plain | undefined {
  if (path.endsWith(']')) return loserValue === true ? PRESENT : undefined
  if (loserValue === null || loserValue === undefined) return null
  const text = String(loserValue).trim()
  if (path === 'email') return text.toLowerCase()
  return /placedAt$/.test(path) ? new Date(text).toISOString() : text
}
