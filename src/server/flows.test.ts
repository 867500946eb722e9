import { Agent, request as httpRequest } from 'node:http'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { defineHub } from '../config/define-hub.ts'
import { flow, property } from '../config/flow.ts'
import { get, hmac, http, post } from '../connectors/http/index.ts'
import { json, xml } from '../formats/index.ts'
import { asFlowName, asRunId } from '../model/ids.ts'
import { collectingLog, eventually, FakeStore, temporaryFolder } from './fixture-hub.ts'
import { type RunningHub, startHub } from './hub.ts'

const apps = (): Parameters<typeof defineHub>[0]['apps'] => ({ store: http({ baseUrl: 'http://127.0.0.1:9' }) })

async function hubOf(
  flows: Parameters<typeof defineHub>[0]['flows'],
  options: { readonly dataDir: string; readonly apps?: ReturnType<typeof apps> },
): Promise<RunningHub & { readonly log: ReturnType<typeof collectingLog> }> {
  const log = collectingLog()
  const definition = defineHub({ apps: options.apps ?? apps(), ...(flows === undefined ? {} : { flows }) })
  const hub = await startHub({ definition, dataDir: options.dataDir, env: {}, log, port: 0 })
  return Object.assign(hub, { log })
}

const send = (url: string, body: unknown, init: RequestInit = {}): Promise<Response> =>
  fetch(url, {
    method: 'POST',
    body: typeof body === 'string' ? body : JSON.stringify(body),
    ...init,
    headers: { 'content-type': 'application/json', ...init.headers },
  })

const AddressIn = z.object({ street: z.string().min(1), zip: z.string() })
const AddressOut = z.object({ ok: z.boolean(), zip: z.string() })

describe('request/reply', () => {
  test('the caller gets what the flow returns; what does not fit the schemas is a problem with a stable code', async () => {
    using folder = temporaryFolder()
    const check = flow('check', {
      listen: post('/check/:country'),
      input: AddressIn,
      output: AddressOut,
      run: async ({ message }) => {
        if (message.body.zip === 'throw') throw new Error('a secret reason')
        if (message.body.zip === 'wrong') return { ok: 'no' } as unknown as z.infer<typeof AddressOut>
        return { ok: message.properties.country === 'de', zip: message.body.zip + (message.properties.tag ?? '') }
      },
    })
    await using hub = await hubOf([check], { dataDir: folder.path })
    const ask = async (path: string, body: unknown): Promise<[number, unknown]> => {
      const reply = await send(hub.url + path, body)
      const data = (await reply.json()) as { code?: string }
      return [reply.status, data.code ?? data]
    }
    expect(await ask('/check/de?tag=!', { street: 'a', zip: '1' })).toEqual([200, { ok: true, zip: '1!' }])
    expect(await ask('/check/d%2Fe', { street: 'a', zip: '1' })).toEqual([200, { ok: false, zip: '1' }])
    expect(await ask('/check/de', { street: '', zip: '1' })).toEqual([422, 'flow.input-invalid'])
    expect(await ask('/check/de', '{"street": ')).toEqual([400, 'intake.malformed'])
    expect(await ask('/check/de', { street: 'a', zip: 'throw' })).toEqual([500, 'flow.failed'])
    expect(await ask('/check/de', { street: 'a', zip: 'wrong' })).toEqual([500, 'flow.output-invalid'])
    expect(await ask('/check', { street: 'a', zip: '1' })).toEqual([404, 'admin.unknown-path'])
    expect((await fetch(`${hub.url}/check/de`)).status).toBe(405)
    // The words of what was thrown are for the log alone.
    const thrown = await (await send(`${hub.url}/check/de`, { street: 'a', zip: 'throw' })).text()
    expect(thrown).not.toContain('secret')
    expect(hub.log.lines.join('\n')).toContain('a secret reason')
  })

  test('a message comes and its reply goes in the format that its sender speaks, refusals too', async () => {
    using folder = temporaryFolder()
    const check = flow('check', {
      listen: post('/check', { format: [json(), xml({ root: 'check' })] }),
      input: z.object({ zip: z.string() }),
      output: z.object({ zip: z.string() }),
      run: ({ message }) => ({ zip: message.body.zip }),
    })
    await using hub = await hubOf([check], { dataDir: folder.path })
    const ask = async (body: string, headers: Record<string, string>): Promise<string> => {
      const reply = await send(`${hub.url}/check`, body, { headers })
      return `${reply.status} ${reply.headers.get('content-type')} ${await reply.text()}`
    }
    const inXml = { 'content-type': 'application/xml' }
    expect(await ask('<check><zip>007</zip></check>', inXml)).toMatch(
      /^200 application\/xml.*<check><zip>007<\/zip><\/check>/s,
    )
    expect(await ask('<check><zip>007</zip></check>', { ...inXml, accept: 'application/json' })).toMatch(
      /^200 .*\{"zip":"007"\}/,
    )
    expect(await ask('<check><zip>', inXml)).toMatch(/^400 application\/problem\+xml.*intake.malformed/s)
    expect(await ask('<check/>', inXml)).toMatch(/^422 application\/problem\+xml.*flow.input-invalid/s)
    expect(await ask('{"zip": 7}', {})).toMatch(/^422 application\/problem\+json/)
  })

  test('beyond its places and its queue a caller is told to come back; one who waits too long too; a late answer is a time-out', async () => {
    using folder = temporaryFolder()
    const gates: (() => void)[] = []
    const slow = flow('slow', {
      listen: get('/slow'),
      output: z.string(),
      concurrency: 1,
      queueMax: 1,
      queueTimeoutMs: 60,
      timeoutMs: 200,
      run: () => new Promise<string>((resolve) => gates.push(() => resolve('done'))),
    })
    await using hub = await hubOf([slow], { dataDir: folder.path })
    const ask = async (): Promise<string> => {
      const reply = await fetch(`${hub.url}/slow`)
      const data = (await reply.json()) as { code: string }
      return reply.ok ? String(data) : `${reply.status} ${data.code} ${reply.headers.get('retry-after')}`
    }
    const first = ask()
    await eventually(
      async () => gates.length,
      (count) => count === 1,
    )
    const second = ask()
    await eventually(
      async () => hub.flows.load().slow,
      (load) => load?.callers === 1,
    )
    expect(await ask()).toBe('503 flow.overloaded 1')
    expect(await second).toBe('503 flow.queue-timeout 1')
    expect(await first).toBe('504 flow.timeout 2')
    // The function of the first has not ended: its place is taken until it does.
    const third = ask()
    await eventually(
      async () => hub.flows.load().slow,
      (load) => load?.callers === 1,
    )
    gates[0]?.()
    await eventually(
      async () => gates.length,
      (count) => count === 2,
    )
    gates[1]?.()
    expect(await third).toBe('done')
  })

  test('one who is told to come back keeps the connection, though the body was not waited for', async () => {
    using folder = temporaryFolder()
    let end = (): void => {}
    const full = flow('full', {
      listen: post('/full'),
      output: z.string(),
      concurrency: 1,
      queueMax: 0,
      run: () => new Promise<string>((resolve) => (end = () => resolve('done'))),
    })
    await using hub = await hubOf([full], { dataDir: folder.path })
    const first = send(`${hub.url}/full`, {})
    await eventually(
      async () => hub.flows.load().full,
      (load) => load?.running === 1,
    )
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const ask = (): Promise<[number | undefined, boolean]> =>
      new Promise((resolve, reject) => {
        const request = httpRequest(
          `${hub.url}/full`,
          { method: 'POST', agent, headers: { 'content-type': 'application/json' } },
          (reply) => {
            reply.resume().once('end', () => resolve([reply.statusCode, request.reusedSocket]))
          },
        )
        request.on('error', reject).end(JSON.stringify({ text: 'x'.repeat(20_000) }))
      })
    expect(await ask()).toEqual([503, false])
    expect(await ask()).toEqual([503, true])
    agent.destroy()
    end()
    await first
  })

  test('a door without a proof is for this machine only; one with a proof checks it', async () => {
    using folder = temporaryFolder()
    const options = { output: z.literal('yes'), run: () => 'yes' as const }
    const open = flow('open', { listen: post('/open'), ...options })
    const signed = flow('signed', {
      listen: post('/signed', { verify: hmac({ header: 'x-signature', secret: 'shared' }) }),
      ...options,
    })
    await using hub = await hubOf([open, signed], { dataDir: folder.path })
    expect((await send(`${hub.url}/open`, {})).status).toBe(200)
    expect((await send(`${hub.url}/open`, {}, { headers: { origin: 'https://elsewhere.example' } })).status).toBe(401)
    expect((await send(`${hub.url}/signed`, {})).status).toBe(401)
  })
})

describe('fire-and-forget', () => {
  test('a message is acknowledged when it is durable, runs afterwards, and runs once however often it is sent', async () => {
    using folder = temporaryFolder()
    const seen: unknown[] = []
    const intake = flow('intake', {
      listen: post('/orders', { deliveryId: 'event' }),
      input: z.object({ event: z.string(), qty: z.int() }),
      run: async ({ message }) => {
        seen.push(message.body)
        return { total: message.body.qty * 2 }
      },
    })
    await using hub = await hubOf([intake], { dataDir: folder.path })
    const first = await send(`${hub.url}/orders`, { event: 'e1', qty: 2 })
    expect(first.status).toBe(202)
    const { run } = (await first.json()) as { run: string }
    expect(await (await send(`${hub.url}/orders`, { event: 'e1', qty: 2 })).json()).toEqual({ duplicate: true })
    expect((await send(`${hub.url}/orders`, { event: 'e2', qty: 'two' })).status).toBe(422)
    const done = await eventually(
      async () => hub.flows.run(asRunId(run)),
      (found) => found?.state === 'done',
    )
    expect(done).toMatchObject({ flow: 'intake', attempts: 1, result: { total: 4 }, message: null })
    expect(seen).toEqual([{ event: 'e1', qty: 2 }])
  })

  test('a run that throws is tried again, and set aside after its last attempt; a person releases it', async () => {
    using folder = temporaryFolder()
    let works = false
    const moody = flow('moody', {
      listen: post('/moody'),
      retries: { attemptsMax: 3, firstMs: 1, maxMs: 2 },
      run: async ({ attempt }) => {
        if (!works) throw new Error(`no (${attempt})`)
        return attempt
      },
    })
    await using hub = await hubOf([moody], { dataDir: folder.path })
    const { run } = (await (await send(`${hub.url}/moody`, {})).json()) as { run: string }
    const parked = await eventually(
      async () => hub.flows.run(asRunId(run)),
      (found) => found?.state === 'parked',
    )
    expect(parked).toMatchObject({ attempts: 3, code: 'flow.failed' })
    expect(parked?.reason).toContain('no (3)')
    works = true
    await hub.flows.runner.release(asRunId(run), asFlowName('moody'))
    const done = await eventually(
      async () => hub.flows.run(asRunId(run)),
      (found) => found?.state === 'done',
    )
    expect(done?.timeline.map((event) => event.what)).toEqual(
      'received started failed started failed started failed parked released started done'.split(' '),
    )
  })

  test('messages of one key run one after another in their order; others pass them, and a parked one holds its key', async () => {
    using folder = temporaryFolder()
    const story: string[] = []
    const ordered = flow('ordered', {
      listen: post('/ordered'),
      key: 'key',
      concurrency: 8,
      retries: { attemptsMax: 2, firstMs: 5, maxMs: 5 },
      input: z.object({ key: z.string(), n: z.number() }),
      run: async ({ message: { body }, attempt }) => {
        story.push(`${body.key}${body.n}`)
        await new Promise((resolve) => setTimeout(resolve, 1))
        if (body.n === 3 && attempt < 2) throw new Error('once')
        if (body.key === 'x' && body.n === 5) throw new Error('always')
        story.push(`/${body.key}${body.n}`)
      },
    })
    await using hub = await hubOf([ordered], { dataDir: folder.path })
    for (let n = 1; n <= 8; n++) for (const key of ['x', 'y']) await send(`${hub.url}/ordered`, { key, n })
    await eventually(
      async () => story,
      (now) => now.includes('/y8'),
    )
    await eventually(
      async () => hub.flows.runs.counts(),
      (counts) => counts.ordered?.parked === 1,
    )
    const of = (key: string): string => story.filter((what) => what.includes(key)).join(' ')
    expect(of('y')).toBe('y1 /y1 y2 /y2 y3 y3 /y3 y4 /y4 y5 /y5 y6 /y6 y7 /y7 y8 /y8')
    expect(of('x')).toBe('x1 /x1 x2 /x2 x3 x3 /x3 x4 /x4 x5 x5')
    const [parked] = await hub.flows.runs.list({ state: 'parked', max: 10 })
    await hub.flows.runner.cancel(parked?.id ?? asRunId('0'), asFlowName('ordered'))
    await eventually(
      async () => story,
      (now) => now.includes('/x8'),
    )
  })

  test('a run reads and writes records of applications, and starts other flows once', async () => {
    using folder = temporaryFolder()
    const store = new FakeStore()
    store.records.set('S1', { id: 'S1', rev: 1, name: 'Ada', city: 'Bonn' })
    const app = http({ baseUrl: await store.listen() })
    const Person = z.object({ id: z.string(), name: z.string(), city: z.string(), rev: z.number() })
    const persons = app.object('/people', Person, { id: 'id', version: 'rev' })
    const started: unknown[] = []
    const follow = flow('follow', { run: ({ message }) => void started.push(message.properties) })
    const move = flow('move', {
      listen: post('/move/:id'),
      apps: { persons },
      retries: { attemptsMax: 3, firstMs: 1, maxMs: 1 },
      run: async ({ message, apps: { persons: people }, start, attempt }) => {
        const made = await people.create({ name: 'Bob', city: 'Ulm' })
        await start(follow, { properties: { id: made.id } })
        await people.update(message.properties.id ?? '', { city: 'Köln' })
        if (attempt === 1) throw new Error('after its effects')
        return people.read(message.properties.id ?? '')
      },
    })
    try {
      await using hub = await hubOf([move, follow], { dataDir: folder.path, apps: { app } })
      const { run } = (await (await send(`${hub.url}/move/S1`, {})).json()) as { run: string }
      const done = await eventually(
        async () => hub.flows.run(asRunId(run)),
        (found) => found?.state === 'done',
      )
      expect(done).toMatchObject({ attempts: 2, result: { name: 'Ada', city: 'Köln' } })
      await eventually(
        async () => hub.flows.runs.counts(),
        (counts) => counts.follow?.done === 1,
      )
      expect(started).toHaveLength(1)
    } finally {
      await store.close()
    }
  })

  test('a lightweight message names a record; the run gets the record, and null for one that is gone', async () => {
    using folder = temporaryFolder()
    const store = new FakeStore()
    store.records.set('S1', { id: 'S1', rev: 1, name: 'Ada' })
    const app = http({ baseUrl: await store.listen() })
    const from = app.object('/people', { id: 'id' })
    const Person = z.object({ name: z.string() })
    const read = flow('read', {
      listen: get('/read/:id'),
      fetch: { from, id: property('id') },
      input: Person,
      output: z.string(),
      run: ({ message }) => message.body.name,
    })
    const seen: unknown[] = []
    const heard = flow('heard', {
      listen: post('/heard'),
      fetch: { from, id: 'person', missing: 'null' },
      run: ({ message }) => void seen.push(message.body),
    })
    try {
      await using hub = await hubOf([read, heard], { dataDir: folder.path, apps: { app } })
      expect(await (await fetch(`${hub.url}/read/S1`)).json()).toBe('Ada')
      expect((await fetch(`${hub.url}/read/S9`)).status).toBe(404)
      await send(`${hub.url}/heard`, { person: 'S1' })
      await send(`${hub.url}/heard`, { person: 'S9' })
      await eventually(
        async () => seen.length,
        (count) => count === 2,
      )
      expect(seen).toContainEqual({ id: 'S1', rev: 1, name: 'Ada' })
      expect(seen).toContain(null)
    } finally {
      await store.close()
    }
  })
})
