import { afterAll, describe, expect, test } from 'vitest'
import type { Change } from '../../model/change.ts'
import { asCorrelationId, asNativeId, asObjectId, asOpId, compareTokens, type FeedPosition } from '../../model/ids.ts'
import type { Connector, WriteOp } from '../../ports/app.ts'
import {
  appOptions,
  columnsOf,
  createDatabase,
  isInstalled,
  openConnector,
  stopServers,
  type TestDatabase,
  tableOptions,
} from './fixture-postgres.ts'
import type { PostgresAppOptions, PostgresTable } from './options.ts'

/** What the log says, exactly; and what is said when it cannot be followed. */

afterAll(stopServers)

const never = new AbortController().signal

async function drain(
  connector: Connector,
  after: FeedPosition | null,
  wanted = 1,
): Promise<{ changes: Change[]; position: FeedPosition }> {
  const changes: Change[] = []
  let position = after
  for (let reads = 0; reads < 30; reads++) {
    const read = await connector.source.read('log', position, 100, never)
    changes.push(...read.changes)
    position = read.position
    if (!read.more && changes.length >= wanted) break
  }
  return { changes, position: position as FeedPosition }
}

const failureOf = async (connector: Connector, after: FeedPosition | null): Promise<unknown> =>
  connector.source.read('log', after, 10, never).then(
    () => 'read',
    (error: { code: string; message: string; handling: string }) => error,
  )

async function follow(
  major: number,
  sql: readonly string[],
  tables: (schema: string) => readonly PostgresTable[],
  over: Partial<PostgresAppOptions> = {},
) {
  const database = await createDatabase(major)
  for (const statement of sql) await database.one(statement)
  const options = appOptions(database, tables(database.schema), over)
  const connector = openConnector(options)
  return {
    database,
    options,
    connector,
    [Symbol.asyncDispose]: async () => {
      await connector[Symbol.asyncDispose]()
      await database[Symbol.asyncDispose]()
    },
  }
}

const write = (connector: Connector, op: Partial<WriteOp> & Pick<WriteOp, 'kind' | 'object'>) =>
  connector.target.write(
    [
      {
        op: asOpId('inst.1.key.db.1'),
        nativeId: null,
        patch: {},
        full: {},
        baseToken: null,
        baseValues: {},
        correlationId: asCorrelationId('key'),
        resend: false,
        ...op,
      },
    ],
    5_000,
    never,
  )

const idsIn = async (database: TestDatabase, sql: string) =>
  (await database.rows(sql)).map((row) => Object.values(row)[0])

const ALL = `CREATE TABLE kinds (id bigint PRIMARY KEY, b boolean, i2 smallint, i8 bigint, n numeric, f double precision, t text, c char(4), vc varchar(10),
  ts timestamptz, lt timestamp, d date, tm time, by bytea, j json, jb jsonb, u uuid, e mood, a integer[], ta text[], ba bytea[], r int4range, dom positive)`
const NAMES = [
  'b',
  'i2',
  'i8',
  'n',
  'f',
  't',
  'c',
  'vc',
  'ts',
  'lt',
  'd',
  'tm',
  'by',
  'j',
  'jb',
  'u',
  'e',
  'a',
  'ta',
  'ba',
  'r',
  'dom',
]

for (const major of [15, 18]) {
  describe.skipIf(!(await isInstalled(major)))(`the log of PostgreSQL ${major}`, () => {
    test('values arrive exactly, by the log as by a read, and go back as they came', async () => {
      await using pg = await follow(
        major,
        ["CREATE TYPE mood AS ENUM ('so so', 'fine')", 'CREATE DOMAIN positive AS bigint CHECK (VALUE > 0)', ALL],
        (schema) => [tableOptions({ schema, table: 'kinds', columns: columnsOf(...NAMES) })],
      )
      const { position } = await drain(pg.connector, null, 0)
      await pg.database.one(
        `INSERT INTO kinds VALUES (9007199254740993, true, -3, -9007199254740995, 12345678901234567890.123450, 0.1, E'q" \\\\ ß漢😀\\u0001', 'ab', 'x',
          '2026-11-25 18:30:13.123456+02', '2026-11-25 18:30:13.000001', '0044-03-15 BC', '23:59:59.999999', '\\x00ff10', '{"a": 9007199254740993, "a": 1.10}', '{"n": 9007199254740993.10}',
          'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'so so', '{{1,NULL},{3,4}}', '{"a,b","c\\"d",NULL,"NULL",""}', ARRAY['\\x01'::bytea], '[1,5)', 7)`,
      )
      const record = {
        id: 9007199254740993n,
        b: true,
        i2: -3,
        i8: -9007199254740995n,
        n: '12345678901234567890.123450',
        f: 0.1,
        t: 'q" \\ ß漢😀\u0001',
        c: 'ab  ',
        vc: 'x',
        ts: '2026-11-25T16:30:13.123456Z',
        lt: '2026-11-25T18:30:13.000001',
        d: '0044-03-15 BC',
        tm: '23:59:59.999999',
        by: 'AP8Q',
        j: '{"a": 9007199254740993, "a": 1.10}',
        jb: '{"n": 9007199254740993.10}',
        u: 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
        e: 'so so',
        a: [
          [1, null],
          [3, 4],
        ],
        ta: ['a,b', 'c"d', null, 'NULL', ''],
        ba: ['AQ=='],
        r: '[1,5)',
        dom: 7,
      }
      const nativeId = asNativeId('9007199254740993')
      const { changes, position: next } = await drain(pg.connector, position)
      expect(changes).toMatchObject([{ kind: 'image', nativeId, record }])
      const [read] = await pg.connector.source.readRecords([{ object: pg.options.tables[0]!.object, nativeId }], never)
      expect(read?.record).toEqual(record)

      // Written back as they are, every condition holds; as NULL, NaN and infinity they are still what they are.
      const { id: _id, ...values } = record
      const object = pg.options.tables[0]!.object
      const again = await write(pg.connector, {
        kind: 'update',
        object,
        nativeId,
        patch: values,
        full: values,
        baseValues: values,
      })
      expect(again).toMatchObject([{ result: 'applied' }])
      expect((await drain(pg.connector, next)).changes).toMatchObject([{ record, mark: 'inst.1.key.db.1' }])
      const nulls = Object.fromEntries(NAMES.map((name) => [name, null]))
      expect(
        await write(pg.connector, { kind: 'update', object, nativeId, patch: nulls, full: nulls, baseValues: values }),
      ).toMatchObject([{ result: 'applied' }])
      await pg.database.one("UPDATE kinds SET n = 'NaN', f = '-Infinity', ts = 'infinity'")
      const last = (await drain(pg.connector, next, 3)).changes.at(-1)
      expect(last?.record).toEqual({ ...nulls, id: record.id, n: 'NaN', f: '-Infinity', ts: 'infinity' })
    })

    test('an unchanged large value is not sent, and never null; with the full identity it is there', async () => {
      await using pg = await follow(
        major,
        [
          'CREATE TABLE big (id integer PRIMARY KEY, small text, large text)',
          'ALTER TABLE big ALTER large SET STORAGE EXTERNAL',
          "INSERT INTO big VALUES (1, 'a', repeat('x', 100000))",
        ],
        (schema) => [tableOptions({ schema, table: 'big', columns: columnsOf('small', 'large') })],
      )
      const { position } = await drain(pg.connector, null)
      await pg.database.one("UPDATE big SET small = 'b'")
      const { changes, position: next } = await drain(pg.connector, position)
      expect(changes).toMatchObject([{ kind: 'partial', record: { id: 1, small: 'b' } }])
      expect(Object.hasOwn(changes[0]?.record ?? {}, 'large')).toBe(false)
      await pg.database.one('ALTER TABLE big REPLICA IDENTITY FULL')
      await pg.database.one("UPDATE big SET small = 'c'")
      const [full] = (await drain(pg.connector, next)).changes
      expect([full?.kind, String(full?.record?.large).length]).toEqual(['image', 100_000])
    })

    test('composite keys, a changed key, deletes, and places inside a transaction that can be gone on from', async () => {
      await using pg = await follow(
        major,
        ['CREATE TABLE spots (room text, seat integer, who text, PRIMARY KEY (room, seat))'],
        (schema) => [tableOptions({ schema, table: 'spots', id: ['room', 'seat'], columns: columnsOf('who') })],
      )
      const { position } = await drain(pg.connector, null, 0)
      await pg.database.one("INSERT INTO spots SELECT 'a,b%', n, 'w' || n FROM generate_series(1, 5) n")
      await pg.database.one('UPDATE spots SET seat = 9 WHERE seat = 5; DELETE FROM spots WHERE seat = 4')
      const { changes } = await drain(pg.connector, position, 8)
      expect(changes.map(({ kind, nativeId }) => [kind, nativeId])).toEqual([
        ...[1, 2, 3, 4, 5].map((n) => ['image', `a%2Cb%25,${n}`]),
        ['deleted', 'a%2Cb%25,5'],
        ['image', 'a%2Cb%25,9'],
        ['deleted', 'a%2Cb%25,4'],
      ])
      for (let i = 1; i < changes.length; i++)
        expect(compareTokens(changes[i]!.token!, changes[i - 1]!.token!)).toBeGreaterThan(0)
      expect(changes.map(({ sourceTx }) => sourceTx?.last)).toEqual([
        false,
        false,
        false,
        false,
        true,
        false,
        false,
        true,
      ])
      const few = await pg.connector.source.read('log', position, 3, never)
      expect(few.changes).toEqual(changes.slice(0, 3))
      await pg.connector.source.confirm('log', few.position)
      await pg.connector.source.close()
      await using later = openConnector(pg.options)
      expect((await drain(later, few.position, 5)).changes).toEqual(changes.slice(3))
      const nativeId = asNativeId('a%2Cb%25,9')
      const { object } = pg.options.tables[0]!
      expect(
        await write(later, { kind: 'update', object, nativeId, patch: { who: 'me' }, baseValues: { who: 'w5' } }),
      ).toMatchObject([{ result: 'applied' }])
      expect(await idsIn(pg.database, 'SELECT who FROM spots WHERE seat = 9')).toEqual(['me'])
    })
  })
}

test('our own writes are labelled in the log, several of one transaction each with its own; what a trigger does elsewhere is not', async () => {
  await using pg = await follow(
    18,
    [
      'CREATE TABLE items (id integer GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, name text)',
      `CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$ BEGIN UPDATE items SET name = 'touched' WHERE id = 1 AND NEW.id <> 1; RETURN NULL; END $$`,
      "INSERT INTO items (name) VALUES ('first'), ('second')",
      'CREATE TRIGGER touch AFTER INSERT ON items FOR EACH ROW EXECUTE FUNCTION touch()',
    ],
    (schema) => [tableOptions({ schema, table: 'items', columns: columnsOf('name') })],
  )
  const { position } = await drain(pg.connector, null)
  const object = asObjectId('items')
  const made = [7, 8].map((n) => ({
    op: asOpId(`inst.1.key${n}.db.1`),
    object,
    kind: 'create' as const,
    nativeId: null,
    patch: { name: `n${n}` },
    full: { name: `n${n}` },
    baseToken: null,
    baseValues: {},
    correlationId: asCorrelationId(`key${n}`),
    resend: false,
  }))
  const outcomes = await pg.connector.target.write(made, 5_000, never)
  expect(outcomes.map(({ nativeId }) => nativeId)).toEqual(['3', '4'])
  const { changes, position: next } = await drain(pg.connector, position, 3)
  const told = changes.map(({ nativeId, mark, correlationId }) => [nativeId, mark, correlationId])
  expect(told.slice(0, 2)).toEqual([
    ['3', 'inst.1.key7.db.1', 'key7'],
    ['4', 'inst.1.key8.db.1', 'key8'],
  ])
  expect(told.slice(2).every(([nativeId, mark]) => nativeId === '1' && mark === undefined)).toBe(true)
  await pg.database.one("UPDATE items SET name = 'a user' WHERE id = 3")
  expect((await drain(pg.connector, next)).changes.map(({ mark }) => mark)).toEqual([undefined])
})

describe('a log that cannot be followed says why and what to do', () => {
  const items = (schema: string) => [tableOptions({ schema, table: 'items', columns: columnsOf('name') })]
  const ITEMS = ['CREATE TABLE items (id integer PRIMARY KEY, name text)']

  test('a truncated table stops the feed, unless it is to be passed by', async () => {
    await using pg = await follow(18, [...ITEMS, "INSERT INTO items VALUES (1, 'a')"], items)
    const { position } = await drain(pg.connector, null)
    await pg.database.one('TRUNCATE items')
    await pg.database.one("INSERT INTO items VALUES (2, 'b')")
    let failure: unknown = 'read'
    for (let i = 0; i < 5 && failure === 'read'; i++) failure = await failureOf(pg.connector, position)
    expect(failure).toMatchObject({
      code: 'source.truncated',
      handling: 'stop',
      message: expect.stringContaining("truncate: 'ignore'"),
    })
    await using passing = openConnector({ ...pg.options, truncate: 'ignore' })
    expect((await drain(passing, position)).changes).toMatchObject([{ nativeId: '2' }])
  })

  test('a slot that is gone, or made anew, or of another server, is not gone on with', async () => {
    await using pg = await follow(18, ITEMS, items)
    const { position } = await drain(pg.connector, null, 0)
    await pg.connector.source.close()
    const slot = pg.options.slot
    const admin = async (sql: string) => {
      for (let tries = 0; ; tries++) {
        const done = await pg.database.one(sql).then(
          () => true,
          (error: Error) => {
            if (tries > 50) throw error
            return false
          },
        )
        if (done) return
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }
    await admin(`SELECT pg_drop_replication_slot('${slot}')`)
    const failureNow = async (from = position) => {
      await using connector = openConnector(pg.options)
      return await failureOf(connector, from)
    }
    expect(await failureNow()).toMatchObject({
      code: 'source.slot-missing',
      message: expect.stringContaining('latchwork feed reset db'),
    })
    await pg.database.one("INSERT INTO items VALUES (1, 'in the gap')")
    await admin(`SELECT pg_create_logical_replication_slot('${slot}', 'pgoutput')`)
    expect(await failureNow()).toMatchObject({ code: 'source.slot-changed' })
    const other = JSON.parse(position)
    const elsewhere = JSON.stringify({ ...other, sys: '1' }) as FeedPosition
    expect(await failureNow(elsewhere)).toMatchObject({
      code: 'source.server-changed',
      message: expect.stringContaining('system identifier'),
    })
    const ahead = JSON.stringify({ ...other, lsn: '99999999999999' }) as FeedPosition
    expect(await failureNow(ahead)).toMatchObject({
      code: 'source.server-changed',
      message: expect.stringContaining('restored'),
    })
    await using reset = openConnector(pg.options)
    expect((await drain(reset, 'reset' as FeedPosition)).changes).toMatchObject([
      { nativeId: '1', record: { name: 'in the gap' } },
    ])
  })

  test('a slot that another session reads is waited for', async () => {
    await using pg = await follow(18, ITEMS, items)
    await drain(pg.connector, null, 0)
    await using second = openConnector(pg.options)
    expect(await failureOf(second, null)).toMatchObject({ code: 'source.slot-in-use', handling: 'retry' })
  })

  test('a column that is dropped while the log is read stops it; nothing is set to null', async () => {
    await using pg = await follow(18, [...ITEMS, "INSERT INTO items VALUES (1, 'a')"], items)
    const { position } = await drain(pg.connector, null)
    await pg.database.one('ALTER TABLE items RENAME name TO title')
    await pg.database.one("UPDATE items SET title = 'b'")
    let failure: unknown = 'read'
    for (let i = 0; i < 5 && failure === 'read'; i++) failure = await failureOf(pg.connector, position)
    expect(failure).toMatchObject({ code: 'database.schema', message: expect.stringContaining('name') })
  })

  test('a table added to the config later is read from its beginning, the others go on', async () => {
    await using pg = await follow(
      18,
      [
        ...ITEMS,
        'CREATE TABLE more (id integer PRIMARY KEY, name text)',
        "INSERT INTO items VALUES (1, 'a')",
        "INSERT INTO more VALUES (7, 'm')",
      ],
      items,
    )
    const { position } = await drain(pg.connector, null)
    await pg.connector.source.close()
    const { schema } = pg.database
    await using wider = openConnector({
      ...pg.options,
      tables: [...pg.options.tables, tableOptions({ schema, table: 'more', columns: columnsOf('name') })],
    })
    expect((await drain(wider, position)).changes).toMatchObject([{ object: 'more', nativeId: '7' }])
  })
})
