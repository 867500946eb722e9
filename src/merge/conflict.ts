import { SyncError } from '../errors/index.ts'
import type { EntityModel, FieldModel, MergeSide, Policy } from '../model/entity.ts'
import type { AppId } from '../model/ids.ts'
import { type Path, splitPartPath, type Value, valuesEqual } from '../model/value.ts'
import { addAndRemove, addDifference, sameSet } from './deltas.ts'
import { incomingWins, policyName } from './policy.ts'

/** One side of a conflict, with the value it stands for. */
export interface Side {
  readonly app: AppId
  readonly timeMs: number
  readonly value: Value
}

export interface Conflicting {
  readonly entity: EntityModel
  readonly path: Path
  readonly policy: Policy
  /** What the incoming application last agreed to; undefined when it never did. */
  readonly base: Value | undefined
  readonly incoming: Side
  readonly current: Side
  /** The base is not certain: a write of ours in doubt may or may not be in what the application holds now. */
  readonly inDoubt: boolean
}

/** What the policy of a field makes of two changes of it. */
export type Decision =
  | { readonly stands: 'incoming' | 'current'; readonly by: string }
  /** Neither lost: both are in the value. */
  | { readonly stands: 'merged'; readonly value: Value; readonly by: string }
  /** Nobody but a person can say: each application keeps its own. */
  | { readonly stands: 'both'; readonly code: string; readonly message: string }

/** Decides a conflict by the policy of its field. Pure; never throws: a merge that fails sets the field aside. */
export function decideConflict(conflict: Conflicting): Decision {
  const { policy, path, incoming, current } = conflict
  switch (policy.kind) {
    case 'manual':
      return setAside('merge.manual', `${path}: ${current.app} and ${incoming.app} changed it, and a person decides`)
    case 'counter':
      return counted(conflict) ?? byTime(conflict)
    case 'addRemove':
      return united(conflict) ?? byTime(conflict)
    case 'merge':
      return merged(conflict, policy.merge)
    default:
      return byTime(conflict)
  }
}

/**
 * Whether two equal values are two changes all the same: two people who each take one piece from the stock of five leave three, though both saved a four.
 */
export const addsUp = (policy: Policy, base: Value | undefined, value: Value, current: Value): boolean =>
  policy.kind === 'counter' &&
  base !== undefined &&
  !valuesEqual(base, current) &&
  addDifference(base, value, current) !== undefined

/** Whether an application's list differs from the head's in order and repetition only: the same set. */
export const isSameSet = (policy: Policy, value: Value, current: Value | undefined): boolean =>
  policy.kind === 'addRemove' && sameSet(value, current)

/** The order in time, then of the applications: what every policy falls back to where it has nothing to say. */
function byTime({ entity, policy, incoming, current }: Conflicting): Decision {
  const by = policyName(policy)
  return { stands: incomingWins(entity, policy, incoming, current) ? 'incoming' : 'current', by }
}

function counted(conflict: Conflicting): Decision | undefined {
  const { base, incoming, current, path, inDoubt } = conflict
  if (inDoubt) {
    const message = `${path}: a write of ours to ${incoming.app} may or may not be in the ${shown(incoming.value)} that it holds now, so the difference that was counted there is not known`
    return setAside('merge.in-doubt', message)
  }
  const sum = base === undefined ? undefined : addDifference(base, incoming.value, current.value)
  return sum === undefined ? undefined : checked(conflict, sum, 'counter')
}

function united(conflict: Conflicting): Decision | undefined {
  const union = addAndRemove(conflict.base, conflict.incoming.value, conflict.current.value)
  return union === undefined ? undefined : checked(conflict, union, 'addRemove')
}

function merged(conflict: Conflicting, merge: (sides: MergeSidesOf) => Value): Decision {
  const { base, incoming, current, path } = conflict
  const side = ({ value, app, timeMs }: Side): MergeSide => ({ value, app, atMs: timeMs })
  try {
    return checked(conflict, merge({ base, current: side(current), incoming: side(incoming) }), 'merge')
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return setAside('merge.function-failed', `${path}: its merge function threw: ${reason}`)
  }
}

type MergeSidesOf = Parameters<Extract<Policy, { kind: 'merge' }>['merge']>[0]

/** What was merged must fit the field, or nothing is written. */
function checked(conflict: Conflicting, value: Value, by: 'counter' | 'addRemove' | 'merge'): Decision {
  const { entity, path, incoming, current } = conflict
  const field = fieldOf(entity, path)
  try {
    // A value that is none (undefined, a number that is no integer, an object) is refused here like one outside the schema.
    const fits = field === undefined || field.reference !== undefined ? value : field.validate(value)
    return { stands: 'merged', value: fits, by }
  } catch (error) {
    const message = `${path}: ${by} of ${shown(current.value)} (${current.app}) and ${shown(incoming.value)} (${incoming.app}) gives ${shown(value)}, which does not fit: ${SyncError.from(error).message}`
    return setAside('merge.value-invalid', message)
  }
}

/** The field of the entity, or of one of its parts, at a path; undefined for the presence of an element. */
export function fieldOf(entity: EntityModel, path: Path): FieldModel | undefined {
  const inPart = splitPartPath(path)
  return inPart === undefined ? entity.fields[path] : entity.parts[inPart.part]?.fields[inPart.field]
}

const setAside = (code: string, message: string): Decision => ({ stands: 'both', code, message })

const shown = (value: unknown): string =>
  (typeof value === 'bigint' ? String(value) : (JSON.stringify(value) ?? String(value))).slice(0, 60)
