import { decimal, defineHub, entity, env, instant, key, latest, sync } from 'latchwork'
import { postgres } from 'latchwork/connectors/postgres'
import { z } from 'zod'

/** The hub of `bench -- db`: the same customers in two databases, every column kept equal in both directions. */
const a = postgres({ url: env('BENCH_DB_A') })
const b = postgres({ url: env('BENCH_DB_B') })

const customer = entity('customer', {
  schema: z.object({
    name: z.string(),
    email: z.string(),
    phone: z.string(),
    address: z.string(),
    credit: decimal(0),
    updatedAt: instant(),
  }),
  match: key('email'),
})

const binding = {
  id: 'id',
  updatedAt: 'updated_at',
  fields: {
    name: 'name',
    email: 'email',
    phone: 'phone',
    address: 'address',
    credit: 'credit',
    updatedAt: 'updated_at',
  },
} as const

export default defineHub({
  apps: { a, b },
  brakes: { firstContactCreates: 'off' },
  sync: [
    sync(
      customer,
      { a: a.table('customers', binding), b: b.table('customers', binding) },
      { conflicts: { default: latest({ skewMs: 0 }) } },
    ),
  ],
})
