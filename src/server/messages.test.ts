import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { run as runCommand } from '../cli/program.ts'
import { defineHub } from '../config/define-hub.ts'
import { flow } from '../config/flow.ts'
import { http, post } from '../connectors/http/index.ts'
import type { Run } from '../model/flow.ts'
import type { MessageRow } from '../ports/messages.ts'
import { collectingLog, environment, eventually, FakeStore, personHub, temporaryFolder } from './fixture-hub.ts'
import { type RunningHub, startHub } from './hub.ts'
import { redacted } from './message-recorder.ts'

const send = (url: string, body: unknown): Promise<Response> =>
  fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })

/** The command line, in this process: what it prints, and its exit status. */
async function latchwork(
  dataDir: string,
  ...args: readonly string[]
): Promise<{ out: string; err: string; code: number }> {
  let [out, err] = ['', '']
  const code = await runCommand(['--data', dataDir, '--json', ...args], {
    env: {},
    stdout: { write: (text: string) => (out += text) },
    stderr: { write: (text: string) => (err += text) },
    on() {},
    exit(): never {
      throw new Error('exit')
    },
  })
  return { out, err, code }
}

function payments(): Parameters<typeof startHub>[0]['definition'] {
  const pay = flow('pay', {
    listen: post('/pay', { deliveryId: 'id' }),
    input: z.object({ id: z.string(), amount: z.number(), card: z.object({ number: z.string() }) }),
    properties: z.object({ limit: z.coerce.number().optional() }),
    filters: { 'only-positive': ({ body }) => (body as { amount?: number }).amount !== 0 },
    retries: { attemptsMax: 1, firstMs: 1, maxMs: 1 },
    redact: ['card.number'],
    run: async ({ message, properties }) => {
      if (message.body.amount < 0) throw new Error('negative')
      return { paid: message.body.amount, limit: properties.limit ?? null }
    },
  })
  const quote = flow('quote', { listen: post('/quote'), output: z.number(), run: () => 7 })
  return defineHub({ apps: { nobody: http({ baseUrl: 'http://127.0.0.1:9' }) }, flows: [pay, quote] })
}

const started = (definition: Parameters<typeof startHub>[0]['definition'], dataDir: string): Promise<RunningHub> =>
  startHub({ definition, dataDir, env: {}, log: collectingLog(), port: 0 })

const body = (id: string, amount: number): object => ({ id, amount, card: { number: '4111' } })

describe('what arrived', () => {
  test('every message is kept with its verdicts, can be found, and shows nothing that is declared secret', async () => {
    using folder = temporaryFolder()
    await using hub = await started(payments(), folder.path)
    for (const [id, amount] of [
      ['a', 5],
      ['a', 5],
      ['b', 0],
      ['c', -1],
    ] as const)
      await send(`${hub.url}/pay`, body(id, amount))
    await send(`${hub.url}/pay`, { id: 'd', amount: 'much', card: {} })
    await send(`${hub.url}/quote`, {})
    await fetch(`${hub.url}/pay`, { method: 'POST', body: '{' })
    const list = async (query = ''): Promise<readonly MessageRow[]> =>
      ((await (await fetch(`${hub.url}/api/messages${query}`)).json()) as { items: MessageRow[] }).items
    const all = await eventually(list, (rows) => rows.some((row) => row.later.some((one) => one.verdict === 'parked')))
    expect(all.map((row) => [row.origin, row.verdict, row.code ?? row.reason])).toEqual([
      ['http POST /pay', 'refused', 'intake.unsupported-type'],
      ['http POST /quote', 'replied', null],
      ['http POST /pay', 'refused', 'flow.input-invalid'],
      ['http POST /pay', 'accepted', null],
      ['http POST /pay', 'filtered', 'only-positive'],
      ['http POST /pay', 'duplicate', null],
      ['http POST /pay', 'accepted', null],
    ])
    expect(JSON.stringify(all)).not.toContain('4111')
    expect(all.at(-1)?.payload).toBe('{"id":"a","amount":5,"card":{"number":"[redacted]"}}')
    const found = async (query: string): Promise<number> => (await list(query)).length
    expect(await found('?verdict=parked')).toBe(1)
    expect(await found('?verdict=duplicate')).toBe(1)
    expect(await found('?flow=quote')).toBe(1)
    expect(await found(`?text=${encodeURIComponent('"amount":-1')}`)).toBe(1)
    expect(await found('?limit=3')).toBe(3)
  })

  test('a notification of a synchronised record is kept with what the fold found out about it', async () => {
    using folder = temporaryFolder()
    const store = new FakeStore()
    const log = collectingLog()
    const env = environment(await store.listen())
    try {
      await using hub = await startHub({ definition: personHub(), dataDir: folder.path, env, log, port: 0 })
      await send(`${hub.url}/hooks/shop`, { id: 'P1', rev: 1, name: 'Ada', city: 'Bonn', event: 'e1' })
      await send(`${hub.url}/hooks/shop`, { id: 'P1', rev: 1, name: 'Ada', city: 'Bonn', event: 'e1' })
      const list = async (): Promise<readonly MessageRow[]> =>
        ((await (await fetch(`${hub.url}/api/messages?app=shop`)).json()) as { items: MessageRow[] }).items
      const rows = await eventually(list, (now) =>
        now.some((row) => row.later.some((one) => one.verdict === 'accepted')),
      )
      expect(rows.map((row) => [row.verdict, row.deliveryId, row.nativeIds])).toEqual([
        ['duplicate', 'e1', ['P1']],
        ['accepted', 'e1', ['P1']],
      ])
    } finally {
      await store.close()
    }
  })

  test('what stands at a declared path is taken out, in lists too, and nothing else', () => {
    const data = {
      a: { secret: 1, open: 2 },
      list: [
        { pin: '1', n: 1 },
        { pin: '2', n: 2 },
      ],
      pin: 'kept',
    }
    expect(redacted(data, ['a.secret', 'list.*.pin', 'nowhere.at.all'])).toEqual({
      data: {
        a: { secret: '[redacted]', open: 2 },
        list: [
          { pin: '[redacted]', n: 1 },
          { pin: '[redacted]', n: 2 },
        ],
        pin: 'kept',
      },
      isRedacted: true,
    })
    expect(redacted(data, ['nowhere']).isRedacted).toBe(false)
  })
})

describe('what is kept of it', () => {
  test('what is kept follows the policy: without payloads, with what is declared secret taken out of every door', async () => {
    using folder = temporaryFolder()
    const take = flow('take', { listen: post('/take'), run: () => undefined })
    const config = { apps: { nobody: http({ baseUrl: 'http://127.0.0.1:9' }) }, flows: [take] }
    const kept = async (messages: Parameters<typeof defineHub>[0]['messages']): Promise<MessageRow | undefined> => {
      const dataDir = `${folder.path}/${JSON.stringify(messages).length}`
      await using hub = await started(
        defineHub({ ...config, ...(messages === undefined ? {} : { messages }) }),
        dataDir,
      )
      await send(`${hub.url}/take`, { id: '1', holder: { email: 'ada@example.test' } })
      const list = async (): Promise<readonly MessageRow[]> =>
        ((await (await fetch(`${hub.url}/api/messages`)).json()) as { items: readonly MessageRow[] }).items
      const [row] = await eventually(list, (rows) => rows.length > 0)
      return row
    }
    expect(await kept({ keepDays: 1 })).toMatchObject({ payload: expect.stringContaining('ada@example.test') })
    expect(await kept({ redact: ['*.email'] })).toMatchObject({
      payload: '{"id":"1","holder":{"email":"[redacted]"}}',
      isRedacted: true,
    })
    expect(await kept({ payloads: false, keepMax: 10 })).toMatchObject({ payload: null, bytes: 48, isRedacted: true })
  })

  test.each([
    [{ keepDays: 0 }, 'messages.keepDays'],
    [{ keepMax: 1.5 }, 'messages.keepMax'],
    [{ payloads: 'no' }, 'messages.payloads'],
    [{ redact: 'card' }, 'messages.redact'],
    [{ keep: 7 }, 'keep'],
  ])('a policy that cannot be meant is refused: %j', (messages, place) => {
    const config = { apps: { nobody: http({ baseUrl: 'http://127.0.0.1:9' }) }, messages } as Parameters<
      typeof defineHub
    >[0]
    expect(() => defineHub(config)).toThrow(place)
  })
})

describe('the Execute API', () => {
  test('a flow is started by its name, waited for, and looked at; the same id is not run twice', async () => {
    using folder = temporaryFolder()
    await using hub = await started(payments(), folder.path)
    const url = `${hub.url}/api/flows/pay/executions`
    const given = { properties: { limit: 9 }, body: body('x', 3), id: 'once' }
    const reply = await send(`${url}?wait=20`, given)
    const run = (await reply.json()) as Run
    expect([reply.status, run.state, run.result]).toEqual([200, 'done', { paid: 3, limit: 9 }])
    expect(await (await send(url, given)).json()).toEqual({ duplicate: true })
    const early = await send(url, { body: body('y', -1) })
    expect(early.status).toBe(202)
    const { url: where } = (await early.json()) as { url: string }
    const parked = await eventually(
      async () => (await (await fetch(hub.url + where)).json()) as Run,
      (now) => now.state === 'parked',
    )
    expect(parked.timeline.map((event) => event.what)).toEqual(['received', 'started', 'failed', 'parked'])
    await send(`${hub.url}${where}/cancel`, {})
    const told = await (await fetch(`${hub.url}${where}/events`)).text()
    expect(told).toContain('"state":"cancelled"')
    expect((await send(url, { body: { id: 1 } })).status).toBe(422)
    expect((await send(`${hub.url}/api/flows/nothing/executions`, {})).status).toBe(404)
    expect(
      ((await (await send(`${hub.url}/api/flows/pay@berlin/executions`, {})).json()) as { detail: string }).detail,
    ).toContain('no agent berlin')
  })

  test('from the command line: run and wait, send a file, list, send again', async () => {
    using folder = temporaryFolder()
    await using hub = await started(payments(), folder.path)
    const { writeFileSync } = await import('node:fs')
    const file = `${folder.path}/payment.json`
    writeFileSync(file, JSON.stringify(body('f', 4)))
    const ran = await latchwork(folder.path, 'run', 'pay', '--property', 'limit=2', '--body', file, '--wait')
    expect([ran.code, JSON.parse(ran.out)]).toMatchObject([0, { state: 'done', result: { paid: 4, limit: 2 } }])
    expect(JSON.parse((await latchwork(folder.path, 'send', 'quote', file)).out)).toEqual({ reply: 7 })
    const sent = JSON.parse((await latchwork(folder.path, 'send', 'pay', file)).out) as { id: string }
    expect(JSON.parse((await latchwork(folder.path, 'runs', 'pay', '--id', sent.id)).out)).toMatchObject({
      flow: 'pay',
    })
    const listed = JSON.parse((await latchwork(folder.path, 'messages', '--flow', 'pay')).out) as {
      items: MessageRow[]
    }
    expect(listed.items.map((row) => row.origin)).toEqual(['send', 'execution'])
    const again = await latchwork(folder.path, 'resend', String(listed.items[0]?.id))
    expect([again.code, Object.keys(JSON.parse(again.out) as object)]).toEqual([0, ['id']])
    expect((await latchwork(folder.path, 'resend', '999')).err).toContain('query.unknown-message')
    expect(hub.flows.names).toEqual(['pay', 'quote'])
  })
})
