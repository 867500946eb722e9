import { existsSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { SyncError } from '../errors/index.ts'
import {
  collectingLog,
  environment,
  eventually,
  FakeStore,
  personHub,
  SHOP_SECRET,
  temporaryFolder,
} from './fixture-hub.ts'
import { type RunningHub, startHub } from './hub.ts'
import { hubFilePath, readHubFile } from './hub-file.ts'
import type { HubStatus } from './status.ts'

const store = new FakeStore()
let storeUrl = ''

beforeAll(async () => {
  storeUrl = await store.listen()
})
afterAll(() => store.close())

interface Options {
  readonly dataDir: string
  readonly env?: Readonly<Record<string, string>>
  readonly port?: number
}

async function openHub({
  dataDir,
  env = {},
  port = 0,
}: Options): Promise<{ hub: RunningHub; log: ReturnType<typeof collectingLog> }> {
  const log = collectingLog()
  const hub = await startHub({ definition: personHub(), dataDir, env: { ...environment(storeUrl), ...env }, log, port })
  return { hub, log }
}

// biome-ignore lint/suspicious/noExplicitAny: what the API answers is what the tests are about.
type Answer = { readonly status: number; readonly body: any }

async function ask(url: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(url, init)
  const text = await response.text()
  return { status: response.status, body: text === '' ? null : JSON.parse(text) }
}

const tell = (hub: RunningHub, record: object, path = '/hooks/shop'): Promise<Answer> =>
  ask(hub.url + path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(record) })

const status = async (hub: RunningHub): Promise<HubStatus> => (await ask(`${hub.url}/api/status`)).body as HubStatus

/** With a Host header of one's own choice, which `fetch` does not let through. */
function askAs(hub: RunningHub, headers: Record<string, string>, path = '/api/status'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: '127.0.0.1', port: hub.port, path, headers }, (response) => {
      let text = ''
      response.on('data', (chunk) => (text += String(chunk)))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) }))
    })
    request.on('error', reject).end()
  })
}

async function failure(promise: Promise<unknown>): Promise<SyncError> {
  try {
    await promise
  } catch (error) {
    if (SyncError.is(error)) return error
    throw error
  }
  throw new Error('it did not fail')
}

describe('a hub', () => {
  test('takes a notification, writes it on, lists and explains it', async () => {
    using folder = temporaryFolder()
    const { hub } = await openHub({ dataDir: folder.path })
    await using _ = hub
    expect(await ask(`${hub.url}/readyz`)).toEqual({ status: 200, body: { ready: true } })
    expect((await tell(hub, { id: 7, rev: 1, name: 'Ada', city: 'Faro', event: 'e1' })).status).toBe(202)
    expect((await tell(hub, { id: 7, rev: 1, name: 'Ada', city: 'Faro', event: 'e1' })).status).toBe(202)
    await eventually(
      () => status(hub),
      (now) => now.engine.writes.applied === 1 && now.idle,
    )
    expect([...store.records.values()]).toMatchObject([{ name: 'Ada', city: 'Faro' }])

    const { body: xref } = await ask(`${hub.url}/api/xref?limit=1`)
    expect(xref.items).toMatchObject([
      { app: 'shop', object: 'persons', nativeId: '7', entity: 'person', latchClosed: false },
    ])
    const { body: rest } = await ask(`${hub.url}/api/xref?limit=5&after=${encodeURIComponent(xref.next)}`)
    expect(rest).toMatchObject({ items: [{ app: 'store', key: xref.items[0].key }], next: null })

    const { body: explained } = await ask(`${hub.url}/api/explain/person/shop/7`)
    expect(explained.lanes.map((lane: { app: string; isInStep: boolean }) => [lane.app, lane.isInStep])).toEqual(
      expect.arrayContaining([
        ['shop', true],
        ['store', true],
      ]),
    )
    expect(explained.verdicts.map((one: { verdict: string }) => one.verdict)).toEqual([
      'created',
      'accepted',
      'intent',
      'applied',
    ])
    expect((await status(hub)).engine).toMatchObject({ notifications: 1, duplicates: 1, verdicts: { applied: 1 } })
  })

  test('shows what it sets aside, and takes it up again on demand', async () => {
    using folder = temporaryFolder()
    const { hub } = await openHub({ dataDir: folder.path })
    await using _ = hub
    store.refuse = { status: 422, body: { detail: 'no such city' } }
    await tell(hub, { id: 8, rev: 1, name: 'Bea', city: 'Nowhere', event: 'e2' })
    const parked = await eventually(
      () => status(hub),
      (now) => now.parkedLanes.length === 1,
    )
    expect(parked.parkedLanes[0]).toMatchObject({
      entity: 'person',
      app: 'store',
      nativeId: null,
      known: [{ app: 'shop', nativeId: '8' }],
      code: 'target.rejected',
      message: expect.stringContaining('no such city'),
    })
    store.refuse = null
    const { key } = parked.parkedLanes[0] as HubStatus['parkedLanes'][number]
    expect((await ask(`${hub.url}/api/lanes/${key}/store/release`, { method: 'POST' })).status).toBe(202)
    await eventually(
      () => status(hub),
      (now) => now.parkedLanes.length === 0 && now.idle,
    )
    expect([...store.records.values()]).toContainEqual(expect.objectContaining({ name: 'Bea' }))
  })

  test('sets a record aside that does not fit its schema, and nothing else', async () => {
    using folder = temporaryFolder()
    const { hub } = await openHub({ dataDir: folder.path })
    await using _ = hub
    expect((await tell(hub, { id: 9, rev: 1, name: '', city: 'Faro', event: 'e3' })).status).toBe(202)
    await tell(hub, { id: 10, rev: 1, name: 'Cem', city: 'Izmir', event: 'e4' })
    const now = await eventually(
      () => status(hub),
      (one) => one.parkedEntries.length === 1 && one.engine.writes.applied === 1,
    )
    const [entry] = now.parkedEntries
    expect(entry).toMatchObject({ app: 'shop', nativeId: '9', entity: 'person', code: 'config.value-invalid' })
    const { body } = await ask(`${hub.url}/api/explain/person/shop/9`)
    expect(body).toMatchObject({ key: null, held: [{ waitsOn: 'operator', seq: entry?.seq }] })
    expect((await ask(`${hub.url}/api/entries/${entry?.seq}/replay`, { method: 'POST' })).status).toBe(202)
    // A corrected record supersedes the one that waits.
    await tell(hub, { id: 9, rev: 2, name: 'Dora', city: 'Faro', event: 'e5' })
    await eventually(
      () => status(hub),
      (one) => one.parkedEntries.length === 0 && one.engine.writes.applied === 2,
    )
  })

  test('streams what it decides', async () => {
    using folder = temporaryFolder()
    const { hub } = await openHub({ dataDir: folder.path })
    await using _ = hub
    const response = await fetch(`${hub.url}/api/events`)
    expect(response.headers.get('content-type')).toContain('text/event-stream')
    const reader = (response.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream()).getReader()
    let text = (await reader.read()).value ?? ''
    await tell(hub, { id: 11, rev: 1, name: 'Eli', city: 'Graz', event: 'e6' })
    while (!text.includes('"verdict":"applied"')) text += (await reader.read()).value ?? ''
    const data = text.split('\n').find((line) => line.startsWith('data: ') && line.includes('"verdict":"accepted"'))
    expect(JSON.parse((data ?? '').slice('data: '.length))).toMatchObject({
      entity: 'person',
      app: 'shop',
      nativeId: '11',
      paths: ['name', 'city'],
    })
    // The stream must not keep the hub from stopping.
    await hub.stop()
    let done = false
    while (!done) done = (await reader.read()).done
  })

  test('remembers everything over a restart, and its file goes when it stops', async () => {
    using folder = temporaryFolder()
    const first = await openHub({ dataDir: folder.path })
    await tell(first.hub, { id: 12, rev: 1, name: 'Fay', city: 'Bonn', event: 'e7' })
    await eventually(
      () => status(first.hub),
      (now) => now.engine.writes.applied === 1 && now.idle,
    )
    expect(readHubFile(folder.path)).toMatchObject({ url: first.hub.url, pid: process.pid })
    await first.hub.stop()
    expect(existsSync(hubFilePath(folder.path))).toBe(false)
    const second = await openHub({ dataDir: folder.path })
    await using hub = second.hub
    await tell(hub, { id: 12, rev: 1, name: 'Fay', city: 'Bonn', event: 'e7' })
    const { body } = await ask(`${hub.url}/api/xref?native_id=12`)
    expect(body.items).toHaveLength(1)
    expect((await status(hub)).engine).toMatchObject({ duplicates: 1, writes: { sent: 0 } })
  })
})

describe('a hub refuses to start', () => {
  test('beside another one on the same folder', async () => {
    using folder = temporaryFolder()
    const { hub } = await openHub({ dataDir: folder.path })
    await using _ = hub
    expect(await failure(openHub({ dataDir: folder.path }))).toMatchObject({
      code: 'store.in-use',
      message: expect.stringContaining('another hub'),
    })
    expect(readHubFile(folder.path)?.url).toBe(hub.url)
    expect((await ask(`${hub.url}/readyz`)).status).toBe(200)
  })

  test('where another program listens', async () => {
    using folder = temporaryFolder()
    using other = temporaryFolder()
    const { hub } = await openHub({ dataDir: folder.path })
    await using _ = hub
    const error = await failure(openHub({ dataDir: other.path, port: hub.port }))
    expect(error).toMatchObject({ code: 'hub.listen-failed', message: expect.stringContaining('another program') })
    // It let go of everything: the folder can be used.
    await (await openHub({ dataDir: other.path })).hub.stop()
  })

  test('without a variable that the config asks for', async () => {
    using folder = temporaryFolder()
    const { SHOP_TOKEN: _, ...env } = environment(storeUrl)
    const error = await failure(
      startHub({ definition: personHub(), dataDir: folder.path, env, log: collectingLog(), port: 0 }),
    )
    expect(error).toMatchObject({ code: 'config.env-missing', message: expect.stringContaining('SHOP_TOKEN') })
  })
})

describe('the admin API', () => {
  const refusals: readonly (readonly [what: string, path: string, status: number, code: string])[] = [
    ['an unknown path', '/api/nothing', 404, 'admin.unknown-path'],
    ['a limit that is no number', '/api/xref?limit=ten', 400, 'query.invalid'],
    ['a limit beyond the bound', '/api/conflicts?limit=100000', 400, 'query.invalid'],
    ['an `after` of nobody', '/api/xref?after=x', 400, 'query.invalid'],
    ['an `after` that is not percent-encoding', '/api/xref?after=%25zz', 400, 'query.invalid'],
    ['an unknown entity', '/api/explain/persn/shop/1', 400, 'query.invalid'],
    ['an unknown application', '/api/explain/person/shp/1', 400, 'query.invalid'],
    ['an unknown record', '/api/explain/person/shop/404', 404, 'query.unknown-record'],
    ['a name from a prototype', '/api/explain/__proto__/constructor/toString', 400, 'query.invalid'],
  ]

  test('refuses with a code and says what to do', async () => {
    using folder = temporaryFolder()
    const { hub } = await openHub({ dataDir: folder.path })
    await using _ = hub
    for (const [, path, wanted, code] of refusals) {
      expect([path, await ask(hub.url + path)]).toMatchObject([
        path,
        { status: wanted, body: { code, detail: expect.stringMatching(/.{20}/) } },
      ])
    }
    for (const path of ['/api/lanes/nobody/shop/release', '/api/entries/1/replay']) {
      expect(await ask(hub.url + path, { method: 'POST' })).toMatchObject({
        status: 404,
        body: { code: 'query.unknown-record' },
      })
    }
    expect(await ask(`${hub.url}/api/entries/x/replay`, { method: 'POST' })).toMatchObject({
      status: 400,
      body: { code: 'query.invalid' },
    })
  })

  test('answers only local names and its own pages while it has no token', async () => {
    using folder = temporaryFolder()
    const { hub } = await openHub({ dataDir: folder.path })
    await using _ = hub
    const own = `127.0.0.1:${hub.port}`
    expect((await askAs(hub, { host: own })).status).toBe(200)
    expect((await askAs(hub, { host: `localhost:${hub.port}`, origin: `http://localhost:${hub.port}` })).status).toBe(
      200,
    )
    for (const headers of [
      { host: `evil.example:${hub.port}` },
      { host: '127.0.0.1:1' },
      { host: `127.0.0.1.evil.example:${hub.port}` },
      { host: own, origin: 'http://evil.example' },
      { host: own, origin: 'null' },
    ]) {
      expect([headers, await askAs(hub, headers)]).toMatchObject([
        headers,
        { status: 403, body: { code: 'admin.foreign' } },
      ])
    }
    // What a load balancer asks has no secrets.
    expect((await askAs(hub, { host: 'lb.example' }, '/healthz')).status).toBe(200)
  })

  test('asks for the token that it has', async () => {
    using folder = temporaryFolder()
    const { hub } = await openHub({ dataDir: folder.path, env: { LATCHWORK_ADMIN_TOKEN: 'let-me-in' } })
    await using _ = hub
    for (const headers of [{}, { authorization: 'Bearer let-me-i' }, { authorization: 'let-me-in ' + 'x' }]) {
      expect(await askAs(hub, { host: 'hub.example', ...headers })).toMatchObject({
        status: 401,
        body: { code: 'admin.unauthenticated' },
      })
    }
    expect((await askAs(hub, { host: 'hub.example', authorization: 'Bearer let-me-in' })).status).toBe(200)
  })

  test('speaks Prometheus', async () => {
    using folder = temporaryFolder()
    const { hub } = await openHub({ dataDir: folder.path })
    await using _ = hub
    const text = await (await fetch(`${hub.url}/metrics`)).text()
    expect(text).toContain('# TYPE latchwork_notifications_total counter\nlatchwork_notifications_total 0\n')
    for (const line of text.trim().split('\n'))
      expect(line).toMatch(/^(# (HELP|TYPE) latchwork_\w+ .+|latchwork_\w+(\{[^}]+\})? [\d.]+(e-?\d+)?)$/)
  })
})

test('no secret stands in the log, wherever it comes from', async () => {
  using folder = temporaryFolder()
  store.refuse = { status: 401, body: { detail: `the token ${SHOP_SECRET} is not right` } }
  const { hub, log } = await openHub({ dataDir: folder.path })
  try {
    await tell(hub, { id: 13, rev: 1, name: 'Gus', city: 'Linz', event: 'e8' })
    await eventually(
      () => status(hub),
      (now) => now.parkedLanes.length === 1,
    )
    await tell(hub, { name: SHOP_SECRET }, '/hooks/store')
    expect(log.lines.join('\n')).not.toContain(SHOP_SECRET)
  } finally {
    store.refuse = null
    await hub.stop()
  }
})
