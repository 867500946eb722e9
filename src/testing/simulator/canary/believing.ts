import { type Mutant, mutant } from './mutant.ts'

const EVIDENCE = 'src/engine/evidence.ts'

/** Rules of what may be believed, and when (docs/protocol.md steps 3, 5, 8 and 15). */
export const BELIEVING_MUTANTS: readonly Mutant[] = [
  {
    ...mutant(
      'part-believed-out-of-order',
      'step 5: a part of a record says nothing of what earlier parts have said, and is believed only where none can be missing',
      'src/engine/prepared.ts',
      `const isWhole = change.kind !== 'partial' || feed === 'F3' || read === 'R0'`,
      'const isWhole = true',
    ),
    classes: ['I1'],
  },
  {
    ...mutant(
      'lagging-read-believed',
      'step 5, hazard 37: a read that shows less than is known is made again',
      EVIDENCE,
      'if (isBehind(binding, lane, asked, read)) {',
      'if (false) {',
    ),
    classes: ['R1'],
  },
  {
    ...mutant(
      'lagging-read-of-the-unknown-believed',
      'step 5, hazard 37: a read that may lag says neither that what was just told of is missing, nor that what was just deleted lives',
      'src/engine/answers.ts',
      'this.#mayBeBehind(prepared, input, link)',
      'false',
    ),
    classes: ['R1'],
  },
  {
    ...mutant(
      'second-write-shown-first',
      '3.6 rung 5: writes stand in the log in their order',
      'src/engine/log-fed.ts',
      '    if (isMissing(lane.image, overlay)) return null\n',
      '',
    ),
    classes: ['B-'],
  },
]
