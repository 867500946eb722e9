import { z } from 'zod'
import { sqlite } from '../connectors/sqlite/index.ts'
import { cents, decimal, decimalText, defineHub, entity, env, key, prefer, resolveText, sync } from '../index.ts'

/** Two SQLite files that hold customers already, each in its own shape. */
const fileOf = (name: string): string => resolveText(env(name), process.env, () => '')
const desk = sqlite({ file: fileOf('DESK_FILE'), pollMs: 5 })
const store = sqlite({ file: fileOf('STORE_FILE'), pollMs: 5 })
const customer = entity('customer', {
  schema: z.object({ name: z.string(), email: z.string(), credit: decimal(2) }),
  match: key('email'),
})

export default defineHub({
  apps: { desk, store },
  sync: [
    sync(
      customer,
      {
        desk: desk.table('customers', {
          id: 'id',
          idType: 'number',
          fields: { name: 'full_name', email: 'email', credit: ['credit_cents', cents] },
        }),
        store: store.table('clients', {
          id: 'code',
          fields: { name: 'name', email: 'mail', credit: ['credit', decimalText(2)] },
        }),
      },
      { conflicts: { default: prefer('desk') } },
    ),
  ],
})
