import { parentPort, workerData } from 'node:worker_threads'
import type { Mutant } from './mutant.ts'
import { plant } from './plant.ts'

export interface HuntOrder {
  readonly mutant: Mutant
  readonly from: number
  readonly seeds: number
}

/** What a worker says: that the mutant is in place, how far it is, a seed that failed (it then waits to be told to go on), or that it has come to the end. */
export type HuntNews =
  | { readonly planted: true }
  | { readonly at: number }
  | { readonly failedAt: number; readonly checker: string; readonly message: string }
  | { readonly survived: true }

/** Seeds between two signs of life. */
const NEWS_EVERY = 10

const port = parentPort
if (port !== null) {
  const { mutant, from, seeds } = workerData as HuntOrder
  plant(mutant)
  // Imported only now, so that the planted source is what runs.
  const { runCampaign } = await import('../campaign.ts')
  const say = (news: HuntNews): void => port.postMessage(news)
  say({ planted: true })
  for (let seed = from; seed < from + seeds; seed++) {
    const { failures } = await runCampaign({
      from: seed,
      seeds: 1,
      ...(mutant.classes !== undefined && { classes: mutant.classes }),
    })
    const [failure] = failures
    if (failure !== undefined) {
      const told = new Promise((resolve) => port.once('message', resolve))
      say({ failedAt: seed, checker: failure.checker, message: failure.message })
      await told
    } else if (seed % NEWS_EVERY === 0) say({ at: seed })
  }
  say({ survived: true })
}
