import type { Hono } from 'hono'
import { CANDIDATE_NOTE, CANDIDATES_MAX, type Candidate } from '../engine/candidates.ts'
import type { CanonicalKey } from '../model/ids.ts'
import { isThere, type RecordState } from '../model/record.ts'
import { type Path, type Value, valuesEqual } from '../model/value.ts'
import type { StoreReader } from '../ports/store.ts'
import type { HubContext } from './hub.ts'
import { json } from './json.ts'

/** Two records that may be one, side by side. */
export interface CandidatePair {
  readonly entity: string
  /** The hints that they share, each by its fields. */
  readonly hints: readonly (readonly string[])[]
  readonly sinceMs: number
  readonly records: readonly [CandidateRecord, CandidateRecord]
  /** Fields in which they differ, with the value of each; null where one has none. */
  readonly differs: readonly { readonly path: Path; readonly first: Value; readonly second: Value }[]
}

export interface CandidateRecord {
  readonly key: CanonicalKey
  /** Its records in the applications, the hub's own copies last: the first names it in `link` and `separate`. */
  readonly ids: readonly string[]
  readonly values: Readonly<Record<Path, Value>>
}

export function addCandidates(app: Hono, context: HubContext): void {
  app.get('/api/candidates', async (c) =>
    json({ items: await candidatesOf(context.engine.store, c.req.query('entity')) }),
  )
}

/** All pairs on which nobody has decided and that are two records still, oldest first. */
export async function candidatesOf(store: StoreReader, entity?: string): Promise<readonly CandidatePair[]> {
  const notes = await store.notes(CANDIDATE_NOTE, CANDIDATES_MAX)
  const open = notes
    .map(({ body }) => body as unknown as Candidate)
    .filter((one) => entity === undefined || one.entity === entity)
  const states = new Map<CanonicalKey, RecordState>()
  const keys = [...new Set(open.flatMap((one) => one.keys))]
  for (let at = 0; at < keys.length; at += PAGE) {
    const query = { natives: [], canonicals: [], matches: [] }
    for (const state of (await store.load({ ...query, records: keys.slice(at, at + PAGE) })).records)
      states.set(state.key, state)
  }
  return open
    .flatMap((one) => pairOf(one, states.get(one.keys[0]), states.get(one.keys[1])) ?? [])
    .sort((a, b) => a.sinceMs - b.sinceMs)
}

const PAGE = 500

function pairOf(
  { entity, hints, atMs }: Candidate,
  a: RecordState | undefined,
  b: RecordState | undefined,
): CandidatePair | null {
  if (a === undefined || b === undefined) return null
  const records = [recordOf(a), recordOf(b)] as const
  if (records.some(({ ids }) => ids.length === 0) || [a, b].some((one) => one.deleted || one.mergedInto !== undefined))
    return null
  const paths = [...new Set([...Object.keys(records[0].values), ...Object.keys(records[1].values)])]
  const differs = paths.flatMap((path) => {
    const [first, second] = [records[0].values[path] ?? null, records[1].values[path] ?? null]
    return valuesEqual(first, second) ? [] : [{ path, first, second }]
  })
  return { entity, hints, sinceMs: atMs, records, differs }
}

function recordOf({ key, head, lanes }: RecordState): CandidateRecord {
  const there = Object.values(lanes).filter((lane) => lane.nativeId !== null && isThere(lane))
  const [ours, theirs] = [
    there.filter((lane) => lane.madeAtMs !== null),
    there.filter((lane) => lane.madeAtMs === null),
  ]
  const values: Record<Path, Value> = {}
  for (const path in head) if (!path.startsWith('@')) values[path] = head[path]?.value ?? null
  return { key, ids: [...theirs, ...ours].map(({ app, nativeId }) => `${app}:${nativeId}`), values }
}
