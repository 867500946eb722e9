import { describe, expect, test } from 'vitest'
import { orderDesk } from './order-desk.ts'
import { orderDeskSeed, warehouseSeed } from './seed.ts'
import type { Json } from './testing.ts'
import { openApp } from './testing.ts'
import { warehouse } from './warehouse.ts'

const ann = { full_name: 'Ann Poe', email: 'ann@example.com' }

async function openDesk() {
  const desk = await openApp(orderDesk)
  await desk.call('POST', '/customers', ann)
  await desk.call('POST', '/products', { sku: 'A-1', title: 'Anvil', price_cents: 990 })
  return desk
}

describe('reading', () => {
  test('a record comes with its revision as ETag; one that never was is 404, a deleted one 410', async () => {
    await using desk = await openDesk()
    const read = await desk.call('GET', '/customers/1001')
    expect(read.status).toBe(200)
    expect(read.headers.get('etag')).toBe('"1"')
    expect(read.body).toMatchObject({
      id: 1001,
      ...ann,
      phone: null,
      city: null,
      credit_cents: 0,
      rev: 1,
      ext_ref: null,
    })
    expect((await desk.call('GET', '/customers/1002')).status).toBe(404)
    expect((await desk.call('GET', '/customers/nobody')).status).toBe(404)
    expect((await desk.call('DELETE', '/customers/1001')).status).toBe(204)
    expect((await desk.call('GET', '/customers/1001')).status).toBe(410)
    expect((await desk.call('DELETE', '/customers/1001')).status).toBe(410)
  })

  test('the list of changes follows the cursor, shows deletions, and shows each record once at its present state', async () => {
    await using desk = await openDesk()
    await desk.call('POST', '/customers', { full_name: 'Bob', email: 'bob@example.com' })
    await desk.call('PATCH', '/customers/1001', { city: 'Bern' })
    const first = await desk.call('GET', '/customers?updated_since=0&limit=1')
    expect(first.body).toMatchObject({ items: [{ id: 1002, rev: 3 }], next: 3 })
    await desk.call('DELETE', '/customers/1002')
    const rest = await desk.call('GET', `/customers?updated_since=${first.body.next}`)
    expect(rest.body).toMatchObject({
      items: [
        { id: 1001, rev: 4, city: 'Bern' },
        { id: 1002, rev: 5, ext_ref: null, deleted: true },
      ],
      next: 5,
    })
    expect((await desk.call('GET', '/customers?updated_since=5')).body).toEqual({ items: [], next: 5 })
  })

  test('pages by id, and finds by external reference and by unique field', async () => {
    await using desk = await openApp(orderDesk, { seed: orderDeskSeed(8) })
    const first = await desk.call('GET', '/customers?limit=5')
    expect((first.body.items as Json[]).map(({ id }) => id)).toEqual([1001, 1002, 1003, 1004, 1005])
    const second = await desk.call('GET', `/customers?limit=5&after_id=${first.body.next}`)
    expect((second.body.items as Json[]).map(({ id }) => id)).toEqual([1006, 1007, 1008])
    expect(second.body.next).toBeNull()
    await desk.call('PATCH', '/customers/1004', { ext_ref: 'hub-4' })
    expect((await desk.call('GET', '/customers?ext_ref=hub-4')).body).toMatchObject({ items: [{ id: 1004 }] })
    expect((await desk.call('GET', '/customers?email=MARIA.lopez@EXAMPLE.com')).body).toMatchObject({
      items: [{ id: 1001 }],
    })
    expect((await desk.call('GET', '/customers?colour=red')).status).toBe(400)
  })
})

describe('writing', () => {
  test('a write under an old revision is refused with 412 and the present ETag', async () => {
    await using desk = await openDesk()
    const changed = await desk.call('PATCH', '/customers/1001', { city: 'Bern' }, { 'if-match': '"1"' })
    expect([changed.status, changed.headers.get('etag')]).toEqual([200, '"3"'])
    const stale = await desk.call('PATCH', '/customers/1001', { city: 'Rome' }, { 'if-match': '"1"' })
    expect([stale.status, stale.headers.get('etag'), stale.body.code]).toEqual([412, '"3"', 'stale'])
    expect(stale.headers.get('content-type')).toBe('application/problem+json')
    expect((await desk.call('DELETE', '/customers/1001', undefined, { 'if-match': '"1"' })).status).toBe(412)
    expect((await desk.call('PUT', '/customers/1001', ann, { 'if-match': '"3"' })).body).toMatchObject({
      city: null,
      rev: 4,
    })
    expect((await desk.call('PATCH', '/customers/1001', { city: 'Rome' }, { 'if-match': 'W/4' })).status).toBe(400)
  })

  test('the same request under the same idempotency key is done once and answered twice', async () => {
    await using desk = await openDesk()
    const key = { 'idempotency-key': 'key-1' }
    const bob = { full_name: 'Bob', email: 'bob@example.com' }
    const first = await desk.call('POST', '/customers', bob, key)
    const second = await desk.call('POST', '/customers', bob, key)
    expect([first.status, second.status]).toEqual([201, 201])
    expect(second.body).toEqual(first.body)
    expect(second.headers.get('etag')).toBe(first.headers.get('etag'))
    expect(second.headers.get('location')).toBe('/customers/1002')
    expect([first.headers.get('idempotency-replayed'), second.headers.get('idempotency-replayed')]).toEqual([
      null,
      'true',
    ])
    const other = await desk.call('POST', '/customers', { ...bob, city: 'Bern' }, key)
    expect([other.status, other.body.code]).toEqual([422, 'idempotency-key-reused'])
    expect((await desk.call('GET', '/_log')).body.items).toHaveLength(3)
  })

  test('a conditional write that was answered and lost is answered again, although its revision is old by now', async () => {
    await using desk = await openDesk()
    const headers = { 'idempotency-key': 'key-2', 'if-match': '"1"' }
    const first = await desk.call('PATCH', '/customers/1001', { city: 'Bern' }, headers)
    await desk.call('PATCH', '/customers/1001', { city: 'Rome' })
    const again = await desk.call('PATCH', '/customers/1001', { city: 'Bern' }, headers)
    expect([again.status, again.body]).toEqual([200, first.body])
    expect((await desk.call('GET', '/customers/1001')).body.city).toBe('Rome')
  })

  test('a refused write leaves its idempotency key unused', async () => {
    await using desk = await openDesk()
    const key = { 'idempotency-key': 'key-3' }
    const bob = { full_name: 'Bob', email: 'ann@example.com' }
    expect((await desk.call('POST', '/customers', bob, key)).status).toBe(409)
    await desk.call('PATCH', '/customers/1001', { email: 'ann2@example.com' })
    expect((await desk.call('POST', '/customers', bob, key)).status).toBe(201)
  })

  test('unique values are refused with 409, also in another case; the value of a deleted record is free', async () => {
    await using desk = await openDesk()
    const refused = await desk.call('POST', '/customers', { full_name: 'Bob', email: 'ANN@example.com' })
    expect([refused.status, refused.body.code, refused.body.field, refused.body.existing_id]).toEqual([
      409,
      'duplicate',
      'email',
      1001,
    ])
    await desk.call('PATCH', '/customers/1001', { ext_ref: 'x' })
    const sameRef = { full_name: 'Bob', email: 'bob@example.com', ext_ref: 'x' }
    expect((await desk.call('POST', '/customers', sameRef)).body).toMatchObject({ code: 'duplicate', field: 'ext_ref' })
    await desk.call('DELETE', '/customers/1001')
    expect((await desk.call('POST', '/customers', { ...sameRef, email: 'ann@example.com' })).status).toBe(201)
  })

  test('references must be to live records, and a record that is referred to stays', async () => {
    await using desk = await openDesk()
    const lines = [{ line_no: 1, product_id: 1, quantity: 2, price_cents: 990 }]
    const created = await desk.call('POST', '/orders', { customer_id: 1001, lines })
    expect(created.body).toMatchObject({ id: 50001, status: 'new', lines })
    const unknown = await desk.call('PATCH', '/orders/50001', { lines: [{ ...lines[0], product_id: 7 }] })
    expect([unknown.status, unknown.body.code, unknown.body.field]).toEqual([
      422,
      'unknown-reference',
      'lines[0].product_id',
    ])
    expect((await desk.call('POST', '/orders', { customer_id: 9 })).body).toMatchObject({
      code: 'unknown-reference',
      field: 'customer_id',
    })
    for (const path of ['/customers/1001', '/products/1']) {
      const refused = await desk.call('DELETE', path)
      expect([refused.status, refused.body.code]).toEqual([409, 'referenced'])
    }
    expect((await desk.call('DELETE', '/orders/50001')).status).toBe(204)
    expect((await desk.call('DELETE', '/products/1')).status).toBe(204)
  })

  test('lines are replaced whole', async () => {
    await using desk = await openDesk()
    const line = { line_no: 2, product_id: 1, quantity: 2, price_cents: 990 }
    await desk.call('POST', '/orders', { customer_id: 1001, lines: [line, { ...line, line_no: 1 }] })
    const patched = await desk.call('PATCH', '/orders/50001', { lines: [{ ...line, quantity: 5 }] })
    expect(patched.body.lines).toEqual([{ ...line, quantity: 5 }])
    expect((await desk.call('GET', '/orders/50001')).body).toEqual(patched.body)
  })

  test.each([
    ['full_name', { full_name: 7 }],
    ['full_name', { full_name: null }],
    ['email', { email: 'nobody' }],
    ['credit_cents', { credit_cents: 1.5 }],
    ['credit_cents', { credit_cents: -1 }],
    ['phone', { phone: 'x'.repeat(61) }],
    ['phone', { phone: 'a\0b' }],
    ['colour', { colour: 'red' }],
    ['constructor', { constructor: 1 }],
  ])('a bad value is refused with 422 that names %s', async (field, body) => {
    await using desk = await openDesk()
    const refused = await desk.call('PATCH', '/customers/1001', body)
    expect([refused.status, refused.body.field]).toEqual([422, field])
  })

  test.each(['2026-02-30T10:00:00Z', '2026-03-01', '2026-03-01T10:00:00', 5])('%s is not a time', async (placed_at) => {
    await using desk = await openDesk()
    const refused = await desk.call('POST', '/orders', { customer_id: 1001, placed_at })
    expect([refused.status, refused.body.field]).toEqual([422, 'placed_at'])
    const taken = await desk.call('POST', '/orders', { customer_id: 1001, placed_at: '2026-02-28T23:30:00-02:00' })
    expect(taken.body.placed_at).toBe('2026-03-01T01:30:00.000Z')
  })

  test('what is not a request is refused and changes nothing', async () => {
    await using desk = await openDesk()
    expect((await desk.call('PATCH', '/customers/1001', '{"city":')).status).toBe(400)
    expect((await desk.call('PATCH', '/customers/1001', '[]')).status).toBe(400)
    expect((await desk.call('PATCH', '/customers/1001', '{"__proto__":{"city":"x"}}')).status).toBe(422)
    expect((await desk.call('PATCH', '/customers/1001', JSON.stringify({ city: 'x'.repeat(300_000) }))).status).toBe(
      413,
    )
    expect((await desk.call('PATCH', '/customers/1001', '{}', { 'content-type': 'text/plain' })).status).toBe(415)
    expect((await desk.call('POST', '/customers/1001', {})).status).toBe(405)
    expect((await desk.call('GET', '/customers/%E0%A4%A')).status).toBe(404)
    expect((await desk.call('GET', '/nothing')).status).toBe(404)
    expect((await desk.call('GET', '/_log')).body.items).toHaveLength(2)
  })

  test('the warehouse trims text, lowers addresses and writes amounts with two decimals', async () => {
    await using app = await openApp(warehouse)
    const { body } = await app.call('POST', '/clients', {
      displayName: ' Ann ',
      mail: ' Ann@Example.COM',
      creditLimit: '7.5',
    })
    expect(body).toMatchObject({
      clientId: expect.stringMatching(/^C-[0-9A-F]{6}$/),
      displayName: 'Ann',
      mail: 'ann@example.com',
      creditLimit: '7.50',
    })
    expect((await app.call('PATCH', `/clients/${body.clientId}`, { creditLimit: 7.5 })).status).toBe(422)
    await using desk = await openApp(orderDesk)
    expect(
      (await desk.call('POST', '/customers', { full_name: ' Ann ', email: 'Ann@Example.COM' })).body.full_name,
    ).toBe(' Ann ')
  })
})

describe('who writes', () => {
  test('the token is `api`, the page says who; anything else is 401', async () => {
    await using desk = await openDesk()
    const asApi = { authorization: 'Bearer desk-api-token', 'x-client-tag': 'op-1' }
    await desk.call('PATCH', '/customers/1001', { city: 'Bern' }, asApi)
    await desk.call('PATCH', '/customers/1001', { city: 'Rome' }, { 'x-actor': 'Zo%C3%AB' })
    const { items } = (await desk.call('GET', '/_log?after=2')).body as { items: Json[] }
    expect(items.map(({ actor, client_tag }) => [actor, client_tag])).toEqual([
      ['api', 'op-1'],
      ['Zoë', null],
    ])
    expect((await desk.call('GET', '/customers', undefined, { authorization: 'Bearer no' })).status).toBe(401)
    expect((await desk.call('GET', '/customers', undefined, { 'x-actor': '' })).status).toBe(401)
    expect((await desk.call('GET', '/customers', undefined, { 'x-actor': 'API' })).status).toBe(400)
  })
})

describe('the write log', () => {
  test('holds every accepted write with what was before and after, and nothing that was refused', async () => {
    await using desk = await openDesk()
    await desk.call('PATCH', '/customers/1001', { city: 'Bern' }, { 'if-match': '"1"' })
    await desk.call('PATCH', '/customers/1001', { city: 'Bern' })
    await desk.call('PATCH', '/customers/1001', { city: 7 })
    await desk.call('DELETE', '/customers/1001')
    const { items, next } = (await desk.call('GET', '/_log')).body as { items: Json[]; next: number }
    expect(next).toBe(5)
    expect(
      items.map(({ seq, op, object, id, base_rev, rev, changed }) => [seq, op, object, id, base_rev, rev, changed]),
    ).toEqual([
      [1, 'create', 'customers', 1001, null, 1, 1],
      [2, 'create', 'products', 1, null, 2, 1],
      [3, 'update', 'customers', 1001, 1, 3, 1],
      [4, 'update', 'customers', 1001, 3, 3, 0],
      [5, 'delete', 'customers', 1001, 3, 4, 1],
    ])
    expect(items[2]).toMatchObject({ before: { city: null, rev: 1 }, after: { city: 'Bern', rev: 3 } })
    expect(items[3]!.after).toEqual(items[3]!.before)
    expect([items[0]!.before, items[4]!.after]).toEqual([null, null])
  })

  test('a change that changes nothing keeps revision and time', async () => {
    await using desk = await openDesk()
    const before = await desk.call('GET', '/customers/1001')
    const same = await desk.call('PUT', '/customers/1001', before.body)
    expect([same.status, same.headers.get('etag'), same.body]).toEqual([200, '"1"', before.body])
  })
})

describe('a legacy warehouse', () => {
  test('shows no revision and keeps neither conditions, keys nor external references; its own log is complete', async () => {
    await using app = await openApp(warehouse, { legacy: true })
    const key = { 'idempotency-key': 'k', 'if-match': '"99"' }
    const ann = { displayName: 'Ann', mail: 'ann@example.com', extRef: 'x' }
    const created = await app.call('POST', '/clients', ann, key)
    expect([created.status, created.headers.get('etag')]).toEqual([201, null])
    expect(Object.keys(created.body)).toEqual([
      'clientId',
      'displayName',
      'mail',
      'phoneNumber',
      'town',
      'creditLimit',
      'changedAt',
    ])
    expect((await app.call('POST', '/clients', ann, key)).status).toBe(409)
    const patched = await app.call('PATCH', `/clients/${created.body.clientId}`, { town: 'Ulm', extRef: 'y' }, key)
    expect([patched.status, patched.headers.get('etag'), patched.body.town]).toEqual([200, null, 'Ulm'])
    expect((await app.call('GET', '/clients?extRef=x')).status).toBe(400)
    await app.call('DELETE', `/clients/${created.body.clientId}`)
    expect((await app.call('GET', '/clients?updated_since=0')).body.items).toEqual([
      { clientId: created.body.clientId, deleted: true },
    ])
    const { items } = (await app.call('GET', '/_log')).body as { items: Json[] }
    expect(items.map(({ op, base_rev, rev }) => [op, base_rev, rev])).toEqual([
      ['create', null, 1],
      ['update', 1, 2],
      ['delete', 2, 3],
    ])
    expect(items[1]!.after).toMatchObject({ rev: 2, extRef: null })
  })
})

describe('the first data', () => {
  test('some records of the warehouse are those of the order desk with equal values, some are its own', async () => {
    await using desk = await openApp(orderDesk, { seed: orderDeskSeed(40) })
    await using app = await openApp(warehouse, { seed: warehouseSeed(40) })
    const ofDesk = (await desk.call('GET', '/_export')).body.objects as Record<string, Json[]>
    const ofWarehouse = (await app.call('GET', '/_export')).body.objects as Record<string, Json[]>
    expect([ofDesk.customers, ofDesk.products, ofDesk.orders].map((rows) => rows!.length)).toEqual([40, 60, 30])
    expect([ofWarehouse.clients, ofWarehouse.items, ofWarehouse.shipments].map((rows) => rows!.length)).toEqual([
      10, 10, 0,
    ])
    const customers = new Map(ofDesk.customers!.map((row) => [String(row.email).toLowerCase(), row]))
    const matched = ofWarehouse.clients!.filter(({ mail }) => customers.has(String(mail)))
    expect(matched).toHaveLength(5)
    for (const client of matched) {
      const { full_name, phone, city, credit_cents } = customers.get(String(client.mail))!
      expect(client).toMatchObject({
        displayName: full_name,
        phoneNumber: phone,
        town: city,
        creditLimit: (Number(credit_cents) / 100).toFixed(2),
      })
    }
    const products = new Map(ofDesk.products!.map((row) => [row.sku, row]))
    const matchedItems = ofWarehouse.items!.filter(({ sku }) => products.has(sku))
    expect(matchedItems).toHaveLength(5)
    for (const item of matchedItems) {
      const { title, price_cents, stock_on_hand } = products.get(item.sku)!
      expect(item).toMatchObject({
        description: title,
        stock: stock_on_hand,
        unitPrice: (Number(price_cents) / 100).toFixed(2),
      })
    }
  })
})
