import { createHmac } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { FixtureApp } from './fixture-app.ts'
import { folder, Hub, until } from './fixture-hub.ts'

describe('examples', () => {
  test('address-check answers who waits, in the format of the sender', async () => {
    using data = folder()
    await using postal = await new FixtureApp('A').start()
    postal.rows.set('de-10117', { id: 'de-10117', city: 'Berlin', closed: false })
    await using hub = await new Hub('address-check', data.path, { POSTAL_URL: postal.url }).ready()
    const ask = async (type: string, body: string): Promise<string> => {
      const reply = await fetch(`${hub.url}/address-check`, { method: 'POST', headers: { 'content-type': type }, body })
      return `${reply.status} ${await reply.text()}`
    }
    const address = { street: 'Unter den Linden 1', zip: '10117', country: 'DE' }
    expect(await ask('application/json', JSON.stringify(address))).toBe(
      '200 {"deliverable":true,"city":"Berlin","line":"Unter den Linden 1, 10117 Berlin, DE"}',
    )
    const inXml = '<address><street>Elm St 1</street><zip>99</zip><country>us</country></address>'
    expect(await ask('application/xml', inXml)).toMatch(/^422 [\s\S]*flow\.input-invalid/)
    expect(await ask('application/xml', inXml.replace('99', '99999'))).toMatch(/^200 [\s\S]*<deliverable>false/)
  })

  test('order-intake: what is acknowledged is booked once, through refusals, kill -9 and SIGTERM', async () => {
    using data = folder()
    await using books = await new FixtureApp('B').start()
    const env = { BOOKS_URL: books.url, FIRST_RETRY_MS: '20' }
    books.refusals = 6
    const acknowledged: string[] = []
    const send = async (hub: Hub, n: number): Promise<void> => {
      const body = JSON.stringify({
        number: `O${n}`,
        customer: `C${n % 3}`,
        total: n % 10 === 0 ? '1500.00' : '10.00',
        card: { number: '4111' },
      })
      const signature = createHmac('sha256', 'only-for-trying-out').update(body).digest('hex')
      const headers = { 'content-type': 'application/json', 'x-signature': signature, 'x-event-id': `e${n}` }
      const reply = await fetch(`${hub.url}/orders`, { method: 'POST', headers, body }).catch(() => null)
      if (reply?.status === 202) acknowledged.push(`O${n}`)
    }
    for (const [from, signal] of [
      [0, 'SIGKILL'],
      [20, 'SIGTERM'],
      [40, 'SIGKILL'],
    ] as const) {
      await using hub = await new Hub('order-intake', data.path, env).ready()
      const sending = Array.from({ length: 20 }, (_, i) => send(hub, from + i))
      await Promise.race([
        Promise.all(sending),
        until(
          () => acknowledged.length,
          (count) => count >= from + 8,
        ),
      ])
      await hub.end(signal)
      await Promise.all(sending)
    }
    await using hub = await new Hub('order-intake', data.path, env).ready()
    // What was not acknowledged is sent again; what was, and only its answer was lost, is known by its event id.
    for (let n = 0; n < 60; n++) if (!acknowledged.includes(`O${n}`)) await send(hub, n)
    expect(acknowledged.length).toBeGreaterThanOrEqual(40)
    await until(
      () => books.rows.size,
      (size) => size >= 60,
    )
    const runs = async (flow: string): Promise<readonly { state: string }[]> =>
      (
        (await (await fetch(`${hub.url}/api/flows/${flow}/executions?limit=200`)).json()) as {
          items: { state: string }[]
        }
      ).items
    const all = await until(
      () => runs('order-intake'),
      (now) => now.length === 60 && now.every((run) => run.state === 'done'),
    )
    expect(all).toHaveLength(60)
    const booked = [...books.rows.values()].map((row) => String(row.order))
    expect([...booked].sort()).toEqual(Array.from({ length: 60 }, (_, n) => `O${n}`).sort())
    const large = await until(
      () => runs('large-order'),
      (now) => now.length >= 6,
    )
    expect(large).toHaveLength(6)
    const messages = await (await fetch(`${hub.url}/api/messages?limit=500`)).text()
    expect(messages).not.toContain('4111')
  }, 60_000)

  test('lightweight-writeback: an id in the path is enough; the sender is told the other id, and finds it in its own record', async () => {
    using data = folder()
    await using shop = await new FixtureApp('P').start()
    await using warehouse = await new FixtureApp('W').start()
    shop.rows.set('P7', { id: 'P7', rev: 1, title: 'Lamp', warehouse_id: null, sync_status: null })
    const env = { SHOP_URL: shop.url, WAREHOUSE_URL: warehouse.url }
    await using hub = await new Hub('lightweight-writeback', data.path, env).ready()
    const notify = async (): Promise<unknown> =>
      (await fetch(`${hub.url}/hooks/products/P7`, { method: 'POST' })).json()
    expect(await notify()).toMatchObject({
      records: [{ id: 'P7', apps: { warehouse: { status: 'delivered', id: 'W1' } } }],
    })
    await until(
      () => shop.rows.get('P7'),
      (row) => row?.sync_status === 'synced',
    )
    expect(shop.rows.get('P7')).toMatchObject({ title: 'Lamp', warehouse_id: 'W1', sync_status: 'synced' })
    // The notification of the writeback itself leads to nothing.
    const writes = (): number => shop.writes.length + warehouse.writes.length
    const before = writes()
    expect(await notify()).toMatchObject({ records: [{ apps: { warehouse: { status: 'delivered' } } }] })
    shop.rows.set('P7', { ...shop.rows.get('P7'), rev: 9, title: 'Lantern' })
    await notify()
    expect(warehouse.rows.get('W1')).toMatchObject({ name: 'Lantern' })
    await until(
      async () => ((await (await fetch(`${hub.url}/api/status`)).json()) as { idle: boolean }).idle,
      (idle) => idle,
    )
    expect(writes() - before).toBe(1)
  })
})
