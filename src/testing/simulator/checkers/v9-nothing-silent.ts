import type { Oracle } from '../oracle.ts'

/** Codes for which a simulated run can give the hub a reason to set something aside. */
const EXPECTED: ReadonlySet<string> = new Set(['resolve.ambiguous'])

/** V9, the other way round: in these runs every fault passes, so that nothing may be left waiting or parked, except what only a person can decide. */
export function checkNothingLeft(oracle: Oracle): string | null {
  const end = oracle.history.end
  for (const lane of end?.openLanes ?? []) {
    if (lane.code === null || !EXPECTED.has(lane.code))
      return `lane ${lane.key} of ${lane.app} is left ${lane.state} (${lane.code})`
  }
  const ambiguous = new Set(end?.held.filter((entry) => entry.code === 'resolve.ambiguous').map((entry) => entry.app))
  const referring = new Set<string>()
  for (const entry of end?.held ?? []) {
    // What refers to a record that a person has to decide on, waits with it, and so do later entries of the same record.
    if (entry.waitsOn === 'reference' && ambiguous.has(entry.app)) referring.add(`${entry.app} ${entry.nativeId}`)
    if (referring.has(`${entry.app} ${entry.nativeId}`)) continue
    if (entry.code === null || !EXPECTED.has(entry.code))
      return `entry ${entry.seq} of ${entry.app} ${entry.nativeId} is left held for ${entry.waitsOn} (${entry.code}: ${entry.message})`
  }
  for (const state of end?.states ?? []) {
    const [path] = Object.keys(state.parkedPaths)
    if (path !== undefined) return `${path} of ${state.key} is set aside: ${state.parkedPaths[path]?.message}`
  }
  return null
}
