import type { BindingModel, EntityModel } from '../model/entity.ts'
import type { AppId, CanonicalKey, JournalPosition, NativeId, OpId, Token } from '../model/ids.ts'
import type { Conflict, Lane, Link, OpenLane, RecordState, SetAside, Verdict, VerdictName } from '../model/record.ts'
import { type Path, valuesEqual } from '../model/value.ts'
import type { Rendition } from './findings.ts'

/** The place in the journal that a decision belongs to. */
export interface At {
  readonly seq: JournalPosition
  readonly atMs: number
}

/** One record while a batch is decided: its newest state, and everything that its decisions want written. */
export class RecordWork {
  readonly entity: EntityModel
  readonly expectRev: number
  /** The state as it is stored; undefined for a record made in this batch. */
  readonly stored: RecordState | undefined
  state: RecordState
  readonly verdicts: Verdict[] = []
  readonly conflicts: Conflict[] = []
  /** Values of ours that came back in a form of the application's own. */
  readonly renditions: Rendition[] = []
  readonly matches: { matchKey: string; key: CanonicalKey | null }[] = []

  readonly #onLink: (link: Link) => void

  constructor(entity: EntityModel, state: RecordState, stored: RecordState | undefined, onLink: (link: Link) => void) {
    this.#onLink = onLink
    this.entity = entity
    this.state = state
    this.stored = stored
    this.expectRev = stored?.rev ?? 0
  }

  get changed(): boolean {
    return this.state !== this.stored || this.verdicts.length > 0
  }

  lane(binding: BindingModel): Lane {
    return this.state.lanes[binding.app] ?? emptyLane(binding)
  }

  setLane(lane: Lane): void {
    if (this.state.lanes[lane.app] === lane) return
    this.state = { ...this.state, lanes: { ...this.state.lanes, [lane.app]: lane } }
  }

  say(
    at: At,
    app: AppId,
    verdict: VerdictName,
    text: string,
    more: { readonly op?: OpId; readonly paths?: readonly Path[] } = {},
  ): void {
    this.verdicts.unshift({ seq: at.seq, atMs: at.atMs, app, verdict, text, ...more })
  }

  link(binding: BindingModel, nativeId: NativeId, incarnation: number, at: At): void {
    this.#onLink({
      app: binding.app,
      object: binding.object,
      nativeId,
      entity: binding.entity,
      key: this.state.key,
      incarnation,
      state: 'live',
      token: null,
      atMs: at.atMs,
    })
  }

  tombstone(lane: Lane, nativeId: NativeId, token: Token | null, at: At): void {
    this.#onLink({
      app: lane.app,
      object: lane.object,
      nativeId,
      entity: this.state.entity,
      key: this.state.key,
      incarnation: lane.incarnation,
      state: 'tombstone',
      token,
      atMs: at.atMs,
    })
  }
}

const NO_SEQ = 0 as JournalPosition

export function emptyLane(binding: BindingModel): Lane {
  return {
    app: binding.app,
    object: binding.object,
    nativeId: null,
    incarnation: 0,
    exists: null,
    image: {},
    sent: {},
    token: null,
    basis: NO_SEQ,
    byChance: [],
    intent: null,
    overlays: [],
    reading: null,
    park: null,
    retry: null,
    waitsFor: null,
    detached: false,
    own: [],
    nextOp: 0,
    readSeq: NO_SEQ,
    knownAtMs: 0,
  }
}

export function emptyRecord(entity: EntityModel, key: CanonicalKey): RecordState {
  return {
    key,
    entity: entity.name,
    shard: 0,
    rev: 0,
    deleted: false,
    mappingVersion: entity.mappingVersion,
    head: {},
    headSeq: NO_SEQ,
    lanes: {},
    matchKey: null,
    parkedPaths: {},
  }
}

/** What a lane has outstanding, for the store's small table of open lanes; null when it is in step or has nothing to do. */
export function openLaneOf(
  record: RecordState,
  lane: Lane,
  planned: 'idle' | 'intent' | 'read' | 'behind' | 'waiting' | 'braked',
): OpenLane | null {
  const row = (state: OpenLane['state'], sinceMs: number, op: OpId | null, code: string | null): OpenLane => ({
    key: record.key,
    entity: record.entity,
    app: lane.app,
    state,
    op,
    sinceMs,
    code,
  })
  if (lane.intent !== null && lane.park === null) {
    const state = lane.intent.state === 'open' ? 'intent' : lane.intent.state
    return row(state, lane.intent.atMs, lane.intent.op, null)
  }
  if (lane.reading !== null) return row('reading', lane.reading.notBeforeMs, null, lane.reading.why)
  if (lane.overlays.length > 0) return row('overlay', 0, lane.overlays[0]?.op ?? null, null)
  if (lane.park !== null && !lane.detached) return row('parked', lane.park.atMs, null, lane.park.code)
  if (lane.waitsFor !== null) return row('waiting', lane.waitsFor.sinceMs, null, `reference to ${lane.waitsFor.entity}`)
  const aside = setAsideIn(record, lane)
  if (aside !== null) return row('parked', aside.sinceMs ?? 0, null, aside.code)
  if (lane.retry !== null) return row('retry', lane.retry.notBeforeMs, null, lane.retry.code)
  if (planned === 'braked') return row('waiting', 0, null, 'brake.tripped')
  if (planned === 'behind') return row('behind', 0, null, null)
  return planned === 'waiting' ? row('waiting', 0, null, 'incomplete') : null
}

/** A field of the record that is set aside and on which this application differs from what stands: it waits for a person. */
export function setAsideIn(record: RecordState, lane: Lane): SetAside | null {
  if (record.deleted || lane.exists !== true) return null
  for (const path in record.parkedPaths) {
    if (path in lane.sent && !valuesEqual(lane.sent[path], record.head[path]?.value))
      return record.parkedPaths[path] ?? null
  }
  return null
}
