import { describe, expect, test } from 'vitest'
import { hunt, reportOf } from './hunt.ts'
import { MUTANTS } from './mutants.ts'

/** Faults of every kind that are caught within some hundred seeds at most; `npm run test:long` plants all of them. */
const SAMPLE = [
  'boolean-latch',
  'echo-expected',
  'sent-before-committed',
  'hold-and-correlation-skipped',
  'create-resent-blindly',
  'refresh-and-repeat',
  'blind-instead-of-conditional',
  'rendition-off',
  'stale-drop-off',
  'conflict-loser-not-logged',
  'payload-hash-deduplication',
  'feed-position-before-its-changes',
  'held-entries-lost-at-restart',
  'released-lane-not-examined',
  'rev-not-raised',
  'always-detached',
]
const SEEDS_MAX = 2000

describe('planted faults', () => {
  test('are caught', { timeout: 120_000 }, async () => {
    const mutants = MUTANTS.filter(({ name }) => SAMPLE.includes(name))
    expect(mutants.map(({ name }) => name).sort()).toEqual([...SAMPLE].sort())
    const report = reportOf(await hunt({ mutants, jobs: 2, seeds: SEEDS_MAX }))
    expect(report).toMatchObject({ planted: SAMPLE.length, caught: SAMPLE.length, survivors: [] })
  })

  test('are not seen where there is none: an edit that changes nothing survives', { timeout: 60_000 }, async () => {
    const harmless = {
      name: 'harmless',
      breaks: 'nothing',
      edits: [{ file: 'src/lib/due-queue.ts', from: 'export class DueQueue {', to: 'export class DueQueue { x = 1;' }],
    }
    const report = reportOf(await hunt({ mutants: [harmless], jobs: 1, seeds: 30 }))
    expect(report).toEqual({ planted: 1, caught: 0, survivors: ['harmless'], seedsToCatch: {} })
  })
})
