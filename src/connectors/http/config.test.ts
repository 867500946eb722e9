import { expect, test } from 'vitest'
import { z } from 'zod'
import { defineHub, entity, env, sync } from '../../index.ts'
import { asAppId } from '../../model/ids.ts'
import { capabilitiesOf, etag, http, poll, type ResourceOptions, unordered } from './config.ts'
import { apiKey, basic, bearer, hmac, unverified } from './config-verify.ts'
import { header, webhook } from './config-webhook.ts'
import type { HttpAppOptions, HttpResource } from './options.ts'

const thing = entity('thing', { schema: z.object({ name: z.string() }) })

function described(options: ResourceOptions): { app: HttpAppOptions; resource: HttpResource } {
  const desk = http({ baseUrl: env('DESK_URL') })
  const hub = defineHub({
    apps: { desk },
    sync: [sync(thing, { desk: desk.resource('/v1/things', { id: 'id', fields: { name: 'name' }, ...options }) })],
  })
  const app = hub.apps.get(asAppId('desk'))?.options as HttpAppOptions
  return { app, resource: app.resources[0] as HttpResource }
}

test('a resource with nothing said relies on nothing', () => {
  const { app, resource } = described({})
  expect(resource).toEqual({
    object: 'v1/things',
    path: '/v1/things',
    id: 'id',
    idType: 'text',
    version: null,
    externalId: null,
    updatedAt: null,
    updateMethod: 'patch',
    conditional: false,
    idempotency: 'none',
    notify: null,
    poll: null,
    list: null,
    replyImage: true,
    read: 'R2',
  })
  expect(capabilitiesOf(app, resource)).toMatchObject({
    feed: 'none',
    token: 'T0',
    condition: 'C0',
    create: 'K0',
    correlation: false,
  })
})

const hook = webhook('/hooks/things', { verify: unverified() })

test.each<[string, ResourceOptions, object]>([
  ['a version field', { version: 'rev' }, { token: 'T2' }],
  ['a version that does not grow', { version: unordered('hash') }, { token: 'T1' }],
  ['an ETag', { version: etag() }, { token: 'T1', reply: { token: true, image: true } }],
  ['an ETag that grows', { version: etag({ ordered: true }) }, { token: 'T2' }],
  ['conditional writes', { version: 'rev', conditional: true }, { condition: 'C2' }],
  ['an idempotency key', { idempotency: 'create' }, { create: 'K2', idempotency: 'create' }],
  ['an external id', { externalId: 'ref' }, { create: 'K1', correlation: true }],
  [
    'an external id that finds nothing',
    { externalId: { field: 'ref', findParam: null } },
    { create: 'K0', correlation: true },
  ],
  ['full notifications', { notify: hook }, { feed: 'F2', image: 'I2' }],
  ['notifications with the id only', { notify: { ...hook, idOnly: true } }, { feed: 'F2', image: 'I0' }],
  ['polling', { poll: poll({ cursorParam: 'since', next: 'next' }) }, { feed: 'F1', image: 'I2' }],
  ['replies without the record', { version: 'rev', replyImage: false }, { reply: { token: false, image: false } }],
  ['no reads', { read: 'R0' }, { read: 'R0' }],
])('%s', (_name, options, expected) => {
  const { app, resource } = described(options)
  expect(capabilitiesOf(app, resource)).toMatchObject(expected)
})

test('webhooks and signatures are plain data, header names in lower case', () => {
  const made = webhook('/hooks/things', {
    verify: hmac({ header: 'X-Signature', secret: [env('NEW'), env('OLD')], prefix: 'sha256=', timestamp: 'X-Time' }),
    record: 'data',
    deliveryId: header('X-Event-Id'),
    deleted: { at: 'event', equals: 'thing.deleted' },
  })
  expect(made).toEqual({
    path: '/hooks/things',
    verify: {
      kind: 'hmac',
      header: 'x-signature',
      prefix: 'sha256=',
      algorithm: 'sha256',
      encoding: 'hex',
      secrets: [{ env: 'NEW' }, { env: 'OLD' }],
      timestamp: { header: 'x-time', toleranceMs: 300_000, separator: '.' },
    },
    record: 'data',
    idOnly: false,
    deliveryId: { in: 'header', name: 'x-event-id' },
    deleted: { place: { in: 'body', path: 'event' }, equals: ['thing.deleted'] },
    ackStatus: 202,
  })
  expect(apiKey('X-Key', 'k')).toEqual({ kind: 'api-key', header: 'x-key', value: 'k' })
  expect(basic('u', 'p')).toEqual({ kind: 'basic', user: 'u', password: 'p' })
  expect(bearer('t')).toEqual({ kind: 'bearer', token: 't' })
})

test.each<[string, () => unknown, RegExp]>([
  ['no base URL', () => http({} as never), /baseUrl: a text is needed/],
  ['an unknown option', () => http({ baseUrl: 'x', timeoutMs: 5 } as never), /'timeoutMs'/],
  [
    'a path that is none',
    () => http({ baseUrl: 'x' }).resource('things', { id: 'id', fields: {} }),
    /not one below the base URL/,
  ],
  ['a webhook path with a query', () => webhook('/hooks?a=1', { verify: unverified() }), /this is not a path/],
  ['a webhook without verify', () => webhook('/hooks', {} as never), /how the sender proves/],
  ['a signature without a secret', () => hmac({ header: 'x', secret: [] }), /no secret/],
  [
    'an unknown algorithm',
    () => hmac({ header: 'x', secret: 's', algorithm: 'md5' as never }),
    /'md5' is not a choice here/,
  ],
  ['a header that cannot be one', () => header('X Event'), /cannot be the name of a header/],
  ['polling without a cursor', () => poll({ cursorParam: 'since' }), /where the next cursor comes from/],
  [
    'a time-out below 1',
    () => defineHub({ apps: { a: http({ baseUrl: 'x', requestTimeoutMs: 0 }) }, sync: [] }),
    /whole number above 0/,
  ],
])('refuses %s', (_name, make, message) => {
  expect(make).toThrow(message)
})
