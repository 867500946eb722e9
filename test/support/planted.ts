import type { Mutant } from '../../src/testing/simulator/canary/mutant.ts'
import { applyEdits } from '../../src/testing/simulator/canary/plant.ts'
import { read } from './sources.ts'

/** What is wrong with a planted fault: a snippet that the source has not got, or has twice, or an edit that changes nothing. */
export function rotten(mutant: Mutant): string[] {
  return [...new Set(mutant.edits.map(({ file }) => file))].flatMap((file) => {
    try {
      const source = read(file)
      return applyEdits(mutant, source, (other) => other === file) === source
        ? [`the mutant ${mutant.name} changes nothing in ${file}`]
        : []
    } catch (error) {
      return [(error as Error).message]
    }
  })
}
