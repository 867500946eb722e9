import { decimal, decimalText, defineHub, entity, env, key, latest, sync } from 'latchwork'
import { http, unverified, webhook } from 'latchwork/connectors/http'
import { postgres } from 'latchwork/connectors/postgres'
import { z } from 'zod'

const shop = postgres({ url: env('SHOP_URL') })
const warehouse = http({ baseUrl: env('WAREHOUSE_URL') })

const customer = entity('customer', {
  schema: z.object({ name: z.string(), email: z.string(), credit: decimal(2) }),
  match: key('email'),
})

export default defineHub({
  apps: { shop, warehouse },
  sync: [
    sync(
      customer,
      {
        shop: shop.table('customers', {
          id: 'id',
          fields: { name: 'full_name', email: 'email', credit: ['credit', decimalText(2)] },
        }),
        warehouse: warehouse.resource('/clients', {
          id: 'clientId',
          version: 'rev',
          conditional: true,
          idempotency: 'all',
          notify: webhook('/hooks/warehouse', { verify: unverified() }),
          fields: { name: 'displayName', email: 'mail', credit: ['limit', decimalText(2)] },
        }),
      },
      { conflicts: { default: latest({ skewMs: 0 }) } },
    ),
  ],
})
