import { Client } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type PostgresServer, startPostgres } from '../../../src/testing/postgres-server.ts'
import type { RunningApp } from './app-kit/run.ts'
import { DATABASE, startPostgresDesk } from './order-desk-postgres.ts'
import { callerOf, type Json } from './testing.ts'

/** The order desk on PostgreSQL behaves as the one on SQLite does, and shows what programs write past it. */

let server: PostgresServer
let desk: RunningApp
let call: ReturnType<typeof callerOf>
let program: Client

beforeAll(async () => {
  server = await startPostgres()
  desk = await startPostgresDesk(server, { port: 0, seed: 6 })
  call = callerOf(desk.url)
  program = new Client({ connectionString: server.url(DATABASE, 'api') })
  await program.connect()
}, 60_000)

afterAll(async () => {
  await program?.end()
  await desk?.stop()
  await server?.close()
})

const log = async (after: number): Promise<Json[]> =>
  (await call('GET', `/_log?after=${after}&limit=1000`)).body.items as Json[]
const lastSeq = async (): Promise<number> => ((await log(0)).at(-1)?.seq ?? 0) as number

test('records are made, changed on their revision, listed and deleted; each write stands in the log once', async () => {
  const before = await lastSeq()
  const created = await call('POST', '/customers', { full_name: 'Ann', email: 'Ann@x.org', credit_cents: 5 })
  const { id, rev } = created.body as { id: number; rev: number }
  expect([created.status, created.headers.get('etag'), created.headers.get('location')]).toEqual([
    201,
    `"${rev}"`,
    `/customers/${id}`,
  ])
  const patch = (body: Json, match: number) => call('PATCH', `/customers/${id}`, body, { 'if-match': `"${match}"` })
  const changed = await patch({ city: 'Porto' }, rev)
  expect([changed.status, changed.body.city, changed.body.phone]).toEqual([200, 'Porto', null])
  expect((await patch({ city: 'Faro' }, rev)).status).toBe(412)
  const same = await patch({ city: 'Porto' }, changed.body.rev as number)
  expect([same.status, same.body.rev]).toEqual([200, changed.body.rev])
  expect((await call('GET', '/customers?email=ANN@X.ORG')).body.items).toEqual([same.body])
  const twice = await call('POST', '/customers', { full_name: 'B', email: 'ann@x.ORG' })
  expect([twice.status, twice.body]).toMatchObject([409, { field: 'email', existing_id: id }])
  const nobody = await call('POST', '/orders', { customer_id: 1, lines: [] })
  expect([nobody.status, JSON.stringify(nobody.body)]).toEqual([422, expect.stringContaining('customer_id')])
  expect((await call('POST', '/customers', { full_name: '', email: 'x' })).status).toBe(422)
  expect((await call('DELETE', `/customers/${id}`)).status).toBe(204)
  expect((await call('GET', `/customers/${id}`)).status).toBe(410)
  expect((await call('GET', '/customers/999999')).status).toBe(404)
  const since = (await call('GET', `/customers?updated_since=${rev}`)).body.items
  expect(since).toMatchObject([{ id, deleted: true }])
  expect(
    (await log(before)).map(({ op, actor, changed: isChanged, base_rev }) => [op, actor, isChanged, base_rev]),
  ).toEqual([
    ['create', 'Ann', 1, null],
    ['update', 'Ann', 1, rev],
    ['update', 'Ann', 0, changed.body.rev],
    ['delete', 'Ann', 1, changed.body.rev],
  ])
})

test('what a program writes into the tables is one line of the log for each document and transaction, and is shown', async () => {
  const before = await lastSeq()
  const [order] = (await call('GET', '/orders?limit=1')).body.items as Json[]
  const { id, customer_id } = order as { id: number; customer_id: number }
  await program.query('BEGIN')
  await program.query("UPDATE orders SET note = 'by a program' WHERE id = $1", [id])
  await program.query('DELETE FROM order_lines WHERE order_id = $1', [id])
  await program.query('INSERT INTO order_lines VALUES ($1, 9, 1, 3, 250)', [id])
  await program.query("UPDATE customers SET city = 'Ulm' WHERE id = $1", [customer_id])
  await program.query('COMMIT')
  await program.query("UPDATE orders SET note = 'by a program' WHERE id = $1", [id])
  const lines = (await log(before)).map(({ actor, object, id: of, op, changed }) => [actor, object, of, op, changed])
  expect(lines).toEqual([
    ['api', 'orders', id, 'update', 1],
    ['api', 'customers', customer_id, 'update', 1],
    ['api', 'orders', id, 'update', 0],
  ])
  const { body } = await call('GET', `/orders/${id}`)
  expect(body).toMatchObject({
    note: 'by a program',
    lines: [{ line_no: 9, product_id: 1, quantity: 3, price_cents: 250 }],
  })
  const exported = (await call('GET', '/_export')).body.objects as { orders: Json[] }
  expect(exported.orders.find((one) => one.id === id)).toEqual(body)
  const page = (await call('GET', '/_page/rows?object=orders&search=by+a+program&limit=5')).body
  expect(page).toMatchObject({ total: 1, items: [{ row: { id }, writtenBy: 'api' }] })
  expect((await call('DELETE', `/customers/${customer_id}`)).status).toBe(409)
  // It may not rewrite what it did.
  await expect(program.query('DELETE FROM write_log')).rejects.toMatchObject({ code: '42501' })
})
