import type { OpenLane } from '../../../model/record.ts'
import type { HubEnd } from '../history.ts'
import type { Oracle } from '../oracle.ts'

/** Codes for which a simulated run can give the hub a reason to set something aside. */
const EXPECTED: ReadonlySet<string> = new Set(['resolve.ambiguous'])

/** V9, the other way round: in these runs every fault passes, so that nothing may be left waiting or parked, except what only a person can decide. */
export function checkNothingLeft(oracle: Oracle): string | null {
  const end = oracle.history.end
  if (end === null) return null
  const waiting = waitingForPeople(end)
  for (const entry of end.held) {
    if (isExpected(entry.code) || waiting.has(`${entry.app} ${entry.nativeId}`)) continue
    return `entry ${entry.seq} of ${entry.app} ${entry.nativeId} is left held for ${entry.waitsOn} (${entry.code}: ${entry.message})`
  }
  for (const lane of end.openLanes) {
    const nativeId = end.states.find((state) => state.key === lane.key)?.lanes[lane.app]?.nativeId
    if (isExpected(lane.code) || waiting.has(`${lane.app} ${nativeId}`) || isTaken(oracle, lane)) continue
    return `lane ${lane.key} of ${lane.app} is left ${lane.state} (${lane.code})`
  }
  for (const state of end.states) {
    const [path] = Object.keys(state.parkedPaths)
    if (path !== undefined) return `${path} of ${state.key} is set aside: ${state.parkedPaths[path]?.message}`
  }
  return null
}

const isExpected = (code: string | null): boolean => code !== null && EXPECTED.has(code)

/** Records that refer to one on which a person has to decide wait with it; and so do later entries of the same record. */
function waitingForPeople(end: HubEnd): Set<string> {
  const ambiguous = new Set(end.held.filter((entry) => isExpected(entry.code)).map((entry) => entry.app))
  const waiting = new Set<string>()
  for (const { app, nativeId, waitsOn } of end.held) {
    if (waitsOn === 'reference' && ambiguous.has(app)) waiting.add(`${app} ${nativeId}`)
  }
  return waiting
}

/** An application that allows each code once refused a record because it still had an older one of that code, which went only later. */
function isTaken(oracle: Oracle, lane: OpenLane): boolean {
  if (lane.code !== 'target.duplicate') return false
  const record = oracle.recordOfKey.get(lane.key)
  return oracle.history.versions.some(
    (version) => version.kind === 'delete' && version.app === lane.app && version.record === record,
  )
}
