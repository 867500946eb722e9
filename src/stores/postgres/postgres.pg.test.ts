import pg from 'pg'
import { describe, expect, onTestFinished, test } from 'vitest'
import { asCanonicalKey, asFeedPosition, asJournalPosition, asNativeId } from '../../model/ids.ts'
import { journalSuite } from '../../testing/suites/journal-suite.ts'
import {
  loadQuery,
  newRecord,
  ORDERS,
  sampleBatch,
  sampleEntry,
  sampleLink,
  sampleOpenLane,
  sampleRecord,
} from '../../testing/suites/samples.ts'
import { storeSuite } from '../../testing/suites/store-suite.ts'
import type { PgModule, PgQuery } from './driver.ts'
import { PostgresJournal } from './journal.ts'
import { MIGRATIONS } from './schema.ts'
import { markPostgresRestored, migratePostgres, PostgresStore } from './store.ts'
import { fromPgText, toPgText } from './text.ts'

const runner = { describe, test, expect }
const URL = process.env.PG_URL ?? 'postgres://postgres@127.0.0.1:5432/test'

/** Distinct between test processes that share the server. */
let schemas = 0
const newSchema = (): string => `latchwork_test_${process.pid}_${++schemas}`

async function sql(text: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const client = new pg.Client({ connectionString: URL })
  await client.connect()
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}

const dropSchema = async (schema: string): Promise<void> => {
  await sql(`SET client_min_messages = error; DROP SCHEMA IF EXISTS ${schema} CASCADE`)
}

function schemaForTest(): string {
  const schema = newSchema()
  onTestFinished(() => dropSchema(schema))
  return schema
}

/** The real driver, and a switch that spoils the next statement with this in its text. lost: the server does it, but its connection breaks before the answer is read. */
function failingDriver(): { pg: PgModule; failNext: (text: string, how: 'full' | 'lost') => void } {
  let failing: { text: string; how: 'full' | 'lost' } | null = null
  class Client extends pg.Client {
    // biome-ignore lint/suspicious/noExplicitAny: pg's own type of `query` has a dozen overloads; ours is one of them.
    override query(query: any): any {
      const text = typeof query === 'string' ? query : (query as PgQuery).text
      if (failing === null || !text.includes(failing.text)) return super.query(query)
      const { how } = failing
      failing = null
      if (how === 'full')
        return Promise.reject(Object.assign(new Error('could not extend file: No space left'), { code: '53100' }))
      return (super.query(query) as unknown as Promise<unknown>).then(async () => {
        await this.end()
        throw Object.assign(new Error('Connection terminated unexpectedly'), { code: 'ECONNRESET' })
      })
    }
  }
  return {
    pg: { Client } as unknown as PgModule,
    failNext(text, how) {
      failing = { text, how }
    },
  }
}

storeSuite(runner, 'in PostgreSQL', async () => {
  const schema = newSchema()
  return {
    store: () => new PostgresStore({ url: URL, schema }),
    [Symbol.asyncDispose]: () => dropSchema(schema),
  }
})

journalSuite(runner, 'in PostgreSQL, partitions of a few entries', async () => {
  const schema = newSchema()
  const driver = failingDriver()
  return {
    open: () => PostgresJournal.open({ url: URL, schema, pg: driver.pg, partitionEntries: 3 }),
    failNextAppend: (how: 'full' | 'failed') => driver.failNext('journal_append', how === 'full' ? 'full' : 'lost'),
    [Symbol.asyncDispose]: () => dropSchema(schema),
  }
})

describe('one owner', () => {
  test('a second hub on the same schema is refused while the first has it, and let in when its session has ended', async () => {
    const schema = schemaForTest()
    const first = new PostgresStore({ url: URL, schema })
    const { epoch } = await first.open()
    const second = new PostgresStore({ url: URL, schema })
    await expect(second.open()).rejects.toMatchObject({ code: 'store.in-use' })
    await first.close()
    expect((await second.open()).epoch).toBe(epoch + 1)
    await second.close()
  })

  test('an owner whose session was ended by the server takes its place again, if nobody else has it', async () => {
    const schema = schemaForTest()
    await using store = new PostgresStore({ url: URL, schema })
    const { epoch } = await store.open()
    await store.commit(sampleBatch(epoch, { records: [newRecord(sampleRecord('k1'))] }))
    await sql(
      `SELECT pg_terminate_backend(l.pid) FROM pg_locks l WHERE locktype = 'advisory' AND objsubid = 1 AND
       ((classid::bigint << 32) | objid::bigint) = hashtextextended('${schema}.store', 7120411)`,
    )
    await store.commit(sampleBatch(epoch, { records: [newRecord(sampleRecord('k1', { rev: 2 }))] })).catch(() => {})
    await store.commit(sampleBatch(epoch, { records: [newRecord(sampleRecord('k2'))] }))
    expect((await store.load(loadQuery({ records: [asCanonicalKey('k2')] }))).records.length).toBe(1)
  })

  test('a commit that was done although its connection broke counts as done', async () => {
    const schema = schemaForTest()
    const driver = failingDriver()
    await using store = new PostgresStore({ url: URL, schema, pg: driver.pg })
    const { epoch } = await store.open()
    driver.failNext('commit_batch', 'lost')
    await store.commit(sampleBatch(epoch, { records: [newRecord(sampleRecord('k1'))] }))
    await store.commit(sampleBatch(epoch, { records: [newRecord(sampleRecord('k1', { rev: 2 }))] }))
    expect((await store.load(loadQuery({ records: [asCanonicalKey('k1')] }))).records[0]?.rev).toBe(2)
  })

  test('an append whose connection broke after the server had it is refused, and leaves no entry and no feed position', async () => {
    const schema = schemaForTest()
    const driver = failingDriver()
    await using journal = await PostgresJournal.open({ url: URL, schema, pg: driver.pg })
    const feeds = [{ app: ORDERS, feed: 'changes', position: asFeedPosition('7') }]
    await journal.append({ entries: [sampleEntry('n1')] })
    driver.failNext('journal_append', 'lost')
    const refused = journal.append({ entries: [sampleEntry('n2', { dedupKey: 'd2' })], feeds })
    await expect(refused).rejects.toMatchObject({ code: 'journal.failed', handling: 'retry' })
    expect(await journal.append({ entries: [sampleEntry('n2', { dedupKey: 'd2' })] })).toEqual([2])
    expect((await journal.read(asJournalPosition(0), 10)).map(({ seq }) => seq)).toEqual([1, 2])
    expect(await journal.feed(ORDERS, 'changes')).toBe(null)
    const rows = await sql(`SELECT count(*)::int AS n FROM ${schema}.feeds`)
    expect(rows[0]).toEqual({ n: 0 })
  })
})

describe('migrations', () => {
  test('a schema of a newer version is refused, and nothing of it is changed', async () => {
    const schema = schemaForTest()
    await migratePostgres({ url: URL, schema })
    await sql(`UPDATE ${schema}.meta SET value = '99' WHERE name = 'schema_version'`)
    await expect(new PostgresStore({ url: URL, schema }).open()).rejects.toMatchObject({
      code: 'store.version-unknown',
    })
    await expect(migratePostgres({ url: URL, schema })).rejects.toMatchObject({ code: 'store.version-unknown' })
    expect(await sql(`SELECT value FROM ${schema}.meta`)).toEqual([{ value: '99' }])
  })

  test('an older schema is not moved by opening it, only by migrate, which says what it did', async () => {
    const schema = schemaForTest()
    await sql(
      `CREATE SCHEMA ${schema}; CREATE TABLE ${schema}.meta (name text PRIMARY KEY, value text NOT NULL);
       INSERT INTO ${schema}.meta VALUES ('schema_version', '0')`,
    )
    const check = await migratePostgres({ url: URL, schema }, { check: true })
    expect([check.from, check.steps.map(({ version }) => version)]).toEqual([0, MIGRATIONS.map((_, i) => i + 1)])
    expect((await sql(`SELECT to_regclass('${schema}.records') AS t`))[0]).toEqual({ t: null })
    const done = await migratePostgres({ url: URL, schema })
    expect([done.from, done.to, done.steps.length]).toEqual([0, MIGRATIONS.length, MIGRATIONS.length])
    expect((await migratePostgres({ url: URL, schema })).steps).toEqual([])
    await using store = new PostgresStore({ url: URL, schema })
    expect((await store.open()).schemaVersion).toBe(MIGRATIONS.length)
  })

  test('two hubs that begin at once on an empty database make one schema', async () => {
    const schema = schemaForTest()
    const reports = await Promise.all([1, 2, 3].map(() => migratePostgres({ url: URL, schema })))
    expect(reports.flatMap(({ steps }) => steps).length).toBe(MIGRATIONS.length)
  })

  test('a store that was put back from a backup uses no op id again', async () => {
    const schema = schemaForTest()
    const store = new PostgresStore({ url: URL, schema })
    const { generation } = await store.open()
    await store.close()
    await markPostgresRestored({ url: URL, schema })
    await using again = new PostgresStore({ url: URL, schema })
    expect((await again.open()).generation).toBe(generation + 1)
  })
})

describe('for people', () => {
  test('the cross-reference is readable with SQL, and says whether a latch is closed', async () => {
    const schema = schemaForTest()
    await using store = new PostgresStore({ url: URL, schema })
    const { epoch } = await store.open()
    const records = [newRecord(sampleRecord('k1'), { openLanes: [sampleOpenLane('k1', ORDERS)] })]
    await store.commit(sampleBatch(epoch, { records, links: [sampleLink('007', 'k1')] }))
    expect(await sql(`SELECT app_id, object_id, native_id, canonical_key, latch_closed FROM ${schema}.xref`)).toEqual([
      { app_id: 'orders', object_id: 'customers', native_id: '007', canonical_key: 'k1', latch_closed: true },
    ])
  })

  test.each([
    ['postgres://nobody@127.0.0.1:1/test', 'store.failed'],
    ['postgres://postgres@127.0.0.1:5432/there_is_none', 'store.failed'],
  ])('%s is refused with what to do, and without the password', async (url, code) => {
    const store = new PostgresStore({ url: url.replace('@', ':geheim@') })
    const refusal = await store.open().then(
      () => null,
      (error: unknown) => error as Error & { code: string },
    )
    expect(refusal?.code).toBe(code)
    expect(refusal?.message).toMatch(/; (create the database|the server cannot be reached)/)
    expect(refusal?.message).not.toContain('geheim')
    await store.close()
  })
})

describe('text that PostgreSQL cannot hold', () => {
  const odd = ['', 'plain', 'a\u0000b', '\\', '\\0000', 'half \uD800', '\uDC00 half', '\u{1F510}', 'Ä\\u00e4']

  test.each(odd)('%j comes back as it was', (text) => {
    expect(fromPgText(toPgText(text))).toBe(text)
    expect(toPgText(text).isWellFormed() && !toPgText(text).includes('\u0000')).toBe(true)
  })

  test('native ids with such characters are told apart in the store', async () => {
    const schema = schemaForTest()
    await using store = new PostgresStore({ url: URL, schema })
    const { epoch } = await store.open()
    const links = odd.map((id, i) => sampleLink(id, `k${i}`))
    await store.commit(sampleBatch(epoch, { links }))
    const natives = links.map(({ app, object, nativeId }) => ({ app, object, nativeId: asNativeId(nativeId) }))
    const loaded = await store.load(loadQuery({ natives }))
    expect(new Map(loaded.links.map(({ nativeId, key }) => [nativeId, key]))).toEqual(
      new Map(odd.map((id, i) => [id, `k${i}`])),
    )
  })
})
