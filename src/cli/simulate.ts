import type { HubDefinition } from '../config/define-hub.ts'
import { systemClock } from '../lib/system-clock.ts'
import { promisesOf } from '../server/promises.ts'
import { type Failure, runCampaign, type Totals } from '../testing/simulator/campaign.ts'
import { type OwnWorld, ownWorld } from '../testing/simulator/own/world.ts'
import { type RunResult, runSeed } from '../testing/simulator/run.ts'
import type { Cut } from '../testing/simulator/scenario.ts'
import { cutArguments, shrink } from '../testing/simulator/shrink.ts'
import { loadConfig } from './config-file.ts'
import { CONFIG_DEFAULT } from './defaults.ts'
import { EXIT } from './exit-codes.ts'
import type { CommandContext } from './program.ts'
import { Progress } from './progress.ts'

export interface SimulateOptions {
  readonly seeds: number
  readonly from: number
  readonly seed?: number
  readonly trace?: boolean
  readonly off?: string
  readonly appsOff?: string
  readonly actionsOff?: string
}

/** A person's own conversion or policy may remember something: one run in so many is made twice, and must be the same. */
const TWICE_EVERY = 10
/** A story is to be read; the rest is there for who asks for the trace. */
const STORY_LINES_MAX = 60

/** Runs the entities, mappings and policies of a config against copies of its applications that misbehave. No application is asked. */
export async function simulate(context: CommandContext, own: SimulateOptions): Promise<number> {
  const { options } = context
  const definition = await loadConfig(options.config)
  const simulation = new Simulation(context, ownWorld(definition), notPromised(definition), cutOf(own))
  return own.seed === undefined ? simulation.many(own.from, own.seeds) : simulation.one(own.seed, own.trace === true)
}

/** Promises that are not made for these applications, and are judged by nothing but their break: `V6` with the applications. V3 is judged by its window (docs/protocol.md section 6). */
function notPromised(definition: HubDefinition): ReadonlyMap<string, string> {
  const apps = new Map<string, Set<string>>()
  for (const { app, notPromised: missing } of promisesOf(definition))
    for (const { promise } of missing) {
      const [name = ''] = promise.split(' ')
      if (name !== 'V3') apps.set(name, (apps.get(name) ?? new Set()).add(app))
    }
  return new Map([...apps].map(([name, names]) => [name, [...names].join(', ')]))
}

function cutOf({ off, appsOff, actionsOff }: SimulateOptions): Cut {
  const words = (list: string | undefined): string[] => (list === undefined || list === '' ? [] : list.split(','))
  return {
    off: new Set(words(off)),
    appsOff: new Set(words(appsOff).map(Number)),
    actionsOff: new Set(words(actionsOff).map(Number)),
  }
}

class Simulation {
  readonly #context: CommandContext
  readonly #own: OwnWorld
  readonly #notPromised: ReadonlyMap<string, string>
  readonly #cut: Cut

  constructor(context: CommandContext, own: OwnWorld, notPromised: ReadonlyMap<string, string>, cut: Cut) {
    this.#context = context
    this.#own = own
    this.#notPromised = notPromised
    this.#cut = cut
  }

  async one(seed: number, trace: boolean): Promise<number> {
    const { terminal } = this.#context
    const result = await runSeed(seed, { own: this.#own, cut: this.#cut, trace })
    const rerun = this.#rerun(seed, this.#cut)
    terminal.result({ ...summaryOf(result), rerun, ...(trace && { lines: result.lines }) }, () =>
      [...result.lines, verdictOf(result), ...(result.failed === null ? [] : [rerun])].join('\n'),
    )
    return result.failed === null || this.#notPromised.has(result.failed.checker) ? EXIT.ok : EXIT.broken
  }

  async many(from: number, seeds: number): Promise<number> {
    const { terminal, process } = this.#context
    const progress = new Progress(terminal, process.stderr)
    const beganMs = systemClock.monotonicMs()
    const { totals, failures } = await runCampaign({
      own: this.#own,
      cut: this.#cut,
      from,
      seeds,
      twiceEvery: TWICE_EVERY,
      onProgress: (so) =>
        progress.say(() => `${so.seeds} of ${seeds} runs, ${so.failed} failed, ${so.userEdits} edits`),
    })
    progress.clear()
    const seconds = (systemClock.monotonicMs() - beganMs) / 1000
    const broken = failures.filter(({ checker }) => !this.#notPromised.has(checker))
    const declared = failures.filter(({ checker }) => this.#notPromised.has(checker))
    const story = broken[0] === undefined ? null : await this.#story(broken[0])
    terminal.result(
      { ...figuresOf(totals), failed: broken.length, notPromised: declared.length, seconds, failures, story },
      () =>
        [...this.#failureLines(broken), ...(story?.lines ?? []), ...this.#totalLines(totals, broken, declared)].join(
          '\n',
        ),
    )
    return broken.length === 0 ? EXIT.ok : EXIT.broken
  }

  /** The first failure, made small enough to read. */
  async #story({ seed, checker }: Failure): Promise<{ readonly rerun: string; readonly lines: readonly string[] }> {
    const options = { own: this.#own, cut: this.#cut }
    const whole = await runSeed(seed, options)
    // Two runs that differ have no story of their own.
    if (whole.failed === null)
      return { rerun: this.#rerun(seed, this.#cut), lines: ['', this.#rerun(seed, this.#cut), ''] }
    const { cut, result } = await shrink(whole, options)
    const hidden = Math.max(0, result.lines.length - STORY_LINES_MAX)
    const rerun = this.#rerun(seed, cut)
    const title = `seed ${seed}, made small (${result.apps.join(', ')}):`
    const more = hidden === 0 ? [] : [`  … ${hidden} lines before`]
    return {
      rerun,
      lines: [
        '',
        this.#context.terminal.style('bold', title),
        ...more,
        ...result.lines.slice(hidden),
        `${checker}: ${result.failed?.message}`,
        '',
        'once more, as it was and made small:',
        `  ${this.#rerun(seed, this.#cut)}`,
        `  ${rerun}`,
        '',
      ],
    }
  }

  #failureLines(failures: readonly Failure[]): string[] {
    const { terminal } = this.#context
    return [...Map.groupBy(failures, ({ checker }) => checker)].flatMap(([checker, list]) => [
      `${terminal.style('red', checker)}  ${list.length} runs, among them ${list
        .slice(0, 8)
        .map(({ seed }) => seed)
        .join(' ')}`,
      `    ${list[0]?.message}`,
    ])
  }

  #totalLines(totals: Totals, broken: readonly Failure[], declared: readonly Failure[]): string[] {
    const { terminal } = this.#context
    const count = (value: number): string => value.toLocaleString('en')
    const verdict =
      broken.length === 0 ? terminal.style('green', 'all hold') : terminal.style('red', `${broken.length} failed`)
    return [
      `${count(totals.seeds)} runs, ${verdict}: ${count(totals.userEdits)} edits by users, ${count(totals.hubWrites)} writes of the hub, ${count(totals.crashes)} crashes, ${count(totals.conflicts)} conflicts`,
      ...(totals.declaredLosses > 0
        ? [
            `${count(totals.declaredLosses)} edits were overwritten unseen in applications that take no conditions (V3, not promised there)`,
          ]
        : []),
      ...[...Map.groupBy(declared, ({ checker }) => checker)].map(
        ([checker, list]) =>
          `${count(list.length)} runs broke ${checker}, which is not promised for ${this.#notPromised.get(checker)}; the first is seed ${list[0]?.seed}`,
      ),
    ]
  }

  #rerun(seed: number, cut: Cut): string {
    const { config } = this.#context.options
    const named = config === CONFIG_DEFAULT ? '' : ` --config ${config}`
    return `latchwork simulate${named} --seed ${seed} --trace${cutArguments(cut)}`
  }
}

function verdictOf({ seed, apps, failed }: RunResult): string {
  const verdict = failed === null ? 'holds' : `${failed.checker}: ${failed.message}`
  return `seed ${seed}, ${apps.join(', ')}: ${verdict}`
}

const summaryOf = ({ seed, failed, userEdits, hubWrites, crashes, conflicts, declaredLosses, hash }: RunResult) => ({
  seed,
  failed,
  userEdits,
  hubWrites,
  crashes,
  conflicts,
  declaredLosses,
  hash,
})

const figuresOf = ({ seeds, userEdits, hubWrites, crashes, conflicts, declaredLosses, runTwice, faults }: Totals) => ({
  seeds,
  userEdits,
  hubWrites,
  crashes,
  conflicts,
  declaredLosses,
  runTwice,
  faults,
})
