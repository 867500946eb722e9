import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../lib/system-clock.ts'
import { asCorrelationId, asFeedPosition, asNativeId, asObjectId } from '../../model/ids.ts'
import type { Connector } from '../../ports/app.ts'
import { createHttpConnector } from './connector.ts'
import { FakeApp } from './fake-app.ts'
import { fakeOptions, fakeResource, fakeWebhook, signedPush, silentLog } from './fake-driver.ts'
import type { HttpResource } from './options.ts'
import { timeMs } from './place.ts'

let app: FakeApp
let connector: Connector
const object = asObjectId('items')
const never = new AbortController().signal

const connect = (over: Partial<HttpResource> = {}): Connector =>
  createHttpConnector(fakeOptions(app.baseUrl, fakeResource({ form: 'A' }, over)), {
    clock: systemClock,
    log: silentLog,
  })

beforeEach(async () => {
  app = await FakeApp.start({ form: 'A' })
  connector = connect()
})

afterEach(async () => {
  await connector.source.close()
  await connector.target.close()
  await app.down()
})

const read = async (id: string) =>
  (await connector.source.readRecords([{ object, nativeId: asNativeId(id) }], never))[0]
const find = async (id: string) =>
  (await connector.source.findByCorrelation([{ object, correlationId: asCorrelationId(id) }], never))[0]

describe('a read', () => {
  test.each([
    [404, 'missing', undefined],
    [410, 'missing', undefined],
    [401, 'failed', 'source.unauthorized'],
    [403, 'failed', 'source.unauthorized'],
    [200, 'failed', 'source.read-failed'],
    [204, 'failed', 'source.read-failed'],
    [302, 'failed', 'source.read-failed'],
    [400, 'failed', 'source.read-failed'],
    [429, 'failed', 'source.read-failed'],
    [500, 'failed', 'source.read-failed'],
  ])('answered %i', async (status, result, code) => {
    app.fault = { kind: 'status', status, headers: status === 429 ? { 'retry-after': '3' } : {}, body: '' }
    const image = await read('1')
    expect([image?.result, image?.code, image?.retryAfterMs]).toEqual([
      result,
      code,
      status === 429 ? 3_000 : undefined,
    ])
  })

  test('that gives another record than the one asked for has failed', async () => {
    app.fault = { kind: 'status', status: 200, body: '{"id":"2","rev":1}' }
    expect((await read('1'))?.message).toContain('another record (2)')
  })

  test('that gives a list has failed', async () => {
    app.fault = { kind: 'status', status: 200, body: '[]' }
    expect((await read('1'))?.result).toBe('failed')
  })

  test('of more records than connections keeps order and limit', async () => {
    const ids = Array.from({ length: 50 }, (_, n) => app.create({ name: `n${n}` }))
    const reads = await connector.source.readRecords(
      ids.map((id) => ({ object, nativeId: asNativeId(id) })),
      never,
    )
    expect(reads.map(({ nativeId, result }) => [nativeId, result])).toEqual(ids.map((id) => [id, 'found']))
  })
})

describe('a search by correlation id', () => {
  test('two records are not one', async () => {
    app.create({ ref: 'K1' })
    app.create({ ref: 'K1' })
    expect([(await find('K1'))?.result, (await find('K1'))?.message]).toEqual([
      'failed',
      expect.stringContaining('2 records hold'),
    ])
  })

  test('an application that does not know the parameter has told nothing', async () => {
    app.fault = { kind: 'status', status: 200, body: '{"items":[{"id":"1","ref":"other"},{"id":"2"}]}' }
    expect((await find('K1'))?.result).toBe('failed')
  })

  test('404 says nothing about the record', async () => {
    app.fault = { kind: 'status', status: 404 }
    expect((await find('K1'))?.result).toBe('failed')
  })

  test('a single result whose list form lacks the field is taken', async () => {
    app.fault = { kind: 'status', status: 200, body: '[{"id":"9"}]' }
    expect(await find('K1')).toMatchObject({ result: 'found', nativeId: '9' })
  })
})

describe('a poll', () => {
  test('tells deletions and moves the cursor to the greatest', async () => {
    app.create({ name: 'a' })
    const id = app.create({ name: 'b' })
    app.delete(id)
    const { changes, position, more } = await connector.source.read('items', null, 10, never)
    expect(changes.map(({ kind, nativeId, token }) => [kind, nativeId, token])).toEqual([
      ['image', '1', '1'],
      ['deleted', '2', '3'],
    ])
    expect([position, more]).toEqual(['3', false])
  })

  test('compares cursors as numbers where they are', async () => {
    app.fault = { kind: 'status', status: 200, body: '{"items":[{"id":"1","rev":100},{"id":"2","rev":9}]}' }
    expect((await connector.source.read('items', asFeedPosition('8'), 10, never)).position).toBe('100')
  })

  test('follows the next cursor of the reply', async () => {
    const poll = {
      ...(fakeResource({ form: 'A' }).poll as NonNullable<HttpResource['poll']>),
      next: 'paging.next',
      cursorField: null,
    }
    const paged = connect({ poll })
    app.fault = { kind: 'status', status: 200, body: '{"items":[{"id":"1","rev":1}],"paging":{"next":"abc"}}' }
    expect((await paged.source.read('items', asFeedPosition('zzz'), 1, never)).position).toBe('abc')
    await paged.source.close()
    await paged.target.close()
  })

  test('a full page that does not move the cursor is an error, not an endless loop', async () => {
    app.fault = { kind: 'status', status: 200, body: '{"items":[{"id":"1","rev":5},{"id":"2","rev":5}]}' }
    await expect(connector.source.read('items', asFeedPosition('5'), 2, never)).rejects.toMatchObject({
      code: 'source.read-failed',
    })
  })

  test.each([['{"items":{}}'], ['[]'], ['{"items":[{"rev":1}]}'], ['{"items":[{"id":"1","rev":"new"}]}']])(
    '%s cannot be read',
    async (body) => {
      app.fault = { kind: 'status', status: 200, body }
      await expect(connector.source.read('items', null, 10, never)).rejects.toMatchObject({ handling: 'retry' })
    },
  )
})

describe('times', () => {
  test.each<[unknown, number | undefined]>([
    ['2026-11-22T07:24:00Z', 1_795_332_240_000],
    ['2026-11-22T07:24:00', 1_795_332_240_000],
    ['2026-11-22 07:24:00', 1_795_332_240_000],
    ['2026-11-22T08:24:00.000+01:00', 1_795_332_240_000],
    ['2026-11-22', 1_795_305_600_000],
    [1_795_332_240, 1_795_332_240_000],
    [1_795_332_240_000, 1_795_332_240_000],
    ['1795332240', 1_795_332_240_000],
    ['yesterday', undefined],
    ['2026-13-45', undefined],
    [0, undefined],
    [null, undefined],
  ])('%s', (given, expected) => expect(timeMs(given)).toBe(expected))
})

test('a webhook that is only an id trusts nothing else', () => {
  const hint = connect({ notify: { ...fakeWebhook, idOnly: true } })
  const push = (data: unknown) =>
    hint.source.accept(signedPush({ event: 'item.deleted', data }, 1_000_000), 1_000_000).changes
  expect(push({ id: 5, rev: 9, name: 'x' })).toEqual([{ app: 'fake', object: 'items', nativeId: '5', kind: 'hint' }])
  expect(push('abc')).toEqual([{ app: 'fake', object: 'items', nativeId: 'abc', kind: 'hint' }])
  expect(push([1, 2]).map(({ nativeId }) => nativeId)).toEqual(['1', '2'])
})

test('config mistakes are refused when the connector is made', () => {
  const make = (over: object) => () =>
    createHttpConnector(
      { ...fakeOptions('http://h', fakeResource({ form: 'A' })), ...over },
      { clock: systemClock, log: silentLog },
    )
  expect(make({ baseUrl: 'ftp://h' })).toThrow(/must be http/)
  expect(make({ baseUrl: 'http://u:p@h' })).toThrow(/holds credentials/)
  expect(make({ baseUrl: { env: 'URL' } })).toThrow(/environment variable URL/)
  expect(make({ resources: [fakeResource({ form: 'A' }), fakeResource({ form: 'A' })] })).toThrow(
    /two resources listen/,
  )
  expect(
    make({
      resources: [fakeResource({ form: 'A' }, { notify: { ...fakeWebhook, verify: { kind: 'bearer', token: '' } } })],
    }),
  ).toThrow(/empty secret/)
})
