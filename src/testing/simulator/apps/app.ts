import type { Change, Outcome, ReadImage } from '../../../model/change.ts'
import {
  asNativeId,
  asToken,
  correlationOf,
  type EntityName,
  type NativeId,
  type ObjectId,
  type OpId,
  type Token,
} from '../../../model/ids.ts'
import { type NativeData, type NativeRecord, type Path, type Value, valuesEqual } from '../../../model/value.ts'
import type { WriteOp } from '../../../ports/app.ts'
import type { AppVersion, HubWrite, UserWrite } from '../history.ts'
import type { World } from '../world.ts'
import type { AppObject, Cells } from './mapping.ts'
import type { AppProfile } from './profile.ts'

/** A record as it stands in an application now. */
export interface AppRecord {
  readonly object: AppObject
  readonly nativeId: NativeId
  /** Which thing in the world it is: the same in all applications. */
  readonly thing: number
  cells: Cells
  revision: number
  token: Token | undefined
  isLive: boolean
  correlationId: string | undefined
  /** The op id of the write that made the last version; null when a user made it. */
  lastOp: OpId | null
  version: AppVersion
  /** What its readers saw, oldest first, where reads lag. */
  readonly past: {
    readonly atMs: number
    readonly cells: Cells
    readonly token: Token | undefined
    readonly isLive: boolean
  }[]
}

/** When a request left the hub. */
export type Sent = Pick<HubWrite, 'sentAtMs' | 'sentSeq'>

/**
 * An application in memory: it keeps records under its own ids, names, units and habits, and knows nothing of the hub. Users edit it directly;
 * the hub's requests come in through `apply`, `read` and `find`. Every version it commits is written to the history.
 */
export class SimApp {
  readonly profile: AppProfile
  /** By object and native id; deleted records stay, as their ids are never given again. */
  readonly records = new Map<string, AppRecord>()
  readonly #world: World
  readonly #outcomesByKey = new Map<OpId, Outcome>()
  #logPosition = 1000
  /** Told of every version, after it is committed. */
  onCommit: (record: AppRecord) => void = () => {}

  constructor(profile: AppProfile, world: World) {
    this.profile = profile
    this.#world = world
  }

  recordAt(object: ObjectId, nativeId: NativeId): AppRecord | undefined {
    return this.records.get(object + ' ' + nativeId)
  }

  /** The live record of a thing in the world, or of any of them, in order of creation. */
  live(entity: EntityName): AppRecord[] {
    return [...this.records.values()].filter((record) => record.isLive && record.object.spec.name === entity)
  }

  /** A copy of another record takes its correlation id along, as it does every field. */
  userCreates(object: AppObject, cells: Cells, thing: number, user: UserWrite, copyOf?: AppRecord): AppRecord {
    return this.#create(object, cells, thing, copyOf?.correlationId, user, null)
  }

  /** Saves new values over what the record holds now. Saving it as it was makes a version or nothing, as the application has it. */
  userSaves(record: AppRecord, cells: Cells, user: UserWrite): void {
    this.#commit(record, 'update', cells, user, null)
  }

  userDeletes(record: AppRecord, user: UserWrite): void {
    this.#commit(record, 'delete', record.cells, user, null)
  }

  /** One write of the hub, as the application's API treats it. */
  apply(op: WriteOp, sent: Sent): Outcome {
    const { idempotency } = this.profile.capabilities
    const remembers = idempotency === 'all' || (idempotency === 'create' && op.kind === 'create')
    const before = remembers ? this.#outcomesByKey.get(op.op) : undefined
    if (before !== undefined) return before
    const outcome = op.kind === 'create' ? this.#applyCreate(op, sent) : this.#applyChange(op, sent)
    if (remembers && outcome.result === 'applied') this.#outcomesByKey.set(op.op, outcome)
    return outcome
  }

  read(object: ObjectId, nativeId: NativeId): ReadImage {
    const record = this.recordAt(object, nativeId)
    return this.#readImage(object, nativeId, record === undefined ? undefined : this.#asRead(record))
  }

  /** A record as a replica shows it that is behind. */
  #asRead(record: AppRecord): AppRecord | undefined {
    const { readLagMs } = this.profile
    if (readLagMs === 0) return record
    const untilMs = this.#world.clock.monotonicMs() - readLagMs
    const seen = record.past.findLast(({ atMs }) => atMs <= untilMs)
    return seen === undefined ? undefined : { ...record, ...seen }
  }

  find(object: ObjectId, correlationId: string): ReadImage {
    for (const record of this.records.values()) {
      if (record.isLive && record.correlationId === correlationId && record.object.object === object) {
        return this.#readImage(object, record.nativeId, record)
      }
    }
    return { app: this.profile.app, object, nativeId: asNativeId(''), result: 'missing' }
  }

  /** The record as a notification tells it. */
  changeOf(record: AppRecord, kind: Change['kind'], deliveryId: string): Change {
    const { app, capabilities, clockAheadMs } = this.profile
    const deleted = !record.isLive
    const isPartial = kind === 'image' && capabilities.image === 'I1' && record.version.kind === 'update'
    const { object, cells, version } = record
    return {
      app,
      object: record.object.object,
      nativeId: record.nativeId,
      kind: deleted && kind === 'image' ? 'deleted' : isPartial ? 'partial' : kind,
      deliveryId,
      ...(kind === 'image' &&
        !deleted && { record: isPartial ? object.partOnWire(cells, version.changed) : object.toWire(cells) }),
      ...(record.token !== undefined &&
        kind !== 'hint' &&
        !(deleted && capabilities.token !== 'T2') && { token: record.token }),
      ...(capabilities.correlation && record.correlationId !== undefined && { correlationId: record.correlationId }),
      ...(capabilities.mark === 'M2' && record.lastOp !== null && { mark: record.lastOp }),
      ...(clockAheadMs !== null && { sourceTimeMs: this.#sourceTime(record, clockAheadMs) }),
    }
  }

  #readImage(object: ObjectId, nativeId: NativeId, record: AppRecord | undefined): ReadImage {
    const { app, capabilities, clockAheadMs } = this.profile
    if (record === undefined || !record.isLive) return { app, object, nativeId, result: 'missing' }
    return {
      app,
      object,
      nativeId,
      result: 'found',
      record: record.object.toWire(record.cells),
      ...(record.token !== undefined && { token: record.token }),
      ...(capabilities.correlation && record.correlationId !== undefined && { correlationId: record.correlationId }),
      ...(clockAheadMs !== null && { sourceTimeMs: this.#sourceTime(record, clockAheadMs) }),
    }
  }

  #sourceTime(record: AppRecord, aheadMs: number): number {
    return this.#world.wallAt(record.version.atMs) + aheadMs
  }

  #applyCreate(op: WriteOp, sent: Sent): Outcome {
    const object = this.profile.objectsById.get(op.object) as AppObject
    const cells = object.made(op.patch)
    const thing = object.thingOf(cells) ?? this.#world.thingOfKey(correlationOf(op.correlationId).key) ?? -1
    const refusal = this.#refusal(object, op.patch)
    if (refusal !== undefined) return invalid(op, refusal)
    if (this.profile.isCodeUnique && this.live(object.spec.name).some((record) => record.thing === thing)) {
      return {
        op: op.op,
        result: 'refused',
        handling: 'park',
        code: 'target.duplicate',
        message: `409: K${thing} is taken`,
      }
    }
    const correlationId = this.profile.capabilities.create === 'K0' ? undefined : op.correlationId
    return this.#applied(op, this.#create(object, cells, thing, correlationId, null, this.#hubWrite(op, object, sent)))
  }

  #applyChange(op: WriteOp, sent: Sent): Outcome {
    const record = op.nativeId === null ? undefined : this.recordAt(op.object, op.nativeId)
    if (record === undefined || !record.isLive) return { op: op.op, result: 'gone' }
    if (!this.#meetsCondition(record, op)) return { op: op.op, result: 'conflict' }
    if (op.kind === 'delete') {
      this.#commit(record, 'delete', record.cells, null, this.#hubWrite(op, record.object, sent))
      return { op: op.op, result: 'applied' }
    }
    const refusal = this.#refusal(record.object, op.patch)
    if (refusal !== undefined) return invalid(op, refusal)
    const next = record.object.written(record.cells, op.patch)
    this.#commit(record, 'update', next, null, this.#hubWrite(op, record.object, sent), op.resend)
    return this.#applied(op, record)
  }

  #meetsCondition(record: AppRecord, op: WriteOp): boolean {
    const { condition, conditionOn } = this.profile.capabilities
    if (condition === 'C0') return true
    if (conditionOn === 'patch') return holds(record, op.baseValues)
    if (conditionOn === 'values' && op.baseToken === null) return holds(record, { ...op.full, ...op.baseValues })
    return op.baseToken === null || op.baseToken === record.token
  }

  #refusal(object: AppObject, patch: NativeRecord): string | undefined {
    if (this.profile.isStrict && JSON.stringify(patch).includes(REFUSED_TEXT)) return `no ${REFUSED_TEXT} here`
    return object.refusal(patch)
  }

  #applied(op: WriteOp, record: AppRecord): Outcome {
    const { reply } = this.profile.capabilities
    return {
      op: op.op,
      result: 'applied',
      ...(op.kind === 'create' && { nativeId: record.nativeId }),
      ...(reply.token && record.token !== undefined && { token: record.token }),
      ...(reply.image && { record: record.object.toWire(record.cells) }),
    }
  }

  #hubWrite(op: WriteOp, object: AppObject, sent: Sent): HubWrite {
    return { op: op.op, key: correlationOf(op.correlationId).key, ...sent, written: object.canonicalPatch(op.patch) }
  }

  #create(
    object: AppObject,
    cells: Cells,
    thing: number,
    correlationId: string | undefined,
    user: UserWrite | null,
    hub: HubWrite | null,
  ): AppRecord {
    const nativeId = asNativeId(this.profile.nativeId(this.records.size + 1))
    const record: AppRecord = {
      object,
      nativeId,
      thing,
      cells,
      revision: 0,
      token: undefined,
      isLive: true,
      correlationId,
      lastOp: null,
      version: undefined as unknown as AppVersion,
      past: [],
    }
    this.records.set(object.object + ' ' + nativeId, record)
    this.#commit(record, 'create', cells, user, hub)
    return record
  }

  #commit(
    record: AppRecord,
    kind: AppVersion['kind'],
    cells: Cells,
    user: UserWrite | null,
    hub: HubWrite | null,
    resend = false,
  ): void {
    const changed = kind === 'create' ? Object.keys(cells) : changedPaths(record.cells, cells)
    const isNoop = kind === 'update' && changed.length === 0
    if (isNoop && hub !== null) this.#noteNoop(record, hub, resend)
    if (isNoop && this.profile.noopSave === 'silent') return
    record.cells = cells
    record.revision++
    record.isLive = kind !== 'delete'
    record.lastOp = hub?.op ?? null
    record.version = this.#version(record, kind, changed, user, hub)
    record.token = this.#nextToken(record)
    if (this.profile.readLagMs > 0) {
      const { atMs } = record.version
      record.past.push({ atMs, cells, token: record.token, isLive: record.isLive })
    }
    if (!isNoop) this.#world.committed(record.version)
    this.onCommit(record)
  }

  #version(
    record: AppRecord,
    kind: AppVersion['kind'],
    changed: readonly Path[],
    user: UserWrite | null,
    hub: HubWrite | null,
  ): AppVersion {
    const { object, nativeId, cells } = record
    return {
      seq: this.#world.nextSeq(),
      atMs: this.#world.clock.monotonicMs(),
      app: this.profile.app,
      object: object.object,
      entity: object.spec.name,
      nativeId,
      record: record.thing,
      kind,
      cells,
      changed,
      user,
      hub,
    }
  }

  #noteNoop(record: AppRecord, hub: HubWrite, resend: boolean): void {
    const atMs = this.#world.clock.monotonicMs()
    this.#world.history.noopWrites.push({ app: this.profile.app, record: record.thing, op: hub.op, atMs, resend })
  }

  #nextToken(record: AppRecord): Token | undefined {
    switch (this.profile.tokens) {
      case 'revision':
        return asToken(String(record.revision))
      case 'log':
        return asToken(`${++this.#logPosition}.1`)
      case 'etag':
        return asToken('e' + ((record.revision * 7919) % 104729).toString(36))
      case 'content':
        return asToken(contentTag(record.cells))
      case 'none':
        return undefined
    }
  }
}

/** What a strict application refuses: one of the spellings that users of other applications have. */
export const REFUSED_TEXT = 'Mixed Case'
const invalid = (op: WriteOp, reason: string): Outcome => ({
  op: op.op,
  result: 'refused',
  handling: 'park',
  code: 'target.rejected',
  message: `422: ${reason}`,
})

/** Whether a record holds exactly these values; a part that is named must be so as a whole. */
function holds(record: AppRecord, values: NativeRecord): boolean {
  const { object, cells } = record
  const current = object.toWire(cells)
  return Object.keys(values).every((name) => name in current && holdsData(values[name], current[name]))
}

function holdsData(wanted: NativeData | undefined, found: NativeData | undefined): boolean {
  if (Array.isArray(wanted)) {
    if (!Array.isArray(found) || wanted.length !== found.length) return false
    return wanted.every((element, i) => holdsData(element, found[i]))
  }
  if (typeof wanted !== 'object' || wanted === null) return valuesEqual(wanted, found as Value)
  const inner = found as NativeRecord
  return Object.entries(wanted).every(([name, value]) => holdsData(value, inner[name]))
}

function changedPaths(before: Cells, after: Cells): Path[] {
  if (before === after) return []
  const changed: Path[] = []
  for (const path in after)
    if (after[path] !== before[path] && !valuesEqual(after[path], before[path])) changed.push(path)
  for (const path in before) if (!(path in after)) changed.push(path)
  return changed
}

function contentTag(cells: Cells): string {
  let hash = 0x811c9dc5
  for (const path of Object.keys(cells).sort()) {
    const text = path + '=' + String(cells[path]) + ';'
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  }
  return 'c' + (hash >>> 0).toString(36)
}
