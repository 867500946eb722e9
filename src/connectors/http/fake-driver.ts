import { createHmac } from 'node:crypto'
import { systemClock } from '../../lib/system-clock.ts'
import { asAppId, asNativeId, asObjectId } from '../../model/ids.ts'
import type { NativeRecord } from '../../model/value.ts'
import type { RawRequest } from '../../ports/app.ts'
import type { AppDriver, AppFault, AppUnderTest } from '../../testing/suites/app-driver.ts'
import { httpCapabilities } from './capabilities.ts'
import { createHttpConnector } from './connector.ts'
import { FakeApp, type FakeAppOptions, type FakeFault } from './fake-app.ts'
import type { HttpAppOptions, HttpPoll, HttpResource, HttpWebhook } from './options.ts'

export const FAKE_SECRET = 'a secret for tests'

export const fakeWebhook: HttpWebhook = {
  path: '/hooks/items',
  verify: {
    kind: 'hmac',
    header: 'X-Signature',
    prefix: 'sha256=',
    algorithm: 'sha256',
    encoding: 'hex',
    secrets: [FAKE_SECRET],
    timestamp: { header: 'X-Timestamp', toleranceMs: 300_000, separator: '.' },
  },
  record: 'data',
  idOnly: false,
  deliveryId: { in: 'body', path: 'eventId' },
  deleted: { place: { in: 'body', path: 'event' }, equals: ['item.deleted'] },
  ackStatus: 202,
}

const fakePoll: HttpPoll = {
  path: '/items',
  cursorParam: 'since',
  limitParam: 'limit',
  items: 'items',
  next: null,
  cursorField: 'rev',
  deletedField: 'isDeleted',
  everyMs: 1000,
  max: 100,
}

/** The declaration of the fake application's one collection, in either form. */
export function fakeResource(app: FakeAppOptions, over: Partial<HttpResource> = {}): HttpResource {
  const isA = app.form === 'A'
  return {
    object: asObjectId('items'),
    path: '/items',
    id: 'id',
    idType: 'text',
    version: !isA
      ? null
      : app.version === 'etag'
        ? { in: 'etag', ordered: true }
        : { in: 'field', field: 'rev', ordered: true },
    externalId: isA ? { field: 'ref', findParam: 'ref' } : null,
    updatedAt: null,
    updateMethod: isA ? 'patch' : 'put',
    conditional: isA,
    idempotency: isA ? 'all' : 'none',
    notify: isA ? fakeWebhook : { ...fakeWebhook, idOnly: true },
    list: null,
    poll: isA ? fakePoll : null,
    replyImage: isA && app.version !== 'etag',
    read: 'R2',
    ...over,
  }
}

export const fakeOptions = (
  baseUrl: string,
  resource: HttpResource,
  over: Partial<HttpAppOptions> = {},
): HttpAppOptions => ({
  app: asAppId('fake'),
  baseUrl,
  auth: { kind: 'bearer', token: 'a token for tests' },
  headers: {},
  idempotencyHeader: 'Idempotency-Key',
  requestTimeoutMs: 500,
  connectionsMax: 8,
  bodyBytesMax: 1_000_000,
  fenceMs: 0,
  resources: [resource],
  ...over,
})

const faults: Readonly<Record<Exclude<AppFault, 'down'>, FakeFault>> = {
  overloaded: { kind: 'status', status: 503, headers: { 'retry-after': '7' } },
  denied: { kind: 'status', status: 401 },
  rejects: { kind: 'status', status: 422 },
  silent: { kind: 'silent' },
  'lost-reply': { kind: 'cut-after' },
  'silent-after': { kind: 'silent-after' },
  garbage: { kind: 'garbage' },
}

export const silentLog = { log: (): void => {} }

/** The published suites' view of the fake application. */
export function fakeDriver(form: FakeAppOptions): AppDriver {
  const capabilities = httpCapabilities({ connectionsMax: 8, fenceMs: 0 }, fakeResource(form))
  const resource = fakeResource(form)
  return {
    capabilities,
    faults: ['down', ...(Object.keys(faults) as AppFault[])],
    signsBody: true,
    hasFeed: resource.poll !== null,
    open: async () => open(form, resource),
  }
}

async function open(form: FakeAppOptions, resource: HttpResource): Promise<AppUnderTest> {
  const app = await FakeApp.start(form)
  const connector = createHttpConnector(fakeOptions(app.baseUrl, resource), { clock: systemClock, log: silentLog })
  return {
    connector,
    object: resource.object,
    textField: 'name',
    sample: (n) => ({ name: `name ${n}`, address: { city: `city ${n}`, zip: '00123' }, count: n }),
    create: async (record) => asNativeId(app.create(record)),
    edit: async (nativeId, patch) => app.edit(nativeId, patch),
    delete: async (nativeId) => app.delete(nativeId),
    peek: async (nativeId) => app.records.get(nativeId) as NativeRecord | undefined,
    ids: async () => [...app.records.keys()].map(asNativeId),
    fault: async (fault) => {
      app.fault = fault === 'none' || fault === 'down' ? { kind: 'none' } : faults[fault]
      await (fault === 'down' ? app.down() : app.up())
    },
    push: async (nativeId) =>
      signedPush({ event: 'item.changed', eventId: 'e-1', data: app.records.get(nativeId) }, systemClock.nowMs()),
    withoutCredentials: (request) => {
      const { 'x-signature': _signature, ...headers } = request.headers
      return { ...request, headers }
    },
    [Symbol.asyncDispose]: async () => {
      await connector.source.close()
      await connector.target.close()
      await app.down()
    },
  }
}

/** A push as the fake application sends it: signed, with the time of signing. */
export function signedPush(body: unknown, nowMs: number, secret = FAKE_SECRET): RawRequest {
  const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
  const stamp = String(Math.floor(nowMs / 1000))
  return {
    method: 'POST',
    path: fakeWebhook.path,
    query: '',
    headers: {
      'content-type': 'application/json',
      'x-timestamp': stamp,
      'x-signature': 'sha256=' + createHmac('sha256', secret).update(`${stamp}.`).update(bytes).digest('hex'),
    },
    body: bytes,
    remoteAddress: '127.0.0.1',
  }
}
