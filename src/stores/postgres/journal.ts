import { SyncError } from '../../errors/index.ts'
import type { JournalEntry } from '../../model/change.ts'
import {
  type AppId,
  asFeedPosition,
  asJournalPosition,
  type FeedPosition,
  type FlowName,
  type JournalPosition,
} from '../../model/ids.ts'
import { decodeData, encodeData } from '../../model/value.ts'
import type { Journal, JournalAppend, NewEntry } from '../../ports/journal.ts'
import { inputPlace } from '../input-place.ts'
import { type Connected, Connection, type PgModule, placeOf, type Row, schemaName } from './driver.ts'
import { isConnectionLost, toPortError } from './errors.ts'
import { ownerLock, prepareSchema, SCHEMA_DEFAULT } from './store.ts'
import { toPgText } from './text.ts'

export interface PostgresJournalOptions {
  readonly url: string
  /** The same as the store's. Default `latchwork`. */
  readonly schema?: string
  /** Entries of one partition, which is dropped whole. Default: about a day's, by how fast the one before was filled. */
  readonly partitionEntries?: number
  readonly pg?: PgModule
}

/** A partition that is made ahead for about a day, between what is worth a table and about a GiB. */
const PARTITION_ENTRIES_MIN = 1_000
const PARTITION_ENTRIES_MAX = 1_000_000
const PARTITION_ENTRIES_FIRST = 20_000
const DAY_MS = 86_400_000
/** Entries appended in one call at the most: what gathers beyond it goes into the next, so that one statement stays below some MB. */
const APPEND_MAX = 2_000

interface Waiting {
  readonly entries: readonly NewEntry[]
  readonly feeds: NonNullable<JournalAppend['feeds']>
  readonly resolve: (positions: readonly (JournalPosition | null)[]) => void
  readonly reject: (error: SyncError) => void
}

/**
 * The journal as a partitioned table in PostgreSQL. Appends that wait while one is under way share the next call, its transaction and its fsync. One owner: a
 * session's lock keeps a second one out, and an owner number in the same row as the last position fences one that lost its connection. An append that was refused because its
 * connection broke leaves nothing: before the owner goes on, what lies beyond the last position that it confirmed is removed.
 */
export class PostgresJournal implements Journal {
  readonly #schema: string
  readonly #place: string
  readonly #partitionEntries: number | undefined
  readonly #owner: Connection
  readonly #reading: Connection
  readonly #feeds = new Map<string, FeedPosition>()
  #epoch = 0
  #last = 0
  /** The first position that no partition holds yet. */
  #partitionsEnd = 0
  #queue: Waiting[] = []
  #flush: Promise<void> | null = null
  #closed = false
  #opened = false

  /** Opens or makes the journal; refuses `store.in-use` while another process has it. */
  static async open(options: PostgresJournalOptions): Promise<PostgresJournal> {
    const journal = new PostgresJournal(options)
    try {
      await journal.#owner.open()
      journal.#opened = true
      return journal
    } catch (error) {
      await journal.close()
      throw toPortError('journal', journal.#place, error)
    }
  }

  private constructor(options: PostgresJournalOptions) {
    const { url, schema = SCHEMA_DEFAULT, partitionEntries, pg } = options
    this.#schema = schemaName(schema)
    this.#place = `${placeOf(url)} (schema ${schema})`
    this.#partitionEntries = partitionEntries
    const driver = pg === undefined ? {} : { pg }
    this.#owner = new Connection({ url, applicationName: 'latchwork journal', ...driver }, (connection) =>
      this.#takeOver(connection),
    )
    this.#reading = new Connection({ url, applicationName: 'latchwork journal reader', ...driver })
  }

  /** On every new connection of the owner. The row's lock waits for an append that an older session of ours still has under way. */
  async #takeOver(connection: Connected): Promise<void> {
    const s = this.#schema
    if (!this.#opened) await prepareSchema(connection, s, this.#place)
    await connection.script("SET synchronous_commit = on; SET lock_timeout = '10s'")
    await ownerLock(connection, `${s}.journal`, this.#place)
    const [row] = await connection.rows(`UPDATE ${s}.journal_state SET epoch = epoch + 1 RETURNING epoch, last`)
    const [epoch, last] = row as Row
    if (this.#opened) await this.#undoUnconfirmed(connection)
    else await this.#readFeeds(connection, Number(last))
    this.#epoch = Number(epoch)
    const [end] = await connection.rows(
      `SELECT max((regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \\(''?(\\d+)''?\\)'))[1]::bigint)
       FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE inhparent = '${s}.journal'::regclass`,
    )
    this.#partitionsEnd = Number(end?.[0] ?? 0)
  }

  async #readFeeds(connection: Connected, last: number): Promise<void> {
    this.#last = last
    for (const [app, feed, position] of await connection.rows(
      `SELECT app_id, feed, position FROM ${this.#schema}.feeds`,
    ))
      this.#feeds.set(feedKey(app as string, feed as string), asFeedPosition(position as string))
  }

  /** What an append did whose answer never came was refused to its caller: its entries and feed positions are taken back. */
  async #undoUnconfirmed(connection: Connected): Promise<void> {
    const s = this.#schema
    const keys = [...this.#feeds.keys()].map((key) => key.split('\u0000'))
    await connection.rows(
      `WITH gone AS (DELETE FROM ${s}.journal WHERE seq > $1),
         back AS (UPDATE ${s}.journal_state SET last = $1),
         kept AS (SELECT * FROM unnest($2::text[], $3::text[], $4::text[]) AS t (app, feed, position)),
         unknown AS (DELETE FROM ${s}.feeds WHERE NOT EXISTS (SELECT 1 FROM kept WHERE app = app_id AND kept.feed = feeds.feed))
       UPDATE ${s}.feeds SET position = kept.position FROM kept WHERE kept.app = app_id AND kept.feed = feeds.feed`,
      [this.#last, keys.map(([app]) => app), keys.map(([, feed]) => feed), [...this.#feeds.values()]],
    )
  }

  async append(batch: JournalAppend): Promise<readonly (JournalPosition | null)[]> {
    this.#requireOpen()
    const { promise, resolve, reject } = Promise.withResolvers<readonly (JournalPosition | null)[]>()
    this.#queue.push({ entries: batch.entries, feeds: batch.feeds ?? [], resolve, reject })
    this.#flush ??= this.#flushAll()
    return promise
  }

  async #flushAll(): Promise<void> {
    // What is called in the same turn of the event loop goes along.
    await new Promise<void>((resolve) => setImmediate(resolve))
    while (this.#queue.length > 0) {
      const group = this.#takeGroup()
      try {
        const positions = await this.#write(group)
        for (const [i, waiting] of group.entries()) waiting.resolve(positions[i] ?? [])
      } catch (error) {
        const refusal = toPortError('journal', this.#place, error)
        for (const waiting of group) waiting.reject(refusal)
      }
    }
    this.#flush = null
  }

  #takeGroup(): readonly Waiting[] {
    let count = 0
    let taken = 0
    for (const { entries } of this.#queue) {
      if (taken > 0 && count + entries.length > APPEND_MAX) break
      count += entries.length
      taken++
    }
    return this.#queue.splice(0, taken)
  }

  async #write(group: readonly Waiting[]): Promise<readonly (readonly (JournalPosition | null)[])[]> {
    const entries = group.flatMap((waiting) => waiting.entries)
    const feeds = group.flatMap((waiting) => waiting.feeds)
    await this.#makePartitions(entries.length)
    const places = entries.map(({ input }) => inputPlace(input))
    const [row] = await this.#owner.rows(
      `SELECT array_to_string(${this.#schema}.journal_append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13), ',', '-')`,
      [
        this.#epoch,
        entries.map(({ shard }) => shard),
        entries.map(({ atMs }) => Math.floor(atMs)),
        entries.map(({ mappingVersion }) => mappingVersion),
        entries.map(({ input }) => input.type),
        places.map(({ app }) => toPgText(app ?? '')),
        places.map(({ object }) => toPgText(object ?? '')),
        places.map(({ nativeId }) => toPgText(nativeId ?? '')),
        entries.map(({ dedupKey }) => (dedupKey === null ? null : toPgText(dedupKey))),
        entries.map(({ input }) => encodeData(input)),
        feeds.map(({ app }) => app),
        feeds.map(({ feed }) => feed),
        feeds.map(({ position }) => position),
      ],
      'latchwork_append',
    )
    const text = row?.[0] ?? ''
    const flat =
      text === '' ? [] : text.split(',').map((part) => (part === '-' ? null : asJournalPosition(Number(part))))
    const newest = flat.findLast((position) => position !== null)
    if (newest !== undefined && newest !== null) this.#last = newest
    for (const { app, feed, position } of feeds) this.#feeds.set(feedKey(app, feed), position)
    let at = 0
    return group.map((waiting) => flat.slice(at, (at += waiting.entries.length)))
  }

  /** Partitions are made before they are needed, in transactions of their own. */
  async #makePartitions(count: number): Promise<void> {
    await this.#owner.open()
    while (this.#last + count >= this.#partitionsEnd) {
      const from = this.#partitionsEnd
      const to = from + (await this.#nextSize())
      const table = `${this.#schema}.${partitionName(from)}`
      await this.#owner.rows(
        `CREATE TABLE IF NOT EXISTS ${table} PARTITION OF ${this.#schema}.journal FOR VALUES FROM (${from}) TO (${to})`,
      )
      this.#partitionsEnd = to
    }
  }

  /** A day's entries, as fast as the newest partition was filled. */
  async #nextSize(): Promise<number> {
    if (this.#partitionEntries !== undefined) return this.#partitionEntries
    const [row] = await this.#owner.rows(
      `SELECT count(*), max(at_ms) - min(at_ms) FROM (
         SELECT at_ms FROM ${this.#schema}.journal ORDER BY seq DESC LIMIT ${PARTITION_ENTRIES_FIRST}
       ) AS newest`,
    )
    const [count, tookMs] = (row as Row).map(Number) as [number, number]
    if (count < PARTITION_ENTRIES_MIN) return PARTITION_ENTRIES_FIRST
    const perDay = Math.round((count * DAY_MS) / Math.max(1, tookMs))
    return Math.min(PARTITION_ENTRIES_MAX, Math.max(PARTITION_ENTRIES_MIN, perDay))
  }

  async read(after: JournalPosition, max: number, flow?: FlowName): Promise<readonly JournalEntry[]> {
    return this.#ask(async () => {
      if (flow !== undefined) return this.#readMessages(after, max, flow)
      const rows = await this.#reading.rows(
        `SELECT seq, shard, at_ms, mapping_version, body FROM ${this.#schema}.journal
         WHERE seq > $1 AND seq <= $2 ORDER BY seq LIMIT $3`,
        [after, this.#last, max],
        'latchwork_read',
      )
      return rows.map(rowToEntry)
    })
  }

  async #readMessages(after: JournalPosition, max: number, flow: FlowName): Promise<readonly JournalEntry[]> {
    const rows = await this.#reading.rows(
      `SELECT seq, shard, at_ms, mapping_version, body FROM ${this.#schema}.journal
       WHERE seq > $1 AND seq <= $2 AND type = 'message' AND object_id = $4 ORDER BY seq LIMIT $3`,
      [after, this.#last, max, flow],
      'latchwork_read_messages',
    )
    return rows.map(rowToEntry)
  }

  last(): JournalPosition {
    return asJournalPosition(this.#last)
  }

  async feed(app: AppId, feed: string): Promise<FeedPosition | null> {
    return this.#feeds.get(feedKey(app, feed)) ?? null
  }

  async drop(through: JournalPosition, beforeMs: number): Promise<number> {
    return this.#ask(async () => {
      const s = this.#schema
      const rows = await this.#owner.rows(
        `SELECT c.relname FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
         WHERE inhparent = '${s}.journal'::regclass ORDER BY c.relname`,
      )
      let dropped = 0
      for (const [table] of rows.slice(0, -1)) {
        const [stats] = await this.#owner.rows(`SELECT count(*), max(seq), max(at_ms) FROM ${s}.${table}`)
        const [count, newest, atMs] = (stats as Row).map(Number) as [number, number, number]
        if (newest > through || atMs >= beforeMs) break
        await this.#owner.rows(`DROP TABLE ${s}.${table}`)
        dropped += count
      }
      return dropped
    })
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#flush
    await this.#owner.close()
    await this.#reading.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #requireOpen(): void {
    if (!this.#closed) return
    throw new SyncError('journal.failed', `the journal in ${this.#place} is closed`, {
      place: { database: this.#place },
    })
  }

  /** What only asks may be asked again when its connection broke. */
  async #ask<T>(run: () => Promise<T>): Promise<T> {
    this.#requireOpen()
    try {
      return await run().catch((error: unknown) => {
        if (!isConnectionLost(error)) throw error
        return run()
      })
    } catch (error) {
      throw toPortError('journal', this.#place, error)
    }
  }
}

const rowToEntry = ([seq, shard, atMs, mappingVersion, body]: Row): JournalEntry => ({
  seq: asJournalPosition(Number(seq)),
  shard: Number(shard),
  atMs: Number(atMs),
  mappingVersion: Number(mappingVersion),
  input: decodeData(body as string) as JournalEntry['input'],
})

const partitionName = (from: number): string => `journal_${String(from).padStart(15, '0')}`

const feedKey = (app: string, feed: string): string => app + '\u0000' + feed
