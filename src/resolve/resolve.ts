import { isLogFed, tellsOurCreates } from '../model/capabilities.ts'
import type { BindingModel } from '../model/entity.ts'
import { type CanonicalKey, compareTokens, isOfLife, type Token } from '../model/ids.ts'
import type { Lane, Link, RecordState } from '../model/record.ts'

/** What is known of the record that an observation speaks of. */
export interface Subject {
  readonly binding: BindingModel
  /** image: a trustworthy state. deleted: it is gone. hint: only that something happened (also an image without an ordered token). */
  readonly kind: 'image' | 'deleted' | 'hint'
  readonly token: Token | undefined
  /** The observation is a read of ours: it is the state now, whatever its token. */
  readonly isRead: boolean
  /** The record that its correlation id names, and which life of it; undefined where only a mark tells of it. */
  readonly correlation: { readonly key: CanonicalKey; readonly life: number | undefined } | undefined
  /** From the image's own match fields; null when it has none or one is empty. */
  readonly matchKey: string | null
}

/** The cross-reference as loaded for one subject. */
export interface Surroundings {
  readonly link: Link | undefined
  /** The record that the correlation id names, when it is one of ours. */
  readonly correlated: RecordState | undefined
  /** The record that already has this match key. */
  readonly matched: RecordState | undefined
  /** Creates of ours on this object that were committed as open when the entry was received. */
  readonly openCreates: readonly CanonicalKey[]
}

export type Resolution =
  | { readonly to: 'record'; readonly key: CanonicalKey }
  /** It is what our own create made, or a record that the correlated one lacks in this application: link it. */
  | {
      readonly to: 'link'
      readonly key: CanonicalKey
      readonly why: 'correlation' | 'match'
      readonly incarnation: number
    }
  | { readonly to: 'new'; readonly incarnation: number }
  | { readonly to: 'hold'; readonly keys: readonly CanonicalKey[] }
  | { readonly to: 'read' }
  | { readonly to: 'tombstone' }
  | { readonly to: 'drop'; readonly why: string }
  | { readonly to: 'ambiguous'; readonly key: CanonicalKey }

/** Which record an observation speaks of (docs/protocol.md step 3). Pure. */
export function resolve(subject: Subject, around: Surroundings): Resolution {
  const { link } = around
  if (link !== undefined && link.state === 'live' && link.key !== null) return { to: 'record', key: link.key }
  if (link !== undefined && isOfTheDead(subject, link)) return { to: 'drop', why: 'no newer than its deletion' }
  // Newer than what we knew when it was deleted, but perhaps older than the deletion itself: a read tells.
  if (link !== undefined && !subject.isRead && !toldByLog(subject) && subject.binding.capabilities.read !== 'R0')
    return { to: 'read' }
  const incarnation = link === undefined ? 0 : link.incarnation + 1
  const correlated = byCorrelation(subject, around)
  if (correlated !== undefined && subject.kind !== 'deleted')
    return { to: 'link', key: correlated, why: 'correlation', incarnation }
  if (correlated === undefined && around.openCreates.length > 0 && !tellsOurCreates(subject.binding.capabilities)) {
    return { to: 'hold', keys: around.openCreates }
  }
  if (subject.kind === 'deleted') return { to: 'tombstone' }
  if (subject.kind === 'hint') return { to: 'read' }
  return byMatch(subject, around, incarnation)
}

/** An ordered, complete log tells of deletion and new life in their order: what comes after the deletion is a new life. */
const toldByLog = ({ binding, token }: Subject): boolean => isLogFed(binding.capabilities) && token !== undefined

/** A tombstoned id: only a state that is provably newer than the deletion is a new incarnation. */
function isOfTheDead(subject: Subject, tombstone: Link): boolean {
  if (subject.kind === 'deleted') return true
  // A read that may lag says no more than its version does.
  const isNow = subject.isRead && subject.binding.capabilities.read === 'R2'
  if (subject.kind === 'hint' || isNow) return false
  return subject.token !== undefined && tombstone.token !== null && compareTokens(subject.token, tombstone.token) <= 0
}

function byCorrelation(subject: Subject, around: Surroundings): CanonicalKey | undefined {
  const record = around.correlated
  const { correlation, binding } = subject
  if (record === undefined || record.entity !== binding.entity || record.key !== correlation?.key) return undefined
  const lane = record.lanes[binding.app]
  const isMade = lane === undefined || (lane.nativeId === null && isOfItsLife(lane, correlation.life))
  return isMade || livesAgain(record, lane, around) ? record.key : undefined
}

/** A record that bears the id of a former life, which is over, is a copy of what that was. */
const isOfItsLife = (lane: Lane, life: number | undefined): boolean =>
  life === undefined || isOfLife(life, lane.incarnation)

/** A record that has lived here before: its own id may live again. Another one that bears its correlation id is a copy which somebody made of it, and is matched like any record. */
const livesAgain = (record: RecordState, lane: Lane, { link }: Surroundings): boolean =>
  isFree(lane) && !record.deleted && link?.key === record.key

/** The record has no living counterpart in this application. */
const isFree = (lane: Lane): boolean => lane.nativeId === null || lane.exists === false

function byMatch(subject: Subject, around: Surroundings, incarnation: number): Resolution {
  const record = around.matched
  if (subject.matchKey === null || record === undefined) return { to: 'new', incarnation }
  const lane = record.lanes[subject.binding.app]
  if (lane === undefined || (isFree(lane) && lane.intent === null))
    return { to: 'link', key: record.key, why: 'match', incarnation }
  if (isFree(lane)) return { to: 'hold', keys: [record.key] }
  return { to: 'ambiguous', key: record.key }
}
