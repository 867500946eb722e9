import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { defineHub } from '../../config/define-hub.ts'
import { type FlowDefinition, flow } from '../../config/flow.ts'
import { text } from '../../formats/index.ts'
import { asFlowName } from '../../model/ids.ts'
import { collectingLog, temporaryFolder } from '../../server/fixture-hub.ts'
import { type RunningHub, startHub } from '../../server/hub.ts'
import { http } from '../http/index.ts'
import { AMQP_URL, eventually, hasAmqp, Peer } from './fixture-amqp.ts'
import { header, type QueueOptions, rabbitmq } from './index.ts'

const broker = rabbitmq({ url: AMQP_URL })
type DoorOptions = Parameters<typeof broker.queue>[1]

/** A flow that remembers what it was given. */
function remembering(queue: string, seen: unknown[], door: DoorOptions = {}): FlowDefinition {
  return flow('orders', {
    listen: broker.queue(queue, door),
    input: z.object({ n: z.int() }),
    run: ({ message }) => {
      seen.push(message.body.n)
      return message.body.n
    },
  })
}

async function hubOf(
  dataDir: string,
  ...flows: readonly FlowDefinition[]
): Promise<RunningHub & { readonly log: ReturnType<typeof collectingLog> }> {
  const log = collectingLog()
  const definition = defineHub({ apps: { store: http({ baseUrl: 'http://127.0.0.1:9' }) }, flows })
  const hub = await startHub({ definition, dataDir, env: {}, log, port: 0 })
  return Object.assign(hub, { log })
}

const runsOf = async (hub: RunningHub, state?: string): Promise<readonly Record<string, unknown>[]> => {
  const query = state === undefined ? '' : `&state=${state}`
  const reply = await fetch(`${hub.url}/api/flows/orders/executions?limit=500${query}`)
  return ((await reply.json()) as { items: Record<string, unknown>[] }).items
}

const verdictsOf = async (hub: RunningHub): Promise<readonly string[]> => {
  const reply = await fetch(`${hub.url}/api/messages?limit=500`)
  return ((await reply.json()) as { items: { verdict: string }[] }).items.map(({ verdict }) => verdict).reverse()
}

describe.skipIf(!hasAmqp)('a queue as the door of a flow', () => {
  test('a message is acknowledged once it is durable and runs; one with the same message id is acknowledged and not run again', async () => {
    using folder = temporaryFolder()
    await using peer = await Peer.open()
    const queue = await peer.queue()
    const seen: unknown[] = []
    await using hub = await hubOf(folder.path, remembering(queue, seen))
    for (const n of [1, 2, 3]) await peer.send(queue, { n }, { messageId: `m${n}` })
    await peer.send(queue, { n: 2 }, { messageId: 'm2' })
    const verdicts = await eventually(
      () => verdictsOf(hub),
      (found) => found.length === 4,
    )
    expect(verdicts).toEqual(['accepted', 'accepted', 'accepted', 'duplicate'])
    await eventually(
      () => runsOf(hub, 'done'),
      (runs) => runs.length === 3,
    )
    expect(seen).toEqual([1, 2, 3])
    await hub.stop()
    expect(await peer.ready(queue)).toBe(0)
  })

  test('the hub declares the queue and its bindings when asked to, and reads properties from headers and the routing key', async () => {
    using folder = temporaryFolder()
    await using peer = await Peer.open()
    const [queue, exchange] = [peer.name(), await peer.exchange()]
    const seen: unknown[] = []
    const orders = flow('orders', {
      listen: broker.queue(queue, {
        declare: 'quorum',
        bind: { exchange, key: 'order.*', type: 'topic' },
        properties: { tenant: header('Tenant') },
        deliveryId: 'event',
      }),
      run: ({ message }) => void seen.push([message.properties, message.deliveryId, message.origin]),
    })
    await using hub = await hubOf(folder.path, orders)
    await eventually(
      () => peer.ready(queue).catch(() => -1),
      (count) => count >= 0,
    )
    await eventually(
      async () => {
        await peer.publish(exchange, 'order.new', { event: 'e1' }, { headers: { tenant: 'A' } })
        return seen.length
      },
      (count) => count > 0,
    )
    expect(seen).toEqual([[{ exchange, routingKey: 'order.new', tenant: 'A' }, 'e1', `amqp ${queue}`]])
    expect(hub.log.lines.filter((line) => line.startsWith('error'))).toEqual([])
  })

  test('who asks with reply-to gets the reply, or the refusal in words, under its correlation id', async () => {
    using folder = temporaryFolder()
    await using peer = await Peer.open()
    const queue = await peer.queue()
    const orders = flow('orders', {
      listen: broker.queue(queue),
      input: z.object({ n: z.int() }),
      output: z.object({ twice: z.int() }),
      run: ({ message }) => {
        if (message.body.n === 13) throw new Error('a secret reason')
        return { twice: message.body.n * 2 }
      },
    })
    await using hub = await hubOf(folder.path, orders)
    const reply = await peer.ask(queue, { n: 21 })
    expect([reply.properties.contentType, reply.content.toString()]).toEqual(['application/json', '{"twice":42}'])
    // Callers that name no correlation id find their message id in its place.
    const named = await peer.ask(queue, { n: 1 }, { correlationId: 'by-hand' })
    expect(named.content.toString()).toBe('{"twice":2}')
    const refusal = async (body: unknown): Promise<unknown[]> => {
      const { properties, content } = await peer.ask(queue, body)
      const problem = JSON.parse(content.toString()) as { code: string }
      return [properties.contentType, properties.headers?.['latchwork-error'], problem.code]
    }
    expect(await refusal({ n: 'x' })).toEqual(['application/problem+json', 'flow.input-invalid', 'flow.input-invalid'])
    expect(await refusal('{"n": ')).toEqual(['application/problem+json', 'intake.malformed', 'intake.malformed'])
    expect(await refusal({ n: 13 })).toEqual(['application/problem+json', 'flow.failed', 'flow.failed'])
    // One who has gone, and one who never said where: neither holds up the others.
    await peer.send(queue, { n: 2 }, { replyTo: 'nobody-reads-this' })
    await peer.send(queue, { n: 3 }, { messageId: 'without' })
    expect((await peer.ask(queue, { n: 4 })).content.toString()).toBe('{"twice":8}')
    const [parked] = await eventually(
      () => runsOf(hub, 'parked'),
      (runs) => runs.length === 1,
    )
    expect(parked?.code).toBe('broker.no-reply-to')
    expect(hub.log.lines.join('\n')).toContain('no queue takes a message to the queue nobody-reads-this')
    await hub.stop()
    expect(await peer.ready(queue)).toBe(0)
  })
})

describe.skipIf(!hasAmqp)('messages that cannot be taken', () => {
  test('what cannot be decoded, or does not fit, is a parked run: visible, acknowledged, and run once the door is corrected', async () => {
    using folder = temporaryFolder()
    await using peer = await Peer.open()
    const queue = await peer.queue()
    const seen: unknown[] = []
    {
      await using hub = await hubOf(folder.path, remembering(queue, seen))
      await peer.send(queue, 'plain words', { messageId: 'p1', contentType: 'text/plain' })
      await peer.send(queue, { n: 'not a number' }, { messageId: 'p2' })
      await peer.send(queue, 'plain words', { messageId: 'p1', contentType: 'text/plain' })
      await peer.send(queue, { n: 4 }, { messageId: 'p3' })
      await eventually(
        () => verdictsOf(hub),
        (found) => found.length === 4,
      )
      expect([...(await verdictsOf(hub))].sort()).toEqual(['accepted', 'duplicate', 'set-aside', 'set-aside'])
      const parked = await eventually(
        () => runsOf(hub, 'parked'),
        (runs) => runs.length === 2,
      )
      expect(parked.map(({ code }) => code).sort()).toEqual(['flow.input-invalid', 'intake.unsupported-type'])
      await eventually(
        async () => seen.length,
        (count) => count === 1,
      )
    }
    expect(await peer.ready(queue)).toBe(0)
    // The door is corrected: what was kept is read as it says now.
    const corrected = flow('orders', {
      listen: broker.queue(queue, { format: text('words') }),
      run: ({ message }) => void seen.push(message.body),
    })
    await using hub = await hubOf(folder.path, corrected)
    for (const { id } of await runsOf(hub, 'parked'))
      await fetch(`${hub.url}/api/flows/orders/executions/${id}/release`, { method: 'POST' })
    await eventually(
      () => runsOf(hub, 'done'),
      (runs) => runs.length === 3,
    )
    expect(seen).toHaveLength(3)
    expect(seen).toContainEqual({ words: 'plain words' })
    expect(seen).toContainEqual({ n: 'not a number' })
  })

  test('with `reject` they go to the dead letters of the queue', async () => {
    using folder = temporaryFolder()
    await using peer = await Peer.open()
    const dead = await peer.queue()
    const queue = await peer.queue('classic', { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': dead })
    const seen: unknown[] = []
    await using hub = await hubOf(folder.path, remembering(queue, seen, { poison: 'reject' }))
    await peer.send(queue, '{"n": ')
    await peer.send(queue, { n: 1 })
    const letter = await eventually(
      () => peer.take(dead),
      (found) => found !== null,
    )
    expect(letter?.content.toString()).toBe('{"n": ')
    await eventually(
      async () => seen,
      (found) => found.length === 1,
    )
    expect(await runsOf(hub, 'parked')).toEqual([])
  })

  test('one that was given back too often is set aside unread', async () => {
    using folder = temporaryFolder()
    await using peer = await Peer.open()
    const queue = await peer.queue('quorum')
    await peer.send(queue, { n: 1 }, { messageId: 'deadly' })
    await peer.bounce(queue, 3)
    const seen: unknown[] = []
    await using hub = await hubOf(folder.path, remembering(queue, seen, { deliveriesMax: 3 }))
    await peer.send(queue, { n: 2 })
    const [parked] = await eventually(
      () => runsOf(hub, 'parked'),
      (runs) => runs.length === 1,
    )
    expect(parked?.code).toBe('broker.redelivered')
    await eventually(
      async () => seen.length,
      (count) => count === 1,
    )
    // A person decides: it was harmless.
    await fetch(`${hub.url}/api/flows/orders/executions/${parked?.id}/release`, { method: 'POST' })
    await eventually(
      async () => seen.length,
      (count) => count === 2,
    )
    expect(seen).toEqual([2, 1])
  })
})

describe.skipIf(!hasAmqp)('limits and trouble', () => {
  test('while the flow is full the messages stay at the broker, but for those in flight; all run in the end, in order', async () => {
    using folder = temporaryFolder()
    await using peer = await Peer.open()
    const queue = await peer.queue()
    const seen: number[] = []
    const gate = Promise.withResolvers<void>()
    const orders = flow('orders', {
      listen: broker.queue(queue, { inFlightMax: 4 }),
      input: z.object({ n: z.int() }),
      concurrency: 1,
      queueMax: 2,
      key: () => 'one',
      run: async ({ message }) => {
        await gate.promise
        seen.push(message.body.n)
      },
    })
    await using hub = await hubOf(folder.path, orders)
    for (let n = 0; n < 40; n++) await peer.send(queue, { n }, { messageId: `f${n}` })
    // Some run or wait here (1 + 2, and 1 that was let in beside them), 4 are in flight.
    await eventually(
      () => peer.ready(queue),
      (count) => count <= 34,
    )
    await eventually(
      async () => hub.flows.refusal(asFlowName('orders')),
      (refusal) => refusal?.code === 'flow.overloaded',
    )
    expect(await peer.ready(queue)).toBeGreaterThanOrEqual(31)
    gate.resolve()
    await eventually(
      async () => seen.length,
      (count) => count === 40,
    )
    expect(seen).toEqual(Array.from({ length: 40 }, (_, n) => n))
  })

  test('a queue that is missing is said, and taken up as soon as it is there', async () => {
    using folder = temporaryFolder()
    await using peer = await Peer.open()
    const queue = peer.name()
    const seen: unknown[] = []
    await using hub = await hubOf(folder.path, remembering(queue, seen))
    await eventually(
      async () => hub.log.lines.find((line) => line.includes('broker.refused')),
      (line) => line !== undefined,
    )
    expect(hub.log.lines.join('\n')).toMatch(/warn amqp .* of orders: queue .*NOT_FOUND.*Make it at the broker/)
    await peer.channel.assertQueue(queue, { durable: true })
    await peer.send(queue, { n: 7 })
    await eventually(
      async () => seen,
      (found) => found.length === 1,
    )
    // Deleted under the hub, it is gone for good; a new one of the name is taken up.
    await peer.channel.deleteQueue(queue)
    await peer.channel.assertQueue(queue, { durable: true })
    await peer.send(queue, { n: 8 })
    await eventually(
      async () => seen,
      (found) => found.length === 2,
    )
  })

  test('what the config says wrong is refused where it stands', () => {
    const wrong = (options: unknown): string => {
      try {
        broker.queue('q', options as QueueOptions)
        return 'taken'
      } catch (error) {
        return (error as Error).message
      }
    }
    expect(wrong({ prefetch: 3 })).toMatch(/queue\("q"\): 'prefetch' is not known here/)
    expect(wrong({ declare: 'stream' })).toMatch(/declare: 'stream' is not a kind of queue/)
    expect(wrong({ inFlightMax: 0 })).toMatch(/inFlightMax: 0 is not a whole number from 1/)
    expect(wrong({ poison: 'drop' })).toMatch(/poison: 'drop' is not a choice/)
    expect(wrong({ bind: { key: 'a' } })).toMatch(/bind.exchange: a name is needed/)
    expect(wrong({ deliveryId: 7 })).toMatch(/deliveryId: this is not a place/)
    const door = { listen: broker.queue('q'), run: () => null }
    expect(() =>
      defineHub({
        apps: { a: http({ baseUrl: 'http://127.0.0.1:9' }) },
        flows: [flow('one', door), flow('two', door)],
      }),
    ).toThrow(/flow two.listen: amqp q already belongs to the flow one/)
  })
})
