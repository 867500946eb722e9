import { SyncError } from '../../errors/index.ts'
import {
  type AppId,
  asJournalPosition,
  type CanonicalKey,
  type JournalPosition,
  laneKey,
  type NativeRef,
  nativeRefKey,
} from '../../model/ids.ts'
import type { Conflict, HeldEntry, Link, Note, OpenLane, RecordState, Verdict } from '../../model/record.ts'
import { isLatchClosed, VERDICTS_MAX } from '../../model/record.ts'
import {
  type CommitBatch,
  HINT_KEYS_MAX,
  type LinkQuery,
  type LinkRow,
  type Loaded,
  type LoadQuery,
  type RecordWrite,
  type Store,
  type StoreCounts,
  type StoreInfo,
} from '../../ports/store.ts'
import { Undo } from './undo.ts'

export type MemoryStoreOperation =
  | 'open'
  | 'load'
  | 'commit'
  | 'cursor'
  | 'openLanes'
  | 'held'
  | 'links'
  | 'conflicts'
  | 'verdicts'
  | 'counts'
  | 'notes'

export interface MemoryStoreOptions {
  /** Names this installation in op ids and marks; given, so that a run can be repeated exactly. */
  readonly instanceId: string
  /** Called around every operation, and may throw. before: nothing is applied. after: it is applied, but the caller gets the error. */
  readonly fault?: (operation: MemoryStoreOperation, when: 'before' | 'after') => void
}

const SCHEMA_VERSION = 1

/**
 * The store in memory, for tests and the simulator. The object stands for the disk: it outlives the engine that used it, `open` may be
 * called again after a crash and fences whoever had it before, and `close` forgets nothing. States are immutable data, so they are kept by
 * reference; no timer, clock or randomness is involved.
 */
export class MemoryStore implements Store {
  readonly #options: MemoryStoreOptions
  #epoch = 0
  #generation = 1
  readonly #records = new Map<CanonicalKey, RecordState>()
  readonly #verdictsByKey = new Map<CanonicalKey, readonly Verdict[]>()
  readonly #openLanesByKey = new Map<CanonicalKey, readonly OpenLane[]>()
  /** All rows of a native reference, one per entity. */
  readonly #linksByNative = new Map<string, readonly Link[]>()
  /** Live rows of a canonical record in one application. */
  readonly #liveByLane = new Map<string, readonly Link[]>()
  readonly #keyByMatch = new Map<string, CanonicalKey>()
  /** Sorted keys by entity and hint. */
  readonly #keysByHint = new Map<string, readonly CanonicalKey[]>()
  readonly #held = new Map<string, HeldEntry>()
  readonly #cursors = new Map<string, JournalPosition>()
  readonly #notes = new Map<string, Note>()
  readonly #conflicts: (Conflict & { readonly id: number })[] = []

  constructor(options: MemoryStoreOptions) {
    this.#options = options
  }

  async open(): Promise<StoreInfo> {
    return this.#faulty('open', () => ({
      schemaVersion: SCHEMA_VERSION,
      instanceId: this.#options.instanceId,
      generation: this.#generation,
      epoch: ++this.#epoch,
    }))
  }

  async load(query: LoadQuery): Promise<Loaded> {
    return this.#faulty('load', () => {
      const loaded = { records: [], links: [], canonicalLinks: [], matches: [] } as Writable<Loaded>
      for (const key of query.records) {
        const state = this.#records.get(key)
        if (state !== undefined) loaded.records.push(state)
      }
      for (const ref of query.natives) loaded.links.push(...(this.#linksByNative.get(refKey(ref)) ?? []))
      for (const { key, app } of query.canonicals)
        loaded.canonicalLinks.push(...(this.#liveByLane.get(laneKey(key, app)) ?? []))
      for (const { entity, matchKey } of query.matches) {
        const key = this.#keyByMatch.get(pairKey(entity, matchKey))
        if (key !== undefined) loaded.matches.push({ entity, matchKey, key })
      }
      if (query.hints !== undefined) loaded.hints = query.hints.flatMap((asked) => this.#sharing(asked))
      return loaded
    })
  }

  async commit(batch: CommitBatch): Promise<void> {
    return this.#faulty('commit', () => this.#commit(batch))
  }

  async cursor(consumer: string): Promise<JournalPosition> {
    return this.#faulty('cursor', () => this.#cursors.get(consumer) ?? asJournalPosition(0))
  }

  async openLanes(
    after: { readonly key: CanonicalKey; readonly app: AppId } | null,
    max: number,
  ): Promise<readonly OpenLane[]> {
    return this.#faulty('openLanes', () =>
      [...this.#openLanesByKey.values()]
        .flat()
        .filter((lane) => after === null || compareLanes(lane, after) > 0)
        .sort(compareLanes)
        .slice(0, max),
    )
  }

  async held(after: JournalPosition, max: number): Promise<readonly HeldEntry[]> {
    return this.#faulty('held', () => {
      const rows = [...this.#held.values()].filter((entry) => entry.seq > after)
      rows.sort((a, b) => a.seq - b.seq || compareText(a.entity, b.entity))
      return wholePage(rows, max, (a, b) => a.seq === b.seq)
    })
  }

  async links(query: LinkQuery): Promise<readonly LinkRow[]> {
    return this.#faulty('links', () => {
      const rows = [...this.#linksByNative.values()].flat().filter((link) => linkMatches(link, query))
      rows.sort((a, b) => compareRefs(a, b) || compareText(a.entity, b.entity))
      const page = wholePage(rows, query.max, (a, b) => compareRefs(a, b) === 0)
      return page.map((link) => ({ ...link, latchClosed: this.#isClosed(link) }))
    })
  }

  async conflicts(query: Parameters<Store['conflicts']>[0]): ReturnType<Store['conflicts']> {
    return this.#faulty('conflicts', () =>
      this.#conflicts
        .filter(
          (row) =>
            (query.key === undefined || row.key === query.key) &&
            (query.entity === undefined || row.entity === query.entity) &&
            (query.before === undefined || row.id < query.before),
        )
        .reverse()
        .slice(0, query.max),
    )
  }

  async verdicts(key: CanonicalKey): Promise<readonly Verdict[]> {
    return this.#faulty('verdicts', () => this.#verdictsByKey.get(key) ?? [])
  }

  async notes(kind: string, max: number): Promise<readonly Note[]> {
    return this.#faulty('notes', () =>
      [...this.#notes.values()]
        .filter((note) => note.kind === kind)
        .sort((a, b) => compareText(a.id, b.id))
        .slice(0, max),
    )
  }

  async counts(): Promise<StoreCounts> {
    return this.#faulty('counts', () => {
      const openLanes: Partial<Record<OpenLane['state'], number>> = {}
      for (const lane of [...this.#openLanesByKey.values()].flat()) {
        openLanes[lane.state] = (openLanes[lane.state] ?? 0) + 1
      }
      return {
        records: this.#records.size,
        links: [...this.#liveByLane.values()].reduce((sum, links) => sum + links.length, 0),
        held: this.#held.size,
        conflicts: this.#conflicts.length,
        openLanes,
      }
    })
  }

  async close(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}

  /** Every record as it stands, for checkers. */
  records(): IterableIterator<RecordState> {
    return this.#records.values()
  }

  /** As after a restore from a backup: op ids made before are not used again. Takes effect with the next `open`. */
  raiseGeneration(): void {
    this.#generation++
  }

  #faulty<T>(operation: MemoryStoreOperation, run: () => T): T {
    this.#options.fault?.(operation, 'before')
    const result = run()
    this.#options.fault?.(operation, 'after')
    return result
  }

  #commit(batch: CommitBatch): void {
    if (batch.epoch !== this.#epoch) {
      throw new SyncError('store.fenced', `epoch ${batch.epoch} tried to commit, the store is at epoch ${this.#epoch}`)
    }
    const undo = new Undo()
    try {
      for (const write of batch.records) this.#writeRecord(write, undo)
      for (const link of batch.links) this.#writeLink(link, undo)
      for (const match of batch.matches) this.#writeMatch(match, undo)
    } catch (error) {
      undo.rollBack()
      throw error
    }
    // Nothing from here on can fail.
    for (const hint of batch.hints ?? []) this.#writeHint(hint)
    for (const done of batch.heldDone) this.#held.delete(heldKey(done))
    for (const entry of batch.held) this.#held.set(heldKey(entry), entry)
    for (const conflict of batch.conflicts) this.#conflicts.push({ ...conflict, id: this.#conflicts.length + 1 })
    for (const note of batch.notes ?? []) {
      if (note.body === null) this.#notes.delete(pairKey(note.kind, note.id))
      else this.#notes.set(pairKey(note.kind, note.id), note)
    }
    if (batch.cursor !== null) this.#cursors.set(batch.cursor.consumer, batch.cursor.position)
  }

  #writeRecord({ state, expectRev, verdicts, openLanes }: RecordWrite, undo: Undo): void {
    const stored = this.#records.get(state.key)?.rev ?? 0
    if (stored !== expectRev) {
      throw new SyncError('store.rev-conflict', `record ${state.key} is at rev ${stored}, not ${expectRev}`, {
        place: { key: state.key, entity: state.entity },
      })
    }
    undo.set(this.#records, state.key, state)
    if (openLanes !== null) undo.set(this.#openLanesByKey, state.key, openLanes.length === 0 ? undefined : openLanes)
    if (verdicts.length === 0) return
    const older = this.#verdictsByKey.get(state.key) ?? []
    undo.set(this.#verdictsByKey, state.key, verdicts.concat(older).slice(0, VERDICTS_MAX))
  }

  #writeLink({ from, ...link }: Link, undo: Undo): void {
    const native = refKey(link)
    const rows = this.#linksByNative.get(native) ?? []
    const before = rows.find((row) => row.entity === link.entity)
    if (link.state === 'live') this.#requireFree(from === undefined ? link : { ...link, from }, before)
    if (before?.state === 'live' && before.key !== null) this.#dropLive(before, before.key, undo)
    undo.set(this.#linksByNative, native, [...rows.filter((row) => row !== before), link])
    if (link.state !== 'live' || link.key === null) return
    const lane = laneKey(link.key, link.app)
    undo.set(this.#liveByLane, lane, [...(this.#liveByLane.get(lane) ?? []), link])
  }

  #requireFree(link: Link, before: Link | undefined): void {
    if (before?.state === 'live' && before.key !== link.key && (link.from === undefined || before.key !== link.from))
      throw linkTaken(link, before)
    const lane = link.key === null ? [] : (this.#liveByLane.get(laneKey(link.key, link.app)) ?? [])
    const other = lane.find((row) => row !== before && row.entity === link.entity)
    if (other !== undefined) throw linkTaken(link, other)
  }

  #dropLive(link: Link, key: CanonicalKey, undo: Undo): void {
    const lane = laneKey(key, link.app)
    const rest = (this.#liveByLane.get(lane) ?? []).filter((row) => row !== link)
    undo.set(this.#liveByLane, lane, rest.length === 0 ? undefined : rest)
  }

  #writeMatch({ entity, matchKey, key }: CommitBatch['matches'][number], undo: Undo): void {
    const match = pairKey(entity, matchKey)
    const before = this.#keyByMatch.get(match)
    if (key !== null && before !== undefined && before !== key) {
      throw new SyncError('store.link-taken', `match key ${matchKey} of ${entity} belongs to ${before}, not ${key}`, {
        place: { entity, key },
      })
    }
    undo.set(this.#keyByMatch, match, key ?? undefined)
  }

  #writeHint({ entity, hint, key, isGone }: NonNullable<CommitBatch['hints']>[number]): void {
    const name = pairKey(entity, hint)
    const others = (this.#keysByHint.get(name) ?? []).filter((other) => other !== key)
    const keys = isGone ? others : [...others, key].sort(compareText)
    if (keys.length === 0) this.#keysByHint.delete(name)
    else this.#keysByHint.set(name, keys)
  }

  #sharing({ entity, hint }: NonNullable<LoadQuery['hints']>[number]): NonNullable<Loaded['hints']> {
    const keys = (this.#keysByHint.get(pairKey(entity, hint)) ?? []).slice(0, HINT_KEYS_MAX)
    return keys.map((key) => ({ entity, hint, key }))
  }

  #isClosed(link: Link): boolean {
    if (link.key === null || link.state !== 'live') return false
    const lane = this.#openLanesByKey.get(link.key)?.find((row) => row.app === link.app)
    return lane !== undefined && isLatchClosed(lane.state)
  }
}

type Writable<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer Item)[] ? Item[] : T[K] }

const refKey = (ref: NativeRef): string => nativeRefKey(ref.app, ref.object, ref.nativeId)
const pairKey = (a: string, b: string): string => a + '\u0000' + b
const heldKey = (entry: Pick<HeldEntry, 'seq' | 'entity'>): string => entry.seq + ' ' + entry.entity
const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

const compareLanes = (a: Pick<OpenLane, 'key' | 'app'>, b: Pick<OpenLane, 'key' | 'app'>): number =>
  compareText(a.key, b.key) || compareText(a.app, b.app)

const compareRefs = (a: NativeRef, b: NativeRef): number =>
  compareText(a.app, b.app) || compareText(a.object, b.object) || compareText(a.nativeId, b.nativeId)

function linkMatches(link: Link, query: LinkQuery): boolean {
  return (
    (query.app === undefined || link.app === query.app) &&
    (query.object === undefined || link.object === query.object) &&
    (query.entity === undefined || link.entity === query.entity) &&
    (query.nativeId === undefined || link.nativeId === query.nativeId) &&
    (query.key === undefined || link.key === query.key) &&
    (query.after === undefined || compareRefs(link, query.after) > 0)
  )
}

/** The first `max` rows, and those that share the last one's place, which the next page could not name. */
function wholePage<T>(rows: readonly T[], max: number, samePlace: (a: T, b: T) => boolean): readonly T[] {
  let end = Math.min(max, rows.length)
  while (end > 0 && end < rows.length && samePlace(rows[end - 1] as T, rows[end] as T)) end++
  return rows.slice(0, end)
}

function linkTaken(link: Link, other: Link): SyncError {
  return new SyncError(
    'store.link-taken',
    `${link.entity} ${link.app}:${link.nativeId} cannot be linked to ${link.key}: ${other.app}:${other.nativeId} is linked to ${other.key}`,
    { place: { app: link.app, entity: link.entity, nativeId: link.nativeId } },
  )
}
