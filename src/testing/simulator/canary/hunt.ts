import { Worker } from 'node:worker_threads'
import { runCampaign } from '../campaign.ts'
import type { Mutant } from './mutant.ts'
import type { HuntNews, HuntOrder } from './worker.ts'

/** A mutant that lives longer than this many seeds has found a hole in the simulator or its checkers. */
export const SEED_BUDGET = 10_000
/**
 * A mutant that has worked for this long without a sign of life hangs, which no run may: ten seeds take a fraction of a second. Counted in processor time, because on a
 * busy machine a thread may stand still for minutes and be blameless.
 */
const SILENT_WORK_MAX_MS = 45_000
const LOOK_EVERY_MS = 2_000

export interface Catch {
  readonly mutant: string
  /** Seeds that were run until one failed; null: none did. */
  readonly seeds: number | null
  readonly checker: string
  readonly message: string
}

export interface CanaryReport {
  readonly planted: number
  readonly caught: number
  readonly survivors: readonly string[]
  readonly seedsToCatch: Readonly<Record<string, number>>
}

export interface HuntOptions {
  readonly mutants: readonly Mutant[]
  readonly jobs: number
  readonly from?: number
  readonly seeds?: number
  readonly onCatch?: (caught: Catch) => void
}

/** Runs every mutant until a checker objects. A seed that fails without the mutant too says nothing of it, and is passed over. */
export async function hunt(options: HuntOptions): Promise<readonly Catch[]> {
  const left = [...options.mutants]
  const found: Catch[] = []
  const work = async (): Promise<void> => {
    for (let mutant = left.shift(); mutant !== undefined; mutant = left.shift()) {
      const caught = await huntOne({ mutant, from: options.from ?? 1, seeds: options.seeds ?? SEED_BUDGET })
      found.push(caught)
      options.onCatch?.(caught)
    }
  }
  await Promise.all(Array.from({ length: options.jobs }, work))
  return found
}

export function reportOf(found: readonly Catch[]): CanaryReport {
  const caught = found.flatMap(({ mutant, seeds }) => (seeds === null ? [] : [[mutant, seeds] as const]))
  return {
    planted: found.length,
    caught: caught.length,
    survivors: found.filter(({ seeds }) => seeds === null).map(({ mutant }) => mutant),
    seedsToCatch: Object.fromEntries(caught.sort(([a], [b]) => (a < b ? -1 : 1))),
  }
}

function huntOne(order: HuntOrder): Promise<Catch> {
  const { mutant, from } = order
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData: order })
  return new Promise<Catch>((resolve, reject) => {
    let reached = from
    let isPlanted = false
    let workedMs = 0
    let heardAtMs = 0
    const end = (seeds: number | null, checker: string, message: string): void => {
      clearInterval(timer)
      void worker.terminate()
      resolve({ mutant: mutant.name, seeds, checker, message })
    }
    const look = async (): Promise<void> => {
      workedMs = (await worker.cpuUsage()).user / 1000
      if (workedMs - heardAtMs > SILENT_WORK_MAX_MS)
        end(reached - from + 1, 'hang', `seed ${reached} or one soon after it does not come to an end`)
    }
    // A worker that has ended meanwhile has no processor time to ask for, and has said what it had to say.
    const timer = setInterval(() => void look().catch(() => {}), LOOK_EVERY_MS)
    const hear = async (news: HuntNews): Promise<void> => {
      heardAtMs = workedMs
      if ('planted' in news) isPlanted = true
      else if ('at' in news) reached = news.at
      else if ('survived' in news) end(null, '', 'no checker objected')
      else if (await holdsWithout(mutant, news.failedAt)) end(news.failedAt - from + 1, news.checker, news.message)
      else worker.postMessage('go on')
    }
    worker.on('message', (news: HuntNews) => void hear(news).catch(reject))
    worker.once('error', (error) => {
      // An exception that nobody takes is a fault that shows itself; before the mutant is in place it is one of ours.
      if (isPlanted) end(reached - from + 1, 'exception', String(error))
      else reject(error)
    })
  })
}

async function holdsWithout(mutant: Mutant, seed: number): Promise<boolean> {
  const { failures } = await runCampaign({
    from: seed,
    seeds: 1,
    ...(mutant.classes !== undefined && { classes: mutant.classes }),
  })
  return failures.length === 0
}
