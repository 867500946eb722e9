import { checkKeys, refuse } from '../../config/refuse.ts'
import { soap } from '../../formats/index.ts'
import { checkText, positive } from './config-checks.ts'
import { header, type RuleOptions, type WebhookOptions } from './config-webhook.ts'
import type { ConfigText, HttpSignature, HttpVerify } from './options.ts'

/**
 * The habits of well-known senders, as published by them: what is signed and how, what names a delivery, what a webhook must answer at once. Each gives a part of
 * `WebhookOptions`, to be spread into a webhook: `webhook('/hooks/shop', { ...shopify({ secret: env('SHOP_SECRET') }), record: '' })`.
 */

/** One secret, or two while a rotation is under way: either is right. */
export type Secrets = ConfigText | readonly ConfigText[]

export interface SenderOptions {
  readonly secret: Secrets
}

export interface TimedSenderOptions extends SenderOptions {
  /** How old a signature may be; 5 minutes unless given, which is what these senders advise. */
  readonly toleranceMs?: number
}

type Preset<Keys extends keyof WebhookOptions> = Pick<WebhookOptions, Keys>

/** What all of these senders advise, and what their own libraries take. */
const TOLERANCE_MS = 300_000

function secretsOf(where: string, secret: Secrets): readonly ConfigText[] {
  const secrets = (Array.isArray(secret) ? secret : [secret]) as readonly ConfigText[]
  if (secrets.length === 0) refuse(where, 'there is no secret', "Give env('NAME').")
  for (const one of secrets) checkText(`${where}.secret`, one)
  return secrets
}

function signature(
  where: string,
  options: TimedSenderOptions,
  rules: Pick<HttpSignature, 'header' | 'list' | 'signed'> & Partial<HttpSignature>,
): HttpSignature {
  return {
    kind: 'signature',
    algorithm: 'sha256',
    encoding: 'hex',
    secrets: secretsOf(where, options.secret),
    secretForm: 'text',
    time: null,
    toleranceMs: positive(`${where}.toleranceMs`, options.toleranceMs, TOLERANCE_MS),
    publicUrl: null,
    ...rules,
  }
}

/** Standard Webhooks 1.0 (also Svix): `webhook-id`, `webhook-timestamp`, `webhook-signature: v1,<base64>`. The secret begins with `whsec_`. */
export function standardWebhooks(options: TimedSenderOptions): Preset<'verify' | 'deliveryId'> {
  checkKeys('standardWebhooks()', options, ['secret', 'toleranceMs'])
  return {
    verify: signature('standardWebhooks()', options, {
      header: 'webhook-signature',
      encoding: 'base64',
      secretForm: 'whsec',
      list: { form: 'spaced', version: 'v1' },
      signed: [{ header: 'webhook-id' }, { text: '.' }, 'time', { text: '.' }, 'body'],
      time: { header: 'webhook-timestamp' },
    }),
    deliveryId: header('webhook-id'),
  }
}

/** GitHub: `X-Hub-Signature-256: sha256=<hex>` over the body. The ping that it sends when a webhook is made is acknowledged. */
export function github(options: SenderOptions): Preset<'verify' | 'deliveryId' | 'ignore'> {
  checkKeys('github()', options, ['secret'])
  const ping: RuleOptions = { at: header('x-github-event'), equals: 'ping' }
  return {
    verify: signature('github()', options, {
      header: 'x-hub-signature-256',
      list: { form: 'one', prefix: 'sha256=' },
      signed: ['body'],
    }),
    deliveryId: header('x-github-delivery'),
    ignore: [ping],
  }
}

/** Shopify: `X-Shopify-Hmac-SHA256`, base64 over the body, with the app's client secret. A resend has the same `X-Shopify-Webhook-Id`. */
export function shopify(options: SenderOptions): Preset<'verify' | 'deliveryId'> {
  checkKeys('shopify()', options, ['secret'])
  return {
    verify: signature('shopify()', options, {
      header: 'x-shopify-hmac-sha256',
      encoding: 'base64',
      list: { form: 'one', prefix: '' },
      signed: ['body'],
    }),
    deliveryId: header('x-shopify-webhook-id'),
  }
}

/** Stripe: `Stripe-Signature: t=<time>,v1=<hex>` over `<time>.<body>`; the event's `id` names the delivery. Its record stands in `data.object`. */
export function stripe(options: TimedSenderOptions): Preset<'verify' | 'deliveryId' | 'record'> {
  checkKeys('stripe()', options, ['secret', 'toleranceMs'])
  return {
    verify: signature('stripe()', options, {
      header: 'stripe-signature',
      list: { form: 'pairs', version: 'v1' },
      signed: ['time', { text: '.' }, 'body'],
      time: { pair: 't' },
    }),
    deliveryId: 'id',
    record: 'data.object',
  }
}

/**
 * HubSpot, signature version 3: method, URL, body and time. `publicUrl` is the hub as HubSpot knows it (`https://hooks.example.com`), because the URL is
 * signed. One message holds several events, and each is named by `eventId` and tried again as a whole.
 */
export function hubspot(
  options: TimedSenderOptions & { readonly publicUrl: ConfigText },
): Preset<'verify' | 'deliveryId'> {
  checkKeys('hubspot()', options, ['secret', 'toleranceMs', 'publicUrl'])
  checkText('hubspot().publicUrl', options.publicUrl)
  return {
    verify: signature('hubspot()', options, {
      header: 'x-hubspot-signature-v3',
      encoding: 'base64',
      list: { form: 'one', prefix: '' },
      signed: ['method', 'url', 'body', 'time'],
      time: { header: 'x-hubspot-request-timestamp' },
      publicUrl: options.publicUrl,
    }),
    deliveryId: 'eventId',
  }
}

/** Slack: `X-Slack-Signature: v0=<hex>` over `v0:<time>:<body>`. Its `url_verification` is answered; events have their id in `event_id`. */
export function slack(options: TimedSenderOptions): Preset<'verify' | 'deliveryId' | 'challenge' | 'ackStatus'> {
  checkKeys('slack()', options, ['secret', 'toleranceMs'])
  return {
    verify: signature('slack()', options, {
      header: 'x-slack-signature',
      list: { form: 'one', prefix: 'v0=' },
      signed: [{ text: 'v0:' }, 'time', { text: ':' }, 'body'],
      time: { header: 'x-slack-request-timestamp' },
    }),
    deliveryId: 'event_id',
    challenge: { when: { at: 'type', equals: 'url_verification' }, answer: 'challenge' },
    // Slack takes 200 only for some of its requests.
    ackStatus: 200,
  }
}

export interface SalesforceOptions {
  /** The organisation's id of 18 characters; messages of another one are refused. */
  readonly organizationId: ConfigText
  /**
   * Outbound messages carry no signature. So let at least one more thing be asked for: `mutualTls(...)` with the certificate that Salesforce shows, `fromAddresses(...)` with
   * its published networks, or a `queryKey(...)` in the URL.
   */
  readonly verify: HttpVerify
}

/**
 * Salesforce outbound messages: a SOAP 1.1 envelope with up to 100 notifications, each with an id of its own and one record. `Ack` is answered when all of them are
 * durable, a SOAP fault otherwise, and Salesforce then sends all of them again, for up to 24 hours. Session ids and the URLs that they are good for are
 * never read out of the message, so that they can stand in no journal and no log.
 */
export function salesforce(
  options: SalesforceOptions,
): Preset<'verify' | 'deliveryId' | 'format' | 'list' | 'record' | 'expect' | 'ackStatus'> {
  checkKeys('salesforce()', options, ['organizationId', 'verify'])
  checkText('salesforce().organizationId', options.organizationId)
  return {
    verify: options.verify,
    format: soap({
      versions: ['1.1'],
      request: 'notifications',
      reply: 'notificationsResponse',
      namespace: OUTBOUND,
      // The namespaces of records by the two kinds of WSDL; fields stand under their own names.
      documents: 'Notification',
      omit: ['SessionId', 'EnterpriseUrl', 'PartnerUrl'],
      localNames: ['urn:sobject.enterprise.soap.sforce.com', 'urn:sobject.partner.soap.sforce.com'],
      ack: { Ack: 'true' },
    }),
    list: 'Notification',
    record: 'sObject',
    deliveryId: 'Id',
    expect: [{ at: 'OrganizationId', equals: options.organizationId }],
    ackStatus: 200,
  }
}

const OUTBOUND = 'http://soap.sforce.com/2005/09/outbound'
