import { expect, test } from 'vitest'
import { FAIL_POINTS } from '../examples/demo/faults/fail-points.ts'
import type { Mutant } from '../src/testing/simulator/canary/mutant.ts'
import { MUTANTS } from '../src/testing/simulator/canary/mutants.ts'
import { rotten } from './support/planted.ts'

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

test('every fail point of the crash matrix finds its place too; rows 7 and 12 are made from outside', () => {
  const points = FAIL_POINTS.map(({ name, edits }) => ({ name, breaks: '', edits }))
  expect(points.flatMap(rotten)).toEqual([])
  const rows = [...FAIL_POINTS.map(({ row }) => row), 7, 12].sort((a, b) => a - b)
  expect(rows).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13])
})
