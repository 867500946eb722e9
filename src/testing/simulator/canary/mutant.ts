/** One piece of source, and what a mutant puts in its place. `from` occurs exactly once in the file; a test says so, so that no mutant rots unseen. */
export interface Edit {
  /** Path from the root of the project. */
  readonly file: string
  readonly from: string
  readonly to: string
}

/** A fault planted in the protocol: one rule broken, everything else as it is shipped. */
export interface Mutant {
  /** Stable: `seedsToCatch` of the report is keyed by it. */
  readonly name: string
  /** The rule that is broken, with its place in docs/protocol.md. */
  readonly breaks: string
  readonly edits: readonly Edit[]
  /** Applications to draw from, where the rule is about a class that an ordinary campaign does not draw. */
  readonly classes?: readonly string[]
}

/** A mutant with one edit. */
export const mutant = (name: string, breaks: string, file: string, from: string, to: string): Mutant => ({
  name,
  breaks,
  edits: [{ file, from, to }],
})
