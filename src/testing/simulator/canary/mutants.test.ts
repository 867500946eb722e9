import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { Mutant } from './mutant.ts'
import { MUTANTS } from './mutants.ts'
import { applyEdits } from './plant.ts'

const source = (file: string): string => readFileSync(new URL(`../../../../${file}`, import.meta.url), 'utf8')

/** What is wrong with a mutant: a snippet that the source has not got, or has twice. */
function rotten(mutant: Mutant): string[] {
  return [...new Set(mutant.edits.map(({ file }) => file))].flatMap((file) => {
    try {
      return applyEdits(mutant, source(file), (other) => other === file) === source(file)
        ? [`the mutant ${mutant.name} changes nothing in ${file}`]
        : []
    } catch (error) {
      return [(error as Error).message]
    }
  })
}

// Whoever changes one of these places moves the mutant along: the rule that it breaks must still be broken by it.
test('every planted fault finds its place in the source, exactly once', () => {
  expect(MUTANTS.flatMap(rotten)).toEqual([])
})

test('the check sees a snippet that is gone, and one that stands there twice', () => {
  const edit = (from: string): Mutant => ({ name: 'x', breaks: '', edits: [{ file: 'package.json', from, to: '' }] })
  expect(rotten(edit('no such text in there'))).toHaveLength(1)
  expect(rotten(edit('"'))).toHaveLength(1)
  expect(rotten(edit('"name": "latchwork"'))).toEqual([])
})

test('names are unique, and there are at least 40', () => {
  expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length)
  expect(MUTANTS.length).toBeGreaterThanOrEqual(40)
})
