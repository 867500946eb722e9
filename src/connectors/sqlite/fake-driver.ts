import { mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { systemClock } from '../../lib/system-clock.ts'
import { asAppId, asNativeId, asObjectId } from '../../model/ids.ts'
import type { NativeRecord } from '../../model/value.ts'
import type { AppDriver, AppUnderTest } from '../../testing/suites/app-driver.ts'
import type { TableUse } from '../tables/options.ts'
import { SQLITE_CAPABILITIES } from './capabilities.ts'
import { createSqliteConnector } from './connector.ts'
import type { SqliteAppOptions } from './options.ts'

/** A shop's database as its own program sees it, for tests. */

export const ITEMS: TableUse = {
  object: asObjectId('items'),
  table: 'items',
  id: 'id',
  idType: 'number',
  columns: ['name', 'city', 'zip', 'count'].map((name) => ({ name, written: true })),
  parts: [],
  updatedAt: null,
  version: null,
}

export const ITEMS_SQL = `
  create table items (
    id integer primary key, name text not null check (name <> 'refused'), city text, zip text, count integer
  );`

export const sqliteOptions = (file: string, tables: readonly TableUse[] = [ITEMS]): SqliteAppOptions => ({
  app: asAppId('shop'),
  file,
  prefix: 'latchwork',
  pollMs: 2,
  tables,
})

/** A temporary folder with a database in it, and the shop's own connection to it. */
export class FakeShop implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'latchwork-sqlite-'))
  readonly file = join(this.folder, 'shop.db')
  db: DatabaseSync

  constructor(sql: string, journal: 'wal' | 'delete' = 'wal') {
    this.db = new DatabaseSync(this.file)
    this.db.exec(`pragma journal_mode = ${journal}; pragma synchronous = off`)
    this.db.exec(sql)
  }

  reopen(): void {
    if (this.db.isOpen) this.db.close()
    this.db = new DatabaseSync(this.file)
  }

  rows(sql: string): readonly Record<string, unknown>[] {
    return this.db
      .prepare(sql)
      .all()
      .map((row) => ({ ...row }))
  }

  [Symbol.dispose](): void {
    if (this.db.isOpen) this.db.close()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** The published suites' view of a SQLite application. */
export const fakeDriver = (journal: 'wal' | 'delete', faults: AppDriver['faults'] = []): AppDriver => ({
  capabilities: SQLITE_CAPABILITIES,
  faults: ['down', 'rejects', ...faults],
  pushes: false,
  signsBody: false,
  hasFeed: true,
  open: async () => open(journal),
})

async function open(journal: 'wal' | 'delete'): Promise<AppUnderTest> {
  const shop = new FakeShop(ITEMS_SQL, journal)
  const connector = createSqliteConnector(sqliteOptions(shop.file), { clock: systemClock })
  // As a hub does at every start: the feed's first read makes the change table and compares it with the position.
  await connector.source.read('changes', null, 1, new AbortController().signal)
  const away = shop.file + '.away'
  let fault = 'none'
  return {
    connector,
    object: ITEMS.object,
    textField: 'name',
    sample: (n) => ({ name: `name ${n}`, city: `city ${n}`, zip: '00123', count: n }),
    create: async (record) => {
      const names = Object.keys(record)
      const values = Object.values(record) as (string | number)[]
      const made = shop.db
        .prepare(`insert into items (${names.join(', ')}) values (${names.map(() => '?').join(', ')}) returning id`)
        .get(...values)
      return asNativeId(String(made?.id))
    },
    edit: async (nativeId, patch) => {
      for (const [name, value] of Object.entries(patch))
        shop.db.prepare(`update items set ${name} = ? where id = ?`).run(value as string, nativeId)
    },
    delete: async (nativeId) => void shop.db.prepare('delete from items where id = ?').run(nativeId),
    peek: async (nativeId) =>
      shop.db.prepare('select * from items where id = ?').get(nativeId) as NativeRecord | undefined,
    ids: async () => shop.rows('select id from items order by id').map(({ id }) => asNativeId(String(id))),
    fault: async (next) => {
      if (fault === 'down') {
        renameSync(away, shop.file)
        shop.reopen()
      }
      if (fault === 'overloaded') shop.db.exec('rollback')
      if (fault === 'rejects') shop.db.exec('drop trigger refuse_all')
      fault = next
      if (next === 'down') {
        shop.db.close()
        renameSync(shop.file, away)
      }
      if (next === 'overloaded') shop.db.exec('begin exclusive')
      if (next === 'rejects')
        shop.db.exec(
          `create trigger refuse_all before insert on items begin select raise(abort, 'the shop takes no more'); end`,
        )
    },
    [Symbol.asyncDispose]: async () => {
      await connector.source.close()
      await connector.target.close()
      shop[Symbol.dispose]()
    },
  }
}
