import type { BindingModel, EntityModel } from '../model/entity.ts'
import type { JournalPosition } from '../model/ids.ts'
import type { Conflict, Lane, Origin, RecordState } from '../model/record.ts'
import type { Fields, Image, Path } from '../model/value.ts'
import type { ToldLineage } from './lineage.ts'
import type { MissingReference, References } from './references.ts'

/** What a fold is given, and what it gives (fold.ts). */

/** How an observation relates to a write of ours, when the ladder of docs/protocol.md 3.6 has found one. */
export interface OwnWriteSeen {
  /**
   * exact: the image is the state right after our write. included: it holds our write or not, field by field (an UNKNOWN write found by a read). late: all that changed is an old write of ours, applied after
   * it was given up: nobody's change.
   */
  readonly how: 'exact' | 'included' | 'late'
  /** The canonical values that we wrote, and the native values they were written as. */
  readonly patch: Fields
  readonly native: Image
  /** Of our write: what the app changes in answer to it descends from it. null where another change may have come between. */
  readonly origin: Pick<Origin, 'root' | 'hops'> | null
  /** The parts that `native` touches stand in it whole: what is like it there is ours, and an element that it lacks was taken out by us. */
  readonly whole?: boolean
  /** Earlier writes of ours of which the application's own form has not been seen yet, where this one is in doubt: a value that is theirs but for its spelling is that form. */
  readonly earlier?: { readonly patch: Fields; readonly native: Image }
  /** The version of the head that we wrote; null where the lane's basis says it already. */
  readonly headSeq: JournalPosition | null
}

export interface FoldInput {
  readonly entity: EntityModel
  readonly binding: BindingModel
  readonly record: RecordState
  readonly lane: Lane
  readonly image: Image
  /** The image holds only what has changed; otherwise every mapped field of the app (an absent optional field is then absent there too). */
  readonly isPartial?: boolean
  readonly seq: JournalPosition
  readonly atMs: number
  readonly sourceTimeMs: number | undefined
  /** The application was in this state when the journal had this position, or later: of a read. What is told may have been so long ago. */
  readonly asOf?: JournalPosition | undefined
  readonly own: OwnWriteSeen | null
  /** Where its values come from, where another hub told it. */
  readonly told?: ToldLineage
  readonly references: References
  /** Leave out what refers to records that are not known yet, and fold the rest; otherwise nothing is folded, and MissingReference is thrown. */
  readonly leaveOutMissing?: boolean
}

export interface FoldResult {
  /** The first reference that was left out. */
  readonly missing: MissingReference | null
  readonly record: RecordState
  readonly lane: Lane
  readonly accepted: readonly Path[]
  readonly convergent: readonly Path[]
  readonly rendition: readonly Path[]
  /** Values that this hub had before and went on from, told by another hub. */
  readonly returned: readonly Path[]
  readonly lost: readonly Path[]
  readonly won: readonly Path[]
  /** Both sides are in the value that stands now. */
  readonly merged: readonly Path[]
  /** Neither stands until a person decides. */
  readonly setAside: readonly Path[]
  readonly conflicts: readonly Conflict[]
  /** Paths whose lineage has more hops than any honest change can have: applications that answer each other. */
  readonly overBudget: readonly Path[]
}
