import { afterAll, expect, test } from 'vitest'
import { startPostgres } from '../../testing/postgres-server.ts'
import {
  appOptions,
  asAdmin,
  columnsOf,
  openConnector,
  stopServers,
  type TestDatabase,
  tableOptions,
} from './fixture-postgres.ts'
import { brief, follow, never, op, update, withItems, write } from './fixture-writes.ts'

/** Replication origins on our own writes, beside the server's own replication. */

afterAll(stopServers)

test("what the hub writes bears its origin: the server's own replication leaves it out, and its feed still tells it", async () => {
  await using server = await startPostgres()
  await using copy = await startPostgres()
  const table = 'CREATE TABLE items (id integer PRIMARY KEY, name text)'
  await asAdmin(server, `${table}; INSERT INTO items SELECT n, 'n' || n FROM generate_series(1, 8) n`)
  await asAdmin(server, 'CREATE PUBLICATION beside FOR TABLE items')
  await asAdmin(copy, table)
  await asAdmin(
    copy,
    `CREATE SUBSCRIPTION beside CONNECTION '${server.url()}' PUBLICATION beside WITH (origin = none, copy_data = true)`,
  )
  const options = appOptions({ schema: 'origin', url: server.url() } as TestDatabase, [
    tableOptions({ schema: 'public', table: 'items', columns: columnsOf('name') }),
  ])
  await using connector = openConnector({ ...options, origin: 'latchwork', connectionsMax: 3 })
  let position = null as Awaited<ReturnType<typeof connector.source.read>>['position'] | null
  for (let told = 0; told < 8; ) {
    const read = await connector.source.read('log', position, 100, never)
    position = read.position
    told += read.changes.length
  }
  const calls = [1, 2, 3].map((n) => write(connector, [update(String(n), { name: `ours ${n}` }, { name: `n${n}` })]))
  expect((await Promise.all(calls)).flatMap(brief)).toEqual(['applied', 'applied', 'applied'])
  expect(brief(await write(connector, [op('create', null, { id: 9, name: 'ours 9' })]))).toEqual(['applied'])
  await asAdmin(server, "UPDATE items SET name = 'theirs' WHERE id = 4")
  const names = async (): Promise<unknown> => asAdmin(copy, "SELECT string_agg(name, ' ' ORDER BY id) FROM items")
  for (let seen = ''; !seen.includes('theirs'); ) seen = String(await names())
  expect(await names()).toBe('n1 n2 n3 theirs n5 n6 n7 n8')

  const told: unknown[] = []
  while (told.length < 5) {
    const read = await connector.source.read('log', position, 100, never)
    position = read.position
    told.push(...read.changes.map(({ record, mark }) => [record?.name, mark !== undefined]))
  }
  expect(told.toSorted()).toEqual([
    ['ours 1', true],
    ['ours 2', true],
    ['ours 3', true],
    ['ours 9', true],
    ['theirs', false],
  ])
  await asAdmin(copy, 'DROP SUBSCRIPTION beside')
}, 60_000)

test('an origin that the user may not set is said with the statement that allows it', async () => {
  await using pg = await withItems(['CREATE TABLE items (id integer PRIMARY KEY, name text)'], ['name'], {
    origin: 'latchwork',
  })
  await follow(pg.connector)
  const [outcome] = await write(pg.connector, [update('1', { name: 'x' })])
  expect(outcome).toMatchObject({
    result: 'refused',
    handling: 'retry',
    code: 'database.privileges',
    message: expect.stringMatching(/GRANT EXECUTE ON FUNCTION pg_replication_origin_oid/),
  })
  const { server } = pg.database
  await asAdmin(
    server,
    'GRANT EXECUTE ON FUNCTION pg_replication_origin_oid(text), pg_replication_origin_create(text), pg_replication_origin_session_setup(text) TO app',
    'app',
  )
  expect(brief(await write(pg.connector, [update('1', { name: 'x' })]))).toEqual(['gone'])
})
