import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { defineHub } from '../../config/define-hub.ts'
import { type FlowDefinition, flow } from '../../config/flow.ts'
import { collectingLog, temporaryFolder } from '../../server/fixture-hub.ts'
import { type RunningHub, startHub } from '../../server/hub.ts'
import { HubProcess, resultsOf, sourceUrl } from '../broker/fixture-process.ts'
import { eventually, hasMqtt, MQTT_URL, Peer } from './fixture-mqtt.ts'
import { header, mqtt } from './index.ts'

const Order = z.object({ n: z.int() })
const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, n) => n)

async function hubOf(dataDir: string, ...flows: readonly FlowDefinition[]): Promise<RunningHub> {
  const log = collectingLog()
  return startHub({ definition: defineHub({ apps: {}, flows }), dataDir, env: {}, log, port: 0 })
}

const runsOf = async (hub: RunningHub, state: string): Promise<readonly { id: string; code: string | null }[]> => {
  const reply = await fetch(`${hub.url}/api/flows/orders/executions?limit=500&state=${state}`)
  return ((await reply.json()) as { items: { id: string; code: string | null }[] }).items
}

/** A message may be sent before the first subscription is made, which keeps nothing then: one is sent until it is heard. */
async function subscribed(peer: Peer, topic: string, seen: readonly unknown[]): Promise<void> {
  await eventually(
    async () => {
      if (seen.length === 0) await peer.send(topic, { n: -1 }, { properties: { userProperties: { event: 'first' } } })
      return seen.length
    },
    (count) => count > 0,
  )
}

describe.skipIf(!hasMqtt)('a topic as the door of a flow', () => {
  test.each([1, 2] as const)(
    'with QoS %i the broker keeps what comes while the hub is away; it runs once, in order; poison is a parked run',
    async (qos) => {
      using folder = temporaryFolder()
      await using peer = await Peer.open()
      const { topic, clientId } = peer.names('/+')
      const seen: unknown[] = []
      const orders = flow('orders', {
        listen: mqtt({ url: MQTT_URL, clientId }).topic(`${topic}/+`, { qos, deliveryId: header('event') }),
        input: Order,
        concurrency: 1,
        run: ({ message }) => void seen.push([message.body.n, message.properties.topic]),
      })
      const send = (n: number): Promise<void> =>
        peer.send(`${topic}/a`, { n }, { qos, properties: { userProperties: { event: `e${n}` } } })
      {
        await using hub = await hubOf(folder.path, orders)
        await subscribed(peer, `${topic}/a`, seen)
        await send(1)
        await send(1)
        await peer.send(`${topic}/b`, '{"n": ', { qos })
        await eventually(
          () => runsOf(hub, 'parked'),
          (runs) => runs.length === 1 && runs[0]?.code === 'intake.malformed',
        )
        await eventually(
          async () => seen.length,
          (count) => count === 2,
        )
      }
      for (const n of upTo(20)) await send(n + 2)
      await using hub = await hubOf(folder.path, orders)
      await eventually(
        () => runsOf(hub, 'done'),
        (runs) => runs.length === 22,
      )
      expect(seen.map((one) => (one as [number])[0])).toEqual([-1, ...upTo(21).map((n) => n + 1)])
      expect(new Set(seen.map((one) => (one as [number, string])[1]))).toEqual(new Set([`${topic}/a`]))
      await hub.stop()
      // Nothing of it is given again.
      await using again = await hubOf(folder.path, orders)
      await send(99)
      await eventually(
        () => runsOf(again, 'done'),
        (runs) => runs.length === 23,
      )
      expect(seen).toHaveLength(23)
    },
  )

  test('who asks with a response topic gets the reply, or the refusal, with its correlation data', async () => {
    using folder = temporaryFolder()
    await using peer = await Peer.open()
    const { topic, clientId } = peer.names()
    const seen: unknown[] = []
    const check = flow('check', {
      listen: mqtt({ url: MQTT_URL, clientId }).topic(topic),
      input: Order,
      output: z.object({ twice: z.int() }),
      run: ({ message }) => {
        seen.push(message.body.n)
        return { twice: message.body.n * 2 }
      },
    })
    await using hub = await hubOf(folder.path, check)
    await eventually(
      async () => {
        if (seen.length === 0)
          await peer.send(topic, { n: 0 }, { properties: { responseTopic: `${peer.inbox}/nobody` } })
        return seen.length
      },
      (count) => count > 0,
    )
    const reply = await peer.ask(topic, { n: 21 })
    expect([reply.properties?.contentType, reply.payload.toString()]).toEqual(['application/json', '{"twice":42}'])
    const refusal = await peer.ask(topic, { n: 'x' })
    expect(refusal.properties?.userProperties?.['latchwork-error']).toBe('flow.input-invalid')
    expect((JSON.parse(refusal.payload.toString()) as { code: string }).code).toBe('flow.input-invalid')
    expect(hub.flows.failed).toBe(null)
  })

  test('with QoS 0 what comes while the hub listens runs', async () => {
    using folder = temporaryFolder()
    await using peer = await Peer.open()
    const { topic, clientId } = peer.names()
    const seen: unknown[] = []
    const orders = flow('orders', {
      listen: mqtt({ url: MQTT_URL, clientId }).topic(topic, { qos: 0, deliveryId: header('event') }),
      run: ({ message }) => void seen.push(message.body),
    })
    await using hub = await hubOf(folder.path, orders)
    await subscribed(peer, topic, seen)
    await peer.send(topic, { n: 1 }, { qos: 0 })
    await eventually(
      () => runsOf(hub, 'done'),
      (runs) => runs.length === 2,
    )
    expect(seen).toEqual([{ n: -1 }, { n: 1 }])
  })

  test('the hub is killed again and again: nothing that the broker kept is lost, and what has an id runs once', async () => {
    using folder = temporaryFolder()
    await using peer = await Peer.open()
    const { topic, clientId } = peer.names()
    const config = join(folder.path, 'latchwork.config.ts')
    writeFileSync(
      config,
      `import { defineHub, flow } from '${sourceUrl('index.ts')}'
       import { header, mqtt } from '${sourceUrl('connectors/mqtt/index.ts')}'
       const listen = mqtt({ url: '${MQTT_URL}', clientId: '${clientId}' }).topic('${topic}', { qos: 2, deliveryId: header('event') })
       export default defineHub({ apps: {}, flows: [flow('orders', { listen, run: ({ message }) => message.body.n })] })`,
    )
    const send = (n: number): Promise<void> =>
      peer.send(topic, { n }, { qos: 2, properties: { userProperties: { event: `e${n}` } } })
    {
      await using hub = await new HubProcess(config, folder.path).ready()
      await eventually(
        async () => {
          await send(0)
          return resultsOf(hub.url, 'orders')
        },
        (results) => results.length > 0,
      )
      await hub.end('SIGKILL')
    }
    // Some hundred a second: the client takes one at a time.
    const total = 120
    for (const n of upTo(total)) await send(n)
    for (let life = 0; life < 3; life++) {
      await using hub = await new HubProcess(config, folder.path).ready()
      const before = (await resultsOf(hub.url, 'orders')).length
      await eventually(
        () => resultsOf(hub.url, 'orders'),
        (results) => results.length > before || results.length === total,
      )
      await hub.end(life === 1 ? 'SIGTERM' : 'SIGKILL')
    }
    await using hub = await new HubProcess(config, folder.path).ready()
    const results = await eventually(
      () => resultsOf(hub.url, 'orders'),
      (found) => found.length >= total,
    )
    expect(results).toEqual(upTo(total))
    await hub.end('SIGTERM')
  })

  test('what the config says wrong is refused where it stands', () => {
    const broker = mqtt({ url: MQTT_URL, clientId: 'hub' })
    expect(() => mqtt({ url: MQTT_URL, clientId: 'a/b' })).toThrow(/clientId/)
    expect(() => broker.topic('a/#/b')).toThrow(/this is not a filter of topics/)
    expect(() => broker.topic('a', { qos: 3 as 1 })).toThrow(/3 is not a QoS/)
    expect(() => broker.topic('a', { group: 'x/y' })).toThrow(/not the name of a group/)
  })
})
