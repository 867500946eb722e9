import { z } from 'zod'
import { http, unverified, webhook } from '../src/connectors/http/index.ts'
import {
  decimal,
  decimalText,
  defineHub,
  derived,
  entity,
  env,
  latest,
  readOnly,
  sync,
  writeOnly,
} from '../src/index.ts'

/** The hub's side of `npm run bench -- http`: the six fields of the references, with cross-reference, latch, merge and durable state around them. */

// The source is a stream of webhooks without an API of its own; nothing is ever written back to it.
const source = http({ baseUrl: 'http://127.0.0.1:9' })
const target = http({ baseUrl: env('BENCH_TARGET_URL') })

const Message = z.object({
  customer_id: z.string(),
  rev: z.int(),
  first_name: z.string(),
  last_name: z.string(),
  contact: z.object({ email: z.string(), phone: z.string() }),
  billing: z.object({ street: z.string(), city: z.string(), zip: z.string() }),
  balance: z.string(),
  changed_at: z.string(),
})

const Client = z.object({
  id: z.string(),
  rev: z.int(),
  name: z.string(),
  email: z.string(),
  phone: z.string(),
  address: z.string(),
  credit: z.number(),
  updatedAt: z.string(),
  extRef: z.string(),
})

const customer = entity('customer', {
  schema: z.object({
    name: z.string(),
    email: z.string(),
    phone: z.string(),
    address: z.string(),
    credit: decimal(2),
    updatedAt: z.string(),
  }),
})

const customers = sync(
  customer,
  {
    source: source.resource('/customers', Message, {
      id: 'customer_id',
      version: 'rev',
      read: 'R0',
      createHere: false,
      notify: webhook('/hooks/source', { verify: unverified(), deliveryId: 'event_id' }),
      fields: {
        name: derived(
          ['first_name', 'last_name'],
          (m: { first_name: string; last_name: string }) => `${m.first_name} ${m.last_name}`,
        ),
        email: readOnly('contact.email'),
        phone: readOnly('contact.phone'),
        address: derived(
          ['billing.street', 'billing.zip', 'billing.city'],
          (m: { 'billing.street': string; 'billing.zip': string; 'billing.city': string }) =>
            `${m['billing.street']}, ${m['billing.zip']} ${m['billing.city']}`,
        ),
        credit: readOnly(['balance', decimalText(2)]),
        updatedAt: readOnly('changed_at'),
      },
    }),
    target: target.resource('/clients', Client, {
      id: 'id',
      version: 'rev',
      externalId: 'extRef',
      conditional: true,
      idempotency: 'create',
      updateMethod: 'put',
      notify: webhook('/hooks/target', { verify: unverified(), record: 'data', deliveryId: 'event_id' }),
      fields: {
        name: 'name',
        email: 'email',
        phone: 'phone',
        address: 'address',
        credit: writeOnly(['credit', (credit: string) => Number(credit)]),
        updatedAt: 'updatedAt',
      },
    }),
  },
  { conflicts: { default: latest() } },
)

export default defineHub({ apps: { source, target }, sync: [customers] })
