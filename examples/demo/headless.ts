/** The demo without a terminal: traffic for some seconds, then quiet, then the verdict as one line of JSON. */

import { setTimeout as delay } from 'node:timers/promises'
import { collect, pendingWebhooks } from './collect.ts'
import { type Evaluation, evaluate, isRight } from './evaluate.ts'
import { type HubStatus, isQuiet } from './hub-api.ts'
import type { Stage } from './stage.ts'

/** After the traffic everything must be in step within this; a hub that was killed late still has to come back and catch up. */
const QUIET_MAX_MS = 60_000
const LOOK_EVERY_MS = 200
/** Quiet is believed when it lasts: between two looks nothing may have been on its way. */
const QUIET_LOOKS = 3
const PROBLEMS_SHOWN_MAX = 25

export interface HeadlessOptions {
  readonly seconds: number
  readonly isJson: boolean
  readonly signal: AbortSignal
}

/** Resolves with the exit status. */
export async function runHeadless(stage: Stage, { seconds, isJson, signal }: HeadlessOptions): Promise<number> {
  const say = (text: string): void => void process.stderr.write(`${text}\n`)
  const watch = new Watch(stage)
  await stage.start()
  say(`order desk ${stage.url('desk')}, warehouse ${stage.url('warehouse')}, data ${stage.dataDir}`)
  if (!(await watch.untilQuiet(signal))) say('the first load is not complete yet; starting all the same')
  say(`users at work for ${seconds} s, ${stage.options.rate} actions a second`)
  stage.startTraffic()
  await watch.whileWorking(seconds * 1000, signal)
  await stage.stopTraffic()
  const settled = await watch.untilQuiet(signal)
  say(settled ? 'everything is quiet; comparing' : `not quiet after ${QUIET_MAX_MS / 1000} s; comparing all the same`)
  const verdict = evaluate(await collect(stage))
  const status = await stage.hubApi().status()
  watch.look(status)
  for (const { kind, count, from, to, id } of status?.brakes ?? [])
    say(
      `the brake ${id} has tripped: ${count} ${kind} from ${from} to ${to}; what follows is held until \`latchwork brake release ${id}\``,
    )
  for (const problem of verdict.problems.slice(0, PROBLEMS_SHOWN_MAX)) say(problem)
  if (verdict.problems.length > PROBLEMS_SHOWN_MAX) say(`and ${verdict.problems.length - PROBLEMS_SHOWN_MAX} more`)
  const report = reportOf(stage, verdict, status, watch, { seconds, settled })
  await stage.stop()
  process.stdout.write(isJson ? `${JSON.stringify(report)}\n` : textOf(report))
  return isRight(verdict) && settled ? 0 : 1
}

function reportOf(
  stage: Stage,
  verdict: Evaluation,
  status: HubStatus | null,
  watch: Watch,
  run: { readonly seconds: number; readonly settled: boolean },
): Readonly<Record<string, unknown>> {
  const { problems: _problems, ...numbers } = verdict
  const { echo = 0, rendition = 0, stale = 0, convergent = 0 } = watch.verdicts()
  return {
    ...numbers,
    echoes: echo + rendition + stale,
    recognised: { echo, rendition, stale, convergent },
    parked: status === null ? 0 : (status.counts.openLanes.parked ?? 0) + status.parkedEntries.length,
    settled: run.settled,
    seconds: run.seconds,
    rate: stage.options.rate,
    hubPid: stage.hubPid,
    hubRestarts: stage.hubRestarts,
    ...(stage.options.isLegacy
      ? {
          exposure: Object.fromEntries(
            (status?.apps ?? []).flatMap((app) => (app.exposure === null ? [] : [[app.app, app.exposure]])),
          ),
        }
      : {}),
  }
}

const textOf = (report: Readonly<Record<string, unknown>>): string =>
  `${Object.entries(report)
    .map(([name, value]) => `${name.padEnd(12)} ${typeof value === 'object' ? JSON.stringify(value) : String(value)}`)
    .join('\n')}\n`

/** Looks at the hub again and again. Its counters begin anew with each process, so the last of each is kept. */
export class Watch {
  readonly #stage: Stage
  readonly #verdictsByPid = new Map<number, Readonly<Record<string, number>>>()

  constructor(stage: Stage) {
    this.#stage = stage
  }

  look(status: HubStatus | null): void {
    if (status !== null) this.#verdictsByPid.set(status.pid, status.engine.verdicts)
  }

  /** Over all hub processes of this run. What one decided between the last look and its death is missing. */
  verdicts(): Readonly<Record<string, number>> {
    const sums: Record<string, number> = {}
    for (const verdicts of this.#verdictsByPid.values()) {
      for (const [name, count] of Object.entries(verdicts)) sums[name] = (sums[name] ?? 0) + count
    }
    return sums
  }

  async whileWorking(ms: number, signal: AbortSignal): Promise<void> {
    const endMs = performance.now() + ms
    while (performance.now() < endMs && !signal.aborted) {
      this.look(await this.#stage.hubApi().status())
      await pause(Math.min(LOOK_EVERY_MS, Math.max(0, endMs - performance.now())), signal)
    }
  }

  /** Whether everything became quiet in time. */
  async untilQuiet(signal: AbortSignal): Promise<boolean> {
    const endMs = performance.now() + QUIET_MAX_MS
    let looks = 0
    while (performance.now() < endMs && !signal.aborted) {
      const [status, desk, warehouse] = await Promise.all([
        this.#stage.hubApi().status(),
        pendingWebhooks(this.#stage.url('desk')),
        pendingWebhooks(this.#stage.url('warehouse')),
      ])
      this.look(status)
      looks = status !== null && isQuiet(status) && desk === 0 && warehouse === 0 ? looks + 1 : 0
      if (looks >= QUIET_LOOKS) return true
      await pause(LOOK_EVERY_MS, signal)
    }
    return false
  }
}

const pause = (ms: number, signal: AbortSignal): Promise<void> => delay(ms, undefined, { signal }).catch(() => {})
