import { fieldOf } from '../merge/conflict.ts'
import { withoutSwings } from '../merge/oscillation.ts'
import { contestedValues, without } from '../merge/set-aside.ts'
import type { OperatorAction } from '../model/change.ts'
import type { AppId } from '../model/ids.ts'
import { nextHeadSeq } from '../model/record.ts'
import { type Value, valuesEqual } from '../model/value.ts'
import type { At, RecordWork } from './record-work.ts'

/** What people decide about single records. Pure, like decide.ts: what cannot be done (any more) is said, and changes nothing. */

type Resolve = Extract<OperatorAction, { action: 'resolve' }>

/** A person says what stands of a field that is set aside. The values that do not are kept in the conflict log, and every application is brought to the one that does. */
export function resolveField(work: RecordWork, { path, choice }: Resolve, at: At): void {
  const { state } = work
  const cell = state.head[path]
  const by = 'take' in choice ? choice.take : (cell?.origin.app ?? ('' as AppId))
  if (cell === undefined || state.parkedPaths[path] === undefined) {
    work.say(at, by, 'unchanged', `${path} is not set aside (any more); nothing to resolve`, { paths: [path] })
    return
  }
  const value = chosen(work, path, choice)
  if (value === undefined) {
    const what = 'take' in choice ? `${choice.take} holds no value of ${path}` : `the value given does not fit ${path}`
    work.say(at, by, 'unchanged', `${what}; nothing is resolved`, { paths: [path] })
    return
  }
  const claims = [{ app: cell.origin.app, value: cell.value }]
  for (const claim of contestedValues(state)) if (claim.path === path) claims.push(claim)
  if (state.parkedPaths[path]?.apps === undefined) {
    // Set aside because it does not converge: whatever an application holds is a claim.
    for (const { app, sent } of Object.values(state.lanes)) {
      const held = sent[path]
      if (held !== undefined && !claims.some((claim) => valuesEqual(claim.value, held)))
        claims.push({ app, value: held })
    }
  }
  for (const { app, value: lost } of claims) {
    if (valuesEqual(lost, value)) continue
    work.conflicts.push({
      key: state.key,
      entity: state.entity,
      path,
      loserApp: app,
      loserValue: lost,
      winnerApp: by,
      winnerValue: value,
      reason: 'both-changed',
      policy: 'resolved by a person',
      seq: at.seq,
      atMs: at.atMs,
    })
  }
  const headSeq = nextHeadSeq(state, at.seq)
  const origin = { seq: headSeq, app: by, timeMs: at.atMs, root: at.seq, hops: 0 }
  work.state = {
    ...state,
    head: { ...state.head, [path]: { value, origin } },
    headSeq,
    parkedPaths: without(state.parkedPaths, path),
  }
  for (const lane of Object.values(work.state.lanes)) work.setLane(withoutSwings(lane, path))
  work.say(at, by, 'released', `a person decided that ${shown(value)} stands for ${path}`, { paths: [path] })
}

function chosen(work: RecordWork, path: string, choice: Resolve['choice']): Value | undefined {
  const { state } = work
  const cell = state.head[path]
  if ('take' in choice) {
    // The application that stands in the head may have been taken over by another meanwhile: what counts is what it holds.
    const held = state.lanes[choice.take]?.sent[path]
    // null is a value like any other.
    return held === undefined && cell?.origin.app === choice.take ? cell.value : held
  }
  try {
    return fieldOf(work.entity, path)?.validate(choice.value)
  } catch {
    return undefined
  }
}

const shown = (value: Value): string =>
  (typeof value === 'bigint' ? String(value) : (JSON.stringify(value) ?? '')).slice(0, 60)
