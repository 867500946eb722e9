import { SyncError } from '../../errors/index.ts'
import type { Link, Note, OpenLane, Verdict } from '../../model/record.ts'
import { VERDICTS_MAX } from '../../model/record.ts'
import { encodeData } from '../../model/value.ts'
import type { CommitBatch, RecordWrite } from '../../ports/store.ts'
import { encodeRecordBody } from '../record-codec.ts'
import type { SqlValue } from './driver.ts'
import { isTaken } from './errors.ts'
import type { Statements } from './statements.ts'

type Row = readonly SqlValue[]

/** A record's row: key, entity, shard, rev, deleted, body, verdicts, expected rev. Its open lanes are rows without the key; null when they did not change. */
interface RecordRows {
  readonly row: readonly [string, string, number, number, number, string, string, number]
  readonly openLanes: readonly Row[] | null
}

/** A batch as rows: plain data. */
export interface CommitRows
  extends Pick<CommitBatch, 'epoch' | 'cursor' | 'links' | 'matches' | 'heldDone' | 'notes' | 'hints'> {
  readonly records: readonly RecordRows[]
  readonly held: readonly Row[]
  readonly conflicts: readonly Row[]
}

/** Encodes a batch: what depends on the engine's own objects is done here, what SQLite does is left to `writeRows`. Hot path. */
export function batchToRows(batch: CommitBatch): CommitRows {
  return {
    epoch: batch.epoch,
    cursor: batch.cursor,
    records: batch.records.map(recordToRows),
    links: batch.links,
    matches: batch.matches,
    heldDone: batch.heldDone,
    notes: batch.notes ?? [],
    hints: batch.hints ?? [],
    held: batch.held.map((entry) => {
      const { seq, entity, app, object, nativeId, waitsOn } = entry
      return [seq, entity, app, object, nativeId, waitsOn, encodeData(entry)]
    }),
    conflicts: batch.conflicts.map((conflict) => {
      const { key, entity, path, reason, loserApp, winnerApp, atMs } = conflict
      return [key, entity, path, reason, loserApp, winnerApp, atMs, encodeData(conflict)]
    }),
  }
}

function recordToRows({ state, expectRev, verdicts, openLanes }: RecordWrite): RecordRows {
  const { key, entity, shard, rev } = state
  const body = encodeRecordBody(state)
  return {
    row: [key, entity, shard, rev, state.deleted ? 1 : 0, body, verdictLines(verdicts), expectRev],
    openLanes: openLanes === null ? null : openLanes.map(openLaneToRow),
  }
}

const openLaneToRow = ({ app, entity, state, op, sinceMs, code }: OpenLane): Row => [
  app,
  entity,
  state,
  op,
  sinceMs,
  code,
]

function verdictLines(verdicts: readonly Verdict[]): string {
  let text = ''
  for (const verdict of verdicts) text += encodeData(verdict) + '\n'
  return text
}

/**
 * Writes one batch; to be called inside a transaction. Rows are applied in the order given, so a later one sees the earlier ones. This is the
 * hot path of the store.
 */
export function writeRows(sql: Statements, batch: CommitRows): void {
  requireEpoch(sql, batch.epoch)
  for (const record of batch.records) writeRecord(sql, record)
  for (const link of batch.links) writeLink(sql, link)
  for (const match of batch.matches) writeMatch(sql, match)
  for (const hint of batch.hints ?? []) writeHint(sql, hint)
  for (const { seq, entity } of batch.heldDone) sql.of('DELETE FROM held WHERE seq = ? AND entity = ?').run(seq, entity)
  for (const row of batch.held) sql.of('INSERT OR REPLACE INTO held VALUES (?, ?, ?, ?, ?, ?, ?)').run(...row)
  for (const row of batch.conflicts) sql.of(INSERT_CONFLICT).run(...row)
  for (const note of batch.notes ?? []) writeNote(sql, note)
  if (batch.cursor !== null) {
    sql
      .of('INSERT INTO cursors VALUES (?, ?) ON CONFLICT (consumer) DO UPDATE SET position = excluded.position')
      .run(batch.cursor.consumer, batch.cursor.position)
  }
}

/** The lock file keeps a second hub out; the epoch is the proof in the data itself, for a folder that was copied or a lock that was removed. */
function requireEpoch(sql: Statements, epoch: number): void {
  const current = sql.of("SELECT value FROM meta WHERE name = 'epoch'").get()?.[0]
  if (current === epoch) return
  throw new SyncError('store.fenced', `epoch ${epoch} tried to commit, the store is at epoch ${current}`)
}

const INSERT_RECORD = `
  INSERT INTO records (canonical_key, entity, shard, rev, deleted, body, verdicts)
  VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (canonical_key) DO NOTHING`

const UPDATE_RECORD = `
  UPDATE records SET rev = ?, deleted = ?, shard = ?, body = ?, verdicts = ? || verdicts
  WHERE canonical_key = ? AND rev = ?`

/** Verdicts are cut back at every 32nd rev, so that most writes need not read them; a row rarely holds more than twice the kept number. */
const CUT_EVERY_REVS = 32

function writeRecord(sql: Statements, { row, openLanes }: RecordRows): void {
  const [key, entity, shard, rev, deleted, body, lines, expectRev] = row
  const done =
    expectRev === 0
      ? sql.of(INSERT_RECORD).run(key, entity, shard, rev, deleted, body, lines)
      : sql.of(UPDATE_RECORD).run(rev, deleted, shard, body, lines, key, expectRev)
  if (done.changes !== 1) {
    throw new SyncError('store.rev-conflict', `record ${key} is not at rev ${expectRev}; another owner wrote it`, {
      place: { key, entity },
    })
  }
  if (rev % CUT_EVERY_REVS === 0) cutVerdicts(sql, key)
  if (openLanes !== null) replaceOpenLanes(sql, key, expectRev === 0, openLanes)
}

/** The database puts new verdicts before the others as they are; here too they are only counted, not read. */
function cutVerdicts(sql: Statements, key: string): void {
  const text = sql.of('SELECT verdicts FROM records WHERE canonical_key = ?').get(key)?.[0] as string
  let end = 0
  for (let line = 0; line < VERDICTS_MAX; line++) {
    end = text.indexOf('\n', end) + 1
    if (end === 0) return
  }
  if (end === text.length) return
  sql.of('UPDATE records SET verdicts = ? WHERE canonical_key = ?').run(text.slice(0, end), key)
}

function replaceOpenLanes(sql: Statements, key: string, isNew: boolean, lanes: readonly Row[]): void {
  if (!isNew) sql.of('DELETE FROM open_lanes WHERE canonical_key = ?').run(key)
  for (const row of lanes) sql.of('INSERT INTO open_lanes VALUES (?, ?, ?, ?, ?, ?, ?)').run(key, ...row)
}

/** A live row gives way to its own record's, to a tombstone, or to a record that was said to be the same; never to another's. */
const WRITE_LINK = `
  INSERT INTO links VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (app_id, object_id, native_id, entity) DO UPDATE SET
    canonical_key = excluded.canonical_key, incarnation = excluded.incarnation, state = excluded.state,
    token = excluded.token, at_ms = excluded.at_ms
  WHERE links.state = 'tombstone' OR excluded.state = 'tombstone' OR links.canonical_key = excluded.canonical_key
    OR links.canonical_key = ?`

function writeLink(sql: Statements, link: Link): void {
  const { app, object, nativeId, entity, key, incarnation, state, token, atMs, from = null } = link
  try {
    const done = sql.of(WRITE_LINK).run(app, object, nativeId, entity, key, incarnation, state, token, atMs, from)
    if (done.changes === 1) return
  } catch (error) {
    if (isTaken(error)) throw linkTaken(link, error)
    throw error
  }
  throw linkTaken(link, undefined)
}

function linkTaken({ app, entity, nativeId, key }: Link, cause: unknown): SyncError {
  return new SyncError(
    'store.link-taken',
    `${entity} ${app}:${nativeId} cannot be linked to ${key}: the native record, or the canonical record's place in ${app}, is taken`,
    { place: { app, entity, nativeId }, cause },
  )
}

const WRITE_MATCH = `
  INSERT INTO matches VALUES (?, ?, ?)
  ON CONFLICT (entity, match_key) DO UPDATE SET canonical_key = excluded.canonical_key
  WHERE matches.canonical_key = excluded.canonical_key`

function writeMatch(sql: Statements, { entity, matchKey, key }: CommitBatch['matches'][number]): void {
  if (key === null) {
    sql.of('DELETE FROM matches WHERE entity = ? AND match_key = ?').run(entity, matchKey)
  } else if (sql.of(WRITE_MATCH).run(entity, matchKey, key).changes !== 1) {
    throw new SyncError(
      'store.link-taken',
      `match key ${matchKey} of ${entity} belongs to another record than ${key}`,
      {
        place: { entity, key },
      },
    )
  }
}

function writeHint(sql: Statements, { entity, hint, key, isGone }: NonNullable<CommitBatch['hints']>[number]): void {
  if (isGone) sql.of('DELETE FROM hints WHERE entity = ? AND hint = ? AND canonical_key = ?').run(entity, hint, key)
  else sql.of('INSERT OR IGNORE INTO hints VALUES (?, ?, ?)').run(entity, hint, key)
}

const INSERT_CONFLICT = `
  INSERT INTO conflicts (canonical_key, entity, path, reason, loser_app, winner_app, at_ms, body)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?)`

function writeNote(sql: Statements, { kind, id, atMs, body }: Note): void {
  if (body === null) sql.of('DELETE FROM notes WHERE kind = ? AND id = ?').run(kind, id)
  else sql.of('INSERT OR REPLACE INTO notes VALUES (?, ?, ?, ?)').run(kind, id, atMs, encodeData(body))
}
