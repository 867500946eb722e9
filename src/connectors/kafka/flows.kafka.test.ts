import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { type FlowDefinition, flow } from '../../config/flow.ts'
import { temporaryFolder } from '../../server/fixture-hub.ts'
import { eventually, flowHub, runsOf, verdictsOf } from '../broker/fixture-flows.ts'
import { HubProcess, resultsOf, sourceUrl } from '../broker/fixture-process.ts'
import { hasKcat, MockKafka, Peer } from './fixture-kafka.ts'
import { header, kafka } from './index.ts'

const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, n) => n)

describe.skipIf(!hasKcat && process.env.CI !== 'true')('a topic as the door of a flow (a mock broker)', () => {
  const remembering = (broker: string, topic: string, seen: unknown[]): FlowDefinition =>
    flow('orders', {
      listen: kafka({ url: `kafka://${broker}` }).topic(topic, { properties: { tenant: header('Tenant') } }),
      input: z.object({ n: z.int() }),
      run: ({ message }) => {
        seen.push(message.body.n)
        return message.body.n
      },
    })

  test('a message runs once, also when the connection ends; its offset is committed after it is durable; poison is a parked run', async () => {
    using folder = temporaryFolder()
    await using mock = await MockKafka.start()
    await using peer = new Peer(mock.broker)
    const topic = peer.topic()
    await peer.send(topic, { n: 0 }, { Tenant: 'A' }, 'k')
    const seen: number[] = []
    {
      await using hub = await flowHub(folder.path, remembering(mock.broker, topic, seen))
      for (const n of upTo(20).slice(1)) await peer.send(topic, { n }, {}, String(n))
      await peer.send(topic, '{"n": ')
      await eventually(
        () => verdictsOf(hub),
        (found) => found.length === 21,
      )
      const [parked] = await eventually(
        () => runsOf(hub, 'parked'),
        (runs) => runs.length === 1,
      )
      expect(parked?.code).toBe('intake.malformed')
      mock.cut()
      await eventually(
        () => hub.log.lines.join('\n'),
        (lines) => lines.includes('connected again'),
      )
      await peer.send(topic, { n: 20 })
      await eventually(
        () => seen.length,
        (count) => count === 21,
      )
      await hub.stop()
    }
    // Another hub of the group, which remembers nothing, is given nothing that was taken.
    using other = temporaryFolder()
    await using hub = await flowHub(other.path, remembering(mock.broker, topic, seen))
    await peer.send(topic, { n: 21 })
    await eventually(
      () => seen.length,
      (count) => count === 22,
    )
    expect(await verdictsOf(hub)).toEqual(['accepted'])
    expect(seen.toSorted((a, b) => a - b)).toEqual(upTo(22))
  })

  test('who asks with the header reply-to is answered there; a full flow leaves its messages at the broker', async () => {
    using folder = temporaryFolder()
    await using mock = await MockKafka.start()
    await using peer = new Peer(mock.broker)
    const [topic, inbox, busy] = [peer.topic(), peer.topic(), peer.topic()]
    for (const one of [topic, inbox, busy]) await peer.send(one, { n: 0 }, { 'reply-to': inbox })
    const broker = kafka({ url: `kafka://${mock.broker}` })
    const gate = Promise.withResolvers<void>()
    const done: number[] = []
    const check = flow('check', {
      listen: broker.topic(topic),
      input: z.object({ n: z.int() }),
      output: z.int(),
      run: ({ message }) => message.body.n * 2,
    })
    const orders = flow('orders', {
      listen: broker.topic(busy, { inFlightMax: 4, group: 'busy' }),
      input: z.object({ n: z.int() }),
      concurrency: 1,
      queueMax: 2,
      key: () => 'one',
      run: async ({ message }) => {
        await gate.promise
        done.push(message.body.n)
      },
    })
    await using hub = await flowHub(folder.path, check, orders)
    const heard = await peer.hear(inbox)
    await peer.send(topic, { n: 21 }, { 'reply-to': inbox, 'correlation-id': 'c1' })
    for (const n of upTo(40).slice(1)) await peer.send(busy, { n }, {}, 'k')
    const reply = await eventually(
      () => heard.find(({ headers }) => headers['correlation-id'] === 'c1'),
      (found) => found !== undefined,
    )
    expect([reply?.value, reply?.headers['content-type']]).toEqual(['42', 'application/json'])
    await new Promise((resolve) => setTimeout(resolve, 300))
    const taken = (await verdictsOf(hub)).filter((verdict) => verdict === 'accepted').length
    expect(taken).toBeLessThanOrEqual(10)
    gate.resolve()
    await eventually(
      () => done.length,
      (count) => count === 40,
    )
    expect(new Set(done).size).toBe(40)
  })

  test('the hub is killed twice: nothing of the topic is lost or run twice', async () => {
    using folder = temporaryFolder()
    await using mock = await MockKafka.start()
    await using peer = new Peer(mock.broker)
    const topic = peer.topic()
    const config = join(folder.path, 'latchwork.config.ts')
    writeFileSync(
      config,
      `import { defineHub, flow } from '${sourceUrl('index.ts')}'
       import { kafka } from '${sourceUrl('connectors/kafka/index.ts')}'
       import { z } from '${import.meta.resolve('zod')}'
       const orders = flow('orders', {
         listen: kafka({ url: 'kafka://${mock.broker}' }).topic('${topic}'), input: z.object({ n: z.int() }), run: ({ message }) => message.body.n,
       })
       export default defineHub({ apps: {}, flows: [orders] })`,
    )
    const total = 2_000
    for (let n = 0; n < total; n += 100)
      await Promise.all(upTo(100).map((more) => peer.send(topic, { n: n + more }, {}, String(more))))
    for (let life = 0; life < 2; life++) {
      await using hub = await new HubProcess(config, folder.path).ready()
      const before = (await resultsOf(hub.url, 'orders')).length
      await eventually(
        () => resultsOf(hub.url, 'orders'),
        (results) => results.length > before,
      )
      await hub.end('SIGKILL')
    }
    await using hub = await new HubProcess(config, folder.path).ready()
    const results = await eventually(
      () => resultsOf(hub.url, 'orders'),
      (found) => found.length >= total,
    )
    expect(results).toEqual(upTo(total))
    await hub.end('SIGTERM')
  })
})
