/**
 * Mutation testing of the stages: each small change of their source must be noticed by a unit, property or planner test.
 *
 *     node --conditions=latchwork-source test/mutation/main.ts [--only fold] [--jobs 2] [--min 85] [--json]
 */

import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { mutantsOf } from './mutators.ts'
import { lineAt, type NumberedMutant, withSwitches } from './schemata.ts'
import type { MutationNews, MutationOrder } from './worker.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const FOLDERS = ['src/resolve', 'src/latch', 'src/merge', 'src/deliver']
/** Tests of the stages beside them, and the planner's, which plays whole rounds. */
const TESTS = [...FOLDERS.map((folder) => `${folder}/**/*.test.ts`), 'src/engine/planner.test.ts']
/** A mutant that only many cases would find is not worth their time for each of those that live. Workers inherit it. */
process.env.PLANNER_RUNS ??= '200'
/** A mutant that works for this long makes its loop endless: whoever ran the tests would notice. */
const WORK_MAX_MS = 20_000
const LOOK_EVERY_MS = 1_000

interface Result {
  readonly mutant: NumberedMutant
  readonly how: 'killed' | 'endless' | 'survived' | 'not covered'
  readonly by: string | null
}

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    jobs: { type: 'string', default: '2' },
    min: { type: 'string', default: '85' },
    json: { type: 'boolean', default: false },
    survivors: { type: 'boolean', default: false },
  },
})

const { mutants, sources } = prepare()
const chosen = mutants.filter(
  ({ file }) => values.only === '' || values.only.split(',').some((part) => file.includes(part)),
)
const results = await tryAll(chosen)
report(results)

function prepare(): { mutants: NumberedMutant[]; sources: Record<string, string> } {
  const all: NumberedMutant[] = []
  const switchedByUrl: Record<string, string> = {}
  const files = FOLDERS.flatMap((folder) => globSync(`${folder}/**/*.ts`, { cwd: ROOT })).filter(
    (file) => !/\.test\.ts$|\/fake-/.test(file),
  )
  for (const file of files.sort()) {
    const source = readFileSync(join(ROOT, file), 'utf8')
    const own = mutantsOf(source).map((mutant, i): NumberedMutant => {
      const before = source.slice(mutant.start, mutant.end).replace(/\s+/g, ' ').slice(0, 90)
      return { ...mutant, number: all.length + i + 1, file, line: lineAt(source, mutant.start), before }
    })
    all.push(...own)
    switchedByUrl[pathToFileURL(join(ROOT, file)).href] = withSwitches(source, own)
  }
  return { mutants: all, sources: switchedByUrl }
}

/** Several workers take mutants from both ends of one list; one that hangs is ended, and another goes on behind it. */
async function tryAll(list: readonly NumberedMutant[]): Promise<Result[]> {
  const jobs = Number(values.jobs)
  const shares = Array.from({ length: jobs }, (_, i) => list.filter((_, n) => n % jobs === i))
  const done = await Promise.all(shares.map(tryShare))
  return done.flat().sort((a, b) => a.mutant.number - b.mutant.number)
}

async function tryShare(share: readonly NumberedMutant[]): Promise<Result[]> {
  const found: Result[] = []
  for (let left = share; left.length > 0; left = share.slice(found.length)) found.push(...(await tryInOneWorker(left)))
  return found
}

function tryInOneWorker(list: readonly NumberedMutant[]): Promise<Result[]> {
  const tests = TESTS.flatMap((pattern) => globSync(pattern, { cwd: ROOT })).sort()
  const order: MutationOrder = {
    sources,
    tests: tests.map((file) => pathToFileURL(join(ROOT, file)).href),
    mutants: list.map(({ number }) => number),
  }
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData: order })
  return new Promise((resolve, reject) => {
    const found: Result[] = []
    let workedMs = 0
    let heardAtMs = 0
    let isReady = false
    const end = (): void => {
      clearInterval(timer)
      void worker.terminate()
      resolve(found)
    }
    const look = async (): Promise<void> => {
      workedMs = (await worker.cpuUsage()).user / 1000
      if (!isReady || workedMs - heardAtMs < WORK_MAX_MS) return
      found.push({ mutant: list[found.length] as NumberedMutant, how: 'endless', by: null })
      end()
    }
    const timer = setInterval(() => void look().catch(() => {}), LOOK_EVERY_MS)
    worker.on('message', (news: MutationNews) => {
      heardAtMs = workedMs
      if ('broken' in news) reject(new Error(news.broken))
      if ('ready' in news) isReady = true
      if (!('tried' in news)) return
      const how = news.killedBy !== null ? 'killed' : news.isCovered ? 'survived' : 'not covered'
      found.push({ mutant: list[found.length] as NumberedMutant, how, by: news.killedBy })
      if (found.length === list.length) end()
    })
    worker.once('error', reject)
  })
}

function report(all: readonly Result[]): void {
  const dead = all.filter(({ how }) => how === 'killed' || how === 'endless').length
  const score = all.length === 0 ? 100 : (100 * dead) / all.length
  const files: Record<string, string> = {}
  for (const [file, list] of Map.groupBy(all, ({ mutant }) => mutant.file)) {
    const killed = list.filter(({ how }) => how === 'killed' || how === 'endless').length
    files[file] = `${killed}/${list.length}`
  }
  for (const { mutant, how } of all) {
    if (how === 'killed' || how === 'endless') continue
    const line = `${mutant.file}:${mutant.line} ${how}: ${mutant.before} → ${mutant.text.replace(/\s+/g, ' ').slice(0, 90) || '(left out)'}`
    if (values.survivors) process.stderr.write(`${line}\n`)
  }
  const numbers = { mutants: all.length, killed: dead, percent: Math.round(score * 10) / 10, files }
  process.stdout.write(
    values.json ? `${JSON.stringify(numbers)}\n` : `${dead} of ${all.length} mutants killed, ${numbers.percent} %\n`,
  )
  process.exitCode = score >= Number(values.min) ? 0 : 1
}
