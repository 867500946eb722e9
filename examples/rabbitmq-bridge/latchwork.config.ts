/**
 * A bridge between a legacy system, which tells of its customers by a queue, a CRM with a REST API, and whoever wants to know: every change of a customer is
 * published as a CloudEvent. Orders come by a queue too; who asks for a price by another one is answered.
 *
 *     latchwork start --config examples/rabbitmq-bridge/latchwork.config.ts
 */

import { defineHub, entity, env, flow, key, latest, readOnly, sync } from 'latchwork'
import { header, rabbitmq } from 'latchwork/connectors/amqp'
import { http, unverified, webhook } from 'latchwork/connectors/http'
import { z } from 'zod'

const url = env('RABBITMQ_URL', 'amqp://guest:guest@127.0.0.1:5672')
// Queues and exchange of one run can be told from those of another by their prefix.
const prefix = process.env.BRIDGE_PREFIX ?? 'bridge'

const legacy = rabbitmq({ url })
const events = rabbitmq({ url })
const crm = http({ baseUrl: env('CRM_URL', 'http://127.0.0.1:4905') })

const customer = entity('customer', { schema: z.object({ name: z.string(), email: z.email() }), match: key('email') })

export const customers = sync(
  customer,
  {
    legacy: legacy.messages(
      'customers',
      z.object({ NO: z.string(), NAME: z.string(), MAIL: z.string(), REV: z.int() }),
      {
        id: 'NO',
        version: 'REV',
        consume: {
          queue: `${prefix}.customers`,
          declare: 'quorum',
          deleted: { at: header('op'), equals: 'D' },
        },
        fields: { email: 'MAIL', name: readOnly('NAME') },
      },
    ),
    crm: crm.resource('/contacts', z.object({ id: z.string(), rev: z.int(), name: z.string(), email: z.string() }), {
      id: 'id',
      version: 'rev',
      conditional: true,
      idempotency: 'all',
      notify: webhook('/hooks/crm', { verify: unverified() }),
      fields: { name: 'name', email: 'email' },
    }),
    events: events.messages('customer', {
      id: 'id',
      publish: { exchange: `${prefix}.events`, type: 'topic', form: 'structured', source: '/bridge' },
      fields: { name: 'name', email: 'email' },
    }),
  },
  { conflicts: { default: latest() } },
)

export const orders = flow('orders', {
  listen: legacy.queue(`${prefix}.orders`, { declare: 'quorum' }),
  input: z.object({ number: z.string(), items: z.int().min(1) }),
  run: ({ message }) => message.body.number,
})

export const price = flow('price', {
  listen: legacy.queue(`${prefix}.price`, { declare: 'quorum' }),
  input: z.object({ items: z.int().min(1) }),
  output: z.object({ total: z.string() }),
  run: ({ message }) => ({ total: `${message.body.items * 10}.00` }),
})

export default defineHub({ apps: { legacy, crm, events }, sync: [customers], flows: [orders, price] })
