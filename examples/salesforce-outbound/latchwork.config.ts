/**
 * Contacts of Salesforce kept in a directory that is spoken to over HTTP. Salesforce tells by outbound messages; nothing is written into it.
 *
 *     latchwork start --config examples/salesforce-outbound/latchwork.config.ts
 */

import { defineHub, entity, env, readOnly, sync } from 'latchwork'
import { allOf, bearer, fromAddresses, http, queryKey, salesforce, webhook } from 'latchwork/connectors/http'
import { z } from 'zod'

const contact = entity('contact', {
  schema: z.object({ name: z.string().min(1), email: z.string(), zip: z.string().nullable() }),
})

// Outbound messages may overtake each other, and their time stamps have whole seconds: so each leads to a read of the record as it is, with a token of the
// hub's own. The session id in the message is never used, and never even read.
const sales = http({ baseUrl: env('SALESFORCE_URL'), auth: bearer(env('SALESFORCE_ACCESS_TOKEN')) })
const directory = http({ baseUrl: env('DIRECTORY_URL') })

const contacts = sync(contact, {
  sales: sales.resource('/sobjects/Contact', {
    id: 'Id',
    createHere: false,
    deletes: 'ignore',
    notify: webhook('/hooks/salesforce', {
      ...salesforce({
        organizationId: env('SALESFORCE_ORGANIZATION'),
        verify: allOf(
          queryKey('token', env('SALESFORCE_TOKEN')),
          fromAddresses(['127.0.0.1'], { proxies: [] }), // in earnest: Salesforce's published networks, or mutualTls({ ... })
        ),
      }),
    }),
    fields: { name: readOnly('LastName'), email: readOnly('Email'), zip: readOnly('MailingPostalCode') },
  }),
  directory: directory.resource('/people', {
    id: 'id',
    version: 'rev',
    conditional: true,
    idempotency: 'all',
    fields: { name: 'name', email: 'email', zip: 'zip' },
  }),
})

export default defineHub({ apps: { sales, directory }, sync: [contacts] })
