import { type Lineage, rootOf } from '../model/lineage.ts'
import { type HeadCell, nextHeadSeq, type Origin, type RecordState } from '../model/record.ts'
import { type Path, valuesEqual } from '../model/value.ts'
import type { ChangedValue } from './decode.ts'
import type { FoldInput } from './folding.ts'

/** What a message of another hub tells of the values in it, by native field, and who we are among the hubs. */
export interface ToldLineage {
  readonly instance: string
  readonly byNative: Readonly<Record<Path, Lineage>>
}

/** Of a value that was read from several native fields: nothing, unless all of them have one. The newest stands for all; it has gone through us only where all have. */
export function lineageOf(told: ToldLineage | undefined, { natives }: ChangedValue): Lineage | null {
  if (told === undefined) return null
  const all = natives.map((name) => told.byNative[name])
  let newest: Lineage | null = null
  for (const one of all) {
    if (one === undefined) return null
    if (newest === null || one.atMs > newest.atMs) newest = one
  }
  if (newest === null || !isOurs(told, newest)) return newest
  const strange = all.find((one) => one !== undefined && !isOurs(told, one))
  return strange ?? newest
}

const isOurs = ({ instance }: ToldLineage, { via }: Lineage): boolean => via.includes(instance)

/**
 * Whether a value that went through this hub is back. `same`: it stands. `old`: the head has gone on from it, what stands there now came after it, so nobody has changed anything, however different it looks. A
 * user's change is a root of its own, which has not been here, so that it is never taken for this; and a value that differs although the head still stands by the same root is the answer of an application elsewhere: null.
 */
export function comesBack(
  told: ToldLineage | undefined,
  lineage: Lineage | null,
  { value }: ChangedValue,
  cell: HeadCell | undefined,
): 'same' | 'old' | null {
  if (told === undefined || lineage === null || cell === undefined || !isOurs(told, lineage)) return null
  if (valuesEqual(value, cell.value)) return 'same'
  return rootOf(told.instance, cell.origin) === lineage.root ? null : 'old'
}

/** Whether another hub came to the value that stands by a later change than the one that it stands by: who hears of it from us has to know, or would take what came between for the newer. */
export const isNews = (told: ToldLineage | undefined, lineage: Lineage | null, { origin }: HeadCell): boolean =>
  told !== undefined &&
  lineage !== null &&
  lineage.root !== rootOf(told.instance, origin) &&
  lineage.atMs > origin.timeMs

export const lineageName = ({ root, hops, via }: Lineage): string => `${root} ${hops} ${via.join(' ')}`

/** A person's change is its own root; what the app made of our write descends from it; and what another hub tells comes from where it says. */
export function originOf(
  { seq, binding, atMs, sourceTimeMs, own, record, told }: FoldInput,
  lineage: Lineage | null,
): Origin {
  const saidMs = lineage?.atMs ?? sourceTimeMs
  const cause = own?.how === 'exact' ? own.origin : null
  return {
    seq: nextHeadSeq(record, seq),
    app: binding.app,
    timeMs: saidMs === undefined ? atMs : Math.min(saidMs, atMs),
    root: cause?.root ?? seq,
    hops: cause === null ? 0 : cause.hops + 1,
    ...(cause === null ? {} : inherited(record, cause.root)),
    ...(told === undefined || lineage === null ? {} : fromElsewhere(told, lineage)),
  }
}

/** An answer that came back to us is one hop more, so that hubs that answer each other come to an end. */
const fromElsewhere = (told: ToldLineage, lineage: Lineage): Pick<Origin, 'from' | 'via' | 'hops'> => ({
  from: lineage.root,
  via: lineage.via,
  hops: isOurs(told, lineage) ? lineage.hops + 1 : lineage.hops,
})

/** Of what an application made of a write of ours: where the values come from that we wrote. */
function inherited(record: RecordState, root: Origin['root']): Partial<Pick<Origin, 'from' | 'via'>> {
  for (const path in record.head) {
    const { origin } = record.head[path] as HeadCell
    if (origin.root === root && origin.from !== undefined)
      return { from: origin.from, ...(origin.via === undefined ? {} : { via: origin.via }) }
  }
  return {}
}
