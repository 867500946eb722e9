import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import rhea, { type Message } from 'rhea'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { type FlowDefinition, flow } from '../../config/flow.ts'
import { temporaryFolder } from '../../server/fixture-hub.ts'
import { hasRabbitmq, type RabbitmqServer, startRabbitmq } from '../../testing/rabbitmq-server.ts'
import { Peer as Amqp091Peer } from '../amqp/fixture-amqp.ts'
import { eventually, flowHub, runsOf, verdictsOf } from '../broker/fixture-flows.ts'
import { HubProcess, resultsOf, sourceUrl } from '../broker/fixture-process.ts'
import { Peer } from './fixture-amqp1.ts'
import { amqp1, header } from './index.ts'

/** Doors of flows on RabbitMQ through its plug-in for AMQP 1.0. The queues are made, and looked at, in its own protocol. */

type DoorOptions = NonNullable<Parameters<ReturnType<typeof amqp1>['queue']>[1]>

const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, n) => n)

describe.skipIf(!hasRabbitmq && process.env.CI !== 'true')('RabbitMQ', () => {
  let server: RabbitmqServer
  let peer091: Amqp091Peer

  beforeAll(async () => {
    server = await startRabbitmq(['rabbitmq_amqp1_0'])
    peer091 = await Amqp091Peer.open(server.url)
  })

  afterAll(async () => {
    await peer091?.[Symbol.asyncDispose]()
    await server?.[Symbol.asyncDispose]()
  })

  const remembering = (queue: string, seen: unknown[], door: DoorOptions = {}): FlowDefinition =>
    flow('orders', {
      listen: amqp1({ url: server.url }).queue(`/amq/queue/${queue}`, door),
      input: z.object({ n: z.int() }),
      run: ({ message }) => {
        seen.push(message.body.n)
        return message.body.n
      },
    })

  test.each(['classic', 'quorum'] as const)(
    'a message of a %s queue is accepted once it is durable; what was given back too often is set aside unread',
    async (kind) => {
      using folder = temporaryFolder()
      const queue = await peer091.queue(kind)
      await using peer = await Peer.open(server.url)
      const seen: unknown[] = []
      await peer.send(`/amq/queue/${queue}`, { message_id: 'deadly', body: '{"n":1}' })
      await peer091.bounce(queue, 1)
      {
        const properties = { tenant: header('tenant') }
        const door = remembering(queue, seen, { deliveriesMax: 1, properties })
        await using hub = await flowHub(folder.path, door)
        const body = rhea.message.data_section(Buffer.from('{"n":2}')) as Message['body']
        await peer.send(`/amq/queue/${queue}`, { message_id: 'm2', body, application_properties: { tenant: 'A' } })
        await peer.send(`/amq/queue/${queue}`, { message_id: 'm2', body: '{"n":2}' })
        await peer.send(`/amq/queue/${queue}`, { message_id: 'm3', body: '{"n":' })
        // As others publish, in the other protocol.
        await peer091.send(queue, { n: 4 }, { messageId: 'm4' })
        await eventually(
          () => verdictsOf(hub),
          (found) => found.length === 5,
        )
        const parked = await eventually(
          () => runsOf(hub, 'parked'),
          (runs) => runs.length === 2,
        )
        expect(parked.map(({ code }) => code).sort()).toEqual(['broker.redelivered', 'intake.malformed'])
        await eventually(
          () => seen.length,
          (count) => count === 2,
        )
        expect(seen).toEqual([2, 4])
        await hub.stop()
      }
      expect(await peer091.ready(queue)).toBe(0)
    },
  )

  test('who asks is answered at exactly the address that it gave; one who gave none that works holds up nobody', async () => {
    using folder = temporaryFolder()
    const [queue, inbox] = [await peer091.queue(), await peer091.queue()]
    await using peer = await Peer.open(server.url)
    const orders = flow('orders', {
      listen: amqp1({ url: server.url }).queue(`/amq/queue/${queue}`),
      input: z.object({ n: z.int() }),
      output: z.object({ twice: z.int() }),
      run: ({ message }) => ({ twice: message.body.n * 2 }),
    })
    await using hub = await flowHub(folder.path, orders)
    const address = `/amq/queue/${queue}`
    const body = rhea.message.data_section(Buffer.from('{"n":21}')) as Message['body']
    const asBytes = await peer.ask(address, { body, message_id: 'a' }, `/amq/queue/${inbox}`)
    expect([String(asBytes.body.content), asBytes.content_type]).toEqual(['{"twice":42}', 'application/json'])
    // The broker ends the session of a sender to a place that is not there.
    await peer.send(address, { message_id: 'lost', reply_to: '/exchange/not-there/x', body: '{"n":1}' })
    await peer.send(address, { message_id: 'none', body: '{"n":1}' })
    const asText = await peer.ask(address, { body: '{"n":2}', message_id: 'b' }, `/amq/queue/${inbox}`)
    expect(asText.body).toBe('{"twice":4}')
    await eventually(
      async () => hub.log.lines.join('\n'),
      (said) => said.includes("no exchange 'not-there'"),
    )
    const [parked] = await eventually(
      () => runsOf(hub, 'parked'),
      (runs) => runs.length === 1,
    )
    expect(parked?.code).toBe('broker.no-reply-to')
    await hub.stop()
    expect(await peer091.ready(queue)).toBe(0)
  })

  test('a queue that is missing, or that is deleted under the hub, is said, and taken up as soon as it is there', async () => {
    using folder = temporaryFolder()
    const queue = peer091.name()
    const seen: unknown[] = []
    await using hub = await flowHub(folder.path, remembering(queue, seen))
    await eventually(
      () => hub.log.lines.join('\n'),
      (lines) => lines.includes('broker.refused'),
    )
    expect(hub.log.lines.join('\n')).toMatch(/NOT_FOUND - no queue .*Make it at the broker/)
    await peer091.channel.assertQueue(queue, { durable: true })
    await peer091.send(queue, { n: 7 })
    await eventually(
      () => seen.length,
      (count) => count === 1,
    )
    await peer091.channel.deleteQueue(queue)
    await peer091.channel.assertQueue(queue, { durable: true })
    await peer091.send(queue, { n: 8 })
    await eventually(
      () => seen.length,
      (count) => count === 2,
    )
  })

  test('the hub is killed four times: nothing that it accepted is lost or run twice, and who asks is answered', async () => {
    using folder = temporaryFolder()
    const [queue, check, inbox] = [await peer091.queue('quorum'), await peer091.queue(), await peer091.queue()]
    const config = join(folder.path, 'latchwork.config.ts')
    writeFileSync(
      config,
      `import { defineHub, flow } from '${sourceUrl('index.ts')}'
       import { amqp1 } from '${sourceUrl('connectors/amqp1/index.ts')}'
       import { z } from '${import.meta.resolve('zod')}'
       const broker = amqp1({ url: '${server.url}' })
       const orders = flow('orders', {
         listen: broker.queue('/amq/queue/${queue}'), input: z.object({ n: z.int() }), run: ({ message }) => message.body.n,
       })
       const check = flow('check', {
         listen: broker.queue('/amq/queue/${check}'), output: z.int(), run: ({ message }) => message.body * 2,
       })
       export default defineHub({ apps: {}, flows: [orders, check] })`,
    )
    const total = 4_000
    await Promise.all(upTo(total).map((n) => peer091.send(queue, { n }, { messageId: `k${n}` })))
    for (let life = 0; life < 5; life++) {
      await using hub = await new HubProcess(config, folder.path).ready()
      const before = (await resultsOf(hub.url, 'orders')).length
      await eventually(
        () => resultsOf(hub.url, 'orders'),
        (results) => results.length > before,
      )
      await hub.end(life === 3 ? 'SIGTERM' : 'SIGKILL')
    }
    expect(await peer091.ready(queue)).toBeGreaterThan(0)
    await using peer = await Peer.open(server.url)
    const asked = peer.ask(`/amq/queue/${check}`, { body: '21', message_id: 'ask' }, `/amq/queue/${inbox}`)
    await using hub = await new HubProcess(config, folder.path).ready()
    expect((await asked).body).toBe('42')
    const results = await eventually(
      () => resultsOf(hub.url, 'orders'),
      (found) => found.length >= total,
    )
    expect(results).toEqual(upTo(total))
    await hub.end('SIGTERM')
    expect(await peer091.ready(queue)).toBe(0)
  })

  test('the broker is killed and comes back: what it confirmed runs once', async () => {
    using folder = temporaryFolder()
    const queue = await peer091.queue()
    const seen: number[] = []
    await using hub = await flowHub(folder.path, remembering(queue, seen))
    const total = 1_000
    await Promise.all(upTo(total).map((n) => peer091.send(queue, { n }, { messageId: `b${n}` })))
    await eventually(
      () => seen.length,
      (count) => count > 0,
    )
    await server.kill()
    await server.start()
    await eventually(
      () => seen.length,
      (count) => count >= total,
    )
    expect(seen.toSorted((a, b) => a - b)).toEqual(upTo(total))
    expect(hub.flows.failed).toBe(null)
  })
})
