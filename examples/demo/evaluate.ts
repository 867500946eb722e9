/**
 * Did it come out right? Judged by the applications' own write logs and databases; from the hub only its list of conflicts and its cross-reference are
 * taken, as `latchwork` prints them. Pure functions: the same evidence gives the same verdict.
 */

import { differences, duplicates, isDelivered } from './evaluate/equality.ts'
import { type AppName, type Evidence, isHub, isSeed, type LogItem, otherApp } from './evaluate/evidence.ts'
import { createHistory, fieldName, type History } from './evaluate/history.ts'
import { finalRecords, lostText, lostWrites } from './evaluate/lost.ts'
import { isOwned } from './evaluate/shapes.ts'

export interface Evaluation {
  /** People's writes that changed something. */
  readonly changes: number
  /** Those of them whose value, or a newer one, is in both applications. */
  readonly delivered: number
  /** People's writes with a field that is neither final, nor replaced by a write that had seen it, nor listed as a conflict. */
  readonly lost: number
  /** Writes of the hub that changed nothing, or that no edit and no conflict accounts for. */
  readonly echoWrites: number
  readonly duplicates: number
  readonly conflicts: number
  readonly equal: boolean
  /** Records that one application keeps although the other deleted them, listed as a conflict. */
  readonly detached: number
  readonly hubWrites: number
  /** From a person's write in one application to the hub's write of it in the other; null when there was none. */
  readonly p50Ms: number | null
  readonly p99Ms: number | null
  /** What is wrong, a line each. */
  readonly problems: readonly string[]
}

const APPS: readonly AppName[] = ['desk', 'warehouse']

export function evaluate(evidence: Evidence): Evaluation {
  const history = createHistory(evidence)
  const lost = lostWrites(evidence, history)
  const unequal = differences(evidence, history)
  const twice = duplicates(evidence, history)
  const echoes = echoWrites(evidence, history)
  const latencies = deliveryTimes(evidence, history).sort((a, b) => a - b)
  const changes = APPS.flatMap((app) => userChanges(evidence, history, app).map((item) => ({ app, item })))
  const finals = {
    desk: finalRecords(evidence, history, 'desk'),
    warehouse: finalRecords(evidence, history, 'warehouse'),
  }
  return {
    changes: changes.length,
    delivered: changes.filter(({ app, item }) =>
      isDelivered(ownedPaths(history, app, item), history.keys.get(item) ?? '', finals, app),
    ).length,
    lost: new Set(lost.map(({ event }) => event.item)).size,
    echoWrites: echoes.length,
    duplicates: twice.length,
    conflicts: evidence.conflicts.length,
    equal: unequal.texts.length === 0,
    detached: unequal.detached,
    hubWrites: APPS.reduce((sum, app) => sum + evidence[app].log.filter((item) => isHub(item)).length, 0),
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    problems: [...lost.map(lostText), ...twice, ...echoes, ...unequal.texts],
  }
}

/** Exit code 0 only with this. */
export const isRight = ({ lost, duplicates: twice, echoWrites: echoes, equal }: Evaluation): boolean =>
  lost === 0 && twice === 0 && echoes === 0 && equal

const userChanges = (evidence: Evidence, history: History, app: AppName): LogItem[] =>
  evidence[app].log.filter((item) => !isHub(item) && !isSeed(item) && item.changed === 1 && history.keys.has(item))

const ownedPaths = (history: History, app: AppName, item: LogItem): string[] =>
  (history.byItem.get(item) ?? []).filter((event) => isOwned(event.shape, app, event.path)).map((event) => event.path)

/**
 * Writes of the hub that changed nothing; and per record and application, those beyond one for each change made in the other application and one for each
 * conflict.
 */
function echoWrites(evidence: Evidence, history: History): string[] {
  const texts: string[] = []
  const conflicts = countBy(evidence.conflicts, (one) => one.key)
  for (const app of APPS) {
    const allowed = countBy(
      evidence[otherApp(app)].log.filter((item) => !isHub(item) && item.changed === 1),
      (item) => history.keys.get(item) ?? '',
    )
    const written = new Map<string, number>()
    for (const item of evidence[app].log) {
      const key = history.keys.get(item)
      if (!isHub(item) || key === undefined) continue
      if (item.changed === 0) {
        texts.push(
          `echo write: the hub ${item.op}d ${item.object} ${item.id} of the ${app} at revision ${item.rev}, and nothing changed`,
        )
        continue
      }
      const count = (written.get(key) ?? 0) + 1
      written.set(key, count)
      const most = (allowed.get(key) ?? 0) + (conflicts.get(key) ?? 0)
      if (count > most)
        texts.push(
          `echo write: the hub ${item.op}d ${item.object} ${item.id} of the ${app} at revision ${item.rev}, its write ${count} of that record, which accounts for ${most}`,
        )
    }
  }
  return texts
}

function countBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, number> {
  const counts = new Map<string, number>()
  for (const item of items) counts.set(keyOf(item), (counts.get(keyOf(item)) ?? 0) + 1)
  return counts
}

/** Per write of a person: until the last of its values that got there was there. A value that was replaced on the way has no such time. */
function deliveryTimes(evidence: Evidence, history: History): number[] {
  const times: number[] = []
  for (const app of APPS) {
    for (const item of userChanges(evidence, history, app)) {
      const arrivals = (history.byItem.get(item) ?? []).flatMap((event) => {
        const there = history.fields.get(fieldName(event.key, event.path))?.[otherApp(app)] ?? []
        const arrival = there.find((one) => one.isHub && one.value === event.value && one.item.at_ms >= item.at_ms)
        return arrival === undefined ? [] : [arrival.item.at_ms - item.at_ms]
      })
      if (arrivals.length > 0) times.push(Math.max(...arrivals))
    }
  }
  return times
}

function quantile(sorted: readonly number[], share: number): number | null {
  if (sorted.length === 0) return null
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? null
}
