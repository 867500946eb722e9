import rhea, { type Message } from 'rhea'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { type FlowDefinition, flow } from '../../config/flow.ts'
import { json, text } from '../../formats/index.ts'
import { temporaryFolder } from '../../server/fixture-hub.ts'
import { eventually, flowHub, runsOf, verdictsOf } from '../broker/fixture-flows.ts'
import { Peer } from './fixture-amqp1.ts'
import { JmsBroker } from './fixture-jms-broker.ts'
import { amqp1, header } from './index.ts'

/** What brokers and clients for JMS do, with a broker in this process. */

type DoorOptions = NonNullable<Parameters<ReturnType<typeof amqp1>['queue']>[1]>

const remembering = (url: string, seen: unknown[], door: DoorOptions = {}): FlowDefinition =>
  flow('orders', {
    listen: amqp1({ url }).queue('orders', door),
    input: z.object({ n: z.int() }),
    run: ({ message }) => {
      seen.push(message.body.n)
      return message.body.n
    },
  })

const bytes = (body: string | Uint8Array): Message['body'] => rhea.message.data_section(Buffer.from(body as string))
const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, n) => n)

test('messages of text, bytes, maps and streams are read; properties are headers; an id seen before is accepted and does not run again', async () => {
  using folder = temporaryFolder()
  await using broker = await JmsBroker.start('orders')
  const seen: unknown[] = []
  const orders = flow('orders', {
    listen: amqp1({ url: broker.url }).queue('orders', {
      format: [json(), text('words')],
      properties: { tenant: header('Tenant'), big: header('big') },
    }),
    run: ({ message }) => void seen.push([message.body, message.properties, message.deliveryId]),
  })
  await using hub = await flowHub(folder.path, orders)
  await using peer = await Peer.open(broker.url)
  const big = rhea.types.wrap_long(Buffer.from('7fffffffffffffff', 'hex') as unknown as number)
  await peer.send('orders', {
    message_id: 'ID:1',
    body: '{"n":1}',
    subject: 'new',
    application_properties: { Tenant: 'A', big },
  })
  await peer.send('orders', { message_id: 'ID:2', body: bytes('{"n":2}') })
  await peer.send('orders', { message_id: 'ID:3', body: { n: 3, parts: ['a', Buffer.from('b'), true, null] } })
  await peer.send('orders', { message_id: 'ID:4', body: rhea.message.sequence_section([1, 'two']) as Message['body'] })
  await peer.send('orders', { message_id: 'ID:5', body: 'words', content_type: 'text/plain' })
  await peer.send('orders', { message_id: 'ID:1', body: '{"n":1}' })
  await eventually(
    () => verdictsOf(hub),
    (found) => found.length === 6,
  )
  await eventually(
    () => seen.length,
    (count) => count === 5,
  )
  expect(seen).toEqual([
    [{ n: 1 }, { address: 'orders', subject: 'new', tenant: 'A', big: '9223372036854775807' }, 'ID:1'],
    [{ n: 2 }, { address: 'orders' }, 'ID:2'],
    [{ n: 3, parts: ['a', 'Yg==', true, null] }, { address: 'orders' }, 'ID:3'],
    [[1, 'two'], { address: 'orders' }, 'ID:4'],
    [{ words: 'words' }, { address: 'orders' }, 'ID:5'],
  ])
  expect(await verdictsOf(hub)).toEqual([...Array(5).fill('accepted'), 'duplicate'])
  await eventually(
    () => broker.outcomes.length,
    (count) => count === 6,
  )
  expect(new Set(broker.outcomes)).toEqual(new Set(['accepted']))
})

test('who asks is answered in kind at the queue that the broker made up, under an id of the same type', async () => {
  using folder = temporaryFolder()
  await using broker = await JmsBroker.start('orders')
  const orders = flow('orders', {
    listen: amqp1({ url: broker.url }).queue('orders'),
    input: z.object({ n: z.int() }),
    output: z.object({ twice: z.int() }),
    run: ({ message }) => ({ twice: message.body.n * 2 }),
  })
  await using hub = await flowHub(folder.path, orders)
  await using peer = await Peer.open(broker.url)
  const asText = await peer.ask('orders', { body: '{"n":21}' })
  expect([asText.body, asText.content_type, asText.message_annotations]).toEqual([
    '{"twice":42}',
    'application/json',
    { 'x-opt-jms-msg-type': 5 },
  ])
  const asBytes = await peer.ask('orders', { body: bytes('{"n":4}'), message_id: 'b' })
  expect([String(asBytes.body.content), asBytes.message_annotations]).toEqual([
    '{"twice":8}',
    { 'x-opt-jms-msg-type': 3 },
  ])
  const uuid = Buffer.from('0123456789abcdef')
  for (const id of [77, uuid, 'text', rhea.types.wrap_binary(Buffer.from('five!'))])
    expect((await peer.ask('orders', { body: '{"n":1}', correlation_id: id as string })).body).toBe('{"twice":2}')
  const refusal = await peer.ask('orders', { body: '{"n":"x"}', correlation_id: 'r' })
  expect([refusal.content_type, refusal.application_properties]).toEqual([
    'application/problem+json',
    { 'latchwork-error': 'flow.input-invalid' },
  ])
  // One who has gone: said, and it holds up nobody.
  await peer.send('orders', { message_id: 'gone', reply_to: 'temp-queue://nobody', body: '{"n":1}' })
  expect((await peer.ask('orders', { body: '{"n":3}' })).body).toBe('{"twice":6}')
  expect(hub.log.lines.join('\n')).toContain('no queue temp-queue://nobody')
  expect(new Set(broker.outcomes)).toEqual(new Set(['accepted']))
})

test('a hub that stops gives back untouched what it had not taken; what it cannot read is rejected, or kept as a parked run', async () => {
  using folder = temporaryFolder()
  await using broker = await JmsBroker.start('orders', 'dead-letters')
  const seen: unknown[] = []
  const gate = Promise.withResolvers<void>()
  {
    const orders = flow('orders', {
      listen: amqp1({ url: broker.url }).queue('orders', { inFlightMax: 4 }),
      queueMax: 2,
      concurrency: 1,
      key: () => 'one',
      run: async () => void (await gate.promise),
    })
    await using hub = await flowHub(folder.path, orders)
    for (const n of upTo(20)) broker.put('orders', { message_id: `m${n}`, body: JSON.stringify({ n }) } as Message)
    // Some run or wait here, four are in flight, the broker has the rest.
    await eventually(
      () => broker.count('orders'),
      (count) => count <= 15,
    )
    expect(broker.count('orders')).toBeGreaterThan(10)
    gate.resolve()
    await hub.stop()
  }
  expect(broker.outcomes.filter((outcome) => outcome !== 'accepted' && outcome !== 'released')).toEqual([])
  {
    await using hub = await flowHub(folder.path, remembering(broker.url, seen, { poison: 'reject' }))
    broker.put('orders', { message_id: 'bad', body: '{"n": ' } as Message)
    await eventually(
      () => broker.count('dead-letters'),
      (count) => count === 1,
    )
    expect(await runsOf(hub, 'parked')).toEqual([])
  }
  await using hub = await flowHub(folder.path, remembering(broker.url, seen))
  broker.put('orders', { message_id: 'bad too', body: '{"n": ' } as Message)
  const [parked] = await eventually(
    () => runsOf(hub, 'parked'),
    (runs) => runs.length === 1,
  )
  expect(parked?.code).toBe('intake.malformed')
  expect(broker.count('orders')).toBe(0)
})

test('what fails again and again is counted by the broker, and set aside unread', async () => {
  using folder = temporaryFolder()
  await using broker = await JmsBroker.start('orders')
  const seen: unknown[] = []
  await using peer = await Peer.open(broker.url)
  let bounces = 0
  await peer.send('orders', { message_id: 'deadly', body: '{"n":1}' })
  const receiver = await peer.receive('orders', (message) => {
    bounces++
    return message.delivery_count === 3 ? 'keep' : 'fail'
  })
  await eventually(
    () => bounces,
    (count) => count === 4,
  )
  receiver.close()
  await using hub = await flowHub(folder.path, remembering(broker.url, seen, { deliveriesMax: 3 }))
  const [parked] = await eventually(
    () => runsOf(hub, 'parked'),
    (runs) => runs.length === 1,
  )
  expect(parked?.code).toBe('broker.redelivered')
  await fetch(`${hub.url}/api/flows/orders/executions/${parked?.id}/release`, { method: 'POST' })
  await eventually(
    () => seen.length,
    (count) => count === 1,
  )
})

test('a queue that is missing, and a connection that ends, are said and tried again; nothing is lost or run twice', async () => {
  using folder = temporaryFolder()
  await using broker = await JmsBroker.start()
  const seen: number[] = []
  await using hub = await flowHub(folder.path, remembering(broker.url, seen))
  await eventually(
    () => hub.log.lines.join('\n'),
    (lines) => lines.includes('broker.refused'),
  )
  expect(hub.log.lines.join('\n')).toMatch(
    /amqp1 orders of orders: address orders: no queue orders\. Make it at the broker/,
  )
  broker.make('orders')
  const total = 2_000
  for (const n of upTo(total)) {
    broker.put('orders', { message_id: `c${n}`, body: JSON.stringify({ n }) } as Message)
    if (n % 500 === 499) {
      await eventually(
        () => seen.length,
        (count) => count > n - 400,
      )
      broker.cut()
    }
  }
  await eventually(
    () => seen.length,
    (count) => count >= total,
  )
  expect(seen.toSorted((a, b) => a - b)).toEqual(upTo(total))
})

test('more messages than the driver remembers may overtake one that waits', async () => {
  using folder = temporaryFolder()
  await using broker = await JmsBroker.start('orders')
  const gate = Promise.withResolvers<void>()
  const orders = flow('orders', {
    listen: amqp1({ url: broker.url }).queue('orders', { inFlightMax: 8 }),
    input: z.object({ n: z.int() }),
    output: z.int(),
    timeoutMs: 100_000,
    run: async ({ message }) => {
      if (message.body.n === 0) await gate.promise
      return message.body.n
    },
  })
  await using hub = await flowHub(folder.path, orders)
  broker.make('replies')
  const total = 3_000
  for (const n of upTo(total))
    broker.put('orders', { message_id: `o${n}`, reply_to: 'replies', body: JSON.stringify({ n }) } as Message)
  await eventually(
    () => broker.count('replies'),
    (count) => count >= 2_000,
  )
  gate.resolve()
  await eventually(
    () => broker.count('replies'),
    (count) => count === total,
  )
  expect(hub.log.lines.filter((line) => /^(warn|error)/.test(line))).toEqual([])
})
