import { FENCE_MS } from '../apps/profile.ts'
import type { History, HubEnd } from '../history.ts'
import type { Oracle } from '../oracle.ts'
import { Excuses } from './excuses.ts'

/**
 * V10: a parked or slow lane delays only itself and records that refer to it. In these runs every fault passes, so that nothing may be left waiting but what only a person
 * can decide, and what refers to that; and where nothing goes wrong at all, what users do is carried over promptly, whatever else is stuck or slow.
 */
export function checkIsolation(oracle: Oracle): string | null {
  const { end } = oracle.history
  if (end === null) return null
  return checkNothingLeft(oracle, end) ?? checkPromptness(oracle.history) ?? checkArrivals(oracle.history, end)
}

function checkNothingLeft(oracle: Oracle, end: HubEnd): string | null {
  const excuses = new Excuses(oracle, end)
  const entry = end.held.find((one) => !excuses.entry(one))
  if (entry !== undefined)
    return `entry ${entry.seq} of ${entry.app} ${entry.nativeId} is left held for ${entry.waitsOn} (${entry.code}: ${entry.message})`
  const lane = end.openLanes.find((one) => !excuses.lane(one))
  return lane === undefined ? null : `lane ${lane.key} of ${lane.app} is left ${lane.state} (${lane.code})`
}

/** Two looks of the slowest poll, and some round trips. */
const PROMPT_MS = 8000

function checkPromptness(history: History): string | null {
  if (!history.calm) return null
  const lastEdits = new Map<number, number>()
  let lastReferredMs = history.startMs
  for (const { user, record, entity, atMs } of history.versions) {
    if (user === null) continue
    lastEdits.set(record, atMs)
    if (history.referred.has(entity)) lastReferredMs = Math.max(lastReferredMs, atMs)
  }
  for (const version of history.versions) {
    if (version.hub === null || version.app === history.sluggish) continue
    // A record that refers to another may have to wait for it.
    const sinceMs = Math.max(
      lastEdits.get(version.record) ?? 0,
      history.refers.has(version.entity) ? lastReferredMs : history.startMs,
    )
    if (version.atMs > sinceMs + PROMPT_MS + looksMs(history, version.seq))
      return `${version.hub.op} reached ${version.app} ${version.nativeId} (K${version.record}) ${version.atMs - sinceMs} ms after the last edit that it can have waited for, although nothing went wrong`
  }
  return null
}

/** Nothing new is made in an application before the hub has looked through it once: until then it may be there already. */
function looksMs({ apps, versions }: History, untilSeq: number): number {
  let ms = 0
  for (const { app, seq } of versions) if (seq < untilSeq) ms += apps.get(app)?.lookMs ?? 0
  // Where reads lag, what is missing is looked for again for as long as they may, with growing pauses, before it counts as deleted.
  for (const { lagMs } of apps.values()) if (lagMs > 0) return ms + 2 * FENCE_MS
  return ms
}

/** Where nothing goes wrong and nobody has to decide anything, a new record is in every application soon after it, and what it may refer to, were entered. */
function checkArrivals(history: History, end: HubEnd): string | null {
  if (!history.calm || history.polled || end.held.length + end.openLanes.length > 0) return null
  const deleted = new Set(history.versions.filter(({ kind }) => kind === 'delete').map(({ record }) => record))
  const referredAtMs = history.versions
    .filter(({ kind, user, entity }) => kind === 'create' && user !== null && history.referred.has(entity))
    .map(({ atMs }) => atMs)
  const entered = new Map<number, number>()
  for (const { kind, user, record, entity, atMs } of history.versions) {
    if (kind !== 'create' || user === null || entered.has(record) || deleted.has(record)) continue
    const sinceMs = Math.max(history.startMs, atMs)
    // It may have been changed to refer to a record that was entered while it was on its way.
    const referred = !history.refers.has(entity) ? [] : referredAtMs.filter((one) => one <= sinceMs + PROMPT_MS)
    entered.set(record, Math.max(sinceMs, ...referred))
  }
  for (const { kind, hub, record, app, nativeId, atMs } of history.versions) {
    const sinceMs = entered.get(record)
    if (kind !== 'create' || hub === null || sinceMs === undefined || app === history.sluggish) continue
    // It may have refused what was entered first.
    if (history.apps.get(app)?.strict === true) continue
    if (atMs > sinceMs + PROMPT_MS)
      return `K${record} came to ${app} (${nativeId}) ${atMs - sinceMs} ms after it could have come there, although nothing went wrong`
  }
  return null
}
