import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { SyncError } from '../../errors/index.ts'
import { decodeData, encodeData } from '../../model/value.ts'
import type { LaterVerdict, MessageLog, MessageQuery, MessageRow, NewMessage } from '../../ports/messages.ts'
import { Checkpointer } from './checkpointer.ts'
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

  CREATE TABLE later (
    id INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    text TEXT NOT NULL
  ) STRICT;
  `,
  // A row a message was a tenth of the hub's work under load. Nobody but people reads them, so they stand together as they were written.
  `
  DROP TABLE messages;
  DROP TABLE later;

  CREATE TABLE chunks (
    first_id INTEGER PRIMARY KEY,
    last_id INTEGER NOT NULL,
    last_ms INTEGER NOT NULL,
    body TEXT NOT NULL,
    -- of each message a line, empty where none is kept: as they are, because a text of JSON within JSON is twice the work
    payloads TEXT NOT NULL
  ) STRICT;

  CREATE TABLE later (
    last_id INTEGER NOT NULL,
    first_id INTEGER NOT NULL,
    body TEXT NOT NULL
  ) STRICT;
  CREATE INDEX later_of_chunk ON later (last_id, first_id);
  `,
]

/** OFF: nothing here has to survive a power cut, and the door must not wait for it. */
/** What the checkpointer takes a row for: two pages. */
const BYTES_PER_ROW = 8_192

const PRAGMAS = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = OFF;
  PRAGMA wal_autocheckpoint = 4000;
  PRAGMA journal_size_limit = 67108864;
`

/** Later verdicts shown of one message. */
const LATER_MAX = 50
/** Later verdicts of messages that lie further apart do not stand in one row: it would be looked into for everything between them. */
const LATER_SPAN_MAX = 5_000
/** Chunks looked into before everything else has its turn. */
const CHUNKS_PER_TURN = 4

type Late = LaterVerdict & { readonly id: number }

interface Chunk {
  readonly firstId: number
  readonly rows: readonly NewMessage[]
}

/** The messages of one write stand in one row; they are told apart when somebody looks. */
export class SqliteMessageLog implements MessageLog {
  readonly #path: string
  readonly #openDriver: OpenDriver
  #sql: Statements | null = null
  /** null where SQLite itself copies its log. */
  #checkpointer: Checkpointer | null = null
  #lastId = 0

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
      if (this.#openDriver === openNodeSqlite) {
        database.exec('PRAGMA wal_autocheckpoint = 0')
        this.#checkpointer = new Checkpointer(this.#path, database)
      }
      this.#lastId = Number(this.#sql.of('SELECT max(last_id) FROM chunks').get()?.[0] ?? 0)
    } catch (error) {
      throw toPortError('store', this.#path, error)
    }
  }

  async write(rows: readonly NewMessage[], later: readonly Late[]): Promise<readonly number[]> {
    const firstId = this.#lastId + 1
    const lastId = this.#lastId + rows.length
    let bytes = 0
    this.#ask((sql) =>
      sql.transaction(() => {
        if (rows.length > 0) {
          const lastMs = rows.reduce((newest, { atMs }) => Math.max(newest, atMs), 0)
          const body = encodeData(rows.map(({ payload: _, ...row }) => row))
          const payloads = rows.map(({ payload }) => (payload === null ? '' : lineOf(payload))).join('\n')
          sql.of('INSERT INTO chunks VALUES (?, ?, ?, ?, ?)').run(firstId, lastId, lastMs, body, payloads)
          bytes = body.length + payloads.length
        }
        for (const group of groupsOf(later)) {
          const ids = group.map(({ id }) => id)
          sql.of('INSERT INTO later VALUES (?, ?, ?)').run(Math.max(...ids), Math.min(...ids), encodeData(group))
        }
      }),
    )
    this.#checkpointer?.committed(bytes / BYTES_PER_ROW)
    this.#lastId = lastId
    return rows.map((_, i) => firstId + i)
  }

  async list(query: MessageQuery): Promise<readonly MessageRow[]> {
    const found: MessageRow[] = []
    let before = query.before ?? Number.MAX_SAFE_INTEGER
    for (let looked = 1; found.length < query.max; looked++) {
      const chunk = this.#chunkBefore(before, query)
      if (chunk === null) break
      const rows = this.#rowsOf(chunk).filter((row) => row.id < before && answers(row, query))
      found.push(...rows.reverse().slice(0, query.max - found.length))
      before = chunk.firstId
      if (looked % CHUNKS_PER_TURN === 0) await new Promise<void>((resolve) => setTimeout(resolve))
    }
    return found
  }

  async get(id: number): Promise<MessageRow | null> {
    const chunk = this.#chunkBefore(id + 1, {})
    return chunk === null ? null : (this.#rowsOf(chunk).find((row) => row.id === id) ?? null)
  }

  async prune(beforeMs: number, rowsMax: number, max: number): Promise<number> {
    return this.#ask((sql) =>
      sql.transaction(() => {
        const old = sql
          .of('SELECT first_id, last_id FROM chunks WHERE last_ms < ?1 OR last_id <= ?2 ORDER BY first_id LIMIT 100')
          .all(beforeMs, this.#lastId - rowsMax)
        let removed = 0
        for (const [firstId, lastId] of old as readonly (readonly [number, number])[]) {
          // The newest stays: the next number follows from it.
          if (lastId === this.#lastId || (removed > 0 && removed + lastId - firstId >= max)) break
          sql.of('DELETE FROM chunks WHERE first_id = ?').run(firstId)
          sql.of('DELETE FROM later WHERE last_id <= ?').run(lastId)
          removed += lastId - firstId + 1
        }
        return removed
      }),
    )
  }

  async close(): Promise<void> {
    await this.#checkpointer?.close()
    this.#checkpointer = null
    this.#sql?.database.close()
    this.#sql = null
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** The newest chunk with ids below `before` that may hold what is asked for; what stands in its text is looked at by the database. */
  #chunkBefore(before: number, { flow, app, text, sinceMs }: Partial<MessageQuery>): Chunk | null {
    const where = ['first_id < ?']
    const values: SqlValue[] = [before]
    for (const [name, value] of [['flow', flow] as const, ['app', app] as const]) {
      if (value === undefined) continue
      where.push('instr(body, ?) > 0')
      values.push(`"${name}":${JSON.stringify(value)}`)
    }
    if (text !== undefined) {
      where.push('(instr(payloads, ?) > 0 OR instr(body, ?) > 0)')
      values.push(text, inner(text))
    }
    if (sinceMs !== undefined) {
      where.push('last_ms >= ?')
      values.push(sinceMs)
    }
    const sql = `SELECT first_id, body, payloads FROM chunks WHERE ${where.join(' AND ')} ORDER BY first_id DESC LIMIT 1`
    const row = this.#ask((statements) => statements.of(sql).get(...values))
    if (row === undefined) return null
    const payloads = (row[2] as string).split('\n')
    const rows = decodeData(row[1] as string) as readonly Omit<NewMessage, 'payload'>[]
    return { firstId: row[0] as number, rows: rows.map((one, i) => ({ ...one, payload: payloads[i] || null })) }
  }

  #rowsOf({ firstId, rows }: Chunk): readonly MessageRow[] {
    const found = this.#ask((sql) =>
      sql
        .of('SELECT body FROM later WHERE last_id >= ? AND first_id <= ? ORDER BY rowid')
        .all(firstId, firstId + rows.length - 1),
    )
    const laterById = new Map<number, LaterVerdict[]>()
    for (const [body] of found) {
      for (const { id, ...verdict } of decodeData(body as string) as readonly Late[]) {
        const known = laterById.get(id)
        if (known === undefined) laterById.set(id, [verdict])
        else if (known.length < LATER_MAX) known.push(verdict)
      }
    }
    return rows.map((row, i) => ({ id: firstId + i, ...row, later: laterById.get(firstId + i) ?? [] }))
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

/** How a text stands between the quotation marks of a JSON text. */
const inner = (text: string): string => JSON.stringify(text).slice(1, -1)

/** In a text of JSON a line can only break between two of its members. */
const lineOf = (payload: string): string => (payload.includes('\n') ? payload.replaceAll('\n', ' ') : payload)

function answers(row: MessageRow, { flow, app, verdict, text, sinceMs }: MessageQuery): boolean {
  return (
    (flow === undefined || row.flow === flow) &&
    (app === undefined || row.app === app) &&
    (sinceMs === undefined || row.atMs >= sinceMs) &&
    (verdict === undefined || row.verdict === verdict || row.later.some((later) => later.verdict === verdict)) &&
    (text === undefined || row.payload?.includes(text) === true || mentions(row, text))
  )
}

function mentions({ payload: _, later: __, ...row }: MessageRow, text: string): boolean {
  const within = encodeData(row)
  return within.includes(text) || within.includes(inner(text))
}

/** In the order in which they came: those of neighbouring messages together. */
function groupsOf(later: readonly Late[]): readonly (readonly Late[])[] {
  const groups: Late[][] = []
  let firstId = 0
  let lastId = 0
  for (const late of later) {
    const isNear = Math.max(lastId, late.id) - Math.min(firstId, late.id) <= LATER_SPAN_MAX
    if (groups.length > 0 && isNear) {
      groups.at(-1)?.push(late)
      firstId = Math.min(firstId, late.id)
      lastId = Math.max(lastId, late.id)
    } else {
      groups.push([late])
      firstId = lastId = late.id
    }
  }
  return groups
}
