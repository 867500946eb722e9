import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../lib/system-clock.ts'
import type { Outcome } from '../../model/change.ts'
import { asCorrelationId, asNativeId, asObjectId, asOpId, asToken } from '../../model/ids.ts'
import type { Connector, WriteOp } from '../../ports/app.ts'
import { createHttpConnector } from './connector.ts'
import { FakeApp } from './fake-app.ts'
import { fakeOptions, fakeResource, silentLog } from './fake-driver.ts'
import type { HttpAppOptions, HttpResource } from './options.ts'

let app: FakeApp
let connector: Connector

const connect = (over: Partial<HttpResource> = {}, options: Partial<HttpAppOptions> = {}): Connector => {
  const made = fakeOptions(app.baseUrl, fakeResource({ form: 'A' }, over), options)
  return createHttpConnector(made, { clock: systemClock, log: silentLog })
}

beforeEach(async () => {
  app = await FakeApp.start({ form: 'A' })
  connector = connect()
})

afterEach(async () => {
  await connector.source.close()
  await connector.target.close()
  await app.down()
})

const op = (kind: WriteOp['kind'], over: Partial<WriteOp> = {}): WriteOp => ({
  op: asOpId('i.1.k.app.1'),
  object: asObjectId('items'),
  kind,
  nativeId: kind === 'create' ? null : asNativeId('1'),
  patch: kind === 'delete' ? {} : { name: 'x' },
  full: kind === 'delete' ? {} : { name: 'x', count: 1 },
  baseToken: kind === 'create' ? null : asToken('1'),
  baseValues: {},
  correlationId: asCorrelationId('K1'),
  resend: false,
  ...over,
})

async function write(one: WriteOp, over: { deadlineMs?: number; through?: Connector } = {}): Promise<Outcome> {
  const [outcome] = await (over.through ?? connector).target.write(
    [one],
    over.deadlineMs ?? 5_000,
    new AbortController().signal,
  )
  return outcome as Outcome
}

/** status -> what it means for a create, an update with a version, an update without one, a delete. */
const table: readonly (readonly [number, string, string, string, string])[] = [
  [301, 'refused park target.rejected', '=', '=', '='],
  [302, 'unknown target.unknown', '=', '=', '='],
  [303, 'unknown target.unknown', '=', '=', '='],
  [400, 'refused park target.rejected', '=', '=', '='],
  [401, 'refused park target.unauthorized', '=', '=', '='],
  [403, 'refused park target.unauthorized', '=', '=', '='],
  [404, 'refused park target.rejected', 'gone', 'gone', 'gone'],
  [405, 'refused park target.rejected', '=', '=', '='],
  [408, 'unknown target.unknown', '=', '=', '='],
  [409, 'refused park target.duplicate', 'conflict', 'refused retry target.unavailable', 'conflict'],
  [410, 'refused park target.rejected', 'gone', 'gone', 'gone'],
  [412, 'conflict', '=', '=', '='],
  [413, 'refused park target.rejected', '=', '=', '='],
  [422, 'refused park target.rejected', '=', '=', '='],
  [423, 'refused retry target.unavailable', '=', '=', '='],
  [428, 'refused park target.rejected', '=', '=', '='],
  [429, 'refused retry target.unavailable', '=', '=', '='],
  [500, 'unknown target.unknown', '=', '=', '='],
  [501, 'refused park target.rejected', '=', '=', '='],
  [502, 'unknown target.unknown', '=', '=', '='],
  [503, 'refused retry target.unavailable', '=', '=', '='],
  [504, 'unknown target.unknown', '=', '=', '='],
  [520, 'unknown target.unknown', '=', '=', '='],
]

test.each(table)('%i', async (status, create, update, blind, remove) => {
  app.fault = { kind: 'status', status, body: 'because' }
  const told = async (one: WriteOp): Promise<string> => {
    const { result, handling, code, message } = await write(one)
    expect(message).toContain(`${status}: because`)
    return [result, handling, code].filter((word) => word !== undefined).join(' ')
  }
  const same = (text: string): string => (text === '=' ? create : text)
  expect(await told(op('create'))).toBe(create)
  expect(await told(op('update'))).toBe(same(update))
  expect(await told(op('update', { baseToken: null }))).toBe(same(blind))
  expect(await told(op('delete'))).toBe(same(remove))
})

describe('replies', () => {
  test.each([
    ['7', 7_000, 7_000],
    [new Date(systemClock.nowMs() + 60_000).toUTCString(), 57_000, 61_000],
    [new Date(0).toUTCString(), 0, 0],
    ['soon', undefined, undefined],
  ])('Retry-After: %s', async (header, least, most) => {
    app.fault = { kind: 'status', status: 429, headers: { 'retry-after': header } }
    const { retryAfterMs } = await write(op('update'))
    if (least === undefined) expect(retryAfterMs).toBe(undefined)
    else expect((retryAfterMs as number) >= least && (retryAfterMs as number) <= (most as number)).toBe(true)
  })

  test('at most 500 characters of a refusal are kept', async () => {
    app.fault = { kind: 'status', status: 422, body: 'é'.repeat(5_000) }
    expect((await write(op('update'))).message?.match(/é/g)?.length).toBe(500)
  })

  test('a create whose reply has no id is applied and parked: it must not be created again', async () => {
    app.fault = { kind: 'no-id' }
    expect(await write(op('create'))).toMatchObject({
      result: 'applied',
      handling: 'park',
      code: 'target.reply-invalid',
    })
  })

  test('the id of a create comes from Location when the body is empty', async () => {
    app.fault = {
      kind: 'status',
      status: 201,
      headers: { location: 'https://x.test/api/items/a%2Fb?x=1', etag: 'W/"42"' },
      body: '',
    }
    const through = connect({ version: { in: 'etag', ordered: true } })
    expect(await write(op('create'), { through })).toEqual({
      op: 'i.1.k.app.1',
      result: 'applied',
      nativeId: 'a/b',
      token: '42',
    })
    await through.target.close()
    await through.source.close()
  })

  test.each([['half-reply'], ['huge'], ['garbage'], ['cut-before'], ['cut-after'], ['error-after']] as const)(
    '%s is unknown',
    async (kind) => {
      const id = app.create({ name: 'a' })
      app.fault = { kind }
      expect((await write(op('update', { nativeId: asNativeId(id) }))).result).toBe('unknown')
    },
  )
})

describe('requests', () => {
  test('a create carries the key and the external id, an update its condition, and nobody a wrong one', async () => {
    await write(op('create'))
    await write(op('update'))
    await write(op('delete'))
    const [create, update, remove] = app.requests
    expect([create?.method, create?.path, JSON.parse(create?.body ?? '')]).toEqual([
      'POST',
      '/api/items',
      { name: 'x', count: 1, ref: 'K1' },
    ])
    expect([create?.headers['idempotency-key'], create?.headers['if-match'], create?.headers.authorization]).toEqual([
      'i.1.k.app.1',
      undefined,
      'Bearer a token for tests',
    ])
    expect([update?.method, update?.path, update?.body, update?.headers['if-match']]).toEqual([
      'PATCH',
      '/api/items/1',
      '{"name":"x"}',
      '"1"',
    ])
    expect([remove?.method, remove?.body, remove?.headers['if-match'], remove?.headers['content-type']]).toEqual([
      'DELETE',
      '',
      '"1"',
      undefined,
    ])
  })

  test('PUT carries the whole record, and the external id, which it would otherwise take away', async () => {
    const through = connect({
      updateMethod: 'put',
      idempotency: 'create',
      externalId: { field: 'meta.ref', findParam: null },
    })
    await write(op('update', { full: { name: 'x', meta: { a: 1 } } }), { through })
    const [put] = app.requests
    expect([put?.method, put?.headers['idempotency-key'], JSON.parse(put?.body ?? '')]).toEqual([
      'PUT',
      undefined,
      { name: 'x', meta: { a: 1, ref: 'K1' } },
    ])
    await through.target.close()
    await through.source.close()
  })

  test('integers beyond 2^53 leave as numbers', async () => {
    await write(op('create', { full: { n: 9007199254740993n }, patch: {} }))
    expect(app.requests[0]?.body).toContain('"n":9007199254740993')
  })

  test.each([
    ['a/b?c#d %', '/api/items/a%2Fb%3Fc%23d%20%25'],
    ['ü', '/api/items/%C3%BC'],
  ])('the id %s is one path segment', async (id, path) => {
    await write(op('delete', { nativeId: asNativeId(id) }))
    expect(app.requests[0]?.path).toBe(path)
  })

  test.each([
    ['a dot segment', { nativeId: asNativeId('..') }],
    ['half a surrogate', { nativeId: asNativeId('\ud800') }],
    ['a version with a line break', { baseToken: asToken('1"\r\nx-admin: 1') }],
    ['an op id with a line break', { op: asOpId('a\r\nb') }],
  ])('%s is refused and nothing is sent', async (_what, over) => {
    expect(await write(op('update', over))).toMatchObject({
      result: 'refused',
      handling: 'park',
      code: 'target.rejected',
    })
    expect(app.requests).toEqual([])
  })
})

describe('deadlines', () => {
  test('a write that still waits for a connection when its time is up was not sent: refused, tried again', async () => {
    app.fault = { kind: 'silent' }
    const through = connect({}, { connectionsMax: 1, requestTimeoutMs: 200 })
    const results = await Promise.all([
      write(op('update'), { through }),
      write(op('update', { nativeId: asNativeId('2') }), { through }),
    ])
    expect(results.map(({ result, handling }) => [result, handling])).toEqual([
      ['unknown', undefined],
      ['refused', 'retry'],
    ])
    expect(app.requests.length).toBe(1)
    await through.target.close()
    await through.source.close()
  })

  test('the earlier of the op deadline and the request time-out counts', async () => {
    app.fault = { kind: 'silent' }
    const startMs = systemClock.monotonicMs()
    await write(op('update'), { deadlineMs: 60 })
    expect(systemClock.monotonicMs() - startMs).toBeLessThan(400)
  })

  test('closing one direction leaves the other at work; closing both ends what is under way', async () => {
    app.fault = { kind: 'silent' }
    const pending = write(op('update'))
    while (app.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    await connector.source.close()
    app.fault = { kind: 'none' }
    expect((await write(op('create'))).result).toBe('applied')
    await connector.target.close()
    expect((await pending).result).toBe('unknown')
  })
})
