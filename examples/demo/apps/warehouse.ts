/** The warehouse: stores and ships. Ids as text, camelCase names, money as decimal text; trims text and lowers mail addresses. */

import type { AppDescription } from './app-kit/description.ts'
import { runApp } from './app-kit/run.ts'
import { warehouseSeed } from './seed.ts'

export const warehouse: AppDescription = {
  name: 'warehouse',
  title: 'Warehouse',
  tagline: 'Stock and shipping',
  accent: { light: '#b45309', dark: '#fbbf6b' },
  idKind: 'text',
  text: 'normalised',
  names: { rev: 'rev', changedAt: 'changedAt', extRef: 'extRef' },
  token: { variable: 'WAREHOUSE_API_TOKEN', initial: 'warehouse-api-token' },
  portInitial: 4102,
  objects: [
    {
      name: 'clients',
      one: 'client',
      label: 'Clients',
      idField: 'clientId',
      titleField: 'displayName',
      idFromSequence: (sequence) => scatteredId('C', sequence),
      fields: [
        { name: 'displayName', label: 'Name', kind: 'text' },
        { name: 'mail', label: 'Mail', kind: 'email', unique: true },
        { name: 'phoneNumber', label: 'Phone', kind: 'text', optional: true, lengthMax: 60 },
        { name: 'town', label: 'Town', kind: 'text', optional: true },
        { name: 'creditLimit', label: 'Credit limit', kind: 'decimal', initial: '0.00' },
      ],
    },
    {
      name: 'items',
      one: 'item',
      label: 'Items',
      idField: 'itemId',
      titleField: 'description',
      idFromSequence: (sequence) => scatteredId('P', sequence),
      fields: [
        { name: 'sku', label: 'SKU', kind: 'code', unique: true, lengthMax: 60 },
        { name: 'description', label: 'Description', kind: 'text' },
        { name: 'unitPrice', label: 'Unit price', kind: 'decimal' },
        { name: 'stock', label: 'Stock', kind: 'integer', initial: 0, min: -1_000_000 },
      ],
    },
    {
      name: 'shipments',
      one: 'shipment',
      label: 'Shipments',
      idField: 'shipmentId',
      titleField: 'shipmentId',
      idFromSequence: (sequence) => scatteredId('S', sequence),
      fields: [
        { name: 'clientId', label: 'Client', kind: 'reference', refersTo: 'clients' },
        { name: 'orderedAt', label: 'Ordered', kind: 'instant', initial: 'now' },
        {
          name: 'state',
          label: 'State',
          kind: 'choice',
          choices: ['OPEN', 'RELEASED', 'PICKED', 'SENT', 'VOID'],
          initial: 'OPEN',
        },
        { name: 'remark', label: 'Remark', kind: 'text', optional: true, lengthMax: 2000 },
      ],
      lines: {
        name: 'lines',
        table: 'shipment_lines',
        key: 'pos',
        fields: [
          { name: 'pos', label: 'Pos', kind: 'integer', min: 1 },
          { name: 'itemId', label: 'Item', kind: 'reference', refersTo: 'items' },
          { name: 'qty', label: 'Quantity', kind: 'integer', min: 1 },
          { name: 'unitPrice', label: 'Unit price', kind: 'decimal' },
        ],
      },
    },
  ],
}

/** Ids that look random and never meet: multiplying by an odd number permutes the 24-bit numbers. */
function scatteredId(prefix: string, sequence: number): string {
  const scattered = (Math.imul(sequence, 0x9e_37_79) + 0x5b_d1_e9) & 0xff_ff_ff
  return `${prefix}-${scattered.toString(16).toUpperCase().padStart(6, '0')}`
}

if (import.meta.main) await runApp(warehouse, warehouseSeed)
