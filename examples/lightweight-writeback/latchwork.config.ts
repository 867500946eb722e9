/**
 * A shop that can only call a URL with an id in it, and wants to know the warehouse's id afterwards: the hub reads the record, brings it to the warehouse,
 * answers with the ids when that is done, and writes the warehouse's id and the state back into the shop.
 *
 *     latchwork start --config examples/lightweight-writeback/latchwork.config.ts
 */

import { defineHub, entity, env, idIn, status, sync } from 'latchwork'
import { afterDelivery, http, param, unverified, webhook } from 'latchwork/connectors/http'
import { z } from 'zod'

const shop = http({ baseUrl: env('SHOP_URL', 'http://127.0.0.1:4903') })
const warehouse = http({ baseUrl: env('WAREHOUSE_URL', 'http://127.0.0.1:4904') })

const ShopProduct = z.object({
  id: z.string(),
  rev: z.int(),
  title: z.string(),
  warehouse_id: z.string().nullable(),
  sync_status: z.string().nullable(),
})

const Item = z.object({ id: z.string(), rev: z.int(), name: z.string() })

const product = entity('product', { schema: z.object({ name: z.string().min(1) }) })

export const products = sync(product, {
  shop: shop.resource('/products', ShopProduct, {
    id: 'id',
    version: 'rev',
    conditional: true,
    idempotency: 'all',
    fields: { name: 'title' },
    writeback: { warehouse_id: idIn('warehouse'), sync_status: status() },
    notify: webhook('/hooks/products/:id', {
      verify: unverified(),
      id: param('id'),
      reply: afterDelivery({ apps: ['warehouse'], timeoutMs: 5_000 }),
    }),
  }),
  warehouse: warehouse.resource('/items', Item, {
    id: 'id',
    version: 'rev',
    conditional: true,
    idempotency: 'all',
    fields: { name: 'name' },
  }),
})

export default defineHub({ apps: { shop, warehouse }, sync: [products] })
