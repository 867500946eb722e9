import type { EntityModel } from '../model/entity.ts'
import type { AppId } from '../model/ids.ts'
import { type Conflict, type HeadCell, type Lane, nextHeadSeq, type RecordState } from '../model/record.ts'
import { type Path, splitPartPath, type Value, valuesEqual } from '../model/value.ts'
import { type Decision, decideConflict } from './conflict.ts'
import { policyOf } from './policy.ts'
import { setAsideFor } from './set-aside.ts'

/** Two records that a person said to be one. */
export interface Joining {
  readonly entity: EntityModel
  /** The record that goes on. */
  readonly kept: RecordState
  /** The record that ends in it, and those of its lanes that go over. */
  readonly taken: RecordState
  readonly lanes: readonly Lane[]
  readonly seq: RecordState['headSeq']
  readonly atMs: number
}

export interface Joined {
  readonly head: RecordState['head']
  readonly headSeq: RecordState['headSeq']
  readonly parkedPaths: RecordState['parkedPaths']
  readonly conflicts: readonly Conflict[]
}

/**
 * The head of two records in one: what only one of them has is taken, what is equal stands, and where they differ the policy of the field decides as at a first contact, with the loser
 * kept in the conflict log. Elements of parts are united. Of two that were one before a person took them apart, what only one has changed since stands. Pure.
 */
export function joinHeads(joining: Joining): Joined {
  const { kept, taken } = joining
  const joiner = new Joiner(joining)
  const paths = Object.keys(taken.head).filter((path) => !path.startsWith(DERIVED))
  // Whether an element is there decides on its fields.
  for (const path of paths.filter(isPresence)) joiner.takeElement(path, taken.head[path] as HeadCell)
  for (const path of paths) if (!isPresence(path)) joiner.take(path, taken.head[path] as HeadCell)
  return {
    head: joiner.head,
    // Whoever comes over agrees with this version wherever it holds the same; it is a new one even where nothing differs.
    headSeq: nextHeadSeq(kept, joining.seq),
    parkedPaths: joiner.parkedPaths,
    conflicts: joiner.conflicts,
  }
}

class Joiner {
  readonly #joining: Joining
  readonly head: Record<Path, HeadCell>
  parkedPaths: RecordState['parkedPaths']
  readonly conflicts: Conflict[] = []

  constructor(joining: Joining) {
    this.#joining = joining
    this.head = { ...joining.kept.head }
    this.parkedPaths = joining.kept.parkedPaths
  }

  /** The presence of an element: one that only one of them has is in the record, unless the other has taken it out since they were one. */
  takeElement(path: Path, theirs: HeadCell): void {
    const ours = this.head[path]
    if (ours !== undefined && ours.value === theirs.value) return
    const stands = ours === undefined ? 'theirs' : this.#sinceApart(path, ours, theirs)
    if (stands === 'ours' || (stands !== 'theirs' && theirs.value !== true)) return
    this.#put(path, theirs, theirs.value)
    if (theirs.value !== true) this.#dropFields(path, theirs)
  }

  take(path: Path, theirs: HeadCell): void {
    const element = splitPartPath(path)?.element
    const presence = element === undefined ? undefined : this.head[element]
    if (presence?.value === false) {
      if (this.#isChanged(this.#joining.taken, path, theirs))
        this.#log(path, theirs, presence.origin.app, null, 'delete', 'deleted')
      return
    }
    const ours = this.head[path]
    if (ours === undefined) return this.#put(path, theirs, theirs.value)
    if (valuesEqual(ours.value, theirs.value)) return
    const stands = this.#sinceApart(path, ours, theirs)
    if (stands === 'ours') return
    if (stands === 'theirs') return this.#put(path, theirs, theirs.value)
    this.#decide(path, ours, theirs, this.#decisionOn(path, ours, theirs))
  }

  /** Whether a value is newer than the time when the two were one; always, where they never were. */
  #isChanged(of: RecordState, path: Path, { origin }: HeadCell): boolean {
    const { kept, taken } = this.#joining
    const apart = apartOf(kept, taken)
    if (apart === null) return true
    return origin.seq > apart.seq || (of.key === apart.from && apart.unseen.includes(path))
  }

  /** Of two that were one, whose value stands because only that side has changed it. */
  #sinceApart(path: Path, ours: HeadCell, theirs: HeadCell): 'ours' | 'theirs' | null {
    const { kept, taken } = this.#joining
    const isOurs = this.#isChanged(kept, path, ours)
    const isTheirs = this.#isChanged(taken, path, theirs)
    if (isOurs && isTheirs) return null
    return isTheirs ? 'theirs' : 'ours'
  }

  #dropFields(element: Path, removed: HeadCell): void {
    for (const path of Object.keys(this.head)) {
      if (!path.startsWith(element + '.')) continue
      const lost = this.head[path] as HeadCell
      if (this.#isChanged(this.#joining.kept, path, lost))
        this.#log(path, lost, removed.origin.app, null, 'delete', 'deleted')
      delete this.head[path]
    }
  }

  #decisionOn(path: Path, ours: HeadCell, theirs: HeadCell): Decision {
    const { entity } = this.#joining
    // Two values of one application, of which no rank can tell anything.
    if (ours.origin.app === theirs.origin.app && policyOf(entity, path).kind === 'latest')
      return { stands: theirs.origin.timeMs > ours.origin.timeMs ? 'incoming' : 'current', by: 'latest' }
    return decideConflict({
      entity,
      path,
      policy: policyOf(entity, path),
      base: undefined,
      incoming: sideOf(theirs),
      current: sideOf(ours),
      inDoubt: false,
    })
  }

  #decide(path: Path, ours: HeadCell, theirs: HeadCell, decision: Decision): void {
    switch (decision.stands) {
      case 'incoming':
        this.#log(path, ours, theirs.origin.app, theirs.value, decision.by)
        return this.#put(path, theirs, theirs.value)
      case 'current':
        return this.#log(path, theirs, ours.origin.app, ours.value, decision.by)
      case 'merged':
        for (const lost of [ours, theirs])
          if (decision.by === 'merge' && !valuesEqual(lost.value, decision.value))
            this.#log(path, lost, theirs.origin.app, decision.value, decision.by)
        return this.#put(path, theirs, decision.value)
      case 'both':
        return this.#setAside(path, theirs, decision)
    }
  }

  /** Neither stands: those who come over keep theirs, until a person decides. */
  #setAside(path: Path, theirs: HeadCell, decision: Extract<Decision, { stands: 'both' }>): void {
    const claims = this.#joining.lanes.filter((lane) => valuesEqual(lane.sent[path], theirs.value))
    if (claims.length === 0) {
      const ours = this.head[path] as HeadCell
      return this.#log(path, theirs, ours.origin.app, ours.value, 'manual')
    }
    for (const { app } of claims)
      this.parkedPaths = setAsideFor(this.parkedPaths, path, app, decision, this.#joining.atMs)
  }

  #put(path: Path, { origin }: HeadCell, value: Value): void {
    const { kept, seq } = this.#joining
    this.head[path] = { value, origin: { ...origin, seq: nextHeadSeq(kept, seq) } }
  }

  #log(
    path: Path,
    lost: HeadCell,
    winnerApp: AppId,
    winnerValue: Value,
    policy: string,
    reason: Conflict['reason'] = 'first-contact',
  ): void {
    const { kept, seq, atMs } = this.#joining
    this.conflicts.push({
      key: kept.key,
      entity: kept.entity,
      path,
      loserApp: lost.origin.app,
      loserValue: lost.value,
      winnerApp,
      winnerValue,
      reason,
      policy,
      seq,
      atMs,
    })
  }
}

function apartOf(kept: RecordState, taken: RecordState): NonNullable<RecordState['apart']> | null {
  if (taken.apart?.from === kept.key) return taken.apart
  return kept.apart?.from === taken.key ? kept.apart : null
}

const isPresence = (path: Path): boolean => splitPartPath(path)?.field === ''
const sideOf = ({ value, origin }: HeadCell) => ({ app: origin.app, timeMs: origin.timeMs, value })

/** How the paths begin of what is written back into one application: no field of an entity does. */
const DERIVED = '@'
