import type { JournalPosition } from './ids.ts'
import type { Lane, RecordState } from './record.ts'
import { type Path, valuesEqual } from './value.ts'

/**
 * Whether the users of an application are known to have had this very version of the head before them: the value is the same, and the head has not been elsewhere meanwhile.
 * Equal values alone do not say so: a head that went from A to B and back to A has changed twice, and who had A all the time has seen neither.
 */
export function hasAgreed(record: RecordState, lane: Lane, path: Path, sent: Lane['sent'] = lane.sent): boolean {
  const cell = record.head[path]
  return (
    cell !== undefined &&
    path in sent &&
    cell.origin.seq <= lane.basis &&
    valuesEqual(cell.value, sent[path]) &&
    !lane.byChance.includes(path)
  )
}

/** Whether new evidence shows that the application held a path at this version or later; undefined when it says nothing of it. */
export type Proof = (path: Path, version: JournalPosition) => boolean | undefined

/**
 * Moves a lane's basis to the head as it is now. Paths whose value is the head's only by chance are remembered; nearly always there is none, and nothing is stored. Pure.
 */
export function advanceBasis(record: RecordState, lane: Lane, proof: Proof | null): Lane {
  if (lane.basis === record.headSeq && lane.byChance.length === 0 && proof === null) return lane
  const byChance: Path[] = []
  for (const path in record.head) {
    const { value, origin } = record.head[path] as RecordState['head'][string]
    // What is derived for the application is told by nobody, so no change of it is made without knowing of ours.
    if (path.startsWith(DERIVED) || !valuesEqual(value, lane.sent[path])) continue
    const known = origin.seq <= lane.basis && !lane.byChance.includes(path)
    if (!(proof?.(path, origin.seq) ?? known)) byChance.push(path)
  }
  if (lane.basis === record.headSeq && byChance.length === 0 && lane.byChance.length === 0) return lane
  return { ...lane, basis: record.headSeq, byChance: byChance.length === 0 ? NONE : byChance }
}

/** Evidence that the application held what it holds when the head had this version, or later: a read that began then, or a write of ours that was applied. */
export const heldAt =
  (headSeq: JournalPosition): Proof =>
  (_path, version) =>
    version <= headSeq ? true : undefined

const NONE: readonly Path[] = []

/** How the paths begin of what is written back into one application: no field of an entity does. */
const DERIVED = '@'
