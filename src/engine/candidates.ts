import type { CanonicalKey, EntityName } from '../model/ids.ts'
import type { Note } from '../model/record.ts'

/** Pairs of records that may be one, for people to decide on; and those of which a person said that they are not. */

export const CANDIDATE_NOTE = 'candidate'
export const APART_NOTE = 'apart'

/** Two records that share a hint. */
export interface Candidate {
  readonly entity: EntityName
  /** The one that was there, and the one that came in. */
  readonly keys: readonly [CanonicalKey, CanonicalKey]
  /** Which hints they share, each by its fields. */
  readonly hints: readonly (readonly string[])[]
  readonly atMs: number
}

/** Beyond so many nobody looks through them: then the hints are too weak, and the newest are left out. */
export const CANDIDATES_MAX = 10_000
/** Decisions of people, by hand. */
export const APART_MAX = 100_000
/** A value that more records share than this tells nothing: a placeholder, the number of a switchboard. */
export const HINT_SHARED_MAX = 20

export class Candidates {
  readonly #open = new Map<string, Candidate>()
  readonly #apart = new Set<string>()
  #changed: Note[] = []

  restore(open: readonly Note[], apart: readonly Note[]): void {
    this.#open.clear()
    this.#apart.clear()
    this.#changed = []
    for (const { id, body } of open) this.#open.set(id, body as unknown as Candidate)
    for (const { id } of apart) this.#apart.add(id)
  }

  /** True where the pair is new, and nobody has decided on it. */
  propose(candidate: Candidate): boolean {
    const id = idOf(...candidate.keys)
    if (this.#apart.has(id) || this.#open.has(id) || this.#open.size >= CANDIDATES_MAX) return false
    this.#open.set(id, candidate)
    this.#changed.push({
      kind: CANDIDATE_NOTE,
      id,
      atMs: candidate.atMs,
      body: { ...candidate } as unknown as Note['body'],
    })
    return true
  }

  /** A person has decided: as one, it is no pair any more; as two, it is never proposed again. */
  decided(a: CanonicalKey, b: CanonicalKey, as: 'one' | 'two', atMs: number): void {
    const id = idOf(a, b)
    if (this.#open.delete(id)) this.#changed.push({ kind: CANDIDATE_NOTE, id, atMs, body: null })
    if (as === 'one' ? !this.#apart.delete(id) : this.#apart.has(id) || this.#apart.size >= APART_MAX) return
    if (as === 'two') this.#apart.add(id)
    this.#changed.push({ kind: APART_NOTE, id, atMs, body: as === 'one' ? null : { keys: [a, b] } })
  }

  takeChanged(): readonly Note[] {
    const changed = this.#changed
    this.#changed = []
    return changed
  }
}

const idOf = (a: CanonicalKey, b: CanonicalKey): string => (a < b ? `${a} ${b}` : `${b} ${a}`)
