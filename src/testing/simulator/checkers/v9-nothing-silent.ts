import type { Conflict, Lane, RecordState } from '../../../model/record.ts'
import type { HubEnd } from '../history.ts'
import type { Oracle } from '../oracle.ts'

/**
 * V9: what has not converged is listed. A lane that is set aside stands among the open lanes; one that is no longer followed, because its application deleted the record
 * without having seen all of it, has its reason in the conflict log; and no field is set aside in runs in which nothing goes round.
 */
export function checkNothingSilent(oracle: Oracle): string | null {
  const end = oracle.history.end
  if (end === null) return null
  for (const state of end.states) {
    for (const lane of Object.values(state.lanes)) {
      const silent = checkLane(end, state, lane)
      if (silent !== null) return silent
    }
    const [path] = Object.keys(state.parkedPaths)
    if (path !== undefined) return `${path} of ${state.key} is set aside: ${state.parkedPaths[path]?.message}`
  }
  return null
}

function checkLane(end: HubEnd, { key, mergedInto }: RecordState, lane: Lane): string | null {
  const { app } = lane
  // A copy that was taken back when its record became another.
  if (mergedInto !== undefined) return null
  if (lane.detached) {
    const former = end.states.filter((one) => one.mergedInto === key).map((one) => one.key)
    const isOfIt = (one: Conflict) => one.key === key || former.includes(one.key)
    const isListed = end.conflicts.some((one) => isOfIt(one) && one.loserApp === app && one.reason === 'unseen')
    return isListed ? null : `${key} is no longer followed in ${app}, and no conflict says why`
  }
  if (lane.park == null || end.openLanes.some((open) => open.key === key && open.app === app)) return null
  return `${key} is set aside in ${app} (${lane.park.code}), and no list shows it`
}
