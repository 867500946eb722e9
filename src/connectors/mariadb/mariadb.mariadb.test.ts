import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { cents, decimal, decimalText, defineHub, entity, key, latest, prefer, sync } from '../../index.ts'
import { systemClock } from '../../lib/system-clock.ts'
import type { Change } from '../../model/change.ts'
import { asNativeId, type FeedPosition } from '../../model/ids.ts'
import type { NativeRecord } from '../../model/value.ts'
import { hasMariadb, type MariadbServer, startMariadb } from '../../testing/mariadb-server.ts'
import { polling } from '../polling/config.ts'
import { sqlite } from '../sqlite/config.ts'
import { FakeShop as SqliteShop } from '../sqlite/fake-driver.ts'
import { CHAINS_ROWS, CHAINS_SQL, expectChains } from '../tables/fixture-chains.ts'
import { eventually, HubUnderTest } from '../tables/fixture-hub.ts'
import type { TableUse } from '../tables/options.ts'
import { mariadb } from './config.ts'
import { createMariadbConnector } from './connector.ts'
import { FakeShop, ITEMS, ITEMS_SQL, mariadbOptions, STAMPED, STAMPED_SQL, silentLog } from './fake-driver.ts'
import { Bench, MODES, type Mode, never, use } from './fixture-bench.ts'

let server: MariadbServer

const brief = (changes: readonly Change[]): unknown[] =>
  changes.map(({ kind, nativeId, record }) => [kind, nativeId, ...(kind === 'image' ? [record?.name] : [])])

describe.skipIf(!hasMariadb)('a MariaDB application', () => {
  beforeAll(async () => {
    server = await startMariadb({ 'log-bin-trust-function-creators': '1' })
  }, 60_000)
  afterAll(() => server?.close())

  for (const mode of MODES) {
    describe(`by ${mode}`, () => {
      test('what was there, changes, a new id, deletions and rows made again are told as what they are', async () => {
        await using bench = await Bench.open(
          server,
          mode,
          [ITEMS],
          ITEMS_SQL,
          "insert into items (id, name) values (1, 'old')",
        )
        const { db } = bench.shop
        expect(brief(await bench.told(1))).toEqual([['image', '1', 'old']])
        await db.query("update items set name = 'OLD' where id = 1")
        expect(brief(await bench.told(1))).toEqual([['image', '1', 'OLD']])
        await db.query('update items set id = 10 where id = 1')
        expect(brief(await bench.told(2))).toEqual([
          ['deleted', '1'],
          ['image', '10', 'OLD'],
        ])
        await db.query('start transaction')
        await db.query('delete from items')
        await db.query("insert into items (id, name) values (10, 'again')")
        await db.query('commit')
        expect(brief(await bench.told(2))).toEqual([
          ['deleted', '10'],
          ['image', '10', 'again'],
        ])
        await db.query("replace into items (id, name) values (10, 'replaced')")
        expect(brief(await bench.told(1)).at(-1)).toEqual(['image', '10', 'replaced'])
      })

      test('a transaction that commits late, under a number that others have passed, is told', async () => {
        await using bench = await Bench.open(server, mode, [ITEMS], ITEMS_SQL)
        await bench.settle()
        const { shop } = bench
        await shop.db.query('start transaction')
        await shop.db.query("insert into items (id, name) values (1, 'slow')")
        const other = new FakeShop(server)
        await other.connect(shop.name)
        await other.db.query("insert into items (id, name) values (2, 'quick')")
        expect(brief(await bench.told(1))).toEqual([['image', '2', 'quick']])
        await shop.db.query('commit')
        expect(brief(await bench.told(1))).toEqual([['image', '1', 'slow']])
        await other.db.end()
      })

      test('a write of ours is marked and bears its correlation id; a later one of a user does not hide behind it', async () => {
        await using bench = await Bench.open(server, mode, [ITEMS], ITEMS_SQL)
        await bench.settle()
        const [made] = await bench.write({ kind: 'create', patch: { name: 'ours' } })
        expect(made?.result).toBe('applied')
        await bench.connector.source.close()
        await bench.connector.target.close()
        // Another process: it does not remember that the outcome has told all this already.
        const again = new Bench(bench.shop, mode, [ITEMS])
        again.position = bench.position
        const [echo] = await again.told(1)
        const correlationId = made?.op.split('.')[2]
        expect([echo?.nativeId, echo?.mark, echo?.correlationId]).toEqual([made?.nativeId, made?.op, correlationId])
        await bench.shop.db.query("update items set name = 'theirs'")
        const [theirs] = await again.told(1)
        expect([theirs?.record?.name, theirs?.mark]).toEqual(['theirs', undefined])
        await again.connector.source.close()
        await again.connector.target.close()
      })

      test('every type is the same value by the feed and by a read, and is written back as it was', async () => {
        await using bench = await Bench.open(server, mode, [use(Object.keys(TYPES))], TYPES_SQL)
        await bench.settle()
        await bench.shop.db.query(TYPES_ROW)
        await bench.shop.db.query('insert into items (id) values (2)')
        await bench.shop.db.query(TYPES_EXTREME)
        const told = await bench.told(3)
        const reads = await bench.connector.source.readRecords(
          told.map(({ nativeId, object }) => ({ nativeId, object })),
          never(),
        )
        for (const [i, change] of told.entries()) expect(change.record).toEqual(reads[i]?.record)
        const { id: _id, ...record } = (told[0] as Change).record as NativeRecord
        expect(record).toEqual(TYPES)
        const [made] = await bench.write({ kind: 'create', patch: record })
        expect(made?.record).toEqual({ id: Number(made?.nativeId), ...record })
        const columns = Object.keys(TYPES).map((name) => `a.\`${name}\` <=> b.\`${name}\` as \`${name}\``)
        const [same] = await bench.shop.rows(
          `select ${columns.join(', ')} from items a, items b where a.id = 1 and b.id = ${made?.nativeId}`,
        )
        expect(Object.entries(same ?? {}).filter(([, equal]) => equal !== 1)).toEqual([])
      })

      test('parts are one record with their parent, and an edit of a part is never lost under a write of ours', async () => {
        await using bench = await Bench.open(server, mode, [ORDERS], ITEMS_SQL, LINES_SQL)
        await bench.settle()
        const lines = [
          { no: 1, qty: 5 },
          { no: 2, qty: 6 },
        ]
        const [made] = await bench.write({ kind: 'create', patch: { name: 'o', lines } })
        expect(made?.record).toEqual({ id: 1, name: 'o', lines })
        const base = { nativeId: asNativeId('1'), baseToken: made?.token ?? null, baseValues: { lines, name: 'o' } }
        const [bad] = await bench.write({ ...base, patch: { lines: [{ no: 3, qty: -1 }] }, full: { name: 'o' } })
        expect(bad?.code).toBe('target.rejected')
        await bench.shop.db.query('update `lines` set qty = 50 where no = 1')
        const [stale] = await bench.write({ ...base, patch: { lines: [] }, full: { name: 'o' } })
        expect(stale?.result).toBe('conflict')
        await bench.told(1)
        const [read] = await bench.connector.source.readRecords(
          [{ object: ITEMS.object, nativeId: asNativeId('1') }],
          never(),
        )
        expect(read?.record?.lines).toEqual([
          { no: 1, qty: 50 },
          { no: 2, qty: 6 },
        ])
        const scanned = await bench.connector.source.scan?.(ITEMS.object, null, 10, never())
        expect(scanned?.records.map(({ record }) => record)).toEqual([read?.record])
      })

      test('each write of a batch stands for itself: constraints and locks', async () => {
        await using bench = await Bench.open(
          server,
          mode,
          [ITEMS],
          'create table cities (name varchar(50) primary key)',
          "insert into cities values ('here')",
          ITEMS_SQL.replace('city varchar(50)', 'city varchar(50) references cities (name)').replace(
            'zip varchar(10)',
            'zip varchar(10) unique',
          ),
          "insert into items (id, name, city, zip) values (1, 'a', 'here', '1'), (2, 'b', 'here', '2'), (3, 'c', null, '3')",
        )
        await bench.settle()
        const outcomes = await bench.write(
          { nativeId: asNativeId('1'), patch: { name: 'refused' } },
          { nativeId: asNativeId('2'), patch: { zip: '1' } },
          { kind: 'create', patch: { name: 'c', zip: '2' } },
          { kind: 'create', patch: { name: 'd', city: 'nowhere' } },
          { kind: 'create', patch: { name: null } },
          { kind: 'create', patch: { name: 'long', zip: '12345678901' } },
          { kind: 'create', patch: { name: 'wrong', count: 'many' } },
          { kind: 'create', patch: { name: 'fine', zip: '9' } },
        )
        expect(outcomes.map(({ result, handling, code }) => [result, handling, code])).toEqual([
          ['refused', 'park', 'target.rejected'],
          ['refused', 'retry', 'target.unique'],
          ['refused', 'retry', 'target.duplicate'],
          ['refused', 'retry', 'target.reference'],
          ['refused', 'park', 'target.rejected'],
          ['refused', 'park', 'target.too-large'],
          ['refused', 'park', 'target.rejected'],
          ['applied', undefined, undefined],
        ])
        await bench.shop.db.query('start transaction')
        await bench.shop.db.query("update items set name = 'held' where id = 3")
        const [held] = await bench.write({ nativeId: asNativeId('3'), patch: { name: 'x' } })
        expect([held?.result, held?.handling, held?.code]).toEqual(['refused', 'retry', 'target.contention'])
        await bench.shop.db.query('rollback')
      })

      test('unique values that rows hand on, or swap, arrive in one call, whatever their order', async () => {
        const sql = CHAINS_SQL.replace('id integer', 'id integer auto_increment')
        await using bench = await Bench.open(server, mode, [ITEMS], sql, CHAINS_ROWS)
        await bench.settle()
        await expectChains(
          (...ops) => bench.write(...ops),
          () => bench.shop.rows('select * from items order by id'),
        )
      })

      test('two applications of different kind become and stay equal, through crashes of hub and server, without echo', async () => {
        const shop = await FakeShop.open(
          server,
          CUSTOMERS_SQL,
          "insert into customers values (1, 'Ada', 'ada@x', 12.50), (2, 'Bob', 'bob@x', 0)",
        )
        using other = new SqliteShop(CLIENTS_SQL)
        other.db.exec("insert into clients values (7, 'Bob', 'bob@x', 0), (8, 'Cleo', 'cleo@x', 705)")
        await using hub = new HubUnderTest(hubOf(shop.url, other.file, mode))
        const here = async () =>
          shop.rows('select name, email, cast(credit * 100 as signed) as credit from customers order by email')
        const there = () =>
          other.rows('select full_name as name, mail as email, cents as credit from clients order by mail')
        const equal = () => eventually(here, async () => there())
        await hub.start()
        await eventually(async () => [(await here()).length, there().length], [3, 3])
        await equal()
        await shop.db.query("update customers set name = 'Ada L.' where id = 1")
        other.db.exec("update clients set cents = 9999 where mail = 'cleo@x'")
        await eventually(() => there().map(({ name }) => name), ['Ada L.', 'Bob', 'Cleo'])
        await eventually(async () => (await here()).map(({ credit }) => credit), [1250, 0, 9999])
        const count = 'select kind, count(*) as n from latchwork_ops group by kind order by kind'
        expect([await shop.rows(count), other.rows(count).map((row) => ({ ...row }))]).toEqual([
          [
            { kind: 'create', n: 1 },
            { kind: 'update', n: 1 },
          ],
          [
            { kind: 'create', n: 1 },
            { kind: 'update', n: 1 },
          ],
        ])
        await hub.crash()
        for (let n = 10; n < 60; n++) await shop.db.query(`insert into customers values (${n}, 'n', 'n${n}@x', 1)`)
        await shop.db.query('delete from customers where id = 2')
        other.db.exec("update clients set full_name = 'Cleo!' where mail = 'cleo@x'")
        await hub.start()
        await eventually(() => there().length, 52)
        await equal()
        await server.kill()
        other.db.exec("update clients set full_name = 'while it was down' where mail = 'ada@x'")
        await server.start()
        await shop.connect(shop.name)
        await equal()
        // The same rows on both sides at the same moment.
        await shop.db.query("update customers set name = concat('here ', id), credit = 5")
        other.db.exec("update clients set full_name = 'there ' || mail, cents = 7")
        await eventually(() => there().every(({ credit }) => credit === 500), true)
        await equal()
        const [creates] = await shop.rows("select count(*) as n from latchwork_ops where kind = 'create'")
        expect(creates?.n).toBe(1)
        await hub.stop()
        await shop[Symbol.asyncDispose]()
      })
    })
  }

  describe('by polling', () => {
    const often = polling({ everyMs: 5, overlapMs: 5_000, deletesEveryMs: 1 })
    const open = (...sql: readonly string[]) => FakeShop.open(server, STAMPED_SQL, ...sql)

    test('rows that share a time, at the edge of a page too, are each told once', async () => {
      await using bench = new Bench(await open(), often, [STAMPED])
      const rows = Array.from({ length: 25 }, (_, n) => `(${n + 1}, 'n${n + 1}', '2026-01-01 00:00:00')`)
      await bench.shop.db.query(`insert into items (id, name, updated_at) values ${rows.join(', ')}`)
      const ids: string[] = []
      for (let more = true; more; ) {
        const read = await bench.connector.source.read(bench.feed, bench.position, 7, never())
        ids.push(...read.changes.map(({ nativeId }) => nativeId))
        bench.position = read.position
        more = read.more
      }
      expect(ids).toEqual(rows.map((_, n) => String(n + 1)))
      expect(await bench.told(0)).toEqual([])
    })

    test('a row that is committed long after its time of change is told, and one that goes back and forth within it too', async () => {
      await using bench = new Bench(await open(), often, [STAMPED])
      const { shop } = bench
      await bench.settle()
      await shop.db.query('start transaction')
      await shop.db.query("insert into items (id, name) values (1, 'slow')")
      const other = new FakeShop(server)
      await other.connect(shop.name)
      await other.db.query("insert into items (id, name) values (2, 'quick')")
      expect(brief(await bench.told(1))).toEqual([['image', '2', 'quick']])
      await shop.db.query('commit')
      expect(brief(await bench.told(1))).toEqual([['image', '1', 'slow']])
      const same = (name: string) =>
        other.db.query(`update items set name = '${name}', updated_at = '2026-06-01' where id = 2`)
      await other.db.query("update items set updated_at = '2026-06-01'")
      await bench.settle()
      await same('there')
      await bench.settle()
      await same('and back')
      await other.db.end()
    })

    test('what was deleted is asked for by its id, after it was missing twice', async () => {
      await using bench = new Bench(await open("insert into items (id, name) values (1, 'a'), (2, 'b')"), often, [
        STAMPED,
      ])
      await bench.told(2)
      await bench.shop.db.query('delete from items where id = 1')
      const [hint] = await bench.told(1)
      expect([hint?.kind, hint?.nativeId]).toEqual(['hint', '1'])
      const [read] = await bench.connector.source.readRecords(
        [{ object: ITEMS.object, nativeId: asNativeId('1') }],
        never(),
      )
      expect(read?.result).toBe('missing')
      expect(await bench.told(0)).toEqual([])
    })

    test('a time of change that may be null is refused: rows would go unseen', async () => {
      const shop = await FakeShop.open(
        server,
        STAMPED_SQL.replace('datetime(6) not null default', 'datetime(6) null default'),
      )
      await using bench = new Bench(shop, often, [STAMPED])
      const failure = await bench.failure()
      expect([failure.code, failure.message]).toEqual(['database.schema', expect.stringMatching(/may be null/)])
    })
  })

  const wrong: readonly [string, string, TableUse, string, RegExp][] = [
    ['a table that is not there', 'create table other (id int)', ITEMS, 'database.schema', /no table items/],
    [
      'a column that is not there',
      ITEMS_SQL,
      use(['nmae']),
      'database.schema',
      /items has no column nmae \(it has id, name/,
    ],
    [
      'an id that is no key',
      'create table items (id int not null, name text, city int, zip int, count int)',
      ITEMS,
      'database.no-key',
      /items\.id is the id/,
    ],
    [
      'a generated column that is written',
      'create table items (id int primary key, a int, twice int as (a * 2))',
      use(['twice']),
      'database.generated',
      /readOnly\(\)/,
    ],
  ]
  for (const [what, sql, table, code, text] of wrong) {
    test(`${what} is told with where it is and what to do, and nothing is written`, async () => {
      await using bench = await Bench.open(server, 'binlog', [table], sql)
      const failure = await bench.failure()
      expect([failure.code, failure.message]).toEqual([code, expect.stringMatching(text)])
      const [outcome] = await bench.write({ kind: 'create', patch: { name: 'x' } })
      expect([outcome?.result, outcome?.handling, outcome?.code]).toEqual(['refused', 'retry', code])
    })
  }

  test('rights that are missing are named, with the statement that grants them', async () => {
    const shop = await FakeShop.open(server, ITEMS_SQL)
    const user = `${shop.name}_poor`
    await shop.db.query(`create user ${user}@'%' identified by 'x'`)
    await shop.db.query(`grant select, insert, update, delete on ${shop.name}.* to ${user}@'%'`)
    const url = server.url(shop.name, user, 'x')
    for (const [mode, text] of [
      ['binlog', /grant create, select, insert, delete on .*_ops/],
      ['triggers', /the right to create tables, and triggers on items/],
    ] as const) {
      const connector = createMariadbConnector(mariadbOptions(url, mode), { clock: systemClock, log: silentLog })
      const failure = await connector.source
        .read(connector.source.feeds[0]?.feed ?? '', null, 1, never())
        .catch((error: unknown) => error)
      expect(failure).toMatchObject({ code: 'database.privileges', message: expect.stringMatching(text) })
      await connector.source.close()
      await connector.target.close()
    }
    await shop.db.query(`grant create on ${shop.name}.* to ${user}@'%'`)
    const connector = createMariadbConnector(mariadbOptions(url, 'binlog'), { clock: systemClock, log: silentLog })
    let position: FeedPosition | null = null
    const failure = await (async () => {
      for (let reads = 0; reads < 5; reads++)
        position = (await connector.source.read('binlog', position, 10, never())).position
    })().catch((error: unknown) => error)
    expect(failure).toMatchObject({
      code: 'database.privileges',
      message: expect.stringMatching(/grant replication slave/),
    })
    await connector.source.close()
    await connector.target.close()
    await shop.db.query(`drop user ${user}@'%'`)
    await shop[Symbol.asyncDispose]()
  })

  test('a place in the log that the server has thrown away, or never had, stops reading and says so', async () => {
    await using bench = await Bench.open(server, 'binlog', [ITEMS], ITEMS_SQL)
    await bench.settle()
    await bench.shop.db.query("insert into items (id, name) values (1, 'unseen')")
    await bench.connector.source.close()
    await bench.connector.target.close()
    for (let i = 0; i < 2; i++) await bench.shop.db.query('flush binary logs')
    await bench.shop.db.query("insert into items (id, name) values (2, 'b')")
    // A log that somebody still reads is kept: the server notices only after a while that nobody does.
    await eventually(async () => {
      const logs = await bench.shop.rows('show binary logs')
      await bench.shop.db.query(`purge binary logs to '${logs.at(-1)?.Log_name}'`)
      return (await bench.shop.rows('show binary logs')).length
    }, 1)
    const late = new Bench(bench.shop, 'binlog', [ITEMS])
    late.position = bench.position
    const purged = await late.told(1).catch((error: unknown) => error)
    expect(purged).toMatchObject({ code: 'source.log-purged' })
    await late.connector.source.close()
    await late.connector.target.close()
    const ahead = new Bench(bench.shop, 'binlog', [ITEMS])
    ahead.position = 'log 0-1-999999999 -' as FeedPosition
    expect((await ahead.failure()).code).toBe('source.server-changed')
    const [outcome] = await ahead.write({ kind: 'create', patch: { name: 'x' } })
    expect([outcome?.result, outcome?.code]).toEqual(['refused', 'source.server-changed'])
    ahead.position = 'somewhere' as FeedPosition
    expect((await ahead.failure()).code).toBe('source.position-invalid')
    await ahead.connector.source.close()
    await ahead.connector.target.close()
  })

  test('a server that takes no writes refuses for now', async () => {
    await using bench = await Bench.open(server, 'triggers', [ITEMS], ITEMS_SQL)
    await bench.settle()
    const user = `${bench.shop.name}_u`
    await bench.shop.db.query(`create user ${user}@'%' identified by 'x'`)
    await bench.shop.db.query(`grant all on ${bench.shop.name}.* to ${user}@'%'`)
    const poor = new Bench(bench.shop, 'triggers', [ITEMS], { url: server.url(bench.shop.name, user, 'x') })
    await poor.settle()
    await bench.shop.db.query('set global read_only = 1')
    const [outcome] = await poor.write({ kind: 'create', patch: { name: 'x' } })
    await bench.shop.db.query('set global read_only = 0')
    expect([outcome?.result, outcome?.handling, outcome?.code]).toEqual(['refused', 'retry', 'database.read-only'])
    await poor.connector.source.close()
    await poor.connector.target.close()
    await bench.shop.db.query(`drop user ${user}@'%'`)
  })
})

test.skipIf(!hasMariadb)(
  'a server whose log does not hold whole rows is told what to set',
  async () => {
    await using small = await startMariadb({ 'binlog-format': 'MIXED', 'binlog-row-image': 'MINIMAL' })
    await using shop = await FakeShop.open(small, ITEMS_SQL)
    const bench = new Bench(shop, 'binlog', [ITEMS])
    const failure = await bench.failure()
    expect([failure.code, failure.message]).toEqual([
      'database.log-off',
      expect.stringMatching(/Set binlog_format = ROW, binlog_row_image = FULL/),
    ])
    await bench.connector.source.close()
    await bench.connector.target.close()
  },
  60_000,
)

const LINES_SQL =
  'create table `lines` (item int not null, no int not null, qty int check (qty > 0), primary key (item, no), foreign key (item) references items (id) on delete cascade)'
const ORDERS: TableUse = use(['name'], {
  parts: [{ container: 'lines', table: 'lines', parent: 'item', key: 'no', columns: [{ name: 'qty', written: true }] }],
})

/** One row of every type, as a record has it. */
const TYPES = {
  big: 9007199254740993n,
  ubig: 18446744073709551615n,
  small: -5,
  flag: true,
  price: '12345678901234567890.12345',
  single: 0.10000000149011612,
  double_: 0.1,
  day: '2026-02-28',
  at: '2026-02-28T23:59:58.123456',
  stamp: '2026-02-28T23:59:58.123Z',
  hours: '-12:30:01.500000',
  year_: 2026,
  data: 'AP8H',
  fixed: 'AQI=',
  word: 'gr\u00fc\u00dfe \u{1F510} "\\',
  long_: 'a\nb\t\u2028',
  doc: '{"a": 9007199254740993, "b": [1.10]}',
  one: 'b,c',
  many: 'x,y',
  bits: 300,
  bit_: true,
} satisfies NativeRecord
const TYPES_SQL = `create table items (id int primary key auto_increment, big bigint, ubig bigint unsigned, small smallint, flag tinyint(1), price decimal(30,5), single float, double_ double, day date, at datetime(6), stamp timestamp(3) null, hours time(6), year_ year, data blob, fixed varbinary(5), word varchar(50) character set utf8mb4, long_ text character set utf8mb4, doc json, one enum('a','b,c','d'), many set('x','y','z'), bits bit(10), bit_ bit(1))`
const TYPES_ROW = `insert into items values (1, 9007199254740993, 18446744073709551615, -5, 1, 12345678901234567890.12345, 0.1, 0.1, '2026-02-28', '2026-02-28 23:59:58.123456', '2026-02-28 23:59:58.123', '-12:30:01.5', 2026, x'00FF07', x'0102', 'gr\u00fc\u00dfe \u{1F510} "\\\\', 'a\\nb\\t\u2028', '{"a": 9007199254740993, "b": [1.10]}', 'b,c', 'x,y', b'100101100', b'1')`
const TYPES_EXTREME = `insert into items values (3, -9223372036854775808, 0, 32767, 0, -99999999999999999999.99999, 3.4e38, -1.7976931348623157e308, '0001-01-01', '9999-12-31 23:59:59.999999', '1970-01-01 00:00:01', '838:59:59.999999', 1901, '', '', '', '', '[]', 'a', '', b'0', b'0')`

const CUSTOMERS_SQL =
  'create table customers (id int primary key auto_increment, name varchar(100) not null, email varchar(100) not null unique, credit decimal(10,2) not null default 0)'
const CLIENTS_SQL =
  'create table clients (id integer primary key, full_name text not null, mail text not null unique, cents integer not null default 0)'

function hubOf(url: string, file: string, changes: Mode) {
  const customer = entity('customer', {
    schema: z.object({ name: z.string(), email: z.string(), credit: decimal(2) }),
    match: key('email'),
  })
  const desk = mariadb({ url, changes, pollMs: 5, serverId: 4_700_000 + process.pid + (changes === 'binlog' ? 0 : 1) })
  const store = sqlite({ file, pollMs: 2 })
  return defineHub({
    apps: { desk, store },
    sync: [
      sync(
        customer,
        {
          desk: desk.table('customers', {
            id: 'id',
            idType: 'number',
            fields: { name: 'name', email: 'email', credit: ['credit', decimalText(2)] },
          }),
          store: store.table('clients', {
            id: 'id',
            idType: 'number',
            fields: { name: 'full_name', email: 'mail', credit: ['cents', cents] },
          }),
        },
        { conflicts: { default: latest({ skewMs: 0 }), fields: { credit: prefer('desk') } } },
      ),
    ],
  })
}
