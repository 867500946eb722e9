import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { defineHub } from '../../config/define-hub.ts'
import { type FlowDefinition, flow, type ListenDefinition } from '../../config/flow.ts'
import { collectingLog, temporaryFolder } from '../../server/fixture-hub.ts'
import { type RunningHub, startHub } from '../../server/hub.ts'
import { HubProcess, resultsOf, sourceUrl } from '../broker/fixture-process.ts'
import { eventually, hasNats, hasNatsBinary, NATS_URL, NatsServer, Peer } from './fixture-nats.ts'
import { header, nats } from './index.ts'

const server = nats({ url: NATS_URL })
const Order = z.object({ n: z.int() })

async function hubOf(
  dataDir: string,
  ...flows: readonly FlowDefinition[]
): Promise<RunningHub & { readonly log: ReturnType<typeof collectingLog> }> {
  const log = collectingLog()
  const hub = await startHub({ definition: defineHub({ apps: {}, flows }), dataDir, env: {}, log, port: 0 })
  return Object.assign(hub, { log })
}

const runsOf = async (hub: RunningHub, state: string): Promise<readonly { id: string; code: string | null }[]> => {
  const reply = await fetch(`${hub.url}/api/flows/orders/executions?limit=500&state=${state}`)
  return ((await reply.json()) as { items: { id: string; code: string | null }[] }).items
}

const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, n) => n)
/** The hub makes the durable consumer when it connects; what is sent before waits in the stream. */
const connected = (peer: Peer, stream: string) =>
  eventually(
    () => peer.consumer(stream).catch(() => null),
    (found) => found !== null,
  )

describe.skipIf(!hasNats)('a stream as the door of a flow', () => {
  test('a message is acknowledged once it is durable; one that says that it is the same is not run again; poison is a parked run', async () => {
    using folder = temporaryFolder()
    await using peer = await Peer.open()
    const stream = await peer.stream()
    const seen: unknown[] = []
    const orders = flow('orders', {
      listen: server.stream(stream, { filter: `${stream}.orders.*`, deliveryId: header('event-id') }),
      input: Order,
      run: ({ message }) => void seen.push([message.body.n, message.properties.subject]),
    })
    await using hub = await hubOf(folder.path, orders)
    await peer.send(`${stream}.orders.new`, { n: 1 }, { 'event-id': 'a' })
    await peer.send(`${stream}.orders.new`, { n: 1 }, { 'event-id': 'a' })
    await peer.send(`${stream}.other`, { n: 9 })
    await peer.send(`${stream}.orders.new`, '{"n": ')
    await peer.send(`${stream}.orders.old`, { n: 2 })
    const [parked] = await eventually(
      () => runsOf(hub, 'parked'),
      (runs) => runs.length === 1,
    )
    expect(parked?.code).toBe('intake.malformed')
    await eventually(
      () => runsOf(hub, 'done'),
      (runs) => runs.length === 2,
    )
    expect(seen).toEqual([
      [1, `${stream}.orders.new`],
      [2, `${stream}.orders.old`],
    ])
    expect(await peer.consumer(stream)).toEqual({ pending: 0, unacknowledged: 0, redelivered: 0 })
  })

  test('while the flow is full its messages are neither lost nor given twice, however long it takes', async () => {
    using folder = temporaryFolder()
    await using peer = await Peer.open()
    const stream = await peer.stream()
    const seen: number[] = []
    const gate = Promise.withResolvers<void>()
    const orders = flow('orders', {
      listen: server.stream(stream, { inFlightMax: 4, ackWaitMs: 300 }),
      input: Order,
      concurrency: 1,
      queueMax: 2,
      key: () => 'one',
      run: async ({ message }) => {
        await gate.promise
        seen.push(message.body.n)
      },
    })
    await using hub = await hubOf(folder.path, orders)
    for (const n of upTo(30)) await peer.send(`${stream}.x`, { n })
    await eventually(
      () => peer.consumer(stream).catch(() => null),
      (found) => found?.unacknowledged === 4,
    )
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    const { pending, unacknowledged } = await peer.consumer(stream)
    expect(unacknowledged).toBe(4)
    expect(pending).toBeGreaterThanOrEqual(20)
    gate.resolve()
    await eventually(
      async () => seen.length,
      (count) => count === 30,
    )
    expect(seen).toEqual(upTo(30))
    expect(
      await eventually(
        () => peer.consumer(stream),
        (found) => found.unacknowledged === 0,
      ),
    ).toEqual({ pending: 0, unacknowledged: 0, redelivered: 0 })
    expect(await runsOf(hub, 'parked')).toEqual([])
  })

  test('a stream that is missing is said, and taken up as soon as it is there, or made when the config says so', async () => {
    using folder = temporaryFolder()
    await using peer = await Peer.open()
    const [missing, made] = [peer.name(), peer.name()]
    const seen: unknown[] = []
    const of = (name: string, listen: ListenDefinition): FlowDefinition =>
      flow(name, { listen, input: Order, run: ({ message }) => void seen.push(message.body.n) })
    await using hub = await hubOf(
      folder.path,
      of('orders', server.stream(missing)),
      of('others', server.stream(made, { declare: `${made}.>` })),
    )
    await connected(peer, made)
    await peer.send(`${made}.x`, { n: 1 })
    await eventually(
      async () => hub.log.lines.find((line) => line.includes('broker.refused')),
      (line) => line !== undefined,
    )
    await peer.stream(missing)
    await peer.send(`${missing}.x`, { n: 2 })
    await eventually(
      async () => seen.length,
      (count) => count === 2,
    )
    expect([...seen].sort()).toEqual([1, 2])
  })

  test('the hub is killed again and again: nothing that the stream gave is lost or run twice', async () => {
    using folder = temporaryFolder()
    await using peer = await Peer.open()
    const stream = await peer.stream()
    const total = 3_000
    await Promise.all(upTo(total).map((n) => peer.send(`${stream}.x`, { n })))
    const config = join(folder.path, 'latchwork.config.ts')
    writeFileSync(
      config,
      `import { defineHub, flow } from '${sourceUrl('index.ts')}'
       import { nats } from '${sourceUrl('connectors/nats/index.ts')}'
       const listen = nats({ url: '${NATS_URL}' }).stream('${stream}', { ackWaitMs: 500 })
       export default defineHub({ apps: {}, flows: [flow('orders', { listen, run: ({ message }) => message.body.n })] })`,
    )
    for (let life = 0; life < 3; life++) {
      await using hub = await new HubProcess(config, folder.path).ready()
      const before = (await resultsOf(hub.url, 'orders')).length
      await eventually(
        () => resultsOf(hub.url, 'orders'),
        (results) => results.length > before,
      )
      await hub.end(life === 1 ? 'SIGTERM' : 'SIGKILL')
    }
    await using hub = await new HubProcess(config, folder.path).ready()
    const results = await eventually(
      () => resultsOf(hub.url, 'orders'),
      (found) => found.length >= total,
    )
    expect(results).toEqual(upTo(total))
    const consumer = await eventually(
      () => peer.consumer(stream),
      ({ unacknowledged }) => unacknowledged === 0,
    )
    expect(consumer.pending).toBe(0)
    await hub.end('SIGTERM')
  })
})

describe.skipIf(!hasNats)('a subject as the door of a flow', () => {
  test('a request is answered with the reply or the refusal; one to a flow without output once it is durable', async () => {
    using folder = temporaryFolder()
    await using peer = await Peer.open()
    const subject = peer.name()
    const seen: unknown[] = []
    const check = flow('check', {
      listen: server.subject(`${subject}.check`, { group: 'hubs' }),
      input: Order,
      output: z.object({ twice: z.int() }),
      run: ({ message }) => ({ twice: message.body.n * 2 }),
    })
    const orders = flow('orders', {
      listen: server.subject(`${subject}.orders`),
      input: Order,
      run: ({ message }) => void seen.push(message.body.n),
    })
    await using hub = await hubOf(folder.path, check, orders)
    const ask = (name: string, body: unknown) =>
      eventually(
        () => peer.ask(`${subject}.${name}`, body).catch(() => null),
        (found) => found !== null,
      )
    const reply = await ask('check', { n: 21 })
    expect([reply?.headers?.get('content-type'), reply?.string()]).toEqual(['application/json', '{"twice":42}'])
    const refusal = await ask('check', { n: 'x' })
    expect([refusal?.headers?.get('latchwork-error'), JSON.parse(refusal?.string() ?? '{}').code]).toEqual([
      'flow.input-invalid',
      'flow.input-invalid',
    ])
    expect((await ask('orders', { n: 1 }))?.string()).toBe('')
    await eventually(
      () => runsOf(hub, 'done'),
      (runs) => runs.length === 1,
    )
    expect(seen).toEqual([1])
  })

  test('nobody keeps what comes beyond the limit: who asks is told so, and the loss is said', async () => {
    using folder = temporaryFolder()
    await using peer = await Peer.open()
    const subject = peer.name()
    const gate = Promise.withResolvers<void>()
    const check = flow('check', {
      listen: server.subject(subject, { inFlightMax: 3 }),
      output: z.string(),
      run: async () => {
        await gate.promise
        return 'done'
      },
    })
    await using hub = await hubOf(folder.path, check)
    const first = eventually(
      () => peer.ask(subject, 1).catch(() => null),
      (found) => found !== null,
    )
    await eventually(
      async () => hub.flows.load().check?.running,
      (running) => running === 1,
    )
    const asked = await Promise.all(
      [first, ...upTo(9).map(() => peer.ask(subject, 1))].map(async (reply, i) => {
        if (i === 9) gate.resolve()
        return (await reply)?.headers?.get('latchwork-error') ?? 'answered'
      }),
    )
    expect(asked.filter((answer) => answer === 'answered' || answer === '')).toHaveLength(3)
    expect(asked.filter((answer) => answer === 'flow.overloaded')).toHaveLength(7)
    expect(hub.log.lines.join('\n')).toContain('more messages come than are taken, and nobody keeps them')
  })
})

describe.skipIf(!hasNatsBinary)('the server', () => {
  test('is killed and comes back: what its stream kept runs once', async () => {
    using folder = temporaryFolder()
    await using own = await new NatsServer().start()
    const seen: number[] = []
    const orders = flow('orders', {
      listen: nats({ url: own.url }).stream('ORDERS', { declare: 'orders.>', ackWaitMs: 500 }),
      input: Order,
      run: ({ message }) => void seen.push(message.body.n),
    })
    await using hub = await hubOf(folder.path, orders)
    const confirmed: number[] = []
    for (let life = 0; life < 3; life++) {
      const peer = await Peer.open(own.url)
      await connected(peer, 'ORDERS')
      const sends = upTo(200).map((n) =>
        peer.send('orders.new', { n: life * 200 + n }).then(
          () => confirmed.push(life * 200 + n),
          () => undefined,
        ),
      )
      await eventually(
        async () => confirmed.length,
        (count) => count > life * 200 + 50 || count >= 150,
      )
      await own.kill()
      await peer.connection.close().catch(() => undefined)
      await Promise.race([Promise.all(sends), new Promise((resolve) => setTimeout(resolve, 300))])
      await own.start()
    }
    await eventually(
      async () => new Set(seen),
      (found) => confirmed.every((n) => found.has(n)),
    )
    expect(new Set(seen).size).toBe(seen.length)
    expect(hub.log.lines.filter((line) => line.includes('connected again')).length).toBeGreaterThanOrEqual(1)
  })
})
