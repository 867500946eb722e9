import { readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { SyncError } from '../../errors/index.ts'
import { systemClock } from '../../lib/system-clock.ts'
import type { Change, Outcome } from '../../model/change.ts'
import { asCorrelationId, asNativeId, asObjectId, asOpId, asToken, type FeedPosition } from '../../model/ids.ts'
import type { NativeRecord } from '../../model/value.ts'
import type { Connector, WriteOp } from '../../ports/app.ts'
import { CHAINS_ROWS, CHAINS_SQL, expectChains } from '../tables/fixture-chains.ts'
import type { TableUse } from '../tables/options.ts'
import { createSqliteConnector } from './connector.ts'
import { FakeShop, ITEMS, ITEMS_SQL, sqliteOptions } from './fake-driver.ts'

const never = (): AbortSignal => new AbortController().signal

/** A shop and a connector to it, whose feed is read to its end. */
class Bench implements AsyncDisposable {
  readonly shop: FakeShop
  readonly connector: Connector
  position: FeedPosition | null = null

  constructor(sql: string, uses: readonly TableUse[]) {
    this.shop = new FakeShop(sql)
    this.connector = createSqliteConnector(sqliteOptions(this.shop.file, uses), { clock: systemClock })
  }

  /** What was told since the last call. */
  async told(max = 100): Promise<readonly Change[]> {
    const changes: Change[] = []
    for (;;) {
      const read = await this.connector.source.read('changes', this.position, max, never())
      changes.push(...read.changes)
      this.position = read.position
      await this.connector.source.confirm('changes', read.position)
      if (!read.more) return changes
    }
  }

  async failure(): Promise<SyncError> {
    const error = await this.connector.source.read('changes', this.position, 10, never()).then(
      () => undefined,
      (reason: unknown) => reason,
    )
    if (!SyncError.is(error)) throw new Error(`no SyncError: ${String(error)}`)
    return error
  }

  async write(...ops: Partial<WriteOp>[]): Promise<readonly Outcome[]> {
    return this.connector.target.write(ops.map(opOf), 5_000, never())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.connector.source.close()
    await this.connector.target.close()
    this.shop[Symbol.dispose]()
  }
}

let ops = 0
function opOf(given: Partial<WriteOp>): WriteOp {
  const n = ++ops
  return {
    op: asOpId(`t.1.k${n}.shop.${n}`),
    object: ITEMS.object,
    kind: 'update',
    nativeId: null,
    patch: {},
    full: {},
    baseToken: null,
    baseValues: {},
    correlationId: asCorrelationId(`k${n}`),
    resend: false,
    ...given,
  }
}

const use = (over: { readonly columns: readonly (string | TableUse['columns'][number])[] }): TableUse => ({
  ...ITEMS,
  ...over,
  columns: over.columns.map((name) => (typeof name === 'string' ? { name, written: true } : name)),
})
const brief = (changes: readonly Change[]): unknown[] =>
  changes.map(({ kind, nativeId, record }) => [kind, nativeId, ...(kind === 'image' ? [record?.name] : [])])

describe('changes of a SQLite application', () => {
  test('a new id, a deletion, a row made again and a row pushed out by REPLACE are told as what they are', async () => {
    const sql = ITEMS_SQL + 'create unique index items_zip on items (zip, city)'
    await using bench = new Bench(
      sql.replace('city text', 'city text not null').replace('zip text', 'zip text not null'),
      [ITEMS],
    )
    const { db } = bench.shop
    db.exec("insert into items values (1, 'a', 'x', '1', 0), (2, 'b', 'x', '2', 0), (3, 'c', 'x', '3', 0)")
    expect(brief(await bench.told())).toEqual([
      ['image', '1', 'a'],
      ['image', '2', 'b'],
      ['image', '3', 'c'],
    ])
    db.exec('update items set id = 10 where id = 1')
    expect(brief(await bench.told())).toEqual([
      ['deleted', '1'],
      ['image', '10', 'a'],
    ])
    db.exec("delete from items where id = 2; insert into items values (2, 'again', 'x', '2', 0)")
    expect(brief(await bench.told())).toEqual([
      ['deleted', '2'],
      ['image', '2', 'again'],
    ])
    db.exec("insert or replace into items values (4, 'pushes 3 out', 'x', '3', 0)")
    expect(brief(await bench.told())).toEqual([
      ['deleted', '3'],
      ['image', '4', 'pushes 3 out'],
    ])
    db.exec('update items set count = count')
    db.exec('begin; delete from items; rollback')
    expect(await bench.told()).toEqual([])
  })

  test('a record is told as it is at its newest change, however many there were, with a version that only grows', async () => {
    await using bench = new Bench(ITEMS_SQL, [ITEMS])
    bench.shop.db.exec("insert into items values (1, 'a', null, null, 0)")
    const [first] = await bench.told()
    for (let n = 1; n <= 50; n++) bench.shop.db.exec(`update items set count = ${n}`)
    const [second, ...more] = await bench.told(7)
    expect([second?.record?.count, more.length]).toEqual([50, 7])
    expect(new Set([second, ...more].map((change) => change?.token)).size).toBe(1)
    expect(first?.token === second?.token).toBe(false)
    expect(new Set([second, ...more].map((change) => change?.deliveryId)).size).toBe(1)
  })

  test('the change table is taken out only after it is confirmed, and versions outlive it', async () => {
    await using bench = new Bench(ITEMS_SQL, [ITEMS])
    await bench.told()
    const insert = bench.shop.db.prepare("insert into items values (?, 'n', null, null, 0)")
    for (let n = 1; n <= 300; n++) insert.run(n)
    const read = await bench.connector.source.read('changes', bench.position, 500, never())
    const left = () => bench.shop.rows('select count(*) as n from latchwork_changes')[0]?.n
    expect([read.changes.length, left()]).toEqual([300, 300])
    await bench.connector.source.confirm('changes', read.position)
    expect(left()).toBe(0)
    const [image] = await bench.connector.source.readRecords(
      [{ object: ITEMS.object, nativeId: asNativeId('7') }],
      never(),
    )
    expect(image?.token).toBe(read.changes[6]?.token)
    bench.position = read.position
    expect(await bench.told()).toEqual([])
    bench.shop.db.exec('delete from items where id = 7')
    expect(brief(await bench.told())).toEqual([['deleted', '7']])
  })

  test('a trigger that somebody took away is made again, and everything is read again', async () => {
    await using bench = new Bench(ITEMS_SQL, [ITEMS])
    bench.shop.db.exec("insert into items values (1, 'a', null, null, 0)")
    const [before] = await bench.told()
    bench.shop.db.exec('drop trigger "latchwork$items$update"')
    bench.shop.db.exec("update items set name = 'unseen'")
    const [after] = await bench.told().then((none) => (none.length > 0 ? none : bench.told()))
    expect(after?.record?.name).toBe('unseen')
    expect(Number(after?.token?.split('.')[0])).toBe(Number(before?.token?.split('.')[0]) + 1)
    bench.shop.db.exec("update items set name = 'seen'")
    expect(brief(await bench.told())).toEqual([['image', '1', 'seen']])
  })

  test('changes made before the hub ever ran, and while it was away, are all told', async () => {
    await using bench = new Bench(ITEMS_SQL + "; insert into items values (1, 'old', null, null, 0)", [ITEMS])
    expect(brief(await bench.told())).toEqual([['image', '1', 'old']])
    await bench.connector.source.close()
    await bench.connector.target.close()
    bench.shop.db.exec("update items set name = 'away'; insert into items values (2, 'new', null, null, 0)")
    const again = createSqliteConnector(sqliteOptions(bench.shop.file), { clock: systemClock })
    const read = await again.source.read('changes', bench.position, 10, never())
    expect(brief(read.changes)).toEqual([
      ['image', '1', 'away'],
      ['image', '2', 'new'],
    ])
    await again.source.close()
    await again.target.close()
  })

  test('a write of ours is marked, bears its correlation id, and is known again by either', async () => {
    await using bench = new Bench(ITEMS_SQL, [ITEMS])
    await bench.told()
    const [made] = await bench.write({ kind: 'create', patch: { name: 'ours' } })
    await bench.connector.target.close()
    await bench.connector.source.close()
    // Another process: it does not remember that the outcome has told all this already.
    const again = createSqliteConnector(sqliteOptions(bench.shop.file), { clock: systemClock })
    const { changes } = await again.source.read('changes', bench.position, 10, never())
    expect(changes).toMatchObject([{ kind: 'image', mark: made?.op, correlationId: `k${ops}`, token: made?.token }])
    bench.shop.db.exec("update items set name = 'theirs'")
    const next = await again.source.read('changes', bench.position, 10, never())
    expect(next.changes.map(({ mark, correlationId }) => [mark, correlationId])).toEqual(
      [
        [undefined, `k${ops}`],
        [undefined, `k${ops}`],
      ].slice(0, next.changes.length),
    )
    await again.source.close()
    await again.target.close()
  })
})

const ALL = `create table items (id integer primary key, name text, big integer, real_ real, data blob, flag boolean, any_, twice integer generated always as (big * 2) virtual)`
describe('values of a SQLite application', () => {
  test('integers of 64 bits, bytes, text with any character and booleans come and go exactly', async () => {
    await using bench = new Bench(ALL, [use({ columns: ['name', 'big', 'real_', 'data', 'flag', 'any_'] })])
    await bench.told()
    const record: NativeRecord = {
      name: 'a\u0000b \u{1F510} ß',
      big: 9223372036854775807n,
      real_: 0.1,
      data: Buffer.from([0, 255, 7]).toString('base64'),
      flag: true,
      any_: 7,
    }
    const [made] = await bench.write({ kind: 'create', patch: record })
    expect(made?.record).toEqual({ id: 1, ...record })
    const [stored] = bench.shop.rows(
      'select typeof(big) b, typeof(data) d, typeof(flag) f, typeof(any_) a, hex(data) h from items',
    )
    expect(stored).toEqual({ b: 'integer', d: 'blob', f: 'integer', a: 'integer', h: '00FF07' })
    const [read] = await bench.connector.source.readRecords(
      [{ object: ITEMS.object, nativeId: asNativeId('1') }],
      never(),
    )
    expect(read?.record).toEqual({ id: 1, ...record })
  })

  test('an infinite number is never told as null', async () => {
    await using bench = new Bench(ALL, [use({ columns: ['real_'] })])
    bench.shop.db.exec('insert into items (id, real_) values (1, 9e999)')
    expect((await bench.told())[0]?.record?.real_).toEqual({ unreadable: 'Infinity' })
  })

  test('an integer beyond 64 bits and a list are refused, and set the lane aside', async () => {
    await using bench = new Bench(ALL, [use({ columns: ['big', 'name'] })])
    await bench.told()
    const outcomes = await bench.write(
      { kind: 'create', patch: { big: 2n ** 63n } },
      { kind: 'create', patch: { name: ['a'] } },
      { kind: 'create', patch: { name: 'good' } },
    )
    expect(outcomes.map(({ result, handling, code }) => [result, handling, code])).toEqual([
      ['refused', 'park', 'target.rejected'],
      ['refused', 'park', 'target.rejected'],
      ['applied', undefined, undefined],
    ])
  })
})

describe('bad input to a SQLite application', () => {
  const cases: readonly [string, string, readonly TableUse[], string, RegExp][] = [
    ['a table that is not there', '', [ITEMS], 'database.schema', /no table items/],
    [
      'a column that is not there',
      ITEMS_SQL,
      [use({ columns: ['nmae'] })],
      'database.schema',
      /items has no column nmae \(it has id, name/,
    ],
    [
      'a column of another case',
      ITEMS_SQL,
      [use({ columns: ['Name'] })],
      'database.schema',
      /it has name: names are compared exactly/,
    ],
    [
      'an id that is no key',
      'create table items (id integer, name text, city, zip, count)',
      [ITEMS],
      'database.no-key',
      /items\.id is the id/,
    ],
    [
      'an id that may be null',
      'create table items (id integer unique, name text, city, zip, count)',
      [ITEMS],
      'database.no-key',
      /without nulls/,
    ],
    ['a generated column that is written', ALL, [use({ columns: ['twice'] })], 'database.generated', /readOnly\(\)/],
    [
      'a part without a key',
      ITEMS_SQL + '; create table lines (item integer, no integer)',
      [{ ...ITEMS, parts: [{ container: 'lines', table: 'lines', parent: 'item', key: 'no', columns: [] }] }],
      'database.no-key',
      /item and no together/,
    ],
  ]
  for (const [what, sql, uses, code, text] of cases) {
    test(`${what} is told with where it is and what to do, and nothing is written`, async () => {
      await using bench = new Bench(sql, uses)
      const failure = await bench.failure()
      expect([failure.code, failure.message]).toEqual([code, expect.stringMatching(text)])
      const [outcome] = await bench.write({ kind: 'create', patch: { name: 'x' } })
      expect([outcome?.result, outcome?.handling, outcome?.code]).toEqual(['refused', 'retry', code])
    })
  }

  test('what a mapping reads only may be generated', async () => {
    await using bench = new Bench(ALL, [use({ columns: [{ name: 'twice', written: false }] })])
    bench.shop.db.exec('insert into items (id, big) values (1, 21)')
    expect((await bench.told())[0]?.record?.twice).toBe(42)
  })

  test('a constraint refuses one write of a batch, and the others stand', async () => {
    const sql = `create table items (id integer primary key, name text not null check (name <> 'refused'), city text references cities, zip text unique, count integer); create table cities (name text primary key); insert into cities values ('here')`
    await using bench = new Bench(sql, [ITEMS])
    await bench.told()
    bench.shop.db.exec("insert into items values (1, 'a', 'here', '1', 0), (2, 'b', 'here', '2', 0)")
    const outcomes = await bench.write(
      { nativeId: asNativeId('1'), patch: { name: 'refused' } },
      { nativeId: asNativeId('2'), patch: { zip: '1' } },
      { kind: 'create', patch: { name: 'c', zip: '2' } },
      { kind: 'create', patch: { name: 'd', city: 'nowhere' } },
      { kind: 'create', patch: { name: null } },
      { kind: 'create', patch: { name: 'fine', zip: '9' } },
    )
    expect(outcomes.map(({ result, handling, code }) => [result, handling, code])).toEqual([
      ['refused', 'park', 'target.rejected'],
      ['refused', 'retry', 'target.unique'],
      ['refused', 'retry', 'target.duplicate'],
      ['refused', 'retry', 'target.reference'],
      ['refused', 'park', 'target.rejected'],
      ['applied', undefined, undefined],
    ])
    expect(outcomes[0]?.message).toMatch(/shop: items 1: SQLite says: CHECK constraint failed/)
    expect(bench.shop.rows('select name, zip from items order by id')).toMatchObject([
      { zip: '1' },
      { zip: '2' },
      { name: 'fine' },
    ])
  })

  test('a chain of unique values moves on once the one in the way has moved', async () => {
    await using bench = new Bench(ITEMS_SQL + 'create unique index zips on items (zip)', [ITEMS])
    await bench.told()
    bench.shop.db.exec("insert into items values (1, 'a', null, 'x', 0), (2, 'b', null, 'y', 0)")
    const move = { nativeId: asNativeId('1'), patch: { zip: 'y' } }
    expect((await bench.write(move))[0]?.code).toBe('target.unique')
    expect(
      (await bench.write({ nativeId: asNativeId('2'), patch: { zip: 'z' } }, move)).map(({ result }) => result),
    ).toEqual(['applied', 'applied'])
  })

  test('unique values that rows hand on, or swap, arrive in one call, whatever their order', async () => {
    await using bench = new Bench(`${CHAINS_SQL}; ${CHAINS_ROWS}`, [ITEMS])
    await bench.told()
    await expectChains(
      (...ops) => bench.write(...ops),
      () => bench.shop.rows('select * from items order by id'),
    )
  })

  test('a file that is not a database, and one that is not there, are told as such', async () => {
    await using bench = new Bench('', [ITEMS])
    bench.shop.db.close()
    writeFileSync(bench.shop.file, 'this is a text and no database, and long enough to be looked at as one')
    for (const log of ['-wal', '-shm']) writeFileSync(bench.shop.file + log, '')
    const failure = await bench.failure()
    expect([failure.code, failure.message]).toEqual(['source.read-failed', expect.stringMatching(/not a database/)])
    const gone = createSqliteConnector(sqliteOptions('/nowhere/shop.db'), { clock: systemClock })
    await expect(gone.source.read('changes', null, 1, never())).rejects.toMatchObject({ code: 'source.read-failed' })
    expect((await gone.target.write([opOf({ kind: 'create' })], 1_000, never()))[0]).toMatchObject({
      result: 'refused',
      handling: 'retry',
    })
    await gone.source.close()
    await gone.target.close()
  })

  test('a file that may not be written is told as such, and writes wait', async () => {
    await using bench = new Bench(ITEMS_SQL + "; insert into items values (1, 'a', null, null, 0)", [ITEMS])
    await bench.told()
    await bench.connector.source.close()
    await bench.connector.target.close()
    bench.shop.db.exec('pragma wal_checkpoint(truncate); pragma journal_mode = delete')
    bench.shop.db.close()
    // A file format that is newer than this SQLite may be read and not written (byte 18 of the file); rights do not bind the user root.
    const bytes = readFileSync(bench.shop.file)
    bytes[18] = 9
    writeFileSync(bench.shop.file, bytes)
    const again = createSqliteConnector(sqliteOptions(bench.shop.file), { clock: systemClock })
    const failure = await again.source.read('changes', bench.position, 1, never()).catch((error: unknown) => error)
    const [outcome] = await again.target.write([opOf({ kind: 'create', patch: { name: 'x' } })], 1_000, never())
    expect(failure).toMatchObject({ code: 'database.read-only', message: expect.stringMatching(/takes writes/) })
    expect([outcome?.result, outcome?.handling]).toEqual(['refused', 'retry'])
    await again.source.close()
    await again.target.close()
  })

  test('a lock that somebody holds is waited for, and left for later; nothing is set aside', async () => {
    await using bench = new Bench(ITEMS_SQL + "; insert into items values (1, 'a', null, null, 0)", [ITEMS])
    await bench.told()
    const ours = { nativeId: asNativeId('1'), patch: { name: 'ours' } }
    bench.shop.db.exec('begin immediate')
    const [held] = await bench.write(ours)
    expect([held?.result, held?.handling, held?.code]).toEqual(['refused', 'retry', 'target.unavailable'])
    const waiting = bench.write(ours)
    bench.shop.db.exec('commit')
    expect((await waiting)[0]?.result).toBe('applied')
  })

  test('a value larger than SQLite takes is set aside, and the others of its call arrive', async () => {
    const sql = `${ITEMS_SQL}; create trigger huge after update on items when new.name = 'huge' begin update items set city = zeroblob(2000000000) where id = new.id; end`
    await using bench = new Bench(`${sql}; insert into items values (1, 'a', null, null, 0), (2, 'b', null, null, 0)`, [
      ITEMS,
    ])
    await bench.told()
    const outcomes = await bench.write(
      { nativeId: asNativeId('1'), patch: { name: 'huge' } },
      { nativeId: asNativeId('2'), patch: { name: 'small' } },
    )
    expect(outcomes.map(({ handling, code, result }) => [result, handling, code])).toEqual([
      ['refused', 'park', 'target.too-large'],
      ['applied', undefined, undefined],
    ])
  })

  test('a change table of another version of Latchwork is left alone', async () => {
    await using bench = new Bench(ITEMS_SQL, [ITEMS])
    await bench.told()
    await bench.connector.source.close()
    await bench.connector.target.close()
    bench.shop.db.exec("update latchwork_meta set value = '99' where name = 'layout'")
    const again = createSqliteConnector(sqliteOptions(bench.shop.file), { clock: systemClock })
    await expect(again.source.read('changes', null, 1, never())).rejects.toMatchObject({
      code: 'database.change-table',
    })
    await again.source.close()
    await again.target.close()
  })

  test("the position of another database's change table stops reading and writing", async () => {
    await using one = new Bench(ITEMS_SQL, [ITEMS])
    await using other = new Bench(ITEMS_SQL, [ITEMS])
    await one.told()
    other.position = one.position
    expect((await other.failure()).code).toBe('source.server-changed')
    const [outcome] = await other.write({ kind: 'create', patch: { name: 'x' } })
    expect([outcome?.result, outcome?.handling, outcome?.code]).toEqual(['refused', 'retry', 'source.server-changed'])
    const [read] = await other.connector.source.readRecords(
      [{ object: asObjectId('items'), nativeId: asNativeId('1') }],
      never(),
    )
    expect(read?.result).toBe('failed')
    other.position = 'nonsense' as FeedPosition
    expect((await other.failure()).code).toBe('source.position-invalid')
  })
})

test('parts are one record with their parent: conditional, atomic, and touched only where they differ', async () => {
  const orders: TableUse = {
    ...use({ columns: ['name'] }),
    parts: [
      {
        container: 'lines',
        table: 'lines',
        parent: 'item',
        key: 'no',
        columns: [{ name: 'qty', written: true }],
      },
    ],
  }
  await using bench = new Bench(
    ITEMS_SQL +
      '; create table lines (item integer not null references items, no integer not null, qty integer check (qty > 0), seen integer default 0, primary key (item, no))',
    [orders],
  )
  await bench.told()
  const [made] = await bench.write({
    kind: 'create',
    patch: {
      name: 'o',
      lines: [
        { no: 1, qty: 5 },
        { no: 2, qty: 6 },
      ],
    },
  })
  expect(made?.record).toEqual({
    id: 1,
    name: 'o',
    lines: [
      { no: 1, qty: 5 },
      { no: 2, qty: 6 },
    ],
  })
  bench.shop.db.exec('update lines set seen = 1')
  const to = (lines: NativeRecord[], baseToken = made?.token ?? null) => ({
    nativeId: asNativeId('1'),
    patch: { lines },
    baseToken,
  })
  const [bad] = await bench.write(
    to([
      { no: 1, qty: 9 },
      { no: 3, qty: -1 },
    ]),
  )
  expect(bad?.code).toBe('target.rejected')
  expect(bench.shop.rows('select no, qty from lines')).toEqual([
    { no: 1, qty: 5 },
    { no: 2, qty: 6 },
  ])
  const [good] = await bench.write(
    to([
      { no: 1, qty: 5 },
      { no: 3, qty: 7 },
    ]),
  )
  expect(good?.result).toBe('applied')
  expect(bench.shop.rows('select no, qty, seen from lines order by no')).toEqual([
    { no: 1, qty: 5, seen: 1 },
    { no: 3, qty: 7, seen: 0 },
  ])
  bench.shop.db.exec('update lines set qty = 70 where no = 3')
  expect((await bench.write(to([], good?.token ?? asToken('')))).map(({ result }) => result)).toEqual(['conflict'])
  expect((await bench.told()).at(-1)?.record?.lines).toEqual([
    { no: 1, qty: 5 },
    { no: 3, qty: 70 },
  ])
  const scanned = await bench.connector.source.scan?.(ITEMS.object, null, 10, never())
  expect(scanned?.records.map(({ record }) => record?.lines)).toEqual([
    [
      { no: 1, qty: 5 },
      { no: 3, qty: 70 },
    ],
  ])
  expect(scanned?.position).toBe(null)
})
