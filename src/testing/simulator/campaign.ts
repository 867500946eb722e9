import type { CrashPoint } from './crash.ts'
import { type FaultCounts, noFaults } from './faults.ts'
import { type RunOptions, type RunResult, runSeed } from './run.ts'

/** Of every this many seeds, one is run twice: the same seed must give the same trace. */
const TWICE_EVERY = 100

export interface Totals {
  seeds: number
  failed: number
  userEdits: number
  crashes: number
  hubWrites: number
  conflicts: number
  declaredLosses: number
  needlessConflicts: number
  events: number
  virtualMs: number
  runTwice: number
  faults: FaultCounts
  crashPoints: Partial<Record<CrashPoint, number>>
}

export interface Failure {
  readonly seed: number
  readonly checker: string
  readonly message: string
  readonly apps: readonly string[]
}

export interface CampaignResult {
  readonly totals: Totals
  readonly failures: readonly Failure[]
}

export interface CampaignOptions extends RunOptions {
  readonly from: number
  readonly seeds: number
  /** Of every so many seeds, one is run twice; 100 unless told. */
  readonly twiceEvery?: number
  readonly onProgress?: (totals: Totals) => void
  /** Only every n-th seed, beginning with the k-th: the share of one worker. */
  readonly share?: { readonly of: number; readonly index: number }
}

/** Failures kept with their message; more say nothing new. */
const FAILURES_MAX = 200

export async function runCampaign(options: CampaignOptions): Promise<CampaignResult> {
  const totals = noTotals()
  const failures: Failure[] = []
  const { of, index } = options.share ?? { of: 1, index: 0 }
  for (let seed = options.from + index; seed < options.from + options.seeds; seed += of) {
    const result = await runGuarded(seed, options)
    const failed =
      result.failed ??
      (seed % (options.twiceEvery ?? TWICE_EVERY) === 0 ? await runAgain(result, options, totals) : null)
    add(totals, result)
    if (failed !== null) {
      totals.failed++
      if (failures.length < FAILURES_MAX) failures.push({ seed, ...failed, apps: result.apps })
    }
    options.onProgress?.(totals)
  }
  return { totals, failures }
}

/** A promise that nobody handles is a defect of the engine; it counts against the seed that was running. */
async function runGuarded(seed: number, options: RunOptions): Promise<RunResult> {
  const unhandled: unknown[] = []
  const note = (reason: unknown): void => void unhandled.push(reason)
  process.on('unhandledRejection', note)
  try {
    const result = await runSeed(seed, options)
    const [first] = unhandled
    if (first === undefined) return result
    const text = first instanceof Error ? (first.stack ?? first.message) : String(first)
    return { ...result, failed: { checker: 'unhandled-rejection', message: text } }
  } finally {
    process.off('unhandledRejection', note)
  }
}

async function runAgain(first: RunResult, options: RunOptions, totals: Totals): Promise<RunResult['failed']> {
  totals.runTwice++
  const second = await runSeed(first.seed, options)
  if (second.hash === first.hash && second.events === first.events) return null
  return {
    checker: 'determinism',
    message: `two runs of the seed differ: ${first.hash} (${first.events} events), ${second.hash} (${second.events} events)`,
  }
}

export const noTotals = (): Totals => ({
  seeds: 0,
  failed: 0,
  userEdits: 0,
  crashes: 0,
  hubWrites: 0,
  conflicts: 0,
  declaredLosses: 0,
  needlessConflicts: 0,
  events: 0,
  virtualMs: 0,
  runTwice: 0,
  faults: noFaults(),
  crashPoints: {},
})

function add(totals: Totals, result: RunResult): void {
  totals.seeds++
  totals.userEdits += result.userEdits
  totals.crashes += result.crashes
  totals.hubWrites += result.hubWrites
  totals.conflicts += result.conflicts
  totals.declaredLosses += result.declaredLosses
  totals.needlessConflicts += result.needlessConflicts
  totals.events += result.events
  totals.virtualMs += result.virtualMs
  addCounts(totals.faults, result.faults)
  addCounts(totals.crashPoints, result.crashPoints)
}

function addCounts<K extends string>(into: Partial<Record<K, number>>, from: Partial<Record<K, number>>): void {
  for (const name in from) into[name] = (into[name] ?? 0) + (from[name] ?? 0)
}

/** The sum of what several workers did. */
export function mergeResults(results: readonly CampaignResult[]): CampaignResult {
  const totals = noTotals()
  for (const { totals: part } of results) {
    for (const name of [
      'seeds',
      'failed',
      'userEdits',
      'crashes',
      'hubWrites',
      'conflicts',
      'declaredLosses',
      'needlessConflicts',
      'events',
      'virtualMs',
      'runTwice',
    ] as const)
      totals[name] += part[name]
    addCounts(totals.faults, part.faults)
    addCounts(totals.crashPoints, part.crashPoints)
  }
  return { totals, failures: results.flatMap((result) => result.failures).sort((a, b) => a.seed - b.seed) }
}
