import type { Input } from '../../model/change.ts'
import { encodeData } from '../../model/value.ts'
import type { NewEntry } from '../../ports/journal.ts'
import { inputPlace } from '../input-place.ts'
import type { SqlValue } from './driver.ts'
import { writeMeta } from './migrations.ts'
import type { Statements } from './statements.ts'

/** An entry made ready for its row, so that what cannot be written fails its own caller and not the group. */
export interface EntryRow {
  readonly atMs: number
  readonly app: string
  readonly object: string
  readonly dedupKey: string | null
  readonly body: string
  /** The columns behind `seq`. */
  readonly columns: readonly SqlValue[]
}

export interface FeedRow {
  readonly app: string
  readonly feed: string
  readonly position: string
}

/** What one transaction of the journal writes. */
export interface AppendRows {
  /** The position of the first entry that is new. */
  readonly firstSeq: number
  readonly entries: readonly (readonly SqlValue[])[]
  readonly feeds: readonly FeedRow[]
  /** The new bound of the file's newest time; null when the old one holds. */
  readonly maxAtMs: number | null
}

/** Hot path. */
export function entryToRow({ shard, atMs, mappingVersion, input, dedupKey, bodyText }: NewEntry): EntryRow {
  const place = inputPlace(input)
  const app = place.app ?? ''
  const object = place.object ?? ''
  const body = bodyText === undefined || input.type !== 'message' ? encodeData(input) : messageText(input, bodyText)
  const columns = [shard, atMs, mappingVersion, input.type, app, object, place.nativeId ?? '', dedupKey, body]
  return { atMs, app, object, dedupKey, body, columns }
}

/** As `encodeData` would write it, around a body that is text already. */
function messageText({ type, flow, message }: Extract<Input, { type: 'message' }>, bodyText: string): string {
  const { body: _, ...rest } = message
  return encodeData({ type, flow, message: rest }).slice(0, -2) + ',"body":' + bodyText + '}}'
}

const INSERT_ENTRY = `
  INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (dedup_key, app_id, object_id) WHERE dedup_key IS NOT NULL DO NOTHING`

/** Inside a transaction. Which of the entries are new: those are numbered in order, without gaps. Hot path. */
export function writeEntries(sql: Statements, { firstSeq, entries, feeds, maxAtMs }: AppendRows): readonly boolean[] {
  for (const feed of feeds) writeFeed(sql, feed)
  const insert = sql.of(INSERT_ENTRY)
  let seq = firstSeq
  const areNew = entries.map((columns) => {
    const isNew = insert.run(seq, ...columns).changes === 1
    if (isNew) seq++
    return isNew
  })
  if (maxAtMs !== null) writeMeta(sql.database, 'max_at_ms', maxAtMs)
  return areNew
}

export function writeFeed(sql: Statements, { app, feed, position }: FeedRow): void {
  sql.of('INSERT OR REPLACE INTO feeds VALUES (?, ?, ?)').run(app, feed, position)
}
