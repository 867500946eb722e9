export {
  Backfill,
  type BackfillOptions,
  type BackfillProgress,
  forgetBackfill,
  hasUnfinishedBackfill,
} from './backfill.ts'
export {
  type CompareOptions,
  type CompareProgress,
  type CompareState,
  Comparison,
  type EntityResult,
} from './compare.ts'
export { type RehearsedEntity, type RehearsedThing, type RehearseOptions, rehearse } from './rehearse.ts'
export { type BackfillRun, hasUnfinishedUndo, lastRun, noteRun, Undo, type UndoProgress } from './undo.ts'
export { type Difference, type VerifiedEntity, type VerifyOptions, verify } from './verify.ts'
export type { DayOne, PlannedWrite } from './writes.ts'
