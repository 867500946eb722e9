import { registerHooks } from 'node:module'
import { parentPort, workerData } from 'node:worker_threads'
import type { CollectedTest } from './harness.ts'

export interface MutationOrder {
  /** Sources with switches in them, by URL. */
  readonly sources: Readonly<Record<string, string>>
  readonly tests: readonly string[]
  /** Numbers of the mutants to try, in order. */
  readonly mutants: readonly number[]
}

export type MutationNews =
  | { readonly ready: true; readonly tests: number }
  | { readonly broken: string }
  | { readonly trying: number }
  | { readonly tried: number; readonly killedBy: string | null; readonly isCovered: boolean }

const { sources, tests, mutants } = workerData as MutationOrder
const HARNESS = new URL('./harness.ts', import.meta.url).href

registerHooks({
  resolve: (specifier, context, next) =>
    specifier === 'vitest' && context.parentURL !== HARNESS
      ? { url: HARNESS, shortCircuit: true }
      : next(specifier, context),
  load: (url, context, next) => {
    const source = sources[url]
    return source === undefined ? next(url, context) : { ...next(url, context), source }
  },
})

const state = { active: 0, seen: new Set<number>() }
Object.assign(globalThis, {
  latchworkMutant: (number: number): boolean => {
    state.seen.add(number)
    return state.active === number
  },
})

const say = (news: MutationNews): void => parentPort?.postMessage(news)

/** How a test ends with the mutant that is switched on: null when it passes. */
async function failure(test: CollectedTest): Promise<string | null> {
  try {
    await test.run()
    return null
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

async function main(): Promise<void> {
  for (const url of tests) await import(url)
  const { collected } = (await import(HARNESS)) as typeof import('./harness.ts')
  const covering = new Map<number, { test: CollectedTest; ms: number }[]>()
  for (const test of collected) {
    state.seen = new Set()
    const began = process.cpuUsage().user
    const wrong = await failure(test)
    const ms = (process.cpuUsage().user - began) / 1000
    if (wrong !== null) return say({ broken: `${test.name} fails without any mutant: ${wrong}` })
    for (const number of state.seen) covering.set(number, [...(covering.get(number) ?? []), { test, ms }])
  }
  state.seen = new Set()
  say({ ready: true, tests: collected.length })
  for (const number of mutants) {
    say({ trying: number })
    const runs = (covering.get(number) ?? []).sort((a, b) => a.ms - b.ms)
    state.active = number
    let killedBy: string | null = null
    for (const { test } of runs) {
      if ((await failure(test)) === null) continue
      killedBy = test.name
      break
    }
    state.active = 0
    say({ tried: number, killedBy, isCovered: runs.length > 0 })
  }
}

await main()
