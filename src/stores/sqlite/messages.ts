import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { SyncError } from '../../errors/index.ts'
import { decodeData, encodeData } from '../../model/value.ts'
import type { LaterVerdict, MessageLog, MessageQuery, MessageRow, NewMessage } from '../../ports/messages.ts'
import { type OpenDriver, openNodeSqlite, type SqlValue } from './driver.ts'
import { toPortError } from './errors.ts'
import { type Migration, migrate } from './migrations.ts'
import { Statements } from './statements.ts'

export const MESSAGE_MIGRATIONS: readonly Migration[] = [
  `
  CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    flow TEXT NOT NULL,
    app TEXT NOT NULL,
    verdict TEXT NOT NULL,
    payload TEXT,
    body TEXT NOT NULL
  ) STRICT;
  CREATE INDEX messages_of_flow ON messages (flow, id) WHERE flow <> '';
  CREATE INDEX messages_unusual ON messages (verdict, id) WHERE verdict NOT IN ('accepted', 'replied');

  CREATE TABLE later (
    id INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    text TEXT NOT NULL
  ) STRICT;
  CREATE INDEX later_of_message ON later (id);
  `,
]

/** OFF: nothing here has to survive a power cut, and the door must not wait for it. */
const PRAGMAS = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = OFF;
  PRAGMA wal_autocheckpoint = 4000;
  PRAGMA journal_size_limit = 67108864;
`

/** Later verdicts shown of one message. */
const LATER_MAX = 50

export class SqliteMessageLog implements MessageLog {
  readonly #path: string
  readonly #openDriver: OpenDriver
  #sql: Statements | null = null

  constructor(options: { readonly path: string; readonly openDriver?: OpenDriver }) {
    this.#path = options.path
    this.#openDriver = options.openDriver ?? openNodeSqlite
  }

  async open(): Promise<void> {
    try {
      mkdirSync(dirname(this.#path), { recursive: true })
      const database = this.#openDriver(this.#path, { readOnly: false })
      database.exec(PRAGMAS)
      migrate(database, MESSAGE_MIGRATIONS, 'store', this.#path)
      this.#sql = new Statements(database)
    } catch (error) {
      throw toPortError('store', this.#path, error)
    }
  }

  async write(
    rows: readonly NewMessage[],
    later: readonly (LaterVerdict & { readonly id: number })[],
  ): Promise<readonly number[]> {
    return this.#ask((sql) =>
      sql.transaction(() => {
        const ids = rows.map((row) => insert(sql, row))
        for (const { id, atMs, verdict, text } of later)
          sql.of('INSERT INTO later VALUES (?, ?, ?, ?)').run(id, atMs, verdict, text)
        return ids
      }),
    )
  }

  async list({ flow, app, verdict, text, sinceMs, before, max }: MessageQuery): Promise<readonly MessageRow[]> {
    const where = ['m.id < ?']
    const values: SqlValue[] = [before ?? Number.MAX_SAFE_INTEGER]
    const add = (condition: string, ...given: SqlValue[]): void => {
      where.push(condition)
      values.push(...given)
    }
    if (flow !== undefined) add('m.flow = ?', flow)
    if (app !== undefined) add('m.app = ?', app)
    if (sinceMs !== undefined) add('m.at_ms >= ?', sinceMs)
    if (verdict !== undefined)
      add('(m.verdict = ? OR EXISTS (SELECT 1 FROM later AS l WHERE l.id = m.id AND l.verdict = ?))', verdict, verdict)
    if (text !== undefined) add('(instr(m.payload, ?) > 0 OR instr(m.body, ?) > 0)', text, text)
    return this.#ask((sql) =>
      sql
        .of(`SELECT m.id, m.payload, m.body FROM messages AS m WHERE ${where.join(' AND ')} ORDER BY m.id DESC LIMIT ?`)
        .all(...values, max)
        .map((row) => rowOf(sql, row)),
    )
  }

  async get(id: number): Promise<MessageRow | null> {
    return this.#ask((sql) => {
      const row = sql.of('SELECT id, payload, body FROM messages WHERE id = ?').get(id)
      return row === undefined ? null : rowOf(sql, row)
    })
  }

  async prune(beforeMs: number, rowsMax: number, max: number): Promise<number> {
    return this.#ask((sql) =>
      sql.transaction(() => {
        const newest = Number(sql.of('SELECT max(id) FROM messages').get()?.[0] ?? 0)
        const ids = sql
          .of('SELECT id FROM messages WHERE at_ms < ? OR id <= ? ORDER BY id LIMIT ?')
          .all(beforeMs, newest - rowsMax, max)
          .map((row) => row[0] as number)
        const list = JSON.stringify(ids)
        sql.of('DELETE FROM messages WHERE id IN (SELECT value FROM json_each(?))').run(list)
        sql.of('DELETE FROM later WHERE id IN (SELECT value FROM json_each(?))').run(list)
        return ids.length
      }),
    )
  }

  async close(): Promise<void> {
    this.#sql?.database.close()
    this.#sql = null
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #ask<T>(run: (sql: Statements) => T): T {
    if (this.#sql === null)
      throw new SyncError('store.failed', `the message log ${this.#path} is not open`, { place: { path: this.#path } })
    try {
      return run(this.#sql)
    } catch (error) {
      throw toPortError('store', this.#path, error)
    }
  }
}

function insert(sql: Statements, row: NewMessage): number {
  const { payload, ...rest } = row
  const done = sql
    .of('INSERT INTO messages (at_ms, flow, app, verdict, payload, body) VALUES (?, ?, ?, ?, ?, ?) RETURNING id')
    .get(row.atMs, row.flow ?? '', row.app ?? '', row.verdict, payload, encodeData(rest))
  return done?.[0] as number
}

function rowOf(sql: Statements, [id, payload, body]: readonly SqlValue[]): MessageRow {
  const later = sql
    .of('SELECT at_ms, verdict, text FROM later WHERE id = ? ORDER BY rowid LIMIT ?')
    .all(id as number, LATER_MAX)
    .map(([atMs, verdict, text]) => ({ atMs: atMs as number, verdict: verdict as string, text: text as string }))
  return {
    id: id as number,
    ...(decodeData(body as string) as Omit<NewMessage, 'payload'>),
    payload: payload as string | null,
    later,
  }
}
