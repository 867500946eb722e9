import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { asFlowName, asJournalPosition, asRunId } from '../../model/ids.ts'
import { runStoreSuite, sampleRun } from '../../testing/suites/run-store-suite.ts'
import type { PgModule, PgQuery } from './driver.ts'
import { PostgresRunStore } from './runs.ts'
import { PostgresStore } from './store.ts'

const URL = process.env.PG_URL ?? 'postgres://postgres@127.0.0.1:5432/test'

/** Distinct between test processes that share the server. */
let schemas = 0
const newSchema = (): string => `latchwork_runs_${process.pid}_${++schemas}`

async function sql(text: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const client = new pg.Client({ connectionString: URL })
  await client.connect()
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}

/** A schema that is gone when the test is over. */
function place(): AsyncDisposable & { readonly schema: string } {
  const schema = newSchema()
  return {
    schema,
    async [Symbol.asyncDispose]() {
      await sql(`SET client_min_messages = error; DROP SCHEMA IF EXISTS ${schema} CASCADE`)
    },
  }
}

/** The real driver; the server does the next commit of runs, but its connection breaks before the answer is read. */
function losingDriver(): { readonly pg: PgModule; loseNext(): void } {
  let isLosing = false
  class Client extends pg.Client {
    // biome-ignore lint/suspicious/noExplicitAny: pg's own type of `query` has a dozen overloads; ours is one of them.
    override query(query: any): any {
      const text = typeof query === 'string' ? query : (query as PgQuery).text
      if (!isLosing || !/SELECT \w+\.commit_runs/.test(text)) return super.query(query)
      isLosing = false
      return (super.query(query) as unknown as Promise<unknown>).then(async () => {
        await this.end()
        throw Object.assign(new Error('Connection terminated unexpectedly'), { code: 'ECONNRESET' })
      })
    }
  }
  return {
    pg: { Client } as unknown as PgModule,
    loseNext() {
      isLosing = true
    },
  }
}

runStoreSuite({ describe, test, expect }, 'in PostgreSQL', async () => {
  const own = place()
  return {
    make: async () => new PostgresRunStore({ url: URL, schema: own.schema }),
    [Symbol.asyncDispose]: () => own[Symbol.asyncDispose](),
  }
})

test('a second hub cannot open the runs while the first has them, and may beside the store of the same hub', async () => {
  await using own = place()
  const at = { url: URL, schema: own.schema }
  await using store = new PostgresStore(at)
  await store.open()
  await using first = new PostgresRunStore(at)
  const { epoch } = await first.open()
  await using second = new PostgresRunStore(at)
  await expect(second.open()).rejects.toMatchObject({ code: 'store.in-use' })
  await first.close()
  expect((await second.open()).epoch).toBe(epoch + 1)
}, 20_000)

test('a commit that was done although its connection broke counts as done, once', async () => {
  await using own = place()
  const driver = losingDriver()
  await using store = new PostgresRunStore({ url: URL, schema: own.schema, pg: driver.pg })
  const { epoch } = await store.open()
  const flow = asFlowName('orders')
  driver.loseNext()
  await store.commit({ epoch, runs: [sampleRun(1)], cursors: [{ flow, position: asJournalPosition(1) }] })
  await store.commit({ epoch, runs: [sampleRun(2)], cursors: [{ flow, position: asJournalPosition(2) }] })
  expect([await store.cursor(flow), (await store.runs([asRunId('1'), asRunId('2')])).length]).toEqual([2, 2])
  expect(await sql(`SELECT commits FROM ${own.schema}.run_state`)).toEqual([{ commits: '2' }])
})

test('a session that the server ended is made again, and an owner that was replaced meanwhile is refused', async () => {
  await using own = place()
  const at = { url: URL, schema: own.schema }
  await using store = new PostgresRunStore(at)
  const { epoch } = await store.open()
  const end = `SELECT pg_terminate_backend(l.pid, 3000) FROM pg_locks l WHERE locktype = 'advisory' AND objsubid = 1 AND
    ((classid::bigint << 32) | objid::bigint) = hashtextextended('${own.schema}.runs', 7120411)`
  await sql(end)
  await store.commit({ epoch, runs: [sampleRun(1)], cursors: [] }).catch(() => {})
  await store.commit({ epoch, runs: [sampleRun(1, { state: 'parked' })], cursors: [] })
  expect((await store.list({ max: 9 })).map(({ state }) => state)).toEqual(['parked'])

  await sql(`UPDATE ${own.schema}.run_state SET epoch = epoch + 1`)
  await expect(store.commit({ epoch, runs: [sampleRun(2)], cursors: [] })).rejects.toMatchObject({
    code: 'store.fenced',
    handling: 'stop',
  })
})
