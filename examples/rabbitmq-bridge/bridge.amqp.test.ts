import { expect, test } from 'vitest'
import { AMQP_URL, hasAmqp, Peer } from '../../src/connectors/amqp/fixture-amqp.ts'
import { FixtureApp } from '../fixture-app.ts'
import { folder, Hub, until } from '../fixture-hub.ts'

test.skipIf(!hasAmqp)(
  'rabbitmq-bridge: customers cross it once, their changes are published, orders run once, who asks is answered; through kill -9',
  async () => {
    using data = folder()
    await using crm = await new FixtureApp('C').start()
    await using peer = await Peer.open()
    const prefix = peer.name()
    for (const name of ['customers', 'orders', 'price', 'customers.parked']) peer.own(`${prefix}.${name}`)
    peer.ownExchange(`${prefix}.events`)
    const env = { CRM_URL: crm.url, RABBITMQ_URL: AMQP_URL, BRIDGE_PREFIX: prefix }
    const subscriber = await peer.queue()
    const customer = (n: number, rev: number, op: string, name = `Person ${n}`): Promise<void> =>
      peer.send(
        `${prefix}.customers`,
        { NO: `L${n}`, NAME: name, MAIL: `p${n}@example.org`, REV: rev },
        { messageId: `L${n}/${rev}`, headers: { op } },
      )
    {
      await using hub = await new Hub('rabbitmq-bridge', data.path, env).ready()
      await until(
        () => peer.ready(`${prefix}.price`).catch(() => -1),
        (count) => count >= 0,
      )
      await until(
        () => peer.ready(`${prefix}.customers`).catch(() => -1),
        (count) => count >= 0,
      )
      // Only this side makes the exchange here; the hub finds it as it wants it.
      await peer.channel.assertExchange(`${prefix}.events`, 'topic', { durable: true })
      await peer.channel.bindQueue(subscriber, `${prefix}.events`, 'customer.#')
      for (let n = 0; n < 30; n++) await customer(n, 1, 'C')
      for (let n = 0; n < 30; n++)
        await peer.send(`${prefix}.orders`, { number: `O${n}`, items: 1 }, { messageId: `O${n}` })
      await until(
        () => crm.rows.size,
        (size) => size >= 5,
      )
      await hub.end('SIGKILL')
    }
    await customer(0, 2, 'U', 'Zoe')
    await using hub = await new Hub('rabbitmq-bridge', data.path, env).ready()
    await until(
      () => [...crm.rows.values()].map(({ name }) => name),
      (names) => names.length === 30 && names.includes('Zoe'),
    )
    expect((await peer.ask(`${prefix}.price`, { items: 7 })).content.toString()).toBe('{"total":"70.00"}')
    const runs = await until(
      async () =>
        (await (await fetch(`${hub.url}/api/flows/orders/executions?limit=200`)).json()) as {
          items: { state: string; result: string }[]
        },
      ({ items }) => items.length >= 30 && items.every(({ state }) => state === 'done'),
    )
    expect(runs.items.map(({ result }) => result).sort()).toEqual(Array.from({ length: 30 }, (_, n) => `O${n}`).sort())
    // What subscribers know in the end is what there is.
    const known = new Map<string, { readonly sequence: string; readonly name: string }>()
    await until(
      async () => {
        for (let event = await peer.take(subscriber); event !== null; event = await peer.take(subscriber)) {
          const { sequence, data: record } = JSON.parse(event.content.toString()) as {
            sequence: string
            data: { email: string; name: string }
          }
          const before = known.get(record.email)
          if (before === undefined || before.sequence < sequence)
            known.set(record.email, { sequence, name: record.name })
        }
        return known
      },
      (found) => found.size === 30 && found.get('p0@example.org')?.name === 'Zoe',
    )
    await hub.end('SIGTERM')
    expect(crm.rows.size).toBe(30)
    expect([await peer.ready(`${prefix}.customers`), await peer.ready(`${prefix}.orders`)]).toEqual([0, 0])
  },
)
