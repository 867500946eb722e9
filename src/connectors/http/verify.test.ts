import { createHmac } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import { describe, expect, test } from 'vitest'
import { SyncError } from '../../errors/index.ts'
import type { RawRequest } from '../../ports/app.ts'
import { github, hubspot, shopify, slack, standardWebhooks, stripe } from './config-senders.ts'
import { allOf, basic, fromAddresses, mutualTls, queryKey } from './config-verify.ts'
import type { HttpVerify } from './options.ts'
import { createVerifier } from './verify.ts'

const requestOf = (given: Partial<Omit<RawRequest, 'body'>> & { readonly body?: string }): RawRequest => ({
  method: 'POST',
  path: '/hooks/x',
  query: '',
  headers: {},
  remoteAddress: '127.0.0.1',
  ...given,
  body: Buffer.from(given.body ?? ''),
})

/** 'accepted', or the code of the refusal. */
function verdictOf(verify: HttpVerify, request: RawRequest, nowMs = 0): string {
  try {
    createVerifier(verify, '/hooks/x')(request, nowMs)
    return 'accepted'
  } catch (error) {
    return SyncError.is(error) ? error.code : String(error)
  }
}

const mac = (secret: string | Buffer, encoding: 'hex' | 'base64', ...parts: string[]): string =>
  createHmac('sha256', secret).update(parts.join('')).digest(encoding)

interface Vector {
  readonly verify: HttpVerify
  readonly good: RawRequest
  readonly nowMs: number
  readonly signatureHeader: string
}

/** Published by the vendors in their documentation, or made by the vendor's own rules in other words than ours. */
const vectors: Readonly<Record<string, Vector>> = {
  'GitHub, the example of its documentation': {
    verify: github({ secret: "It's a Secret to Everybody" }).verify,
    good: requestOf({
      body: 'Hello, World!',
      headers: { 'x-hub-signature-256': 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17' },
    }),
    nowMs: 0,
    signatureHeader: 'x-hub-signature-256',
  },
  'Slack, the example of its documentation': {
    verify: slack({ secret: '8f742231b10e8888abcd99yyyzzz85a5' }).verify,
    good: requestOf({
      body: 'token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c',
      headers: {
        'x-slack-request-timestamp': '1531420618',
        'x-slack-signature': 'v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503',
      },
    }),
    nowMs: 1531420618_000,
    signatureHeader: 'x-slack-signature',
  },
  'Standard Webhooks, the example of its specification': {
    verify: standardWebhooks({ secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' }).verify,
    good: requestOf({
      body: '{"test": 2432232314}',
      headers: {
        'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
        'webhook-timestamp': '1614265330',
        'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
      },
    }),
    nowMs: 1614265330_000,
    signatureHeader: 'webhook-signature',
  },
  Stripe: {
    verify: stripe({ secret: 'whsec_test_secret' }).verify,
    good: requestOf({
      body: '{"id":"evt_1","object":"event"}',
      headers: {
        'stripe-signature': `t=1492774577,v1=${mac('whsec_test_secret', 'hex', '1492774577.', '{"id":"evt_1","object":"event"}')},v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39`,
      },
    }),
    nowMs: 1492774577_000,
    signatureHeader: 'stripe-signature',
  },
  Shopify: {
    verify: shopify({ secret: 'hush' }).verify,
    good: requestOf({
      body: '{"id":820982911946154508}',
      headers: { 'x-shopify-hmac-sha256': mac('hush', 'base64', '{"id":820982911946154508}') },
    }),
    nowMs: 0,
    signatureHeader: 'x-shopify-hmac-sha256',
  },
  'HubSpot v3': {
    verify: hubspot({ secret: 'client-secret', publicUrl: 'https://hooks.example.com/' }).verify,
    good: requestOf({
      body: '[{"eventId":1}]',
      query: 'a=b%3Ac%20d',
      headers: {
        'x-hubspot-request-timestamp': '1600000000000',
        'x-hubspot-signature-v3': mac(
          'client-secret',
          'base64',
          'POST',
          'https://hooks.example.com/hooks/x?a=b:c%20d',
          '[{"eventId":1}]',
          '1600000000000',
        ),
      },
    }),
    nowMs: 1600000000_000,
    signatureHeader: 'x-hubspot-signature-v3',
  },
}

describe.each(Object.entries(vectors))('%s', (_name, { verify, good, nowMs, signatureHeader }) => {
  const isTimed = verify.kind === 'signature' && verify.time !== null
  const withHeader = (value: string): RawRequest => ({
    ...good,
    headers: { ...good.headers, [signatureHeader]: value },
  })
  const given = good.headers[signatureHeader] as string

  test('what the sender sends is taken', () => expect(verdictOf(verify, good, nowMs)).toBe('accepted'))

  test('one changed byte of the body, the signature or the secret is not', () => {
    const body = Buffer.from(good.body)
    body[body.length - 1] = (body[body.length - 1] ?? 0) ^ 1
    expect(verdictOf(verify, { ...good, body }, nowMs)).toBe('intake.unauthenticated')
    expect(verdictOf(verify, { ...good, body: Buffer.concat([good.body, Buffer.from('\n')]) }, nowMs)).toBe(
      'intake.unauthenticated',
    )
    const digest = /[0-9a-zA-Z+/=]{40,}/.exec(given)?.[0] as string
    for (const wrong of [
      given.replace(digest, digest.slice(1)),
      given.replace(digest, `${digest.slice(0, 8)}${digest[8] === '0' ? '1' : '0'}${digest.slice(9)}`),
      given.replace(digest, ''),
      given.replace(digest, digest.repeat(2)),
      '',
      'a'.repeat(10_000),
    ])
      expect(verdictOf(verify, withHeader(wrong), nowMs)).toBe('intake.unauthenticated')
    const other = { ...verify, secrets: ['whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'] } as HttpVerify
    expect(verdictOf(other, good, nowMs)).toBe('intake.unauthenticated')
  })

  test('without its headers it is not', () => {
    for (const name of Object.keys(good.headers)) {
      const { [name]: _gone, ...headers } = good.headers
      expect(verdictOf(verify, { ...good, headers }, nowMs)).toBe('intake.unauthenticated')
    }
  })

  test('either secret of a rotation is right', () => {
    const rotating = {
      ...verify,
      secrets: ['whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', ...(verify.kind === 'signature' ? verify.secrets : [])],
    } as HttpVerify
    expect(verdictOf(rotating, good, nowMs)).toBe('accepted')
  })

  test.runIf(isTimed)('a signature of more than 5 minutes ago, or ahead, is stale', () => {
    for (const [shiftMs, verdict] of [
      [299_000, 'accepted'],
      [-299_000, 'accepted'],
      [301_000, 'intake.stale'],
      [-301_000, 'intake.stale'],
    ] as const)
      expect(verdictOf(verify, good, nowMs + shiftMs)).toBe(verdict)
  })
})

test('Standard Webhooks agree with the reference package, also for several signatures', () => {
  const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
  const reference = new Webhook(secret)
  const { verify } = standardWebhooks({ secret })
  for (let i = 0; i < 50; i++) {
    const body = JSON.stringify({ i, text: 'é'.repeat(i) })
    const at = new Date(1_700_000_000_000 + i * 1000)
    const signature = reference.sign(`msg_${i}`, at, body)
    const headers = { 'webhook-id': `msg_${i}`, 'webhook-timestamp': String(at.getTime() / 1000) }
    const decoys = `v1,${Buffer.alloc(32, i).toString('base64')} v1a,abc ${signature}`
    for (const given of [signature, decoys]) {
      const request = requestOf({ body, headers: { ...headers, 'webhook-signature': given } })
      expect(verdictOf(verify, request, at.getTime())).toBe('accepted')
      expect(
        verdictOf(verify, { ...request, headers: { ...request.headers, 'webhook-id': 'msg_x' } }, at.getTime()),
      ).toBe('intake.unauthenticated')
    }
  }
})

test('a wrong or short Standard Webhooks secret is refused when the hub starts', () => {
  for (const secret of ['whsec_abc', 'not base64 at all!!', 'whsec_****'])
    expect(() => createVerifier(standardWebhooks({ secret }).verify, '/x')).toThrow(/not base64/)
})

describe('addresses', () => {
  const verify = fromAddresses(['203.0.113.0/24', '2001:db8::1'], { proxies: ['10.0.0.0/8'] })
  test.each<[string, string | undefined, string]>([
    ['203.0.113.7', undefined, 'accepted'],
    ['::ffff:203.0.113.7', undefined, 'accepted'],
    ['2001:db8:0:0:0:0:0:1', undefined, 'accepted'],
    ['203.0.114.7', undefined, 'intake.unauthenticated'],
    ['198.51.100.1', '203.0.113.7', 'intake.unauthenticated'],
    ['10.1.2.3', '203.0.113.7', 'accepted'],
    ['10.1.2.3', '203.0.113.7, 198.51.100.1', 'intake.unauthenticated'],
    ['10.1.2.3', '198.51.100.1, 203.0.113.7, 10.9.9.9', 'accepted'],
    ['10.1.2.3', undefined, 'intake.unauthenticated'],
    ['10.1.2.3', 'nonsense', 'intake.unauthenticated'],
    ['', undefined, 'intake.unauthenticated'],
  ])('from %s, forwarded for %s', (remoteAddress, forwarded, verdict) => {
    const headers: Record<string, string> = forwarded === undefined ? {} : { 'x-forwarded-for': forwarded }
    expect(verdictOf(verify, requestOf({ remoteAddress, headers }))).toBe(verdict)
  })

  test.each(['300.1.1.1', '10.0.0.0/33', 'host', '10.0.0.0/'])('%s is no address', (entry) => {
    expect(() => createVerifier(fromAddresses([entry]), '/x')).toThrow(/neither an IP address nor a network/)
  })
})

describe('client certificates', () => {
  const fingerprint = 'AB:'.repeat(31) + 'CD'
  const verify = mutualTls({
    fingerprint,
    subject: 'CN=sender,O=Acme',
    proxy: { addresses: ['10.0.0.1'], verifiedHeader: 'x-verify', fingerprintHeader: 'x-print', subjectHeader: 'x-dn' },
  })
  const bare = fingerprint.replaceAll(':', '').toLowerCase()
  test.each<[string, Partial<RawRequest>, string]>([
    ['none', {}, 'intake.unauthenticated'],
    ['the fingerprint', { clientCertificate: { fingerprint256: fingerprint, subject: '' } }, 'accepted'],
    ['the subject', { clientCertificate: { fingerprint256: '00', subject: 'CN=sender,O=Acme' } }, 'accepted'],
    ['another', { clientCertificate: { fingerprint256: '00', subject: 'CN=sender' } }, 'intake.unauthenticated'],
    [
      'through the proxy',
      { remoteAddress: '10.0.0.1', headers: { 'x-verify': 'SUCCESS', 'x-print': bare } },
      'accepted',
    ],
    [
      'not verified by the proxy',
      { remoteAddress: '10.0.0.1', headers: { 'x-verify': 'NONE', 'x-print': bare } },
      'intake.unauthenticated',
    ],
    [
      'headers from a stranger',
      { remoteAddress: '10.0.0.2', headers: { 'x-verify': 'SUCCESS', 'x-print': bare } },
      'intake.unauthenticated',
    ],
  ])('%s', (_what, given, verdict) => {
    expect(verdictOf(verify, { ...requestOf({}), ...given })).toBe(verdict)
  })
})

describe('combined and in the query', () => {
  const verify = allOf(fromAddresses(['127.0.0.1']), queryKey('token', 'sesame'), basic('ada', 'pw'))
  const headers = { authorization: `Basic ${Buffer.from('ada:pw').toString('base64')}` }
  test.each<[string, Partial<RawRequest>, string]>([
    ['all three', { query: 'token=sesame', headers }, 'accepted'],
    ['no token', { headers }, 'intake.unauthenticated'],
    ['a wrong token', { query: 'token=open', headers }, 'intake.unauthenticated'],
    ['two tokens', { query: 'token=sesame&token=x', headers }, 'intake.unauthenticated'],
    ['no password', { query: 'token=sesame' }, 'intake.unauthenticated'],
    ['another address', { query: 'token=sesame', headers, remoteAddress: '127.0.0.2' }, 'intake.unauthenticated'],
  ])('%s', (_what, given, verdict) => expect(verdictOf(verify, { ...requestOf({}), ...given })).toBe(verdict))
})
