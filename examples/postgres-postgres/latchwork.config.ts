import { decimal, decimalText, defineHub, entity, env, key, latest, sync } from 'latchwork'
import { postgres } from 'latchwork/connectors/postgres'
import { z } from 'zod'

/** Row types as `latchwork introspect` writes them. */
interface ShopDb {
  readonly customers: {
    readonly id: number
    readonly full_name: string
    readonly email: string
    readonly credit: string
  }
}
interface BillingDb {
  readonly accounts: {
    readonly no: string
    readonly name: string
    readonly mail: string
    readonly credit_limit: string
  }
}

const shop = postgres<ShopDb>({ url: env('SHOP_URL') })
const billing = postgres<BillingDb>({ url: env('BILLING_URL') })

const customer = entity('customer', {
  schema: z.object({ name: z.string().min(1), email: z.string(), credit: decimal(2) }),
  match: key('email'),
})

export default defineHub({
  apps: { shop, billing },
  sync: [
    sync(
      customer,
      {
        shop: shop.table('customers', {
          id: 'id',
          fields: { name: 'full_name', email: 'email', credit: ['credit', decimalText(2)] },
        }),
        billing: billing.table('accounts', {
          id: 'no',
          fields: { name: 'name', email: 'mail', credit: ['credit_limit', decimalText(2)] },
        }),
      },
      { conflicts: { default: latest({ skewMs: 0 }) } },
    ),
  ],
})
