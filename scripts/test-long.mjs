// `npm run test:long`: the long campaigns, for a night or a release. Same closing line as `npm test`.
// PARTS chooses among them: simulator, canary, processes, planner, coverage, mutation, fuzz (each parser for FUZZ_SECONDS). SEEDS sets the number of simulator seeds, FROM the first of them: seeds of another
// range than the last campaign's see other faults. KILLS is the number of times that the hub is killed, as a process.
import { availableParallelism } from 'node:os'
import { run, simulate, Tally } from './checks.mjs'

/** A fault of 1 in 33,000 seeds is seen with 95 % certainty. */
const SEEDS = Number(process.env.SEEDS ?? 100_000)
const FUZZ_SECONDS = process.env.FUZZ_SECONDS ?? '60'
const KILLS = process.env.KILLS ?? '200'
const PLANNER_RUNS = process.env.PLANNER_RUNS ?? '50000'
const PARTS = (process.env.PARTS ?? 'simulator,canary,processes,planner,coverage,mutation,fuzz').split(',')
const JOBS = String(availableParallelism())
const SOURCE = '--conditions=latchwork-source'
/** The pure stages: lines and branches that tests come by, and small changes of the source that they notice. */
const STAGES = ['src/resolve', 'src/latch', 'src/merge', 'src/deliver', 'src/engine/planner.test.ts']
const COVERED_MIN = 95
const MUTANTS_KILLED_MIN = 85

const tally = new Tally()

/** One campaign that counts as one test; its report is the last line of what it says. */
async function campaign(part, name, command, args, more = {}) {
  if (!PARTS.includes(part)) return
  const startedMs = performance.now()
  const { code, output } = await run(command, args, { capture: true, more })
  tally.count(name, code === 0, startedMs, output.trimEnd().split('\n').at(-1)?.slice(0, 2000))
  if (code !== 0) process.stdout.write(`${output.trimEnd().slice(-8000)}\n`)
}

if (PARTS.includes('simulator')) await simulate(tally, SEEDS, { more: ['--from', process.env.FROM ?? '1'] })
const simulator = [SOURCE, 'src/testing/simulator/main.ts']
await campaign('canary', 'planted faults', 'node', [...simulator, '--canary', '--jobs', JOBS, '--json'])
const faults = ['examples/demo/faults/main.ts', '--kills', KILLS, '--rounds', '3', '--outages', '3']
await campaign('processes', `real faults, ${KILLS} kills`, 'node', [
  SOURCE,
  ...faults,
  '--trouble-ms',
  '60000',
  '--json',
])
const planner = ['run', 'src/engine/planner.test.ts', '--reporter=dot']
await campaign('planner', `planner, ${PLANNER_RUNS} cases for each property`, 'vitest', planner, { PLANNER_RUNS })
const thresholds = ['lines', 'branches'].map((what) => `--coverage.thresholds.${what}=${COVERED_MIN}`)
const coverage = ['run', ...STAGES, '--coverage', '--coverage.reporter=text-summary', ...thresholds, '--reporter=dot']
await campaign('coverage', `coverage of the stages, at least ${COVERED_MIN} %`, 'vitest', coverage)
const mutation = ['test/mutation/main.ts', '--jobs', JOBS, '--min', String(MUTANTS_KILLED_MIN), '--json']
await campaign('mutation', `mutants of the stages, at least ${MUTANTS_KILLED_MIN} % killed`, 'node', [
  SOURCE,
  ...mutation,
])
const fuzz = ['src/testing/fuzz/main.ts', '--seconds', FUZZ_SECONDS, '--from', process.env.FROM ?? '1']
await campaign('fuzz', `parsers fuzzed for ${FUZZ_SECONDS} s each`, 'node', [SOURCE, ...fuzz])
tally.close()
