import type { Store } from '../ports/store.ts'
import { BRAKE_NOTE } from './brake-state.ts'
import type { Brakes } from './brakes.ts'
import { APART_MAX, APART_NOTE, CANDIDATE_NOTE, CANDIDATES_MAX } from './candidates.ts'
import { type Findings, NEAR_MISS_NOTE, SKEW_NOTE } from './findings.ts'
import { CONTACT_NOTE } from './first-contact.ts'

/** Notes of one kind: there are as many as directions, or as fields that some application keeps in a form of its own. */
export const NOTES_MAX = 1_000

/** Brings what belongs to no single record to what is durable. */
export async function restoreNotes(store: Store, brakes: Brakes, findings: Findings): Promise<void> {
  brakes.restore(await store.notes(BRAKE_NOTE, NOTES_MAX), await store.notes(CONTACT_NOTE, NOTES_MAX))
  findings.restore(await store.notes(NEAR_MISS_NOTE, NOTES_MAX), await store.notes(SKEW_NOTE, NOTES_MAX))
  findings.candidates.restore(
    await store.notes(CANDIDATE_NOTE, CANDIDATES_MAX),
    await store.notes(APART_NOTE, APART_MAX),
  )
}
