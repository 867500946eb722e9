import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Outcome } from '../../model/change.ts'
import { asNativeId } from '../../model/ids.ts'
import { hasMariadb, type MariadbServer, startMariadb } from '../../testing/mariadb-server.ts'
import { FakeShop, ITEMS, ITEMS_SQL } from './fake-driver.ts'
import { Bench, MODES, use } from './fixture-bench.ts'

/** What a MariaDB server refuses, loses or is too slow for: each has its code, and nothing else of its call is held up by it. */

let server: MariadbServer
const ROWS = "insert into items (id, name) values (1, 'n1'), (2, 'n2'), (3, 'n3')"

const brief = (outcomes: readonly Outcome[]): unknown[] =>
  outcomes.map(({ result, handling, code }) => [result, handling, code].filter((part) => part !== undefined).join(' '))
const update = (id: number, name: string) => ({ nativeId: asNativeId(String(id)), patch: { name } })
const names = async (shop: FakeShop): Promise<unknown> =>
  (await shop.rows('select name from items order by id')).map(({ name }) => String(name).slice(0, 10))

async function someoneElse(shop: FakeShop): Promise<FakeShop & AsyncDisposable> {
  const other = new FakeShop(server)
  await other.connect(shop.name)
  return Object.assign(other, { [Symbol.asyncDispose]: () => other.db.end() })
}

describe.skipIf(!hasMariadb)('a MariaDB server', () => {
  beforeAll(async () => {
    server = await startMariadb({ 'log-bin-trust-function-creators': '1', 'max-allowed-packet': '1M' })
  }, 60_000)
  afterAll(() => server?.close())

  for (const mode of MODES) {
    describe(`by ${mode}`, () => {
      test('a deadlock is lost and begun again: what it held up is written', async () => {
        await using bench = await Bench.open(server, mode, [ITEMS], ITEMS_SQL, ROWS)
        await bench.settle()
        await using other = await someoneElse(bench.shop)
        // Its list of transactions is made anew only when nobody has asked for a tenth of a second. The server ends the transaction that has changed less: the hub's, which only holds rows yet.
        await other.db.query('start transaction')
        await other.db.query("update items set city = 'theirs' where id = 2")
        const writing = bench.write(update(1, 'ours 1'), update(2, 'ours 2'), update(3, 'ours 3'))
        const waits = "select count(*) as n from information_schema.innodb_trx where trx_state = 'LOCK WAIT'"
        for (let n = 0; n === 0; await delay(150)) n = Number((await other.rows(waits))[0]?.n)
        await other.db.query("update items set city = 'theirs' where id = 1")
        await other.db.query('commit')
        expect(brief(await writing)).toEqual(['applied', 'applied', 'applied'])
        expect(await names(bench.shop)).toEqual(['ours 1', 'ours 2', 'ours 3'])
        const [counted] = await other.rows("show status like 'innodb_deadlocks'")
        expect(Number(counted?.Value)).toBeGreaterThan(0)
      })

      test('a statement that takes too long is ended, and tried again later', async () => {
        await using bench = await Bench.open(server, mode, [ITEMS], ITEMS_SQL, ROWS)
        await bench.shop.db.query(
          "create trigger slow before update on items for each row if new.name = 'slow' then do sleep(20); end if",
        )
        await bench.settle()
        const impatient = new Bench(bench.shop, mode, [ITEMS], { statementTimeoutMs: 300 })
        impatient.position = bench.position
        await impatient.settle()
        expect(brief(await impatient.write(update(1, 'slow')))).toEqual(['refused retry target.statement-timeout'])
        expect(brief(await impatient.write(update(1, 'quick')))).toEqual(['applied'])
        await impatient.connector.source.close()
        await impatient.connector.target.close()
      })

      test('a value larger than the server takes is set aside, and the others of its call arrive', async () => {
        await using bench = await Bench.open(
          server,
          mode,
          [ITEMS],
          ITEMS_SQL.replace('name varchar(200)', 'name longtext'),
          ROWS,
        )
        await bench.settle()
        const outcomes = await bench.write(update(1, 'ours'), update(2, 'x'.repeat(2_000_000)), update(3, 'ours'))
        expect(brief(outcomes)).toEqual(['applied', 'refused park target.too-large', 'applied'])
        expect(await names(bench.shop)).toEqual(['ours', 'n2', 'ours'])
      })

      test('a right to write that is missing sets aside, with the words of the server', async () => {
        await using bench = await Bench.open(server, mode, [ITEMS], ITEMS_SQL, ROWS)
        const { shop } = bench
        const user = `${shop.name}_w`
        await shop.db.query(`create user ${user}@'%' identified by 'x'`)
        await shop.db.query(`grant select, insert, delete, create, trigger on ${shop.name}.* to ${user}@'%'`)
        await shop.db.query(`grant update on ${shop.name}.latchwork_versions to ${user}@'%'`).catch(() => {})
        await shop.db.query(`grant replication slave, binlog monitor on *.* to ${user}@'%'`)
        const poor = new Bench(shop, mode, [ITEMS], { url: server.url(shop.name, user, 'x') })
        await poor.settle()
        const [denied] = await poor.write(update(1, 'ours'))
        expect([denied?.handling, denied?.code, denied?.message]).toEqual([
          'park',
          'target.unauthorized',
          expect.stringMatching(/command denied.*1142/),
        ])
        await poor.connector.source.close()
        await poor.connector.target.close()
        await shop.db.query(`drop user ${user}@'%'`)
      })

      test('a restart of the server is survived: writes wait for it', async () => {
        await using bench = await Bench.open(server, mode, [ITEMS], ITEMS_SQL, ROWS)
        await bench.settle()
        await server.kill()
        expect(brief(await bench.write(update(1, 'ours')))).toEqual(['refused retry target.unreachable'])
        await server.start()
        expect(brief(await bench.write(update(1, 'ours')))).toEqual(['applied'])
        await bench.shop.connect(bench.shop.name)
        await bench.shop.db.query("update items set name = 'theirs' where id = 2")
        // A first read may say that the connection is gone; the next one makes another.
        const told = await bench.told(1).catch(() => bench.told(1))
        expect(told.at(-1)?.record?.name).toBe('theirs')
      })
    })
  }

  test('values that are none of ours are told as the server spells them, or as unreadable, by the log as by a read', async () => {
    const table = use(['day', 'at', 'place', 'name'])
    await using bench = await Bench.open(
      server,
      'binlog',
      [table],
      'create table items (id int primary key, name varchar(20), day date, at datetime, place point)',
    )
    await bench.settle()
    await bench.shop.db.query("set session sql_mode = ''")
    await bench.shop.db.query(
      "insert into items values (1, 'a', '0000-00-00', '0000-00-00', point(1, 2)), (2, 'b', '2026-02-28', null, null)",
    )
    const told = await bench.told(2)
    const read = await bench.connector.source.readRecords(
      told.map(({ nativeId, object }) => ({ nativeId, object })),
      new AbortController().signal,
    )
    expect(told.map(({ record }) => record)).toEqual(read.map(({ record }) => record))
    expect(told[0]?.record).toEqual({
      id: 1,
      name: 'a',
      day: '0000-00-00',
      at: '0000-00-00T00:00:00',
      place: { unreadable: 'point' },
    })
    const [refused] = await bench.write({ nativeId: asNativeId('2'), patch: { place: 'POINT(1 2)' } })
    expect(brief(refused === undefined ? [] : [refused])).toEqual(['refused park target.rejected'])
  })
})

test.skipIf(!hasMariadb)(
  'a server that says that it is MySQL, or is too old, is refused before anything is done there',
  async () => {
    for (const version of ['8.0.36', '10.4.34-MariaDB']) {
      await using other = await startMariadb({ version })
      await using shop = await FakeShop.open(other, ITEMS_SQL)
      for (const mode of MODES) {
        const bench = new Bench(shop, mode, [ITEMS])
        const failure = await bench.failure()
        expect([failure.code, failure.message]).toEqual([
          'database.unsupported',
          expect.stringMatching(/is for MariaDB 10\.5 or later/),
        ])
        expect(brief(await bench.write(update(1, 'ours')))).toEqual(['refused retry database.unsupported'])
        await bench.connector.source.close()
        await bench.connector.target.close()
      }
      expect(await shop.rows('show tables')).toHaveLength(1)
    }
  },
  60_000,
)
