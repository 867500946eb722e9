import { mkdtempSync, readdirSync, rmSync, unlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, onTestFinished, test } from 'vitest'
import { asFeedPosition, asFlowName, asJournalPosition } from '../../model/ids.ts'
import { journalSuite } from '../../testing/suites/journal-suite.ts'
import {
  AT_MS,
  newRecord,
  ORDERS,
  sampleBatch,
  sampleEntry,
  sampleLink,
  sampleOpenLane,
  sampleRecord,
} from '../../testing/suites/samples.ts'
import { storeSuite } from '../../testing/suites/store-suite.ts'
import { type OpenDriver, openNodeSqlite } from './driver.ts'
import { SqliteJournal } from './journal.ts'
import { openSqliteReader } from './reader.ts'
import { markRestored, SqliteStore } from './store.ts'

const runner = { describe, test, expect }
const SQLITE_FULL = 13
const SQLITE_IOERR_WRITE = 778

function newFolder(): string {
  return mkdtempSync(join(tmpdir(), 'latchwork-sqlite-'))
}

function folderForTest(): string {
  const folder = newFolder()
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** The real driver, and a switch that makes the next run of a statement fail as the disk would. */
function failingDriver(): { open: OpenDriver; failNext: (sql: string, errcode: number) => void } {
  let failing: { sql: string; errcode: number } | null = null
  const open: OpenDriver = (path, options) => {
    const driver = openNodeSqlite(path, options)
    return {
      ...driver,
      prepare(sql) {
        const statement = driver.prepare(sql)
        const run: typeof statement.run = (...values) => {
          if (failing !== null && sql.includes(failing.sql)) {
            const { errcode } = failing
            failing = null
            throw Object.assign(new Error('the disk fails, as the test asked'), { code: 'ERR_SQLITE_ERROR', errcode })
          }
          return statement.run(...values)
        }
        return { run, get: (...values) => statement.get(...values), all: (...values) => statement.all(...values) }
      },
    }
  }
  return {
    open,
    failNext(sql, errcode) {
      failing = { sql, errcode }
    },
  }
}

for (const [name, options] of [
  ['small commits', {}],
  ['the disk waited for off the event loop', { syncFromRecords: 0 }],
] as const) {
  storeSuite(runner, `in SQLite, ${name}`, async () => {
    const folder = newFolder()
    return {
      store: () => new SqliteStore({ path: join(folder, 'state.db'), ...options }),
      [Symbol.asyncDispose]: async () => rmSync(folder, { recursive: true }),
    }
  })
}

journalSuite(runner, 'in SQLite, the disk waited for off the event loop', async () => {
  const folder = newFolder()
  return {
    open: () => SqliteJournal.open({ folder, syncFromEntries: 0, segmentBytesMax: 1 }),
    [Symbol.asyncDispose]: async () => rmSync(folder, { recursive: true }),
  }
})

for (const [name, segments] of [
  ['a segment per day', {}],
  ['segments of a few entries', { segmentBytesMax: 1 }],
] as const) {
  journalSuite(runner, `in SQLite, ${name}`, async () => {
    const folder = newFolder()
    const driver = failingDriver()
    return {
      open: () => SqliteJournal.open({ folder, openDriver: driver.open, ...segments }),
      failNextAppend: (how: 'full' | 'failed') =>
        driver.failNext('COMMIT', how === 'full' ? SQLITE_FULL : SQLITE_IOERR_WRITE),
      [Symbol.asyncDispose]: async () => rmSync(folder, { recursive: true }),
    }
  })
}

test('every data file is written through to the disk: a log, and an fsync for each commit', async () => {
  const folder = folderForTest()
  const opened: { path: string; mode: unknown; synchronous: unknown }[] = []
  const openDriver: OpenDriver = (path, options) => {
    const driver = openNodeSqlite(path, options)
    const ask = (name: string) => driver.prepare(`PRAGMA ${name}`).get()?.[0]
    const exec = (text: string) => {
      driver.exec(text)
      if (!path.endsWith('.lock')) opened.push({ path, mode: ask('journal_mode'), synchronous: ask('synchronous') })
    }
    return { ...driver, exec }
  }
  await using store = new SqliteStore({ path: join(folder, 'state.db'), openDriver })
  await store.open()
  await using journal = await SqliteJournal.open({ folder, openDriver })
  expect(journal.last()).toBe(0)
  expect(new Set(opened.map(({ path }) => path)).size).toBe(2)
  for (const { mode, synchronous } of opened) expect([mode, synchronous]).toEqual(['wal', 2])
})

describe('the state file', () => {
  test('one hub at a time: a second is refused while the first lives, and let in when it closed', async () => {
    const path = join(folderForTest(), 'state.db')
    await using first = new SqliteStore({ path })
    await using second = new SqliteStore({ path })
    await first.open()
    await expect(second.open()).rejects.toMatchObject({ code: 'store.in-use', handling: 'stop' })
    await expect(first.open()).rejects.toMatchObject({ code: 'store.in-use' })
    await first.close()
    expect((await second.open()).epoch).toBe(2)
  })

  test('a file of a newer version is refused and not touched', async () => {
    const path = join(folderForTest(), 'state.db')
    await using store = new SqliteStore({ path })
    const { schemaVersion } = await store.open()
    await store.close()
    sql(path, "UPDATE meta SET value = 99 WHERE name = 'schema_version'")
    await expect(store.open()).rejects.toMatchObject({ code: 'store.version-unknown', handling: 'stop' })
    expect(() => openSqliteReader(path)).toThrow(expect.objectContaining({ code: 'store.version-unknown' }))
    sql(path, `UPDATE meta SET value = ${schemaVersion} WHERE name = 'schema_version'`)
    expect((await store.open()).epoch).toBe(2)
  })

  test('a reader in another connection sees finished commits, and takes nothing over', async () => {
    const path = join(folderForTest(), 'state.db')
    expect(() => openSqliteReader(path)).toThrow(expect.objectContaining({ code: 'store.failed' }))
    await using store = new SqliteStore({ path })
    const { epoch } = await store.open()
    await using reader = openSqliteReader(path)
    await store.commit(sampleBatch(epoch, { links: [sampleLink('n1', 'k1')] }))
    expect((await reader.links({ max: 9 })).map(({ nativeId }) => nativeId)).toEqual(['n1'])
    await store.commit(sampleBatch(epoch, { links: [sampleLink('n2', 'k2')] }))
    expect((await reader.counts()).links).toBe(2)
    await store.close()
    await using later = openSqliteReader(path)
    expect((await later.counts()).links).toBe(2)
    expect((await store.open()).epoch).toBe(epoch + 1)
  })

  test('the cross-reference is a plain table for any SQLite tool while the hub runs', async () => {
    const path = join(folderForTest(), 'state.db')
    await using store = new SqliteStore({ path })
    const { epoch } = await store.open()
    const openLanes = [sampleOpenLane('k1', ORDERS)]
    const gone = sampleLink('n2', 'k2', { state: 'tombstone' })
    await store.commit(
      sampleBatch(epoch, {
        records: [newRecord(sampleRecord('k1'), { openLanes })],
        links: [sampleLink('n1', 'k1'), gone],
      }),
    )
    const tool = new DatabaseSync(path, { readOnly: true })
    expect(
      tool
        .prepare('SELECT * FROM xref')
        .all()
        .map((row) => ({ ...row })),
    ).toEqual([
      {
        app_id: 'orders',
        object_id: 'customers',
        native_id: 'n1',
        canonical_key: 'k1',
        latch_closed: 1,
        entity: 'customer',
        incarnation: 0,
      },
    ])
    tool.close()
  })

  test('a commit on a disk that is full or failing is refused whole, and the next one goes on', async () => {
    const driver = failingDriver()
    await using store = new SqliteStore({ path: join(folderForTest(), 'state.db'), openDriver: driver.open })
    const { epoch } = await store.open()
    const batch = sampleBatch(epoch, { links: [sampleLink('n1', 'k1')], records: [newRecord(sampleRecord('k1'))] })
    driver.failNext('COMMIT', SQLITE_FULL)
    await expect(store.commit(batch)).rejects.toMatchObject({ code: 'store.full', handling: 'retry' })
    driver.failNext('INSERT INTO links', SQLITE_IOERR_WRITE)
    await expect(store.commit(batch)).rejects.toMatchObject({ code: 'store.failed', handling: 'retry' })
    expect(await store.counts()).toMatchObject({ records: 0, links: 0 })
    await store.commit(batch)
    expect(await store.counts()).toMatchObject({ records: 1, links: 1 })
  })

  test('a row that the schema refuses for another reason is not called a taken link', async () => {
    await using store = new SqliteStore({ path: join(folderForTest(), 'state.db') })
    const { epoch } = await store.open()
    const links = [sampleLink('n1', 'k1', { atMs: 0.5 })]
    await expect(store.commit(sampleBatch(epoch, { links }))).rejects.toMatchObject({ code: 'store.failed' })
  })

  test('a file put back from a backup has another generation when it was marked', async () => {
    const path = join(folderForTest(), 'state.db')
    await using store = new SqliteStore({ path })
    const before = await store.open()
    expect(() => markRestored(path)).toThrow(expect.objectContaining({ code: 'store.in-use' }))
    await store.close()
    markRestored(path)
    const after = await store.open()
    expect(after).toMatchObject({ generation: before.generation + 1, instanceId: before.instanceId })
  })

  test('what a closed store is asked is refused', async () => {
    await using store = new SqliteStore({ path: join(folderForTest(), 'state.db') })
    await expect(store.counts()).rejects.toMatchObject({ code: 'store.failed' })
    await store.open()
    await store.close()
    await store.close()
    await expect(store.commit(sampleBatch(1))).rejects.toMatchObject({ code: 'store.failed' })
  })
})

describe('a message whose body is text already', () => {
  test('stands in the journal as one whose body is written anew', async () => {
    await using journal = await SqliteJournal.open({ folder: folderForTest() })
    const body = { id: 'm-1', lines: [{ qty: 2 }], note: 'a, "b" }' }
    const message = { origin: 'http POST /in', properties: { a: '1' }, body, deliveryId: 'd' }
    const input = { type: 'message' as const, flow: asFlowName('take'), message }
    const entry = { shard: 0, atMs: AT_MS, mappingVersion: 1, input, dedupKey: null }
    const bodyText = JSON.stringify(body, null, 1)
    await journal.append({ entries: [entry, { ...entry, bodyText }] })
    const [first, second] = await journal.read(asJournalPosition(0), 9)
    expect(second?.input).toEqual(first?.input)
    expect(first?.input).toEqual(input)
  })
})

describe('the journal files', () => {
  const append = (journal: SqliteJournal, ...days: readonly number[]) =>
    journal.append({ entries: days.map((day) => sampleEntry('n1', { atMs: AT_MS + day * 86_400_000 })) })
  const files = (folder: string) => readdirSync(folder).filter((name) => /^journal-\d+\.db$/.test(name))

  test('a new file is begun every day, and dropped whole', async () => {
    const folder = folderForTest()
    await using journal = await SqliteJournal.open({ folder })
    for (const day of [0, 0, 1, 2, 2]) await append(journal, day)
    expect(files(folder)).toEqual(['journal-000000000001.db', 'journal-000000000003.db', 'journal-000000000004.db'])
    expect(await journal.drop(asJournalPosition(3), AT_MS + 99 * 86_400_000)).toBe(3)
    expect(files(folder)).toEqual(['journal-000000000004.db'])
  })

  test('a new file is begun when one is as large as is allowed', async () => {
    const folder = folderForTest()
    await using journal = await SqliteJournal.open({ folder, segmentBytesMax: 200_000 })
    const entries = Array.from({ length: 100 }, () => sampleEntry('n1'))
    for (let batch = 0; batch < 30; batch++) await journal.append({ entries })
    expect(files(folder).length).toBeGreaterThan(2)
    expect((await journal.read(asJournalPosition(0), 9_999)).length).toBe(3_000)
  })

  test('one process at a time', async () => {
    const folder = folderForTest()
    await using journal = await SqliteJournal.open({ folder })
    await expect(SqliteJournal.open({ folder })).rejects.toMatchObject({ code: 'store.in-use' })
    await journal.close()
    await (await SqliteJournal.open({ folder })).close()
  })

  test('a file of a newer version is refused', async () => {
    const folder = folderForTest()
    await (await SqliteJournal.open({ folder })).close()
    sql(join(folder, files(folder)[0] as string), "UPDATE meta SET value = 99 WHERE name = 'schema_version'")
    await expect(SqliteJournal.open({ folder })).rejects.toMatchObject({ code: 'journal.version-unknown' })
  })

  test('a folder from which a file between two others is missing is refused', async () => {
    const folder = folderForTest()
    const journal = await SqliteJournal.open({ folder })
    for (const day of [0, 1, 2]) await append(journal, day)
    await journal.close()
    unlinkSync(join(folder, files(folder)[1] as string))
    await expect(SqliteJournal.open({ folder })).rejects.toMatchObject({ code: 'journal.failed' })
  })

  test('a new file whose making was cut short is made again: feeds and positions go on', async () => {
    const folder = folderForTest()
    const journal = await SqliteJournal.open({ folder })
    const feeds = [{ app: ORDERS, feed: 'changes', position: asFeedPosition('41') }]
    await journal.append({ entries: [sampleEntry('n1'), sampleEntry('n2')], feeds })
    await journal.close()
    new DatabaseSync(join(folder, 'journal-000000000003.db')).close()
    await using again = await SqliteJournal.open({ folder })
    expect(await again.feed(ORDERS, 'changes')).toBe('41')
    expect(await append(again, 0)).toEqual([3])
    expect((await again.read(asJournalPosition(0), 9)).map(({ seq }) => seq)).toEqual([1, 2, 3])
  })

  test('an append that cannot be written down fails alone', async () => {
    await using journal = await SqliteJournal.open({ folder: folderForTest() })
    const cyclic: { self?: unknown } = {}
    cyclic.self = cyclic
    const bad = sampleEntry('n1', { input: cyclic as never })
    const both = await Promise.allSettled([journal.append({ entries: [bad] }), append(journal, 0)])
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'fulfilled'])
    expect(journal.last()).toBe(1)
  })
})

function sql(path: string, text: string): void {
  const database = new DatabaseSync(path)
  database.exec(text)
  database.close()
}
