import type { OperatorAction } from '../../model/change.ts'
import type { RecordState } from '../../model/record.ts'
import { valuesEqual } from '../../model/value.ts'
import type { Rng } from './rng.ts'

/**
 * The people who decide what no policy can, when all else has come to rest: each field that is set aside is resolved by the value of one of the applications that hold one. What they
 * decide is one more change, and may be answered by nobody.
 */
export function decisionsOf(states: Iterable<RecordState>, random: Rng): OperatorAction[] {
  const actions: OperatorAction[] = []
  for (const state of states) {
    for (const path of Object.keys(state.parkedPaths)) {
      // Of an application that has neither, the value is an old one that nobody claims.
      const head = state.head[path]?.value
      const claims = Object.values(state.lanes).filter(
        ({ app, exists, sent }) =>
          exists === true &&
          path in sent &&
          (state.parkedPaths[path]?.apps?.includes(app) || valuesEqual(sent[path], head)),
      )
      if (head === undefined) continue
      const taken = claims.length === 0 ? undefined : random.fork(state.key + path).pick(claims)
      const choice = taken === undefined ? { value: head } : { take: taken.app }
      actions.push({ action: 'resolve', key: state.key, path, choice })
    }
  }
  return actions
}
