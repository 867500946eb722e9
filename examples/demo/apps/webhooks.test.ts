import { createHmac } from 'node:crypto'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { orderDesk } from './order-desk.ts'
import { openApp, openReceiver, spawnApp, temporaryFolder } from './testing.ts'
import { warehouse } from './warehouse.ts'

const ann = { full_name: 'Ann Poe', email: 'ann@example.com' }
const secret = 'hook-secret'

describe('webhooks', () => {
  test('each change is told once with the whole row, signed; a change that changes nothing is not told', async () => {
    await using receiver = await openReceiver()
    await using desk = await openApp(orderDesk, { webhook: { url: receiver.url, secret } })
    await desk.call('POST', '/customers', { ...ann, ext_ref: 'x' })
    await desk.call('PATCH', '/customers/1001', { city: 'Bern' })
    const same = await desk.call('PATCH', '/customers/1001', { city: 'Bern' })
    await desk.call('DELETE', '/customers/1001')
    await receiver.received(3)
    expect(receiver.deliveries.map(({ path, body }) => [path, body.event])).toEqual([
      ['/hooks/customers', 'customer.created'],
      ['/hooks/customers', 'customer.updated'],
      ['/hooks/customers', 'customer.deleted'],
    ])
    const [, updated, deleted] = receiver.deliveries
    expect(updated!.body.data).toEqual(same.body)
    expect(deleted!.body.data).toEqual({ id: 1001, rev: 3, ext_ref: 'x', deleted: true })
    expect(updated!.headers['x-event-id']).toBe(updated!.body.event_id)
    const signature = createHmac('sha256', secret)
      .update(`${updated!.headers['x-timestamp']}.${updated!.text}`)
      .digest('hex')
    expect(updated!.headers['x-signature']).toBe(`sha256=${signature}`)
  })

  test('an event is sent again until it is acknowledged; its successors wait, other records do not', async () => {
    await using receiver = await openReceiver()
    let refusals = 2
    receiver.statusOf = ({ body }) => ((body.data as { id: number }).id === 1001 && refusals-- > 0 ? 500 : 200)
    await using desk = await openApp(orderDesk, { webhook: { url: receiver.url, secret } })
    await desk.call('POST', '/customers', ann)
    await desk.call('PATCH', '/customers/1001', { city: 'Bern' })
    await desk.call('POST', '/customers', { ...ann, email: 'bob@example.com' })
    await receiver.received(5)
    const told = receiver.deliveries.map(({ body }) => `${(body.data as { id: number }).id} ${body.event}`)
    expect(told.filter((line) => line.startsWith('1001'))).toEqual([
      '1001 customer.created',
      '1001 customer.created',
      '1001 customer.created',
      '1001 customer.updated',
    ])
    expect(told.indexOf('1002 customer.created')).toBeLessThan(3)
    const ids = receiver.deliveries
      .filter(({ body }) => body.event === 'customer.created')
      .map(({ headers }) => headers['x-event-id'])
    expect(new Set(ids).size).toBe(2)
  })

  test('a receiver that is away gets everything, in the order of each record, once it is back', async () => {
    await using receiver = await openReceiver()
    receiver.statusOf = () => 503
    await using desk = await openApp(orderDesk, { webhook: { url: receiver.url, secret } })
    await desk.call('POST', '/customers', ann)
    for (let index = 0; index < 20; index++) await desk.call('PATCH', '/customers/1001', { city: `City ${index}` })
    await receiver.received(1)
    const accepted: unknown[] = []
    receiver.statusOf = ({ body }) => {
      accepted.push((body.data as { rev: number }).rev)
      return 200
    }
    await receiver.received(receiver.deliveries.length + 21)
    expect(accepted).toEqual(Array.from({ length: 21 }, (_, index) => index + 1))
    expect((await desk.call('GET', '/_health')).status).toBe(200)
  })

  test('a legacy warehouse says only which record it is', async () => {
    await using receiver = await openReceiver()
    await using app = await openApp(warehouse, { legacy: true, webhook: { url: receiver.url, secret } })
    const { body } = await app.call('POST', '/clients', { displayName: 'Ann', mail: 'ann@example.com' })
    await receiver.received(1)
    const event_id = receiver.deliveries[0]!.headers['x-event-id']
    expect(receiver.deliveries[0]!.body).toEqual({
      event: 'client.created',
      event_id,
      data: { clientId: body.clientId },
    })
  })
})

describe('the process', () => {
  test('killed, it keeps what it has answered and sends what was not acknowledged when it is back', async () => {
    using folder = temporaryFolder()
    await using receiver = await openReceiver()
    receiver.statusOf = () => 500
    const args = ['--data', join(folder.path, 'desk.sqlite'), '--webhook', receiver.url, '--webhook-secret', secret]
    await using first = await spawnApp('order-desk.ts', args)
    expect(first.ready).toMatchObject({ ready: true, app: 'order-desk' })
    const key = { 'idempotency-key': 'key-1' }
    const created = await first.call('POST', '/customers', ann, key)
    const patched = await first.call('PATCH', '/customers/1001', { city: 'Bern' })
    await receiver.received(1)
    await first.end('SIGKILL')
    const before = receiver.deliveries.length
    receiver.statusOf = () => 200
    await using second = await spawnApp('order-desk.ts', args)
    // A delivery that was on its way when the process died may come in late, and then comes again.
    const dataByEventId = () => new Map(receiver.deliveries.slice(before).map(({ body }) => [body.event_id, body.data]))
    await expect.poll(() => [...dataByEventId().values()], { timeout: 5000 }).toEqual([created.body, patched.body])
    expect(dataByEventId().has(receiver.deliveries[0]!.body.event_id)).toBe(true)
    const replayed = await second.call('POST', '/customers', ann, key)
    expect([replayed.status, replayed.headers.get('idempotency-replayed')]).toEqual([201, 'true'])
    expect((await second.call('PATCH', '/customers/1001', { city: 'Rome' })).body.rev).toBe(3)
    expect(await second.end('SIGTERM')).toBe(0)
  })
})
