/** The two applications as their users know them: the same things to do, under other names. */

import type { UniqueValues } from './values.ts'
import { decimal } from './values.ts'

export type Kind = 'customer' | 'product' | 'order'
export type Id = string | number
export type Fields = Record<string, unknown>
export type NewRecord = { readonly customer: Id; readonly products: readonly Id[]; readonly prefix: string }

export type Collection = {
  readonly path: string
  readonly idField: string
  /** The field by which a person would recognise the record in the other application. */
  readonly sharedKey: string | null
  /** By what is edited, in words that both sides share; where both have a word, they edit the same thing. */
  readonly edits: Readonly<Record<string, (values: UniqueValues) => Fields>>
  readonly create: (values: UniqueValues, choice: NewRecord) => Fields
}

export type Side = {
  readonly name: 'desk' | 'warehouse'
  readonly extRef: string
  readonly status: { readonly field: string; readonly next: Readonly<Record<string, readonly string[]>> }
  readonly line: {
    readonly key: string
    readonly quantity: string
    readonly price: string
    readonly money: (cents: number) => unknown
  }
  readonly collections: Readonly<Record<Kind, Collection>>
}

/** Records under this prefix are made to be deleted: no order ever refers to them. */
export const shortLivedPrefix = 'TMP'

export const deskSide: Side = {
  name: 'desk',
  extRef: 'ext_ref',
  status: { field: 'status', next: { new: ['confirmed', 'confirmed', 'cancelled'], confirmed: ['cancelled'] } },
  line: { key: 'line_no', quantity: 'quantity', price: 'price_cents', money: (cents) => cents },
  collections: {
    customer: {
      path: 'customers',
      idField: 'id',
      sharedKey: 'email',
      edits: {
        name: (values) => ({ full_name: values.text('Robin Vale') }),
        phone: (values) => ({ phone: values.phone() }),
        city: (values) => ({ city: values.text('Porto') }),
        credit: (values) => ({ credit_cents: values.cents() }),
      },
      create: (values, { prefix }) => {
        const code = values.code(prefix)
        return {
          full_name: `Ada Ferro ${code}`,
          email: `Ada.${code}@Example.org`,
          phone: values.phone(),
          city: 'Faro',
          credit_cents: values.cents(),
        }
      },
    },
    product: {
      path: 'products',
      idField: 'id',
      sharedKey: 'sku',
      edits: {
        title: (values) => ({ title: values.text('Oak stool') }),
        price: (values) => ({ price_cents: values.cents() }),
      },
      create: (values, { prefix }) => {
        const sku = values.code(prefix)
        return { sku, title: `Glass carafe ${sku}`, price_cents: values.cents() }
      },
    },
    order: {
      path: 'orders',
      idField: 'id',
      sharedKey: null,
      edits: { note: (values) => ({ note: values.text('Ring twice') }) },
      create: (values, { customer, products }) => ({
        customer_id: customer,
        note: values.text('New order'),
        lines: products.map((product_id, index) => ({
          line_no: index + 1,
          product_id,
          quantity: 1 + index,
          price_cents: values.cents(),
        })),
      }),
    },
  },
}

export const warehouseSide: Side = {
  name: 'warehouse',
  extRef: 'extRef',
  status: { field: 'state', next: { RELEASED: ['PICKED'], PICKED: ['SENT'] } },
  line: { key: 'pos', quantity: 'qty', price: 'unitPrice', money: decimal },
  collections: {
    customer: {
      path: 'clients',
      idField: 'clientId',
      sharedKey: 'mail',
      edits: {
        name: (values) => ({ displayName: values.text('Kim Aldo') }),
        phone: (values) => ({ phoneNumber: values.phone() }),
        city: (values) => ({ town: values.text('Bremen') }),
        credit: (values) => ({ creditLimit: decimal(values.cents()) }),
      },
      create: (values, { prefix }) => {
        const code = values.code(prefix)
        // Blanks and capitals that the warehouse will not keep.
        return {
          displayName: ` Ivo Brandt ${code} `,
          mail: `Ivo.${code}@Example.org`,
          phoneNumber: values.phone(),
          town: 'Ulm ',
        }
      },
    },
    product: {
      path: 'items',
      idField: 'itemId',
      sharedKey: 'sku',
      edits: {
        title: (values) => ({ description: values.text('Pine crate') }),
        price: (values) => ({ unitPrice: decimal(values.cents()) }),
        stock: (values) => ({ stock: values.number() }),
        stockAgain: (values) => ({ stock: values.number() }),
      },
      create: (values, { prefix }) => {
        const sku = values.code(prefix)
        return { sku, description: `Steel hook ${sku}`, unitPrice: decimal(values.cents()), stock: values.number() }
      },
    },
    order: {
      path: 'shipments',
      idField: 'shipmentId',
      sharedKey: null,
      edits: { note: (values) => ({ remark: values.text('Fragile') }) },
      create: (values, { customer, products }) => ({
        clientId: customer,
        remark: values.text('Taken by phone'),
        lines: products.map((itemId, index) => ({
          pos: index + 1,
          itemId,
          qty: 1 + index,
          unitPrice: decimal(values.cents()),
        })),
      }),
    },
  },
}
