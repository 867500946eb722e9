import { FAULT_NAMES } from './faults.ts'
import { DEFAULT_CLASSES, type RunOptions, type RunResult, runSeed } from './run.ts'
import { ASPECTS, type Cut, drawScenario, NO_CUT } from './scenario.ts'

/** Runs allowed for making one failure small: some seconds. */
const RUNS_MAX = 600

/**
 * Makes a failing run small by running it again with parts left out, as long as the same promise breaks: applications first, then classes of faults and aspects, then
 * users' actions, in halves, quarters and so on. Every part has randomness of its own, so what is left happens as it did.
 */
export async function shrink(
  failure: RunResult,
  options: RunOptions,
): Promise<{ readonly cut: Cut; readonly result: RunResult }> {
  const shrinker = new Shrinker(failure, options)
  await shrinker.leaveOutApps()
  await shrinker.switchOff([...FAULT_NAMES, ...ASPECTS])
  await shrinker.leaveOutActions()
  await shrinker.switchOff([...FAULT_NAMES, ...ASPECTS])
  await shrinker.leaveOutActions()
  return shrinker.best()
}

class Shrinker {
  readonly #options: RunOptions
  readonly #checker: string
  readonly #seed: number
  #cut: Cut
  #result: RunResult
  #runs = 0

  constructor(failure: RunResult, options: RunOptions) {
    this.#options = options
    this.#seed = failure.seed
    this.#checker = failure.failed?.checker ?? ''
    this.#cut = options.cut ?? NO_CUT
    this.#result = failure
  }

  async best(): Promise<{ readonly cut: Cut; readonly result: RunResult }> {
    return { cut: this.#cut, result: await runSeed(this.#seed, { ...this.#options, cut: this.#cut, trace: true }) }
  }

  async leaveOutApps(): Promise<void> {
    for (let index = 0; index < 4 && this.#result.apps.length > 2; index++) {
      await this.#try({ ...this.#cut, appsOff: new Set([...this.#cut.appsOff, index]) })
    }
  }

  async switchOff(names: readonly string[]): Promise<void> {
    for (const name of names) {
      if (!this.#cut.off.has(name)) await this.#try({ ...this.#cut, off: new Set([...this.#cut.off, name]) })
    }
  }

  async leaveOutActions(): Promise<void> {
    for (let size = Math.ceil(this.#actions().length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
      const actions = this.#actions()
      for (let at = actions.length; at > 0; at -= size) {
        const chunk = actions.slice(Math.max(0, at - size), at)
        await this.#try({ ...this.#cut, actionsOff: new Set([...this.#cut.actionsOff, ...chunk]) })
      }
    }
  }

  #actions(): number[] {
    const classes = this.#options.classes ?? DEFAULT_CLASSES
    return drawScenario(this.#seed, classes, this.#cut, this.#options.own).actions.map((action) => action.id)
  }

  async #try(cut: Cut): Promise<void> {
    if (++this.#runs > RUNS_MAX) return
    const result = await runSeed(this.#seed, { ...this.#options, cut, trace: false })
    if (result.failed?.checker !== this.#checker) return
    this.#cut = cut
    this.#result = result
  }
}

/** The part of the command line that reproduces a cut. */
export function cutArguments(cut: Cut): string {
  const list = (name: string, values: ReadonlySet<string | number>): string =>
    values.size === 0 ? '' : ` --${name} ${[...values].join(',')}`
  return list('off', cut.off) + list('apps-off', cut.appsOff) + list('actions-off', cut.actionsOff)
}
