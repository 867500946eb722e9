import { execFile } from 'node:child_process'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Client } from 'pg'
import { afterAll, describe, expect, test } from 'vitest'
import { type PostgresServer, startPostgres } from '../../testing/postgres-server.ts'
import {
  appOptions,
  asAdmin,
  columnsOf,
  openConnector,
  stopServers,
  type TestDatabase,
  tableOptions,
} from './fixture-postgres.ts'
import { brief, follow, never, update, withItems, write } from './fixture-writes.ts'

/** Others at the same rows, and servers that take no writes. */

afterAll(stopServers)

const SQL = [
  'CREATE TABLE items (id integer PRIMARY KEY, name text)',
  "INSERT INTO items SELECT n, 'n' || n FROM generate_series(1, 3) n",
]
type Bench = Awaited<ReturnType<typeof withItems>>

async function someoneElse({ options, database }: Bench): Promise<Client & AsyncDisposable> {
  const other = new Client({ connectionString: options.url as string })
  await other.connect()
  await other.query(`SET search_path TO ${database.schema}`)
  return Object.assign(other, { [Symbol.asyncDispose]: () => other.end() })
}

const names = async ({ database }: Bench): Promise<unknown> =>
  (await database.rows('SELECT name FROM items ORDER BY id')).map(({ name }) => name).join(' ')

/** Resolves when a session of the hub waits for a lock. */
async function whenWaiting({ database }: Bench): Promise<void> {
  const sql = `SELECT count(*) > 0 FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted AND a.query LIKE '%${database.schema}%'`
  for (let waits = false; !waits; ) waits = (await asAdmin(database.server, sql, 'app')) === true
}

describe('others at the same rows', () => {
  test('a deadlock is lost and begun again: what it held up is written', async () => {
    await using pg = await withItems(SQL, ['name'], { lockTimeoutMs: 20_000 })
    await follow(pg.connector)
    await using other = await someoneElse(pg)
    // The hub's own session looks for deadlocks first, so that it is the one that loses.
    await other.query("BEGIN; UPDATE items SET name = 'theirs' WHERE id = 2")
    const writing = write(
      pg.connector,
      [1, 2, 3].map((n) => update(String(n), { name: `ours ${n}` })),
      30_000,
    )
    await whenWaiting(pg)
    const deadlocks = `SELECT deadlocks FROM pg_stat_database WHERE datname = 'app'`
    await other.query("UPDATE items SET name = 'theirs' WHERE id = 1")
    await other.query('COMMIT')
    expect(brief(await writing)).toEqual(['applied', 'applied', 'applied'])
    expect(await names(pg)).toBe('ours 1 ours 2 ours 3')
    for (let seen = 0; seen === 0; ) seen = Number(await asAdmin(pg.database.server, deadlocks))
  })

  test('a transaction that cannot be put in a row with another is begun again, and sees what that one wrote', async () => {
    await using pg = await withItems(SQL, ['name'])
    const { server } = pg.database
    await asAdmin(server, 'ALTER ROLE app SET default_transaction_isolation = serializable')
    try {
      await follow(pg.connector)
      await using other = await someoneElse(pg)
      await other.query("BEGIN; UPDATE items SET name = 'theirs' WHERE id IN (1, 2)")
      const writing = write(pg.connector, [
        update('1', { name: 'ours' }, { name: 'n1' }),
        update('2', { name: 'ours' }, { name: 'theirs' }),
        update('3', { name: 'ours' }, { name: 'n3' }),
      ])
      await whenWaiting(pg)
      await other.query('COMMIT')
      expect(brief(await writing)).toEqual(['conflict', 'applied', 'applied'])
      expect(await names(pg)).toBe('theirs ours ours')
    } finally {
      await asAdmin(server, 'ALTER ROLE app RESET default_transaction_isolation')
    }
  })

  test('one that loses again and again is left for later, never set aside', async () => {
    await using pg = await withItems(
      [
        ...SQL,
        `CREATE FUNCTION unlucky() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.id = 2 THEN RAISE EXCEPTION USING ERRCODE = '40001'; END IF; RETURN NEW; END $$`,
        'CREATE TRIGGER unlucky BEFORE UPDATE ON items FOR EACH ROW EXECUTE FUNCTION unlucky()',
      ],
      ['name'],
    )
    await follow(pg.connector)
    const outcomes = await write(
      pg.connector,
      [1, 2, 3].map((n) => update(String(n), { name: 'ours' })),
    )
    expect(brief(outcomes)).toEqual(['applied', 'refused retry target.contention', 'applied'])
  })
})

/** A server that follows `primary` and takes no writes itself. */
async function standbyOf(primary: PostgresServer): Promise<PostgresServer> {
  const folder = `${primary.folder}-standby`
  await primary.stop('fast')
  await mkdir(folder)
  await promisify(execFile)('cp', ['-a', join(primary.folder, 'data'), folder])
  await writeFile(join(folder, 'data', 'standby.signal'), '')
  await primary.start()
  const settings = { primary_conninfo: `host=127.0.0.1 port=${primary.port} user=postgres` }
  return startPostgres({ folder, settings })
}

test('a standby takes no writes and tells no changes, and says so', async () => {
  await using primary = await startPostgres()
  await asAdmin(primary, 'CREATE TABLE items (id integer PRIMARY KEY, name text)')
  await asAdmin(primary, "INSERT INTO items VALUES (1, 'a')")
  await using standby = await standbyOf(primary)
  try {
    const table = tableOptions({ schema: 'public', table: 'items', columns: columnsOf('name') })
    await using connector = openConnector(
      appOptions({ schema: 'standby', url: standby.url() } as TestDatabase, [table]),
    )
    expect(brief(await write(connector, [update('1', { name: 'b' })]))).toEqual(['refused retry database.read-only'])
    expect(await connector.source.read('log', null, 10, never).catch((error: unknown) => error)).toMatchObject({
      code: 'database.read-only',
      message: expect.stringMatching(/replica.*primary/),
    })
  } finally {
    await rm(standby.folder, { recursive: true, force: true })
  }
})
