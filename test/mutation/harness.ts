/** Stands for `vitest` in the tests that are run against mutants: collects them, so that each can be run again and again in one process. */

export { expect } from 'vitest'

export interface CollectedTest {
  readonly name: string
  readonly run: () => unknown
}

const names: string[] = []
export const collected: CollectedTest[] = []

export function describe(name: string, ...rest: unknown[]): void {
  names.push(name)
  const body = rest.find((one) => typeof one === 'function') as () => void
  body()
  names.pop()
}

export function test(name: string, ...rest: unknown[]): void {
  const run = rest.find((one) => typeof one === 'function') as () => unknown
  collected.push({ name: [...names, name].join(' > '), run })
}

export { test as it }
