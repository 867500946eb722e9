import type { Latching, MergeSides, Policy } from '../../model/entity.ts'
import type { Value } from '../../model/value.ts'
import type { Rng } from './rng.ts'

/**
 * Policies beyond `latest` and `prefer` for some fields of a run. Only such as keep one of the two values whole, because every value has to say which user's write it came from: sums and
 * unions are tried by properties of their own (src/merge/deltas.test.ts, src/engine/policies.test.ts).
 */
export function drawFieldPolicies(random: Rng): Readonly<Record<string, Policy>> {
  const policies: Record<string, Policy> = {}
  for (const field of ['name', 'note', 'amount', 'title', 'lines.qty', 'lines.item']) {
    const own = random.fork(field)
    const policy = own.pick<Policy | null>([null, MANUAL, MANUAL, LARGER, FAILING])
    if (policy !== null) policies[field] = policy
  }
  return policies
}

const MANUAL: Policy = { kind: 'manual' }

const textOf = (value: Value): string => JSON.stringify(value) ?? ''

/** A pure choice that looks at nothing but the values. */
const LARGER: Policy = {
  kind: 'merge',
  merge: ({ current, incoming }: MergeSides): Value =>
    textOf(current.value) >= textOf(incoming.value) ? current.value : incoming.value,
}

/** A function that its author did not try on all values. */
const FAILING: Policy = {
  kind: 'merge',
  merge: (sides: MergeSides): Value => {
    if (textOf(sides.incoming.value).length % 2 === 0) throw new TypeError('not thought of')
    return sides.incoming.value
  },
}

/** `volatile` is left out: its writes leave before their intent is committed, which is what a step check forbids. */
export const drawLatching = (random: Rng): Latching => random.pick<Latching>(['memory', 'table', 'table'])
