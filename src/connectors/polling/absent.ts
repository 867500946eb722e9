import type { NativeId } from '../../model/ids.ts'

/** What a comparison of the ids that were there with those that are there now leads to. Pure. */
export interface Absence {
  /** Missing twice in a row: worth asking for by id. Nothing is taken for deleted before that read says so. */
  readonly suspects: readonly NativeId[]
  /** Missing for the first time. */
  readonly missing: ReadonlySet<NativeId>
  /** More are missing than people delete at once: a lost right, a filter, a half-restored table. Nothing is asked for. */
  readonly isMass: boolean
}

/** Fewer than this are never a mass; above it, this share is. */
const MASS_MIN = 20
const MASS_SHARE = 0.01

export function absenceOf(
  known: ReadonlySet<NativeId>,
  there: ReadonlySet<NativeId>,
  missingBefore: ReadonlySet<NativeId>,
): Absence {
  const missing = new Set([...known].filter((id) => !there.has(id)))
  const isMass = missing.size > Math.max(MASS_MIN, known.size * MASS_SHARE)
  return { suspects: isMass ? [] : [...missing].filter((id) => missingBefore.has(id)), missing, isMass }
}
