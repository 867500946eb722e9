import type { BindingModel, EntityModel, Writeback } from '../model/entity.ts'
import type { JournalPosition } from '../model/ids.ts'
import type { HeadCell, RecordState } from '../model/record.ts'
import { type Path, type Value, valuesEqual } from '../model/value.ts'
import { needOf } from './need.ts'

/**
 * Brings the derived fields of a record up to date: what is written back into an application (the ids that the record has in others, how far they are). They stand in the
 * head beside the fields, nobody tells them, and they are delivered like any other; so a writeback is level-triggered, and its own notification folds to nothing. Pure.
 */
export function deriveWritebacks(
  entity: EntityModel,
  record: RecordState,
  at: { readonly seq: JournalPosition; readonly atMs: number },
): RecordState {
  let head: Record<Path, HeadCell> | null = null
  for (const binding of entity.bindings.values()) {
    for (const { field, of } of binding.writebacks ?? NONE) {
      const known = record.head[field]
      const value = derivedValue(entity, binding, record, of)
      if (value === undefined || (known === undefined && value === null)) continue
      if (known !== undefined && valuesEqual(known.value, value)) continue
      // Of no person's change: its own root. The version rises with every change of the cell.
      const seq = Math.max(at.seq, (known?.origin.seq ?? 0) + 1) as JournalPosition
      head ??= { ...record.head }
      head[field] = { value, origin: { seq, app: binding.app, timeMs: at.atMs, root: seq, hops: 0 } }
    }
  }
  return head === null ? record : { ...record, head }
}

const NONE: readonly Writeback[] = []

/** undefined: nothing that can be said now. */
function derivedValue(
  entity: EntityModel,
  binding: BindingModel,
  record: RecordState,
  of: Writeback['of'],
): Value | undefined {
  if (of.kind === 'id') {
    const lane = record.lanes[of.app]
    if (lane === undefined || lane.nativeId === null) return null
    // While a read or a write of ours is under way there, it is not known whether it is gone.
    return lane.exists === false ? (lane.intent === null ? null : undefined) : lane.nativeId
  }
  let isInStep = true
  for (const other of entity.bindings.values()) {
    if (other.app === binding.app) continue
    const lane = record.lanes[other.app]
    if (lane !== undefined && lane.park !== null) return of.failed
    if (lane?.detached === true) continue
    if (lane === undefined || lane.exists !== true) {
      if (other.createHere && !record.deleted) isInStep = false
      continue
    }
    if (lane.intent !== null || needOf(other, record, lane, false) !== null) isInStep = false
  }
  return isInStep ? of.synced : undefined
}
