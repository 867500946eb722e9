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
  type JournalPosition,
  type NativeRef,
} from '../../model/ids.ts'
import {
  type Conflict,
  type HeldEntry,
  type Link,
  type Note,
  type OpenLane,
  VERDICTS_MAX,
  type Verdict,
} from '../../model/record.ts'
import { decodeData } from '../../model/value.ts'
import {
  HINT_KEYS_MAX,
  type LinkQuery,
  type LinkRow,
  type Loaded,
  type LoadQuery,
  type Store,
  type StoreCounts,
} from '../../ports/store.ts'
import { decodeRecord, recordColumns } from '../record-codec.ts'
import type { Row } from './driver.ts'
import { fromPgText, toPgText } from './text.ts'

/** Runs one query; rows are arrays in column order, all values text. */
export type Ask = (text: string, values: readonly unknown[], name?: string) => Promise<readonly Row[]>

const LINK_COLUMNS =
  'l.app_id, l.object_id, l.native_id, l.entity, l.canonical_key, l.incarnation, l.state, l.token, l.at_ms'

/** Hot path: once per batch of changes. All of it leaves at once; the connection runs it in order. */
export async function load(ask: Ask, s: string, query: LoadQuery): Promise<Loaded> {
  const { records, natives, canonicals, matches, hints = [] } = query
  const [recordRows, linkRows, canonicalRows, matchRows, hintRows] = await Promise.all([
    records.length === 0
      ? NONE
      : ask(
          `SELECT canonical_key, entity, shard, rev, deleted::int, body FROM ${s}.records WHERE canonical_key = ANY($1::text[])`,
          [records.map(toPgText)],
          'latchwork_records',
        ),
    natives.length === 0
      ? NONE
      : ask(
          `SELECT ${LINK_COLUMNS} FROM unnest($1::text[], $2::text[], $3::text[]) AS asked (app, object, native)
           JOIN ${s}.links l ON l.app_id = asked.app AND l.object_id = asked.object AND l.native_id = asked.native`,
          columns(
            natives,
            ({ app }) => app,
            ({ object }) => object,
            ({ nativeId }) => nativeId,
          ),
          'latchwork_links',
        ),
    canonicals.length === 0
      ? NONE
      : ask(
          `SELECT ${LINK_COLUMNS} FROM unnest($1::text[], $2::text[]) AS asked (key, app)
           JOIN ${s}.links l ON l.canonical_key = asked.key AND l.app_id = asked.app AND l.state = 'live'`,
          columns(
            canonicals,
            ({ key }) => key,
            ({ app }) => app,
          ),
          'latchwork_canonicals',
        ),
    matches.length === 0
      ? NONE
      : ask(
          `SELECT m.entity, m.match_key, m.canonical_key FROM unnest($1::text[], $2::text[]) AS asked (entity, match)
           JOIN ${s}.matches m ON m.entity = asked.entity AND m.match_key = asked.match`,
          columns(
            matches,
            ({ entity }) => entity,
            ({ matchKey }) => matchKey,
          ),
          'latchwork_matches',
        ),
    hints.length === 0
      ? NONE
      : ask(
          `SELECT asked.entity, asked.hint, h.canonical_key FROM unnest($1::text[], $2::text[]) AS asked (entity, hint)
           CROSS JOIN LATERAL (
             SELECT canonical_key FROM ${s}.hints WHERE entity = asked.entity AND hint = asked.hint
             ORDER BY canonical_key LIMIT ${HINT_KEYS_MAX}
           ) h`,
          columns(
            hints,
            ({ entity }) => entity,
            ({ hint }) => hint,
          ),
          'latchwork_hints',
        ),
  ])
  return {
    records: recordRows.map((row) => {
      const [key, entity, shard, rev, deleted, body] = row as readonly string[]
      const place = [
        fromPgText(key as string),
        fromPgText(entity as string),
        Number(shard),
        Number(rev),
        Number(deleted),
      ]
      return decodeRecord(recordColumns(place), body as string)
    }),
    links: linkRows.map(rowToLink),
    canonicalLinks: canonicalRows.map(rowToLink),
    matches: matchRows.map(([entity, matchKey, key]) => ({
      entity: asEntityName(fromPgText(entity as string)),
      matchKey: fromPgText(matchKey as string),
      key: asCanonicalKey(fromPgText(key as string)),
    })),
    ...(query.hints === undefined
      ? {}
      : {
          hints: hintRows.map(([entity, hint, key]) => ({
            entity: asEntityName(fromPgText(entity as string)),
            hint: fromPgText(hint as string),
            key: asCanonicalKey(fromPgText(key as string)),
          })),
        }),
  }
}

const NONE: Promise<readonly Row[]> = Promise.resolve([])

function columns<T>(items: readonly T[], ...of: readonly ((item: T) => string)[]): readonly string[][] {
  return of.map((column) => items.map((item) => toPgText(column(item))))
}

export async function cursor(ask: Ask, s: string, consumer: string): Promise<JournalPosition> {
  const [row] = await ask(`SELECT position FROM ${s}.cursors WHERE consumer = $1`, [consumer])
  return asJournalPosition(Number(row?.[0] ?? 0))
}

export async function openLanes(
  ask: Ask,
  s: string,
  after: { readonly key: CanonicalKey; readonly app: AppId } | null,
  max: number,
): Promise<readonly OpenLane[]> {
  const rows = await ask(
    `SELECT canonical_key, entity, app_id, state, op, since_ms, code FROM ${s}.open_lanes
     WHERE (canonical_key, app_id) > ($1, $2) ORDER BY canonical_key, app_id LIMIT $3`,
    [toPgText(after?.key ?? ''), toPgText(after?.app ?? ''), max],
  )
  return rows.map(([key, entity, app, state, op, sinceMs, code]) => ({
    key: asCanonicalKey(fromPgText(key as string)),
    entity: asEntityName(fromPgText(entity as string)),
    app: asAppId(fromPgText(app as string)),
    state: state as OpenLane['state'],
    op: op == null ? null : asOpId(fromPgText(op)),
    sinceMs: Number(sinceMs),
    code: code == null ? null : fromPgText(code),
  }))
}

export async function held(ask: Ask, s: string, after: JournalPosition, max: number): Promise<readonly HeldEntry[]> {
  // The page ends with the whole of its last seq, which the next page could not name a part of.
  const rows = await ask(
    `SELECT body FROM ${s}.held WHERE seq > $1
     AND seq <= coalesce((SELECT seq FROM ${s}.held WHERE seq > $1 ORDER BY seq LIMIT 1 OFFSET $2 - 1), 9007199254740991)
     ORDER BY seq, entity`,
    [after, max],
  )
  return rows.map((row) => decodeData(row[0] as string) as HeldEntry)
}

export async function verdicts(ask: Ask, s: string, key: CanonicalKey): Promise<readonly Verdict[]> {
  const [row] = await ask(`SELECT verdicts FROM ${s}.records WHERE canonical_key = $1`, [toPgText(key)])
  const lines = (row?.[0] ?? '').split('\n', VERDICTS_MAX)
  return lines.filter((line) => line !== '').map((line) => decodeData(line) as Verdict)
}

export async function conflicts(
  ask: Ask,
  s: string,
  query: Parameters<Store['conflicts']>[0],
): Promise<readonly (Conflict & { readonly id: number })[]> {
  const where = new Where()
  where.equals('canonical_key', query.key)
  where.equals('entity', query.entity)
  if (query.before !== undefined) where.add((at) => `id < ${at}`, query.before)
  const limit = where.value(query.max)
  const rows = await ask(
    `SELECT id, body FROM ${s}.conflicts ${where.text()} ORDER BY id DESC LIMIT ${limit}`,
    where.values,
  )
  return rows.map((row) => ({ ...(decodeData(row[1] as string) as Conflict), id: Number(row[0]) }))
}

export async function notes(ask: Ask, s: string, kind: string, max: number): Promise<readonly Note[]> {
  const rows = await ask(`SELECT id, at_ms, body FROM ${s}.notes WHERE kind = $1 ORDER BY id LIMIT $2`, [
    toPgText(kind),
    max,
  ])
  return rows.map(([id, atMs, body]) => ({
    kind,
    id: fromPgText(id as string),
    atMs: Number(atMs),
    body: decodeData(body as string) as Note['body'],
  }))
}

export async function counts(ask: Ask, s: string): Promise<StoreCounts> {
  const [row] = await ask(
    `SELECT (SELECT count(*) FROM ${s}.records), (SELECT count(*) FROM ${s}.links WHERE state = 'live'),
       (SELECT count(*) FROM ${s}.held), (SELECT count(*) FROM ${s}.conflicts)`,
    [],
  )
  const [records, linked, waiting, lost] = row as Row
  const lanes = await ask(`SELECT state, count(*) FROM ${s}.open_lanes GROUP BY state`, [])
  return {
    records: Number(records),
    links: Number(linked),
    held: Number(waiting),
    conflicts: Number(lost),
    openLanes: Object.fromEntries(lanes.map(([state, count]) => [state, Number(count)])),
  }
}

export async function links(ask: Ask, s: string, query: LinkQuery): Promise<readonly LinkRow[]> {
  if (query.max <= 0) return []
  const page = await selectLinks(ask, s, query, query.max)
  const last = page.at(-1)
  if (last === undefined || page.length < query.max) return page
  // A native record may be linked once per entity; the page ends with all of them, because the next page starts after the native record.
  const { after: _, ...rest } = query
  const { app, object, nativeId } = last
  const whole = await selectLinks(ask, s, { ...rest, app, object, nativeId }, Number.MAX_SAFE_INTEGER)
  return [...page.filter((link) => !isSameRef(link, last)), ...whole]
}

async function selectLinks(ask: Ask, s: string, query: LinkQuery, max: number): Promise<readonly LinkRow[]> {
  const where = new Where()
  where.equals('l.app_id', query.app)
  where.equals('l.object_id', query.object)
  where.equals('l.native_id', query.nativeId)
  where.equals('l.entity', query.entity)
  // Said twice, because each of the two partial indexes serves one state.
  if (query.key !== undefined) {
    where.add(
      (at) => `((l.state = 'live' AND l.canonical_key = ${at}) OR (l.state = 'tombstone' AND l.canonical_key = ${at}))`,
      toPgText(query.key),
    )
  }
  if (query.after !== undefined) {
    const { app, object, nativeId } = query.after
    const places = [app, object, nativeId].map((value) => where.value(toPgText(value))).join(', ')
    where.condition(`(l.app_id, l.object_id, l.native_id) > (${places})`)
  }
  const limit = where.value(max)
  const rows = await ask(
    `SELECT ${LINK_COLUMNS}, EXISTS (
       SELECT 1 FROM ${s}.open_lanes o
       WHERE o.canonical_key = l.canonical_key AND o.app_id = l.app_id AND l.state = 'live'
         AND o.state IN ('intent', 'unknown', 'readback', 'overlay')
     )::int
     FROM ${s}.links l ${where.text()} ORDER BY l.app_id, l.object_id, l.native_id, l.entity LIMIT ${limit}`,
    where.values,
  )
  return rows.map((row) => ({ ...rowToLink(row), latchClosed: row[9] === '1' }))
}

function rowToLink(row: Row): Link {
  const [app, object, nativeId, entity, key, incarnation, state, token, atMs] = row
  return {
    app: asAppId(fromPgText(app as string)),
    object: asObjectId(fromPgText(object as string)),
    nativeId: asNativeId(fromPgText(nativeId as string)),
    entity: asEntityName(fromPgText(entity as string)),
    key: key == null ? null : asCanonicalKey(fromPgText(key)),
    incarnation: Number(incarnation),
    state: state as Link['state'],
    token: token == null ? null : asToken(fromPgText(token)),
    atMs: Number(atMs),
  }
}

class Where {
  readonly values: unknown[] = []
  readonly #conditions: string[] = []

  /** A place for a value. */
  value(value: unknown): string {
    return `$${this.values.push(value)}`
  }

  condition(text: string): void {
    this.#conditions.push(text)
  }

  add(condition: (at: string) => string, value: unknown): void {
    this.condition(condition(this.value(value)))
  }

  equals(column: string, value: string | undefined): void {
    if (value !== undefined) this.add((at) => `${column} = ${at}`, toPgText(value))
  }

  text(): string {
    return this.#conditions.length === 0 ? '' : 'WHERE ' + this.#conditions.join(' AND ')
  }
}

const isSameRef = (a: NativeRef, b: NativeRef): boolean =>
  a.app === b.app && a.object === b.object && a.nativeId === b.nativeId
