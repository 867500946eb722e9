import { advanceBasis, hasAgreed, type Proof } from '../model/basis.ts'
import type { Policy } from '../model/entity.ts'
import type { JournalPosition } from '../model/ids.ts'
import type { Lineage } from '../model/lineage.ts'
import { type Conflict, type HeadCell, nextHeadSeq, type Origin, type RecordState } from '../model/record.ts'
import { type Image, mayBeRenditionOf, type Path, splitPartPath, type Value, valuesEqual } from '../model/value.ts'
import { addsUp, decideConflict, isSameSet } from './conflict.ts'
import { type ChangedValue, changedValues, type Missing } from './decode.ts'
import type { FoldInput, FoldResult } from './folding.ts'
import { imageWithout, mergeImage } from './images.ts'
import { comesBack, isNews, lineageName, lineageOf, originOf } from './lineage.ts'
import { policyOf } from './policy.ts'
import { agreedBy, setAsideFor, without } from './set-aside.ts'

/**
 * Folds an observed image into a record (docs/protocol.md steps 7 and 8): what our own write explains is subtracted, what remains is a change of the application, each
 * field accepted, found equal, or decided by its policy with the loser kept. Pure. Throws SyncError (the entry is parked) or MissingReference (it waits).
 */
export function foldImage(input: FoldInput): FoldResult {
  return new Fold(input).run()
}

class Fold {
  readonly input: FoldInput
  readonly conflicts: Conflict[] = []
  readonly accepted: Path[] = []
  readonly convergent: Path[] = []
  readonly rendition: Path[] = []
  readonly returned: Path[] = []
  readonly lost: Path[] = []
  readonly won: Path[] = []
  readonly merged: Path[] = []
  readonly setAside: Path[] = []
  readonly overBudget: Path[] = []
  head: Record<Path, HeadCell>
  sent: Record<Path, Value>
  parkedPaths: RecordState['parkedPaths']
  headTouched = false
  /** One for all of the change that come from the same; `null` is this application's own. */
  readonly #origins = new Map<string | null, Origin>()
  #lineage: Lineage | null = null

  constructor(input: FoldInput) {
    this.input = input
    this.head = input.record.head
    this.sent = input.lane.sent
    this.parkedPaths = input.record.parkedPaths
  }

  run(): FoldResult {
    const { entity, binding, lane, image, references } = this.input
    const missing: Missing[] = []
    const changed = changedValues(
      entity,
      binding,
      lane.image,
      image,
      references,
      this.input.leaveOutMissing ? missing : null,
    )
    const unfolded = missing.flatMap(({ natives }) => natives)
    // A part of the record says nothing of what else could not be folded.
    if (this.input.isPartial === true) unfolded.push(...lane.unfolded.filter((name) => !(name in image)))
    // They are written in only where something has changed.
    if (changed.length > 0) this.head = { ...this.head }
    if (changed.length > 0 || this.input.own?.how === 'exact') this.sent = { ...this.sent }
    for (const value of changed) this.#foldOne(value)
    const isSettled = this.#settleUnchanged(changed)
    const { parkedPaths } = this
    let record = this.input.record
    if (this.headTouched) record = { ...record, head: this.head, headSeq: nextHeadSeq(record, this.input.seq) }
    if (parkedPaths !== record.parkedPaths) record = { ...record, parkedPaths }
    const folded = {
      ...lane,
      image: mergeImage(
        binding,
        this.#withoutUnwritten(),
        unfolded.length === 0 ? image : imageWithout(image, unfolded),
      ),
      unfolded: unfolded.length + lane.unfolded.length === 0 ? lane.unfolded : unfolded,
      sent: changed.length === 0 && !isSettled ? lane.sent : this.sent,
    }
    return {
      missing: missing[0]?.reference ?? null,
      record,
      lane: advanceBasis(record, folded, this.#proof()),
      accepted: this.accepted,
      convergent: this.convergent,
      rendition: this.rendition,
      returned: this.returned,
      lost: this.lost,
      won: this.won,
      merged: this.merged,
      setAside: this.setAside,
      conflicts: this.conflicts,
      overBudget: this.overBudget,
    }
  }

  /** What the application held, but for fields of elements that our write of the whole part did not carry: they went with it, and an application that leaves out what is empty does not say so. */
  #withoutUnwritten(): Image {
    const { own, lane, image } = this.input
    if (own?.whole !== true) return lane.image
    const isUnwritten = (path: Path): boolean => {
      const element = path.slice(0, path.indexOf(']') + 1)
      return (
        element !== '' && element !== path && own.native[element] === true && !(path in own.native) && !(path in image)
      )
    }
    const gone = Object.keys(lane.image).filter(isUnwritten)
    return gone.length === 0 ? lane.image : imageWithout(lane.image, gone)
  }

  /** The state right after our write, and a value of it has not moved: what the application holds there stands for what we wrote, though it may look like nothing of the kind. */
  #settleUnchanged(changed: readonly ChangedValue[]): boolean {
    const { own } = this.input
    if (own?.how !== 'exact') return false
    let isSettled = false
    for (const path in own.patch) {
      const ours = own.patch[path] as Value
      if (valuesEqual(this.sent[path], ours) || changed.some((one) => one.path === path)) continue
      this.sent[path] = ours
      isSettled = true
    }
    return isSettled
  }

  /** What this observation shows of the versions that its application has had before it. */
  #proof(): Proof | null {
    // What was merged is shown where it is just what the application holds: elsewhere its value is not the head's.
    const shown = [...this.accepted, ...this.won, ...this.merged]
    const { convergent } = this
    const { own } = this.input
    const ours = own?.headSeq ?? null
    if (shown.length + convergent.length === 0 && ours === null) return null
    return (path, version) => {
      if (shown.includes(path)) return true
      if (convergent.includes(path)) return this.#isMet(path, version)
      return ours !== null && own !== null && path in own.patch ? version <= ours : undefined
    }
  }

  /**
   * Whether an application that came to the head's value by itself is known to have had it when the head did. Who had it before, and has another by now, has not seen who else came to it: that is shown
   * by a state that is no older than the head, and never by an entry of a log, of what a write of ours has brought that stands only later in that. At first contact nobody has seen anybody, and what is equal is agreed.
   */
  #isMet(path: Path, version: JournalPosition): boolean {
    const { lane, seq, asOf } = this.input
    if (lane.overlays.some((overlay) => path in overlay.patch)) return false
    return version <= (path in lane.sent ? (asOf ?? NEVER) : seq)
  }

  #foldOne(change: ChangedValue): void {
    const { path, value } = change
    const isOwn = this.#isOwn(change)
    if (isOwn || this.#isEarlier(change)) {
      const patch = (isOwn ? this.input.own?.patch : this.input.own?.earlier?.patch) ?? {}
      const ours = path in patch ? (patch[path] as Value) : value
      if (value === false && isPresence(path)) {
        for (const inside of Object.keys(this.parkedPaths))
          if (inside.startsWith(path + '.')) this.#overwritten(inside, undefined)
        this.#forgetElement(path)
      }
      this.#overwritten(path, ours)
      this.sent[path] = ours
      if (!valuesEqual(ours, value)) this.rendition.push(path)
      return
    }
    const cell = this.head[path]
    if (this.input.record.deleted) {
      this.#logLoser(path, value, cell, 'deleted')
      this.sent[path] = value
      return
    }
    if (change.element !== null && this.head[change.element]?.value === false) {
      const removed = this.head[change.element] as HeadCell
      this.#log(path, this.input.binding.app, value, removed.origin.app, null, 'deleted', 'delete')
      this.lost.push(path)
      return
    }
    this.#lineage = lineageOf(this.input.told, change)
    switch (comesBack(this.input.told, this.#lineage, change, cell)) {
      case 'old':
        this.sent[path] = value
        this.returned.push(path)
        return
      case 'same':
        this.#agree(path, value)
        return
    }
    const policy = policyOf(this.input.entity, path)
    if (cell !== undefined && isSameSet(policy, value, cell.value)) {
      this.#agree(path, cell.value)
      return
    }
    if (cell !== undefined && valuesEqual(value, cell.value) && !addsUp(policy, this.sent[path], value, cell.value)) {
      if (isNews(this.input.told, this.#lineage, cell)) this.#accept(path, value)
      this.#agree(path, value)
      return
    }
    if (cell === undefined || hasAgreed(this.input.record, this.input.lane, path)) {
      this.#accept(path, value)
      this.accepted.push(path)
    } else if (this.#isOfOurMaking(change, cell)) this.sent[path] = value
    else this.#decide(change, cell, policy)
  }

  /**
   * A write of ours that was under way when a field was set aside has replaced the value that was kept there: nobody can take it any more, so it goes to the log.
   */
  #overwritten(path: Path, ours: Value | undefined): void {
    const { app } = this.input.binding
    const cell = this.head[path]
    const held = this.sent[path]
    if (cell === undefined || held === undefined || valuesEqual(held, ours)) return
    if (this.parkedPaths[path]?.apps?.includes(app) !== true) return
    this.#log(path, app, held, cell.origin.app, cell.value, 'both-changed', 'overwritten while set aside')
    // The application claims nothing any more: it holds a value of ours, and is behind like any other, or the element is gone.
    this.parkedPaths = agreedBy(this.parkedPaths, path, app)
  }

  /** The application came to what stands already. */
  #agree(path: Path, value: Value): void {
    this.sent[path] = value
    this.parkedPaths = agreedBy(this.parkedPaths, path, this.input.binding.app)
    this.convergent.push(path)
  }

  /**
   * What an application makes by itself of a write of ours (a default, a derived value) claims nothing against what a person has said elsewhere meanwhile. Empty is the default
   * of whatever we did not write, as long as the application has told nothing else.
   */
  #isOfOurMaking({ path, value, natives }: ChangedValue, cell: HeadCell): boolean {
    const { own, lane } = this.input
    // What could not be folded when it was told, was there before our write.
    if (own === null || path in own.patch || natives.some((name) => lane.unfolded.includes(name))) return false
    if (value === null && !(path in lane.sent)) return true
    return this.#originOfChange().hops > 0 && cell.origin.hops === 0
  }

  /** Nobody has said anything of it yet: another application has it empty by default in what we made there, and this one has told nothing of it so far, or has the same. */
  #isByDefault(path: Path, cell: HeadCell): boolean {
    const isUntold = (this.sent[path] ?? null) === null
    return cell.value === null && cell.origin.hops > 0 && isUntold && this.#originOfChange().hops === 0
  }

  /** Step 7: the value is our own write as the app renders it. For an UNKNOWN write only when it is recognisably ours. */
  #isOwn(change: ChangedValue): boolean {
    const own = this.input.own
    if (own === null) return false
    if (own.how === 'late') return true
    if (!(change.path in own.patch)) return own.whole === true && this.#isInWhole(change, own.native)
    if (own.how === 'exact') return true
    if (change.path.endsWith(']')) return change.value === own.patch[change.path]
    return change.natives.every(
      (native) => native in own.native && mayBeRenditionOf(own.native[native], this.input.image[native]),
    )
  }

  #isEarlier(change: ChangedValue): boolean {
    const earlier = this.input.own?.earlier
    if (earlier === undefined || change.path.endsWith(']') || !(change.path in earlier.patch)) return false
    return change.natives.every((name) => mayBeRenditionOf(earlier.native[name], this.input.image[name]))
  }

  /** Of a part that we wrote whole: what stands there as we wrote it, and what is gone because we did not write it. */
  #isInWhole(change: ChangedValue, native: Image): boolean {
    const part = this.input.binding.parts.find((one) => change.path.startsWith(one.part + '['))
    if (part === undefined || native[part.container] !== true) return false
    if (change.value === false && isPresence(change.path)) return change.natives.every((name) => native[name] !== true)
    return change.natives.every((name) => name in native && mayBeRenditionOf(native[name], this.input.image[name]))
  }

  #accept(path: Path, value: Value): void {
    const origin = this.#originOfChange()
    if (origin.hops > 2 * this.input.entity.bindings.size) this.overBudget.push(path)
    if (value === false && isPresence(path)) this.#dropElement(path)
    this.head[path] = { value, origin }
    this.sent[path] = value
    this.headTouched = true
    this.parkedPaths = agreedBy(this.parkedPaths, path, this.input.binding.app)
    for (const other of this.parkedPaths[path]?.apps ?? []) {
      if (valuesEqual(this.input.record.lanes[other]?.sent[path], value))
        this.parkedPaths = agreedBy(this.parkedPaths, path, other)
    }
  }

  /** A removed element takes its fields along; what its remover had not seen of them is kept in the conflict log. */
  #dropElement(element: Path): void {
    const prefix = element + '.'
    for (const path of Object.keys(this.head)) {
      if (!path.startsWith(prefix)) continue
      const cell = this.head[path] as HeadCell
      // Equal by chance is not seen, as everywhere.
      if (!this.#isOfThisChange(cell) && !hasAgreed(this.input.record, this.input.lane, path, this.sent)) {
        this.#log(path, cell.origin.app, cell.value, this.input.binding.app, null, 'unseen', 'delete')
      }
      delete this.head[path]
    }
    this.#forgetElement(element)
  }

  /** An element that its application has taken out and gets back: it holds nothing of it until then, and claims nothing in it. */
  #takenOutInVain(element: Path): void {
    const prefix = element + '.'
    for (const path of Object.keys(this.sent)) if (path.startsWith(prefix)) delete this.sent[path]
    for (const path of Object.keys(this.parkedPaths))
      if (path.startsWith(prefix)) this.parkedPaths = agreedBy(this.parkedPaths, path, this.input.binding.app)
  }

  #forgetElement(element: Path): void {
    const prefix = element + '.'
    for (const path of Object.keys(this.sent)) if (path.startsWith(prefix)) delete this.sent[path]
    this.#dropSetAside(prefix)
  }

  /** What was set aside of a removed element needs no decision any more; the values that nobody decided on are kept in the log. */
  #dropSetAside(prefix: Path): void {
    const { record, binding } = this.input
    for (const path of Object.keys(this.parkedPaths)) {
      if (!path.startsWith(prefix)) continue
      for (const app of this.parkedPaths[path]?.apps ?? []) {
        const value = record.lanes[app]?.sent[path]
        if (value !== undefined && app !== binding.app)
          this.#log(path, app, value, binding.app, null, 'unseen', 'delete')
      }
      this.parkedPaths = without(this.parkedPaths, path)
    }
  }

  #decide({ path, value, natives }: ChangedValue, cell: HeadCell, policy: Policy): void {
    const { entity, binding, own } = this.input
    const { app } = binding
    const { timeMs } = this.#originOfChange()
    const reason = path in this.sent ? 'both-changed' : 'first-contact'
    const current = { app: cell.origin.app, timeMs: cell.origin.timeMs, value: cell.value }
    if (this.#isByDefault(path, cell)) {
      this.#log(path, current.app, cell.value, app, value, reason, 'entered over an empty default')
      this.#accept(path, value)
      this.won.push(path)
      return
    }
    const decision = decideConflict({
      entity,
      path,
      policy,
      base: policy.kind === 'counter' ? (this.#renditionBefore(path, natives) ?? this.sent[path]) : this.sent[path],
      incoming: { app, timeMs, value },
      current,
      inDoubt: own?.how === 'included' && path in own.patch && !valuesEqual(own.patch[path], this.sent[path]),
    })
    switch (decision.stands) {
      case 'incoming':
        this.#log(path, current.app, cell.value, app, value, reason, decision.by)
        this.#accept(path, value)
        this.won.push(path)
        return
      case 'current':
        this.#log(path, app, value, current.app, cell.value, reason, decision.by)
        if (value === false && isPresence(path)) this.#takenOutInVain(path)
        this.sent[path] = value
        this.lost.push(path)
        return
      case 'merged':
        if (decision.by === 'merge') {
          if (!valuesEqual(decision.value, cell.value))
            this.#log(path, current.app, cell.value, app, decision.value, reason, decision.by)
          if (!valuesEqual(decision.value, value))
            this.#log(path, app, value, current.app, decision.value, reason, decision.by)
        }
        // What stands already is no new version of it: who made it has nothing to catch up with.
        if (!valuesEqual(decision.value, cell.value)) this.#accept(path, decision.value)
        else this.parkedPaths = agreedBy(this.parkedPaths, path, app)
        this.sent[path] = value
        this.merged.push(path)
        return
      case 'both':
        this.sent[path] = value
        this.parkedPaths = setAsideFor(this.parkedPaths, path, app, decision, this.input.atMs)
        this.setAside.push(path)
    }
  }

  /** What the application held before, by its own word: where it keeps numbers in a form of its own, only this and the new value can be subtracted. */
  #renditionBefore(path: Path, natives: readonly Path[]): Value | undefined {
    const { entity, binding, lane, references } = this.input
    if (!(path in this.sent) || !natives.every((name) => name in lane.image)) return undefined
    try {
      return changedValues(entity, binding, {}, lane.image, references).find((one) => one.path === path)?.value
    } catch {
      // Another field of the old image cannot be read: the value that we sent is the next best.
      return undefined
    }
  }

  #logLoser(path: Path, value: Value, cell: HeadCell | undefined, reason: 'deleted'): void {
    this.#log(
      path,
      this.input.binding.app,
      value,
      cell?.origin.app ?? this.input.binding.app,
      cell?.value ?? null,
      reason,
      'delete',
    )
    this.lost.push(path)
  }

  #log(
    path: Path,
    loserApp: Conflict['loserApp'],
    loserValue: Value,
    winnerApp: Conflict['winnerApp'],
    winnerValue: Value,
    reason: Conflict['reason'],
    policy: string,
  ): void {
    const { record, seq, atMs } = this.input
    this.conflicts.push({
      key: record.key,
      entity: record.entity,
      path,
      loserApp,
      loserValue,
      winnerApp,
      winnerValue,
      reason,
      policy,
      seq,
      atMs,
    })
  }

  #isOfThisChange({ origin }: HeadCell): boolean {
    return [...this.#origins.values()].includes(origin)
  }

  /** One origin for all that this observation changes: a person's change is its own root; what the app made of our write descends from it, and what another hub tells comes from where it says. */
  #originOfChange(): Origin {
    const lineage = this.#lineage
    const name = lineage === null ? null : lineageName(lineage)
    const origin = this.#origins.get(name) ?? originOf(this.input, lineage)
    this.#origins.set(name, origin)
    return origin
  }
}

const NEVER = -1

const isPresence = (path: Path): boolean => splitPartPath(path)?.field === ''
