import { z } from 'zod'
import { http, post } from '../src/connectors/http/index.ts'
import { defineHub, env, flow } from '../src/index.ts'
import { AddressIn, AddressOut, mapped } from './references/listener-shape.ts'

/** The hub's side of `npm run bench -- listener`: the same mapping as the references, behind flows. */

const mapping = flow('mapping', {
  listen: post('/map'),
  input: AddressIn,
  output: AddressOut,
  run: ({ message }) => mapped(message.body),
})

const intake = flow('intake', {
  listen: post('/intake'),
  input: AddressIn,
  concurrency: 64,
  run: ({ message }) => void mapped(message.body),
})

/** Can do about 1,600 a second, and counts what it did. */
let seen = 0
const slow = flow('slow', {
  listen: post('/slow', { deliveryId: 'id' }),
  concurrency: 8,
  queueMax: 100,
  run: async () => {
    seen++
    await new Promise((resolve) => setTimeout(resolve, 5))
  },
})

const count = flow('count', { listen: post('/count'), output: z.number(), run: () => seen })

export default defineHub({
  apps: { nobody: http({ baseUrl: env('NOBODY_URL', 'http://127.0.0.1:9') }) },
  flows: [mapping, intake, slow, count],
})
