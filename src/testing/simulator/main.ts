import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import {
  type CampaignOptions,
  type CampaignResult,
  type Failure,
  mergeResults,
  runCampaign,
  type Totals,
} from './campaign.ts'
import { canary } from './canary/command.ts'
import { DEFAULT_CLASSES, runSeed } from './run.ts'
import type { Cut } from './scenario.ts'
import { cutArguments, shrink } from './shrink.ts'

const USAGE = `npm run simulate -- [--seeds 1000] [--from 1] [--classes A,C] [--jobs 1] [--json]
npm run simulate -- --canary [--only fence,latch] [--seeds 10000] [--jobs 2] [--json]
npm run simulate -- --seed S [--trace] [--shrink] [--off drop,crash] [--apps-off 2] [--actions-off 3,4]

Runs the real engine on a virtual clock against misbehaving applications in memory, and checks what docs/protocol.md promises.
--classes  class letters (A, B, B-, C; I1: told of parts of records, R1: reads that lag) or kinds of application (hook, thin, poll, log, log-mark, log-blind, thin-blind, poll-blind, ...);
           many: five to eight applications
--jobs     cores to use
--canary   plants one fault after the other into the protocol and reports which the checkers catch; --only names some
--trace    prints everything that happened in the run of one seed
--off, --apps-off, --actions-off  leave out classes of faults or aspects, applications, users' actions
`

const { values } = parseArgs({
  options: {
    seeds: { type: 'string' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    classes: { type: 'string', default: DEFAULT_CLASSES.join(',') },
    jobs: { type: 'string', default: '1' },
    trace: { type: 'boolean', default: false },
    shrink: { type: 'boolean', default: false },
    off: { type: 'string', default: '' },
    'apps-off': { type: 'string', default: '' },
    'actions-off': { type: 'string', default: '' },
    canary: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

const classes = values.classes.split(',')
const cut: Cut = {
  off: new Set(words(values.off)),
  appsOff: new Set(words(values['apps-off']).map(Number)),
  actionsOff: new Set(words(values['actions-off']).map(Number)),
}

if (values.help) process.stdout.write(USAGE)
else if (values.seed !== undefined) await one(whole('seed', values.seed))
else if (values.canary) process.exitCode = (await plantFaults()) ? 0 : 1
else await many(whole('from', values.from), whole('seeds', values.seeds ?? '1000'), whole('jobs', values.jobs))

function words(list: string): string[] {
  return list === '' ? [] : list.split(',')
}

function whole(name: string, text: string): number {
  const number = Number(text)
  if (Number.isSafeInteger(number) && number >= 0) return number
  process.stderr.write(`--${name} needs a whole number, not ${text}\n\n${USAGE}`)
  process.exit(2)
}

async function plantFaults(): Promise<boolean> {
  return canary({
    jobs: whole('jobs', values.jobs),
    from: whole('from', values.from),
    seeds: values.seeds === undefined ? undefined : whole('seeds', values.seeds),
    only: words(values.only),
    isJson: values.json,
  })
}

/** One seed: its story, or that it holds. */
async function one(seed: number): Promise<void> {
  const options = { classes, cut, trace: values.trace }
  let result = await runSeed(seed, options)
  let made = cut
  if (result.failed !== null && values.shrink) ({ cut: made, result } = await shrink(result, options))
  if (values.trace || values.shrink) process.stdout.write(result.lines.join('\n') + '\n')
  const verdict = result.failed === null ? 'holds' : `${result.failed.checker}: ${result.failed.message}`
  process.stdout.write(`seed ${seed}, ${result.apps.join(', ')}: ${verdict}\n`)
  if (result.failed !== null) process.stdout.write(rerun(seed, made) + '\n')
  if (values.json) {
    const { userEdits, crashes, hubWrites, declaredLosses, hash, events, failed } = result
    process.stdout.write(
      JSON.stringify({
        seeds: 1,
        failed: failed === null ? 0 : 1,
        userEdits,
        crashes,
        hubWrites,
        declaredLosses,
        hash,
        events,
      }) + '\n',
    )
  }
  process.exitCode = result.failed === null ? 0 : 1
}

async function many(from: number, seeds: number, jobs: number): Promise<void> {
  const began = performance.now()
  const options: CampaignOptions = { from, seeds, classes, cut }
  const { totals, failures } =
    jobs > 1 ? await inWorkers(options, jobs) : await runCampaign({ ...options, onProgress: progress(seeds) })
  const seconds = (performance.now() - began) / 1000
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')
  if (failures[0] !== undefined) await tell(failures)
  const seedsPerSecond = Math.round((totals.seeds / seconds / jobs) * 10) / 10
  report(totals, seedsPerSecond, failures)
  process.exitCode = totals.failed === 0 ? 0 : 1
}

function progress(seeds: number): (totals: Totals) => void {
  let shown = performance.now()
  return (totals) => {
    if (!process.stderr.isTTY || performance.now() - shown < 200) return
    shown = performance.now()
    process.stderr.write(
      `\r${totals.seeds} of ${seeds} seeds, ${totals.failed} failed, ${totals.userEdits} edits, ${totals.crashes} crashes`,
    )
  }
}

function inWorkers(options: CampaignOptions, jobs: number): Promise<CampaignResult> {
  const shares = Array.from({ length: jobs }, (_, index) => {
    const workerData: CampaignOptions = { ...options, share: { of: jobs, index } }
    return new Promise<CampaignResult>((resolve, reject) => {
      const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData })
      worker.once('message', resolve)
      worker.once('error', reject)
    })
  })
  return Promise.all(shares).then(mergeResults)
}

/** The failures by promise, and the first one as a short story. */
async function tell(failures: readonly Failure[]): Promise<void> {
  const byChecker = new Map<string, Failure[]>()
  for (const failure of failures) byChecker.set(failure.checker, [...(byChecker.get(failure.checker) ?? []), failure])
  for (const [checker, list] of byChecker) {
    process.stdout.write(
      `${checker}: ${list.length} seeds, among them ${list
        .slice(0, 8)
        .map((failure) => failure.seed)
        .join(' ')}\n  ${list[0]?.message}\n`,
    )
  }
  const seed = failures[0]?.seed ?? 0
  const first = await runSeed(seed, { classes, cut })
  if (first.failed === null) return
  const small = await shrink(first, { classes, cut })
  process.stdout.write(
    `\nseed ${seed}, made small (${small.result.apps.join(', ')}):\n${small.result.lines.join('\n')}\n`,
  )
  process.stdout.write(
    `${small.result.failed?.checker}: ${small.result.failed?.message}\n${rerun(seed, cut)}\n${rerun(seed, small.cut)}\n\n`,
  )
}

function rerun(seed: number, made: Cut): string {
  const mix = values.classes === DEFAULT_CLASSES.join(',') ? '' : ` --classes ${values.classes}`
  return `npm run simulate -- --seed ${seed} --trace${mix}${cutArguments(made)}`
}

function report(totals: Totals, seedsPerSecond: number, failures: readonly Failure[]): void {
  const {
    seeds,
    failed,
    userEdits,
    crashes,
    hubWrites,
    conflicts,
    declaredLosses,
    needlessConflicts,
    events,
    runTwice,
    faults,
    crashPoints,
  } = totals
  if (!values.json) {
    process.stdout.write(
      `${seeds} seeds, ${failed} failed; ${userEdits} edits by users, ${hubWrites} writes of the hub, ${crashes} crashes, ${conflicts} conflicts, ${declaredLosses} declared losses; ${seedsPerSecond} seeds a second and core\n`,
    )
    return
  }
  const failing = failures.map((failure) => failure.seed)
  process.stdout.write(
    JSON.stringify({
      seeds,
      failed,
      seedsPerSecond,
      userEdits,
      crashes,
      hubWrites,
      conflicts,
      declaredLosses,
      needlessConflicts,
      events,
      runTwice,
      faults,
      crashPoints,
      failing,
    }) + '\n',
  )
}
