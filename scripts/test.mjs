// `npm test`: everything that must hold before a change is taken, in the order in which a failure is cheapest to understand.
// The last line is the count, alone. Biome, tsc, the build and the simulator's smoke run count as one test each.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run, simulate, Tally } from './checks.mjs'

/** Seeds of the smoke run: enough to see a fault of 1 in 1,300 seeds with 95 % certainty; the long campaign sees rarer ones. */
const SMOKE_SEEDS = 4000
/** A machine that needs longer than this for either is too slow, or something hangs. */
const SMOKE_MAX_MS = 300_000
const VITEST_MAX_MS = 720_000
/** Tests that need a service say which by the suffix of their file; such a test that is skipped is a failure where CI=true. */
const NEEDS_SERVICE = /\.(pg|mariadb|redis|amqp|mqtt|nats|kafka|browser)\.test\.ts$/

const tally = new Tally()
await tally.check('biome', 'biome', ['check', '.', '--colors=off'])
await tally.check('tsc', 'tsc', ['--noEmit'])
await tally.check('the build', 'tsc', ['-p', 'tsconfig.build.json', '--noEmit'])
await tests()
await simulate(tally, SMOKE_SEEDS, { limitMs: SMOKE_MAX_MS })
tally.close()

async function tests() {
  const startedMs = performance.now()
  const folder = mkdtempSync(join(tmpdir(), 'latchwork-test-'))
  const file = join(folder, 'vitest.json')
  const { code } = await run('vitest', ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${file}`], {
    limitMs: VITEST_MAX_MS,
  })
  const report = readReport(file)
  rmSync(folder, { recursive: true, force: true })
  if (report === undefined) return tally.count('vitest', false, startedMs, 'it gave no report')
  const before = tally.failed
  for (const suite of report.testResults) countSuite(suite)
  // A run that failed although every test passed (an unhandled rejection, a hook) is a failure too.
  if (code !== 0 && tally.failed === before) tally.failed++
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
  process.stdout.write(`${tally.failed === before ? 'ok    ' : 'FAILED'} vitest (${seconds} s)\n`)
}

function countSuite({ name, status, assertionResults }) {
  if (status === 'failed' && !assertionResults.some((test) => test.status === 'failed')) {
    tally.failed++
    process.stdout.write(`FAILED ${name} as a whole\n`)
  }
  for (const test of assertionResults) {
    if (test.status === 'passed') tally.passed++
    else if (test.status === 'failed') tally.failed++
    else countSkipped(name, test)
  }
}

function countSkipped(file, test) {
  // A case of a published suite that does not apply to an adapter says why in its title; that is no missing service.
  const doesNotApply = test.fullName.includes('(not here: ')
  const refused = process.env.CI === 'true' && NEEDS_SERVICE.test(file) && !doesNotApply
  if (refused) tally.failed++
  else tally.skipped++
  const why = refused ? 'FAILED (its service is missing, and CI=true)' : 'skipped'
  process.stdout.write(`${why} ${test.fullName}\n`)
}

function readReport(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
}
