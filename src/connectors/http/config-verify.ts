import { checkKeys, refuse } from '../../config/refuse.ts'
import { checkHeader, checkText, oneOf, positive } from './config-checks.ts'
import type { ConfigText, HttpClientCertificate, HttpVerify } from './options.ts'

/** How senders prove who they are, and how we prove it to applications. */

/** `Authorization: Bearer <token>`: on requests to the application, or on its webhooks. */
export function bearer(token: ConfigText): { readonly kind: 'bearer'; readonly token: ConfigText } {
  checkText('bearer()', token)
  return { kind: 'bearer', token }
}

/** `Authorization: Basic ...`: on requests to the application, or on its webhooks. */
export function basic(
  user: ConfigText,
  password: ConfigText,
): { readonly kind: 'basic'; readonly user: ConfigText; readonly password: ConfigText } {
  checkText('basic() user', user)
  checkText('basic() password', password)
  return { kind: 'basic', user, password }
}

/** A secret in a header of its own: on requests to the application, or on its webhooks. */
export function apiKey(
  header: string,
  value: ConfigText,
): { readonly kind: 'api-key'; readonly header: string; readonly value: ConfigText } {
  checkHeader('apiKey()', header)
  checkText('apiKey()', value)
  return { kind: 'api-key', header: header.toLowerCase(), value }
}

/** Notifications are taken from anybody who can reach the hub. Only for a network that you trust. */
export const unverified = (): { readonly kind: 'none' } => ({ kind: 'none' })

export interface HmacOptions {
  readonly header: string
  /** One secret, or two while a rotation is under way: either is right. */
  readonly secret: ConfigText | readonly ConfigText[]
  /** Text before the signature, for example `sha256=`. */
  readonly prefix?: string
  readonly algorithm?: 'sha256' | 'sha1' | 'sha512'
  readonly encoding?: 'hex' | 'base64'
  /** The header with the time of signing, when `<time>.<body>` is signed, and how old it may be. */
  readonly timestamp?: string | { readonly header: string; readonly toleranceMs?: number; readonly separator?: string }
}

/** A clock of a sender may be off by this much, and a resend signs anew; what is older may be a replay. */
const TOLERANCE_MS = 300_000

/** A signature over the raw body. */
export function hmac(options: HmacOptions): Extract<HttpVerify, { readonly kind: 'hmac' }> {
  checkKeys('hmac()', options, ['header', 'secret', 'prefix', 'algorithm', 'encoding', 'timestamp'])
  checkHeader('hmac().header', options.header)
  const secrets = (Array.isArray(options.secret) ? options.secret : [options.secret]) as readonly ConfigText[]
  if (secrets.length === 0) refuse('hmac().secret', 'there is no secret', "Give env('NAME').")
  for (const secret of secrets) checkText('hmac().secret', secret)
  return {
    kind: 'hmac',
    header: options.header.toLowerCase(),
    prefix: options.prefix ?? '',
    algorithm: oneOf('hmac().algorithm', options.algorithm, ['sha256', 'sha1', 'sha512']),
    encoding: oneOf('hmac().encoding', options.encoding, ['hex', 'base64']),
    secrets,
    timestamp: readTimestamp(options.timestamp),
  }
}

function readTimestamp(given: HmacOptions['timestamp']): Extract<HttpVerify, { readonly kind: 'hmac' }>['timestamp'] {
  if (given === undefined) return null
  if (typeof given !== 'string') checkKeys('hmac().timestamp', given, ['header', 'toleranceMs', 'separator'])
  const options = typeof given === 'string' ? { header: given } : given
  checkHeader('hmac().timestamp', options.header)
  return {
    header: options.header.toLowerCase(),
    toleranceMs: positive('hmac().timestamp.toleranceMs', options.toleranceMs, TOLERANCE_MS),
    separator: options.separator ?? '.',
  }
}

/** A secret in the query, for senders that can set nothing but a URL. Prefer anything else: URLs end up in the logs of everything between. */
export function queryKey(name: string, value: ConfigText): Extract<HttpVerify, { readonly kind: 'query-key' }> {
  if (typeof name !== 'string' || !/^[\w.-]+$/.test(name))
    refuse('queryKey()', `${JSON.stringify(name)} cannot be the name of a parameter`, "Give one such as 'token'.")
  checkText('queryKey()', value)
  return { kind: 'query-key', name, value }
}

/** Only requests from these addresses or networks. Behind proxies of your own, name them: their `X-Forwarded-For` is believed, nobody else's. */
export function fromAddresses(
  allow: readonly string[],
  options: { readonly proxies?: readonly string[] } = {},
): Extract<HttpVerify, { readonly kind: 'addresses' }> {
  checkKeys('fromAddresses()', options, ['proxies'])
  if (!Array.isArray(allow) || allow.length === 0)
    refuse('fromAddresses()', 'no address is allowed', "Give at least one, such as '203.0.113.0/24'.")
  return { kind: 'addresses', allow, proxies: options.proxies ?? [] }
}

export interface MutualTlsOptions {
  /** SHA-256 of the sender's certificate, in hex. */
  readonly fingerprint?: string | readonly string[]
  /** The whole subject, as `CN=sender,O=Acme`. */
  readonly subject?: string | readonly string[]
  /** The proxy that ends TLS before the hub, and its headers. It must take these headers away from everybody else. */
  readonly proxy?: {
    readonly addresses: readonly string[]
    readonly verifiedHeader: string
    /** What stands there when the certificate is good; `SUCCESS` unless given. */
    readonly verifiedValue?: string
    readonly fingerprintHeader?: string
    readonly subjectHeader?: string
  }
}

/** The sender shows a client certificate in the TLS handshake. */
export function mutualTls(options: MutualTlsOptions): HttpClientCertificate {
  checkKeys('mutualTls()', options, ['fingerprint', 'subject', 'proxy'])
  const { fingerprint = [], subject = [], proxy } = options
  const fingerprints = ([] as string[]).concat(fingerprint)
  const subjects = ([] as string[]).concat(subject)
  if (fingerprints.length + subjects.length === 0)
    refuse('mutualTls()', 'it does not say whose certificate it must be', 'Give its fingerprint or its subject.')
  for (const one of fingerprints)
    if (!/^(?:[0-9a-f]{2}:?){32}$/i.test(one))
      refuse('mutualTls().fingerprint', `${JSON.stringify(one)} is not a SHA-256 in hex`, 'Give 64 digits.')
  if (proxy === undefined) return { kind: 'client-certificate', fingerprints, subjects, proxy: null }
  checkKeys('mutualTls().proxy', proxy, [
    'addresses',
    'verifiedHeader',
    'verifiedValue',
    'fingerprintHeader',
    'subjectHeader',
  ])
  for (const name of [proxy.verifiedHeader, proxy.fingerprintHeader, proxy.subjectHeader])
    if (name !== undefined) checkHeader('mutualTls().proxy', name)
  return {
    kind: 'client-certificate',
    fingerprints,
    subjects,
    proxy: {
      addresses: proxy.addresses,
      verifiedHeader: proxy.verifiedHeader,
      verifiedValue: proxy.verifiedValue ?? 'SUCCESS',
      fingerprintHeader: proxy.fingerprintHeader ?? null,
      subjectHeader: proxy.subjectHeader ?? null,
    },
  }
}

/** All of these together: `allOf(fromAddresses([...]), basic(...))`. */
export function allOf(...of: readonly HttpVerify[]): Extract<HttpVerify, { readonly kind: 'all' }> {
  if (of.length === 0) refuse('allOf()', 'nothing is asked for', 'Give at least one way to verify, or unverified().')
  return { kind: 'all', of }
}
