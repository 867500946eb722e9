/** Stands for `vitest` in the tests that are run against mutants: collects them, so that each can be run again and again in one process. */

export { expect } from 'vitest'

export interface CollectedTest {
  readonly name: string
  readonly run: () => unknown
}

const names: string[] = []
export const collected: CollectedTest[] = []

type Body = (...args: unknown[]) => unknown
const bodyOf = (rest: readonly unknown[]): Body => rest.find((one) => typeof one === 'function') as Body

/** Each case once; a list is spread over the parameters. */
const each =
  (declare: (name: string, body: Body) => void) =>
  (cases: readonly unknown[]) =>
  (name: string, ...rest: unknown[]): void => {
    const body = bodyOf(rest)
    for (const [i, one] of cases.entries())
      declare(`${name} #${i + 1}`, () => body(...(Array.isArray(one) ? (one as unknown[]) : [one])))
  }

export function describe(name: string, ...rest: unknown[]): void {
  names.push(name)
  bodyOf(rest)()
  names.pop()
}
describe.each = each((name, body) => describe(name, body))

export function test(name: string, ...rest: unknown[]): void {
  collected.push({ name: [...names, name].join(' > '), run: bodyOf(rest) })
}
test.each = each((name, body) => test(name, body))

export { test as it }
