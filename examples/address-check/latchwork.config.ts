/**
 * Request/reply: a shop asks whether an address can be delivered to, and waits for the answer.
 *
 *     latchwork start --config examples/address-check/latchwork.config.ts
 *     curl -d '{"street":"Unter den Linden 1","zip":"10117","country":"de"}' -H 'content-type: application/json' localhost:4800/address-check
 */

import { defineHub, env, flow } from 'latchwork'
import { http, json, post, xml } from 'latchwork/connectors/http'
import { z } from 'zod'

const postal = http({ baseUrl: env('POSTAL_URL', 'http://127.0.0.1:4901') })

const AddressIn = z.object({
  street: z.string().min(1),
  zip: z.string().regex(/^[0-9A-Z -]{3,10}$/i),
  country: z.string().length(2).toLowerCase(),
})

const AddressOut = z.object({
  deliverable: z.boolean(),
  city: z.string().nullable(),
  /** As the carrier prints it. */
  line: z.string(),
})

const Area = z.object({ id: z.string(), city: z.string(), closed: z.boolean() })

export const addressCheck = flow('address-check', {
  listen: post('/address-check', { format: [json(), xml({ root: 'address' })] }),
  input: AddressIn,
  output: AddressOut,
  apps: { areas: postal.object('/areas', Area, { id: 'id' }) },
  timeoutMs: 2_000,
  run: async ({ message, apps }) => {
    const { street, zip, country } = message.body
    const area = await apps.areas.read(`${country}-${zip.replaceAll(' ', '').toUpperCase()}`)
    const line = `${street}, ${zip}${area === null ? '' : ` ${area.city}`}, ${country.toUpperCase()}`
    return { deliverable: area !== null && !area.closed, city: area?.city ?? null, line }
  },
})

export default defineHub({ apps: { postal }, flows: [addressCheck] })
