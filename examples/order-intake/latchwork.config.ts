/**
 * Fire-and-forget: orders are acknowledged as soon as they are safe, and booked afterwards, those of one customer in their order.
 *
 *     latchwork start --config examples/order-intake/latchwork.config.ts
 *     latchwork send order-intake order.json
 *     latchwork runs order-intake
 */

import { defineHub, env, flow } from 'latchwork'
import { header, hmac, http, post } from 'latchwork/connectors/http'
import { z } from 'zod'

const books = http({ baseUrl: env('BOOKS_URL', 'http://127.0.0.1:4902'), idempotencyHeader: 'Idempotency-Key' })

const Order = z.object({
  number: z.string().min(1),
  customer: z.string().min(1),
  total: z.string().regex(/^\d+\.\d{2}$/),
  card: z.object({ number: z.string() }).optional(),
})

const Booking = z.object({ id: z.string(), order: z.string(), customer: z.string(), amount: z.string() })

/** Who wants to know of large orders; started once per order, however often its booking had to be tried. */
export const largeOrder = flow('large-order', {
  properties: z.object({ order: z.string(), total: z.string() }),
  run: ({ properties, log }) => {
    log.info(`large order ${properties.order}`, { total: properties.total })
    return properties.order
  },
})

export const orderIntake = flow('order-intake', {
  listen: post('/orders', {
    verify: hmac({ header: 'x-signature', secret: env('ORDERS_SECRET', 'only-for-trying-out') }),
    deliveryId: header('x-event-id'),
  }),
  input: Order,
  filters: { 'not-empty': ({ body }) => (body as { total?: string }).total !== '0.00' },
  key: 'customer',
  retries: { attemptsMax: 8, firstMs: Number(process.env.FIRST_RETRY_MS ?? 1_000) },
  redact: ['card.number'],
  apps: { bookings: books.object('/bookings', Booking, { id: 'id', idempotency: 'all' }) },
  run: async ({ message, apps, start }) => {
    const { number, customer, total } = message.body
    if (Number(total) >= 1_000) await start(largeOrder, { properties: { order: number, total } })
    // The same idempotency key in every attempt: booked once.
    const { id } = await apps.bookings.create({ order: number, customer, amount: total })
    return { booking: id }
  },
})

export default defineHub({ apps: { books }, flows: [orderIntake, largeOrder] })
