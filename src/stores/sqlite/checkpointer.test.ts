import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { Checkpointer } from './checkpointer.ts'
import { openNodeSqlite, type SqliteDriver } from './driver.ts'
import { SYNC_OURSELVES } from './schema.ts'

const folder = mkdtempSync(join(tmpdir(), 'latchwork-checkpoint-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const PAGE_BYTES = 4096

function open(name: string): {
  readonly path: string
  readonly database: SqliteDriver
  readonly walBytes: () => number
} {
  const path = join(folder, name)
  const database = openNodeSqlite(path, { readOnly: false })
  database.exec(`PRAGMA journal_mode = WAL; ${SYNC_OURSELVES}; CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)`)
  return { path, database, walBytes: () => statSync(path + '-wal').size }
}

/** How often the log was begun again: the fourth number of its header. */
const timesBegun = (path: string): number => readFileSync(path + '-wal').readUInt32BE(12)

/** Commits rows, each of about a page, until `isEnough`; between two commits the thread may answer. How many there were. */
async function write(database: SqliteDriver, checkpointer: Checkpointer, isEnough: (rows: number) => boolean) {
  const insert = database.prepare('INSERT OR REPLACE INTO t VALUES (?, ?)')
  const body = 'x'.repeat(3_500)
  let rows = 0
  for (; !isEnough(rows); rows++) {
    insert.run(rows % 500, body + rows)
    checkpointer.committed(1)
    if (rows % 10 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  return rows
}

test('the log is begun again and again while somebody writes without end, and nothing of it is lost', async () => {
  const { path, database, walBytes } = open('bounded.db')
  const checkpointer = new Checkpointer(path, database, 200)
  const rows = await write(database, checkpointer, () => timesBegun(path) >= 5)
  // All of it without checkpoints would be about two pages a row.
  expect(walBytes()).toBeLessThan(rows * 2 * PAGE_BYTES)
  await checkpointer.close()
  database.close()
  const again = openNodeSqlite(path, { readOnly: true })
  expect(again.prepare('SELECT count(*), max(body) FROM t').get()?.[0]).toBe(Math.min(rows, 500))
  again.close()
})

test('where the thread cannot be had, the log is copied all the same', async () => {
  const { database, walBytes } = open('alone.db')
  // The thread finds no file in a folder that does not exist.
  const checkpointer = new Checkpointer(join(folder, 'nowhere', 'state.db'), database, 50)
  await write(database, checkpointer, (rows) => rows >= 3_000)
  await checkpointer.close()
  expect(walBytes()).toBeLessThan(3_000 * PAGE_BYTES)
  database.close()
})

test('closing waits for the thread, is done twice as well as once, and begins nothing new', async () => {
  const { path, database } = open('closing.db')
  const checkpointer = new Checkpointer(path, database, 10)
  await write(database, checkpointer, (rows) => rows >= 30)
  await checkpointer.close()
  await checkpointer.close()
  await write(database, checkpointer, (rows) => rows >= 30)
  database.close()
})
