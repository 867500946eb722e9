import { encodePatch, needOf } from '../deliver/need.ts'
import { emptyLane, emptyRecord } from '../engine/record-work.ts'
import { SyncError } from '../errors/index.ts'
import { foldImage } from '../merge/fold.ts'
import type { References } from '../merge/references.ts'
import type { BindingModel, EntityModel } from '../model/entity.ts'
import { type AppId, asCanonicalKey, asJournalPosition, type NativeId } from '../model/ids.ts'
import type { Conflict, RecordState } from '../model/record.ts'
import type { Fields, NativeRecord, Path, Value } from '../model/value.ts'
import type { Suspect } from './compare.ts'

/** What would be written into one application for one record. */
export interface PlannedWrite {
  readonly app: AppId
  readonly kind: 'create' | 'update'
  /** null for a create. */
  readonly nativeId: NativeId | null
  /** The canonical values, and what they replace there. */
  readonly values: Fields
  readonly before: Fields
  /** As the application would be sent it; null where it cannot be told yet, because a referred record has no id there. */
  readonly native: NativeRecord | null
}

export interface DayOne {
  readonly writes: readonly PlannedWrite[]
  /** Values that lose at first contact, by the policy of their field. */
  readonly conflicts: readonly Pick<
    Conflict,
    'path' | 'loserApp' | 'loserValue' | 'winnerApp' | 'winnerValue' | 'policy'
  >[]
  /** Why nothing of it can be written. */
  readonly error: SyncError | null
}

const KEY = asCanonicalKey('rehearsed')

/**
 * What the first contact would do with one thing that stands in some applications: folds their images in the order of the applications and compares the head with each, by the very code that
 * the engine runs. Pure; nothing is written.
 */
export function dayOne(entity: EntityModel, copies: readonly Suspect[], references: References): DayOne {
  let record = emptyRecord(entity, KEY)
  const conflicts: Conflict[] = []
  try {
    for (const binding of entity.bindings.values()) {
      const copy = copies.find((one) => one.binding === binding)
      if (copy === undefined) continue
      if (copy.error !== null) throw copy.error
      const fold = foldImage({
        entity,
        binding,
        record,
        lane: { ...emptyLane(binding), nativeId: copy.read.nativeId, exists: true },
        image: copy.image,
        seq: asJournalPosition(record.headSeq + 1),
        atMs: copy.read.sourceTimeMs ?? 0,
        sourceTimeMs: copy.read.sourceTimeMs,
        own: null,
        references,
      })
      record = { ...fold.record, lanes: { ...fold.record.lanes, [binding.app]: fold.lane } }
      conflicts.push(...fold.conflicts)
    }
    const adopted = copies.some(({ binding }) => binding.adoptHere)
    const writes = adopted || copies.length > 1 ? writesOf(entity, record) : []
    return { writes, conflicts, error: null }
  } catch (error) {
    return { writes: [], conflicts: [], error: SyncError.from(error) }
  }
}

function writesOf(entity: EntityModel, record: RecordState): PlannedWrite[] {
  const writes: PlannedWrite[] = []
  for (const binding of entity.bindings.values()) {
    const lane = record.lanes[binding.app]
    const isNew = lane === undefined
    if (isNew && (!binding.createHere || binding.createNeeds.some((path) => !(path in record.head)))) continue
    const held = lane ?? emptyLane(binding)
    const need = needOf(binding, record, held, isNew)
    if (need === null) continue
    writes.push({
      app: binding.app,
      kind: isNew ? 'create' : 'update',
      nativeId: held.nativeId,
      values: need.patch,
      before: isNew ? {} : pick(held.sent, need.patch),
      native: nativeOf(binding, need.patch, isNew),
    })
  }
  return writes
}

function nativeOf(binding: BindingModel, patch: Fields, isNew: boolean): NativeRecord | null {
  const encoded = encodePatch(binding, patch, () => undefined)
  if ('missing' in encoded) return null
  return binding.unflatten(isNew ? { ...binding.onCreate, ...encoded.native } : encoded.native)
}

function pick(from: Readonly<Record<Path, Value>>, like: Fields): Fields {
  const picked: Record<Path, Value> = {}
  for (const path in like) if (path in from) picked[path] = from[path] as Value
  return picked
}
