import {
  type AppId,
  asAppId,
  asCanonicalKey,
  asEntityName,
  asJournalPosition,
  asNativeId,
  asObjectId,
  asOpId,
  asToken,
  type CanonicalKey,
  type EntityName,
  type JournalPosition,
  type NativeRef,
} from '../../model/ids.ts'
import type { Conflict, HeldEntry, Link, Note, OpenLane, RecordState, Verdict } from '../../model/record.ts'
import { VERDICTS_MAX } from '../../model/record.ts'
import { decodeData } from '../../model/value.ts'
import {
  HINT_KEYS_MAX,
  type LinkQuery,
  type LinkRow,
  type Loaded,
  type LoadQuery,
  type StoreCounts,
} from '../../ports/store.ts'
import { decodeRecord, recordColumns } from '../record-codec.ts'
import type { SqlValue } from './driver.ts'
import type { Statements } from './statements.ts'

type Row = readonly SqlValue[]

/**
 * What both the hub's store and a reader in another process ask. A list of keys goes in as one JSON text: one statement serves every
 * length, and it is as fast as the longest IN list and twice as fast as a statement per key.
 */

const RECORDS = `
  SELECT r.canonical_key, r.entity, r.shard, r.rev, r.deleted, r.body
  FROM json_each(?) AS asked CROSS JOIN records AS r ON r.canonical_key = asked.value`

const LINK_COLUMNS =
  'l.app_id, l.object_id, l.native_id, l.entity, l.canonical_key, l.incarnation, l.state, l.token, l.at_ms'

const LINKS_OF_NATIVES = `
  SELECT ${LINK_COLUMNS} FROM json_each(?3) AS asked
  CROSS JOIN links AS l ON l.app_id = ?1 AND l.object_id = ?2 AND l.native_id = asked.value`

const LINKS_OF_CANONICALS = `
  SELECT ${LINK_COLUMNS} FROM json_each(?2) AS asked
  CROSS JOIN links AS l ON l.canonical_key = asked.value AND l.app_id = ?1 AND l.state = 'live'`

const MATCHES = `
  SELECT m.match_key, m.canonical_key FROM json_each(?2) AS asked
  CROSS JOIN matches AS m ON m.entity = ?1 AND m.match_key = asked.value`

/** Hot path: once per batch of changes. */
export function load(sql: Statements, query: LoadQuery): Loaded {
  return {
    records: query.records.length === 0 ? [] : loadRecords(sql, query.records),
    links: groupBy(query.natives, (ref) => ref.app + '\u0000' + ref.object).flatMap((refs) => {
      const { app, object } = refs[0] as NativeRef
      return sql
        .of(LINKS_OF_NATIVES)
        .all(app, object, JSON.stringify(refs.map((ref) => ref.nativeId)))
        .map(rowToLink)
    }),
    canonicalLinks: groupBy(query.canonicals, ({ app }) => app).flatMap((asked) => {
      const keys = JSON.stringify(asked.map(({ key }) => key))
      return sql
        .of(LINKS_OF_CANONICALS)
        .all((asked[0] as { app: AppId }).app, keys)
        .map(rowToLink)
    }),
    matches: groupBy(query.matches, ({ entity }) => entity).flatMap((asked) => {
      const { entity } = asked[0] as { entity: EntityName }
      const rows = sql.of(MATCHES).all(entity, JSON.stringify(asked.map(({ matchKey }) => matchKey)))
      return rows.map((row) => ({ entity, matchKey: row[0] as string, key: asCanonicalKey(row[1] as string) }))
    }),
    ...(query.hints === undefined ? {} : { hints: query.hints.flatMap((asked) => sharing(sql, asked)) }),
  }
}

const SHARING = 'SELECT canonical_key FROM hints WHERE entity = ? AND hint = ? ORDER BY canonical_key LIMIT ?'

function sharing(sql: Statements, { entity, hint }: NonNullable<LoadQuery['hints']>[number]) {
  const rows = sql.of(SHARING).all(entity, hint, HINT_KEYS_MAX)
  return rows.map((row) => ({ entity, hint, key: asCanonicalKey(row[0] as string) }))
}

function loadRecords(sql: Statements, keys: readonly CanonicalKey[]): readonly RecordState[] {
  return sql
    .of(RECORDS)
    .all(JSON.stringify(keys))
    .map((row) => decodeRecord(recordColumns(row), row[5] as string))
}

export function cursor(sql: Statements, consumer: string): JournalPosition {
  const row = sql.of('SELECT position FROM cursors WHERE consumer = ?').get(consumer)
  return asJournalPosition((row?.[0] as number | undefined) ?? 0)
}

export function openLanes(
  sql: Statements,
  after: { readonly key: CanonicalKey; readonly app: AppId } | null,
  max: number,
): readonly OpenLane[] {
  const rows = sql
    .of(
      `SELECT canonical_key, entity, app_id, state, op, since_ms, code FROM open_lanes
       WHERE (canonical_key, app_id) > (?, ?) ORDER BY canonical_key, app_id LIMIT ?`,
    )
    .all(after?.key ?? '', after?.app ?? '', max)
  return rows.map((row) => ({
    key: asCanonicalKey(row[0] as string),
    entity: asEntityName(row[1] as string),
    app: asAppId(row[2] as string),
    state: row[3] as OpenLane['state'],
    op: row[4] === null ? null : asOpId(row[4] as string),
    sinceMs: row[5] as number,
    code: row[6] as string | null,
  }))
}

export function held(sql: Statements, after: JournalPosition, max: number): readonly HeldEntry[] {
  // The page ends with the whole of its last seq, which the next page could not name a part of.
  const rows = sql
    .of(
      `SELECT body FROM held WHERE seq > ?1
       AND seq <= coalesce((SELECT seq FROM held WHERE seq > ?1 ORDER BY seq LIMIT 1 OFFSET ?2 - 1), 9007199254740991)
       ORDER BY seq, entity`,
    )
    .all(after, max)
  return rows.map((row) => decodeData(row[0] as string) as HeldEntry)
}

export function verdicts(sql: Statements, key: CanonicalKey): readonly Verdict[] {
  const row = sql.of('SELECT verdicts FROM records WHERE canonical_key = ?').get(key)
  const lines = ((row?.[0] as string | undefined) ?? '').split('\n', VERDICTS_MAX)
  return lines.filter((line) => line !== '').map((line) => decodeData(line) as Verdict)
}

export function conflicts(
  sql: Statements,
  query: {
    readonly key?: CanonicalKey
    readonly entity?: EntityName
    readonly before?: number
    readonly max: number
  },
): readonly (Conflict & { readonly id: number })[] {
  const where = new Where()
  where.equals('canonical_key', query.key)
  where.equals('entity', query.entity)
  if (query.before !== undefined) where.add('id < ?', query.before)
  return sql
    .of(`SELECT id, body FROM conflicts ${where.text()} ORDER BY id DESC LIMIT ?`)
    .all(...where.values, query.max)
    .map((row) => ({ ...(decodeData(row[1] as string) as Conflict), id: row[0] as number }))
}

export function notes(sql: Statements, kind: string, max: number): readonly Note[] {
  // A reader may look into a file that no hub of this version has opened yet.
  if (sql.of("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'notes'").get() === undefined) return []
  return sql
    .of('SELECT id, at_ms, body FROM notes WHERE kind = ? ORDER BY id LIMIT ?')
    .all(kind, max)
    .map((row) => ({
      kind,
      id: row[0] as string,
      atMs: row[1] as number,
      body: decodeData(row[2] as string) as Note['body'],
    }))
}

export function counts(sql: Statements): StoreCounts {
  const count = (from: string): number => sql.of(`SELECT count(*) FROM ${from}`).get()?.[0] as number
  const lanes = sql.of('SELECT state, count(*) FROM open_lanes GROUP BY state').all()
  return {
    records: count('records'),
    links: count("links WHERE state = 'live'"),
    held: count('held'),
    conflicts: count('conflicts'),
    openLanes: Object.fromEntries(lanes.map((row) => [row[0], row[1]])),
  }
}

const CLOSED_LANE = `
  EXISTS (
    SELECT 1 FROM open_lanes AS o
    WHERE o.canonical_key = l.canonical_key AND o.app_id = l.app_id AND l.state = 'live'
      AND o.state IN ('intent', 'unknown', 'readback', 'overlay')
  )`
const LINK_ORDER = 'l.app_id, l.object_id, l.native_id, l.entity'

export function links(sql: Statements, query: LinkQuery): readonly LinkRow[] {
  if (query.max <= 0) return []
  if (query.key === undefined && query.nativeId !== undefined && query.object === undefined) {
    return linksOfNativeId(sql, query)
  }
  const page = selectLinks(sql, query, query.max)
  const last = page.at(-1)
  if (last === undefined || page.length < query.max) return page
  // A native record may be linked once per entity; the page ends with all of them, because the next page starts after the native record.
  const { app, object, nativeId } = last
  const whole = selectLinks(
    sql,
    { ...omitAfter(query), app, object, nativeId, max: query.max },
    Number.MAX_SAFE_INTEGER,
  )
  return [...page.filter((link) => !isSameRef(link, last)), ...whole]
}

function selectLinks(sql: Statements, query: LinkQuery, max: number): readonly LinkRow[] {
  const where = new Where()
  where.equals('l.app_id', query.app)
  where.equals('l.object_id', query.object)
  where.equals('l.native_id', query.nativeId)
  where.equals('l.entity', query.entity)
  // Said twice, because each of the two partial indexes serves one state.
  if (query.key !== undefined) {
    where.add(
      "((l.state = 'live' AND l.canonical_key = ?) OR (l.state = 'tombstone' AND l.canonical_key = ?))",
      query.key,
      query.key,
    )
  }
  if (query.after !== undefined) {
    const { app, object, nativeId } = query.after
    where.add('(l.app_id, l.object_id, l.native_id) > (?, ?, ?)', app, object, nativeId)
  }
  return sql
    .of(`SELECT ${LINK_COLUMNS}, ${CLOSED_LANE} FROM links AS l ${where.text()} ORDER BY ${LINK_ORDER} LIMIT ?`)
    .all(...where.values, max)
    .map((row) => ({ ...rowToLink(row), latchClosed: row[9] === 1 }))
}

/** A native id alone: looked up in each object in turn, of which there are few, instead of reading every link. */
function linksOfNativeId(sql: Statements, query: LinkQuery): readonly LinkRow[] {
  const found: LinkRow[] = []
  const next = sql.of(
    'SELECT app_id, object_id FROM links WHERE (app_id, object_id) > (?, ?) ORDER BY app_id, object_id LIMIT 1',
  )
  for (let at = next.get('', ''); at !== undefined; at = next.get(...at)) {
    const app = asAppId(at[0] as string)
    const object = asObjectId(at[1] as string)
    if (query.app !== undefined && query.app !== app) continue
    found.push(...selectLinks(sql, { ...query, app, object }, query.max))
    if (found.length >= query.max) break
  }
  return found
}

function rowToLink(row: Row): Link {
  return {
    app: asAppId(row[0] as string),
    object: asObjectId(row[1] as string),
    nativeId: asNativeId(row[2] as string),
    entity: asEntityName(row[3] as string),
    key: row[4] === null ? null : asCanonicalKey(row[4] as string),
    incarnation: row[5] as number,
    state: row[6] as Link['state'],
    token: row[7] === null ? null : asToken(row[7] as string),
    atMs: row[8] as number,
  }
}

class Where {
  readonly values: SqlValue[] = []
  readonly #conditions: string[] = []

  add(condition: string, ...values: readonly SqlValue[]): void {
    this.#conditions.push(condition)
    this.values.push(...values)
  }

  equals(column: string, value: string | undefined): void {
    if (value !== undefined) this.add(column + ' = ?', value)
  }

  text(): string {
    return this.#conditions.length === 0 ? '' : 'WHERE ' + this.#conditions.join(' AND ')
  }
}

function groupBy<T>(items: readonly T[], groupOf: (item: T) => string): readonly (readonly T[])[] {
  if (items.length === 0) return []
  return [...Map.groupBy(items, groupOf).values()]
}

function omitAfter({ after: _, ...query }: LinkQuery): LinkQuery {
  return query
}

const isSameRef = (a: NativeRef, b: NativeRef): boolean =>
  a.app === b.app && a.object === b.object && a.nativeId === b.nativeId
