import { type Pair, whyNotLinked } from '../../engine/pairing.ts'
import type { NamedRecord, OperatorAction } from '../../model/change.ts'
import type { HubModel } from '../../model/entity.ts'
import { isThere, type RecordState } from '../../model/record.ts'
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

/** A person takes a record of one application out of one that stands for the same thing in others: by mistake, as it is one thing. */
export function separation(states: readonly RecordState[], random: Rng): Pair | null {
  const shared = states.filter((state) => !state.deleted && namesOf(state).length > 1)
  if (shared.length === 0) return null
  const [first, second] = random.shuffled(namesOf(random.pick(shared)))
  return { action: 'separate', ...(first as NamedRecord), other: second as NamedRecord }
}

/** People find out that what was taken apart is one. */
export function reunions(model: HubModel, states: readonly RecordState[], random: Rng): Pair[] {
  const pairs: Pair[] = []
  const isMet = new Set<RecordState['key']>()
  for (const state of states) {
    const former = underKey(states, state.apart?.from)
    if (former === undefined || isMet.has(state.key) || isMet.has(former.key)) continue
    const [kept, taken] = random.shuffled([former, state]) as [RecordState, RecordState]
    const pair = linkOf(kept, taken)
    if (pair === null || whyNotLinked(model, kept, taken, pair) !== null) continue
    isMet.add(kept.key).add(taken.key)
    pairs.push(pair)
  }
  return pairs
}

/** The record of that key, or the one that it has become. */
function underKey(states: readonly RecordState[], key: RecordState['key'] | undefined): RecordState | undefined {
  const found = states.find((state) => state.key === key)
  return found?.mergedInto === undefined ? found : underKey(states, found.mergedInto)
}

function linkOf(kept: RecordState, taken: RecordState): Pair | null {
  const [first] = namesOf(kept)
  const [second] = namesOf(taken)
  return first === undefined || second === undefined ? null : { action: 'link', ...first, other: second }
}

const namesOf = ({ key, lanes }: RecordState): NamedRecord[] =>
  Object.values(lanes).flatMap((lane) =>
    lane.nativeId !== null && isThere(lane) ? [{ key, app: lane.app, nativeId: lane.nativeId }] : [],
  )
