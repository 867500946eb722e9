import type { BindingModel, EntityModel } from '../model/entity.ts'
import type { AppId, CanonicalKey, JournalPosition, NativeId, OpId, Token } from '../model/ids.ts'
import type { Conflict, Lane, Link, OpenLane, RecordState, Verdict, VerdictName } from '../model/record.ts'
import { type LaneStanding, laneStanding, type Planned, setAsideIn } from '../model/state/lane-state.ts'
import type { Path } from '../model/value.ts'
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
  /** Applications in which its state was read in this turn. */
  readonly freshIn: AppId[] = []
  /** Its rows among the open lanes may say what is over, although nothing else of it changes. */
  isRewritten = false
  /** The same after a restart, if nothing of it is open any more. */
  isRecovered = false
  /** What planning found for each lane where that is not idle. */
  #planned: Map<AppId, Planned> | null = null

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

  setPlanned(app: AppId, planned: Planned): void {
    if (planned === 'idle') return
    this.#planned ??= new Map()
    this.#planned.set(app, planned)
  }

  plannedIn(app: AppId): Planned {
    return this.#planned?.get(app) ?? 'idle'
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
    unfolded: [],
    intent: null,
    overlays: [],
    reading: null,
    park: null,
    retry: null,
    waitsFor: null,
    detached: false,
    madeAtMs: null,
    withdrawn: false,
    own: [],
    nextOp: 0,
    readSeq: NO_SEQ,
    knownAtMs: 0,
    swings: null,
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
export function openLaneOf(record: RecordState, lane: Lane, planned: Planned): OpenLane | null {
  const { state, by } = laneStanding(record, lane, planned)
  if (state === 'in step') return null
  const { sinceMs, op, code } = detailsOf(record, lane, planned, by)
  return { key: record.key, entity: record.entity, app: lane.app, state, op, sinceMs, code }
}

function detailsOf(
  record: RecordState,
  lane: Lane,
  planned: Planned,
  by: LaneStanding['by'],
): Pick<OpenLane, 'sinceMs' | 'op' | 'code'> {
  const { intent, reading, overlays, park, waitsFor, retry } = lane
  const of = (sinceMs = 0, code: string | null = null, op: OpId | null = null) => ({ sinceMs, op, code })
  switch (by) {
    case 'intent':
      return of(intent?.atMs, null, intent?.op)
    case 'reading':
      return of(reading?.notBeforeMs, reading?.why)
    case 'overlay':
      return of(0, null, overlays[0]?.op)
    case 'park':
      return of(park?.atMs, park?.code)
    case 'reference':
      return of(waitsFor?.sinceMs, `reference to ${waitsFor?.entity}`)
    case 'aside': {
      const aside = setAsideIn(record, lane)
      return of(aside?.sinceMs, aside?.code)
    }
    case 'retry':
      return of(retry?.notBeforeMs, retry?.code)
    case null:
      if (planned === 'braked') return of(0, 'brake.tripped')
      if (planned === 'behind') return of()
      return of(record.deletion?.atMs, record.deleted ? 'quarantine' : 'incomplete')
  }
}
