import { copyFileSync, renameSync, rmSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { cents, decimal, decimalText, defineHub, entity, key, latest, prefer, reference, sync } from '../../index.ts'
import { eventually, HubUnderTest } from '../tables/fixture-hub.ts'
import { sqlite } from './config.ts'
import { FakeShop } from './fake-driver.ts'

/** Two SQLite files of different shape, kept equal by a real hub: customers, and orders with their lines. */

const DESK_SQL = `
  create table customers (id integer primary key, full_name text not null, email text not null unique, credit_cents integer not null default 0);
  create table orders (id integer primary key, customer_id integer not null references customers, note text);
  create table order_lines (order_id integer not null references orders on delete cascade, line_no integer not null, sku text not null, qty integer not null,
    primary key (order_id, line_no));`

const STORE_SQL = `
  create table clients (code text primary key not null default (lower(hex(randomblob(8)))), name text, mail text not null unique, credit text not null default '0.00');
  create table jobs (id integer primary key, client text not null references clients, remark text);
  create table job_items (job integer not null references jobs on delete cascade, pos integer not null, item text not null, amount integer not null, unique (job, pos));`

const customer = entity('customer', {
  schema: z.object({ name: z.string(), email: z.string(), credit: decimal(2) }),
  match: key('email'),
})
const order = entity('order', {
  schema: z.object({ customer: reference(customer), note: z.string().nullable() }),
  parts: { lines: { key: 'lineNo', schema: z.object({ lineNo: z.int(), sku: z.string(), qty: z.int() }) } },
})

function hubOf(deskFile: string, storeFile: string) {
  const desk = sqlite({ file: deskFile, pollMs: 2 })
  const store = sqlite({ file: storeFile, pollMs: 2 })
  return defineHub({
    apps: { desk, store },
    brakes: { firstContactCreates: 'off' },
    sync: [
      sync(
        customer,
        {
          desk: desk.table('customers', {
            id: 'id',
            idType: 'number',
            fields: { name: 'full_name', email: 'email', credit: ['credit_cents', cents] },
          }),
          store: store.table('clients', {
            id: 'code',
            fields: { name: 'name', email: 'mail', credit: ['credit', decimalText(2)] },
          }),
        },
        { conflicts: { default: latest({ skewMs: 0 }), fields: { credit: prefer('desk') } } },
      ),
      sync(order, {
        desk: desk.table('orders', {
          id: 'id',
          idType: 'number',
          children: { lines: { table: 'order_lines', parent: 'order_id' } },
          fields: { customer: 'customer_id', note: 'note' },
          parts: { lines: { from: 'lines', key: 'line_no', fields: { sku: 'sku', qty: 'qty' } } },
        }),
        store: store.table('jobs', {
          id: 'id',
          idType: 'number',
          children: { items: { table: 'job_items', parent: 'job' } },
          fields: { customer: 'client', note: 'remark' },
          parts: { lines: { from: 'items', key: 'pos', fields: { sku: 'item', qty: 'amount' } } },
        }),
      }),
    ],
  })
}

const deskCustomers = (shop: FakeShop) =>
  shop.rows('select full_name as name, email, credit_cents as credit from customers order by email')
const storeCustomers = (shop: FakeShop) =>
  shop.rows('select name, mail as email, cast(round(credit * 100) as integer) as credit from clients order by mail')
const deskLines = (shop: FakeShop) =>
  shop.rows(
    'select c.email, o.note, l.line_no as no, l.sku, l.qty from orders o join customers c on c.id = o.customer_id left join order_lines l on l.order_id = o.id order by 1, 2, 3',
  )
const storeLines = (shop: FakeShop) =>
  shop.rows(
    'select c.mail as email, o.remark as note, l.pos as no, l.item as sku, l.amount as qty from jobs o join clients c on c.code = o.client left join job_items l on l.job = o.id order by 1, 2, 3',
  )
/** Writes of the hub, by kind: what it remembers of itself in the shop's own file. */
const writesTo = (shop: FakeShop) =>
  Object.fromEntries(
    shop.rows('select kind, count(*) as n from latchwork_ops group by kind').map(({ kind, n }) => [kind, n]),
  )

class Pair implements AsyncDisposable {
  readonly desk = new FakeShop(DESK_SQL)
  readonly store = new FakeShop(STORE_SQL)
  readonly hub = new HubUnderTest(hubOf(this.desk.file, this.store.file))

  async equal(): Promise<void> {
    await eventually(
      () => [storeCustomers(this.store), storeLines(this.store)],
      () => [deskCustomers(this.desk), deskLines(this.desk)],
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.hub[Symbol.asyncDispose]()
    this.desk[Symbol.dispose]()
    this.store[Symbol.dispose]()
  }
}

describe('two SQLite applications', () => {
  test('become and stay equal in both directions, and the hub never answers its own writes', async () => {
    await using pair = new Pair()
    const { desk, store, hub } = pair
    desk.db.exec("insert into customers values (1, 'Ada', 'ada@x', 1250), (2, 'Bob', 'bob@x', 0)")
    store.db.exec("insert into clients values ('c9', 'Cleo', 'cleo@x', '7.05'), ('b1', 'Bob', 'bob@x', '0.00')")
    await hub.start()
    await eventually(() => [deskCustomers(desk).length, storeCustomers(store).length], [3, 3])
    await pair.equal()
    expect([writesTo(desk), writesTo(store)]).toEqual([{ create: 1 }, { create: 1 }])

    desk.db.exec("update customers set full_name = 'Ada L.' where id = 1")
    store.db.exec("update clients set credit = '99.99' where mail = 'cleo@x'")
    await eventually(() => storeCustomers(store).map(({ name }) => name), ['Ada L.', 'Bob', 'Cleo'])
    await eventually(() => deskCustomers(desk).map(({ credit }) => credit), [1250, 0, 9999])

    desk.db.exec(
      `begin; insert into orders values (1, 1, 'soon'); insert into order_lines values (1, 1, 'screw', 10), (1, 2, 'nail', 5); commit`,
    )
    await eventually(() => storeLines(store).length, 2)
    store.db.exec(
      "begin; update job_items set amount = 11 where pos = 1; delete from job_items where pos = 2; insert into job_items select id, 3, 'bolt', 1 from jobs; commit",
    )
    await eventually(
      () => deskLines(desk).map(({ no, qty }) => [no, qty]),
      [
        [1, 11],
        [3, 1],
      ],
    )
    await pair.equal()
    desk.db.exec('delete from orders where id = 1')
    await eventually(() => storeLines(store).length, 0)
    await eventually(() => store.rows('select * from jobs'), [])
    expect([writesTo(desk), writesTo(store)]).toEqual([
      { create: 1, update: 2 },
      { create: 2, update: 1, delete: 1 },
    ])
    expect(hub.said.filter((line) => line.startsWith('error'))).toEqual([])
  })

  test('200 rows written on both sides at the same moment are equal afterwards', async () => {
    await using pair = new Pair()
    const { desk, store, hub } = pair
    const insert = desk.db.prepare("insert into customers values (?, 'n', ?, 0)")
    desk.db.exec('begin')
    for (let n = 1; n <= 200; n++) insert.run(n, `n${n}@x`)
    desk.db.exec('commit')
    await hub.start()
    await eventually(() => storeCustomers(store).length, 200)
    await pair.equal()
    desk.db.exec("update customers set full_name = 'desk ' || id, credit_cents = id")
    store.db.exec("update clients set name = 'store ' || mail, credit = '5.00'")
    await eventually(() => new Set(storeCustomers(store).map(({ name }) => name)).size, 200)
    await pair.equal()
    // Of the names the later one stands, which is one of the two; of the credit the desk's.
    expect(
      deskCustomers(desk).every(({ name, email, credit }) => name === `store ${email}` || name === `desk ${credit}`),
    ).toBe(true)
    expect(deskCustomers(desk).every(({ email, credit }) => email === `n${credit}@x`)).toBe(true)
  })

  test('nothing is lost while the hub is down, and a crash in the middle leaves no second record', async () => {
    await using pair = new Pair()
    const { desk, store, hub } = pair
    desk.db.exec("insert into customers values (1, 'Ada', 'ada@x', 1)")
    await hub.start()
    await pair.equal()
    await hub.stop()
    for (let n = 2; n <= 400; n++) desk.db.exec(`insert into customers values (${n}, 'n${n}', 'n${n}@x', 0)`)
    store.db.exec("update clients set name = 'Ada!'")
    desk.db.exec('delete from customers where id = 2')
    await hub.start()
    await eventually(() => storeCustomers(store).length > 50, true)
    await hub.crash()
    store.db.exec("update clients set name = name || '?' where mail = 'ada@x'")
    await hub.start()
    await eventually(() => storeCustomers(store).length, 399)
    await eventually(() => deskCustomers(desk).find(({ email }) => email === 'ada@x')?.name, 'Ada!?')
    await pair.equal()
    expect(writesTo(store)).toEqual({ create: 399 })
  })

  test('a file that goes away and comes back is taken up again', async () => {
    await using pair = new Pair()
    const { desk, store, hub } = pair
    desk.db.exec("insert into customers values (1, 'Ada', 'ada@x', 1)")
    await hub.start()
    await pair.equal()
    store.db.close()
    renameSync(store.file, store.file + '.away')
    desk.db.exec("update customers set full_name = 'Ada L.'")
    await eventually(() => hub.said.some((line) => line.includes('store cannot be reached')), true)
    renameSync(store.file + '.away', store.file)
    store.reopen()
    await eventually(() => storeCustomers(store).map(({ name }) => name), ['Ada L.'])
  })

  test('a file put back from a backup is neither read nor written until a person decides', async () => {
    await using pair = new Pair()
    const { desk, store, hub } = pair
    desk.db.exec("insert into customers values (1, 'Ada', 'ada@x', 1)")
    await hub.start()
    await pair.equal()
    await hub.stop()
    desk.db.exec('pragma wal_checkpoint(truncate)')
    copyFileSync(desk.file, desk.file + '.backup')
    await hub.start()
    desk.db.exec("update customers set full_name = 'Ada L.'")
    await pair.equal()
    desk.db.close()
    for (const log of ['-wal', '-shm']) rmSync(desk.file + log, { force: true })
    renameSync(desk.file + '.backup', desk.file)
    desk.reopen()
    store.db.exec("update clients set credit = '5.00'")
    await eventually(() => hub.said.some((line) => line.includes('put back to an earlier state')), true)
    expect(deskCustomers(desk)).toEqual([{ name: 'Ada', email: 'ada@x', credit: 1 }])
    expect(storeCustomers(store)).toEqual([{ name: 'Ada L.', email: 'ada@x', credit: 500 }])
  })
})
