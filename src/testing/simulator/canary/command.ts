import { performance } from 'node:perf_hooks'
import { type CanaryReport, type Catch, hunt, reportOf, SEED_BUDGET } from './hunt.ts'
import { MUTANTS } from './mutants.ts'

export interface CanaryOptions {
  readonly jobs: number
  readonly from: number
  readonly seeds: number | undefined
  /** Names of mutants, or parts of names; all of them when it is empty. */
  readonly only: readonly string[]
  readonly isJson: boolean
}

/** `simulate --canary`: plants every fault and reports which were caught. True when all were. */
export async function canary(options: CanaryOptions): Promise<boolean> {
  const { jobs, from, seeds = SEED_BUDGET, only, isJson } = options
  const mutants = MUTANTS.filter(({ name }) => only.length === 0 || only.some((part) => name.includes(part)))
  const began = performance.now()
  const say = ({ mutant, seeds: tried, checker, message }: Catch): void => {
    const atS = ((performance.now() - began) / 1000).toFixed(0)
    const how = tried === null ? 'SURVIVED' : `${checker} after ${tried} seeds: ${message.slice(0, 160)}`
    process.stderr.write(`${atS.padStart(5)} s  ${mutant.padEnd(42)} ${how}\n`)
  }
  const report = reportOf(await hunt({ mutants, jobs, from, seeds, onCatch: say }))
  process.stdout.write(isJson ? `${JSON.stringify(report)}\n` : textOf(report))
  return report.survivors.length === 0
}

const textOf = ({ planted, caught, survivors }: CanaryReport): string =>
  `${planted} faults planted, ${caught} caught${survivors.length === 0 ? '' : `; these live: ${survivors.join(', ')}`}\n`
