import { SyncError } from '../errors/index.ts'
import { MissingReference } from '../merge/references.ts'
import { isLogFed } from '../model/capabilities.ts'
import type { Input, JournalEntry, OperatorAction } from '../model/change.ts'
import type { BindingModel } from '../model/entity.ts'
import { asJournalPosition, type CanonicalKey, compareTokens, laneKey } from '../model/ids.ts'
import type { Lane, Link } from '../model/record.ts'
import { takeOutcome } from './decide.ts'
import { resolveField } from './deciding.ts'
import { takeRead } from './evidence.ts'
import { jitterOf } from './keys.ts'
import { observeBy, takePass } from './log-fed.ts'
import type { Observing } from './observing.ts'
import { linkRecords, type Pair, type Pairing, sayTwo, separateRecords } from './pairing.ts'
import { type Prepared, prepareFor, refOf } from './prepared.ts'
import type { At, RecordWork } from './record-work.ts'
import { Samples } from './stats.ts'
import { at, isBusy, laneReason, readReason, type Turn } from './turn.ts'
import { undelete } from './undelete.ts'
import { withdraw } from './withdraw.ts'

export type OutcomeInput = Extract<Input, { type: 'outcome' }>
export type ReadInput = Extract<Input, { type: 'read' }>

/** What came back from applications (docs/protocol.md 3.4): outcomes of writes and images that were read; and what people asked for. */
export class Answers {
  readonly #turn: Turn
  readonly #observing: Observing

  constructor(turn: Turn, observing: Observing) {
    this.#turn = turn
    this.#observing = observing
  }

  takeRead(prepared: Prepared, input: ReadInput): void {
    const { binding, ref } = prepared
    const link = this.#turn.batch.linkOf(prepared)
    const work = link?.state === 'live' && link.key !== null ? this.#turn.batch.work(link.key) : undefined
    if (work !== undefined) return this.#takeLinkedRead(work, prepared, input)
    const before = link?.key == null ? undefined : this.#turn.batch.state(link.key)?.lanes[binding.app]
    // A read of a former life of this id, met again after a restart.
    if (before !== undefined && prepared.seq <= before.readSeq) return this.#turn.done(prepared)
    if (input.read.result === 'failed' || this.#mayBeBehind(prepared, input, link)) {
      const { nowMs } = this.#turn
      this.#turn.engine.schedule(readReason(ref), nowMs + (input.read.retryAfterMs ?? READ_RETRY_MS), nowMs)
      return
    }
    const waiting = this.#turn.engine.waiting.takeAnswered(ref, input.begunAfter)
    // Nobody has told of it, and a read that may lag does not show it: that says nothing.
    if (waiting.length === 0 && input.read.result === 'missing' && binding.capabilities.read === 'R1')
      return this.#turn.done(prepared)
    for (const hint of waiting) this.#turn.done(hint)
    this.#observing.observe(prepared)
    this.#turn.engine.waiting.releaseRef(ref, readReason(ref))
  }

  /** Where reads lag, they may not show yet what was just told of, and may show still what was just deleted. */
  #mayBeBehind({ binding, ref }: Prepared, { read }: ReadInput, link: Link | undefined): boolean {
    const { read: reads, token, fenceMs } = binding.capabilities
    if (reads !== 'R1') return false
    const told = this.#turn.engine.waiting.of(ref)
    const shown = read.token
    if (shown !== undefined && token === 'T2') {
      if (told.some((one) => one.token !== undefined && compareTokens(one.token, shown) > 0)) return true
    }
    const known = read.result === 'missing' ? told[0] : link
    const sinceMs = known === undefined ? -1 : this.#turn.nowMs - known.atMs
    // Where the clock was set back since, it is not known how long that is ago.
    return sinceMs >= 0 && sinceMs < fenceMs
  }

  #takeLinkedRead(work: RecordWork, prepared: Prepared, input: ReadInput): void {
    const { binding } = prepared
    const folded = this.#turn.guarded(prepared, () => {
      if (prepared.broken !== null) throw prepared.broken
      const heard = this.#turn.engine.waiting.has(laneReason(work.state.key, binding.app))
      const missing: MissingReference[] = []
      takeRead(
        work,
        binding,
        input.read,
        this.#turn.live.has(prepared.seq) ? input.begunAfter : BEFORE_RESTART,
        at(prepared),
        jitterOf(prepared.seq),
        prepared.image,
        this.#turn.batch,
        heard,
        (reference) => missing.push(reference),
      )
      if (missing[0] !== undefined) this.#turn.awaitReference(prepared, missing[0])
    })
    // What cannot be folded yet is held, and blocks the lane until it can: then it is an ordinary observation, so nothing stays open for it.
    if (!folded) work.setLane({ ...work.lane(binding), intent: null, reading: null })
    this.#turn.received(work)
    if (input.read.result === 'found' && this.#turn.live.has(prepared.seq) && work.lane(binding).reading === null)
      work.freshIn.push(binding.app)
    this.#turn.laneFreed(work, binding)
  }

  /** What a search by correlation id found: the write that created it is settled, or certainly did not happen. */
  takeSearch(entry: JournalEntry, input: ReadInput, key: CanonicalKey): void {
    const work = this.#turn.batch.work(key)
    const binding = work?.entity.bindings.get(input.read.app)
    if (work === undefined || binding === undefined) return
    // The create was settled by something else meanwhile: what the search did not find says nothing of the record that is linked now.
    const lane = work.lane(binding)
    if (lane.intent?.kind !== 'create') {
      if (lane.nativeId === null && lane.reading !== null) work.setLane({ ...lane, reading: null })
      return
    }
    const found = input.read.result === 'found' ? prepareFor(this.#turn.engine.model, binding, entry) : null
    const place: At = { seq: entry.seq, atMs: entry.atMs }
    const take = (image: Prepared['image']): void => {
      const { linked } = takeRead(
        work,
        binding,
        input.read,
        input.begunAfter,
        place,
        jitterOf(entry.seq),
        image,
        this.#turn.batch,
      )
      if (linked !== undefined) this.#turn.linked(binding, linked)
    }
    try {
      take(found?.image ?? null)
    } catch (error) {
      // Its values cannot be folded yet (or at all): it is linked all the same, and then read like any record that a hint names.
      const why =
        error instanceof MissingReference
          ? `it refers to ${error.entity} ${error.nativeId}`
          : SyncError.from(error).message
      work.say(place, binding.app, 'hint', `what the search found could not be folded (${why}); the record is read`)
      take(null)
      work.setLane({
        ...work.lane(binding),
        reading: { why: 'hint', afterSeq: entry.seq, notBeforeMs: 0, tries: 0 },
        readSeq: asJournalPosition(0),
      })
    }
    this.#turn.laneFreed(work, binding)
  }

  /** The log of an application has been read past the time at which this lane asked for it. */
  takePass(entry: JournalEntry, input: ReadInput, key: CanonicalKey): void {
    const work = this.#turn.batch.work(key)
    const binding = work?.entity.bindings.get(input.read.app)
    if (work === undefined || binding === undefined) return
    // What the log has told of it waits for a write that is under way: until then it is not known what it has shown, and it is asked again.
    const { nativeId } = work.lane(binding)
    const isHeard = nativeId === null || this.#turn.engine.waiting.first(refOf(binding, nativeId)) === undefined
    if (!isHeard && isBusy(work.lane(binding), binding)) return
    const begunAfter = this.#turn.live.has(entry.seq) ? input.begunAfter : BEFORE_RESTART
    const reading = work.lane(binding).reading
    const isFenced = reading !== null && this.#turn.engine.due.awaits(laneReason(key, binding.app), reading.notBeforeMs)
    takePass(work, binding, begunAfter, { seq: entry.seq, atMs: entry.atMs }, isFenced)
    this.#turn.laneFreed(work, binding)
  }

  takeOutcome(entry: JournalEntry, input: OutcomeInput): void {
    const { outcome } = input
    const work = this.#turn.batch.work(input.key)
    const binding = work?.entity.bindings.get(input.app)
    if (work === undefined || binding === undefined) return
    const before = work.lane(binding)
    this.#countOutcome(work, before, input)
    const place: At = { seq: entry.seq, atMs: entry.atMs }
    const known =
      outcome.nativeId === undefined || before.nativeId !== null
        ? undefined
        : this.#turn.batch.link(input.app, binding.object, outcome.nativeId, binding.entity)
    if (known?.state === 'live' && known.key !== input.key && before.intent?.op === outcome.op) {
      return this.#createdTwice(work, binding, before, known, place)
    }
    if (before.intent?.op !== outcome.op && isLogFed(binding.capabilities)) work.isRewritten = true
    const { linked } = takeOutcome(
      work,
      binding,
      outcome,
      place,
      jitterOf(entry.seq),
      () => flattenReply(binding, outcome.record),
      this.#turn.batch,
    )
    if (linked !== undefined) {
      this.#turn.linked(binding, linked)
      if (known?.state === 'tombstone' && known.key === null) {
        observeBy(
          work,
          binding,
          { ...place, image: null, token: known.token ?? undefined, sourceTimeMs: undefined, isRead: true },
          this.#turn.batch,
        )
      }
    }
    this.#turn.laneFreed(work, binding)
  }

  /** The reply to a create names a record that is another one's already: never linked twice, a person decides. */
  #createdTwice(work: RecordWork, binding: BindingModel, lane: Lane, known: Link, place: At): void {
    const message = `${binding.app} answered our create with ${known.nativeId}, which is ${known.entity} ${known.key} already. Merge the two in one application, then release.`
    work.say(place, binding.app, 'ambiguous', message)
    work.setLane({
      ...lane,
      intent: null,
      reading: null,
      park: { code: 'resolve.ambiguous', message, atMs: place.atMs, headSeq: work.state.headSeq },
    })
    this.#turn.laneFreed(work, binding)
  }

  #countOutcome(work: RecordWork, lane: Lane, input: OutcomeInput): void {
    const { counters, receivedAt, latency, exposure } = this.#turn.engine
    const { result, op } = input.outcome
    if (lane.intent?.op !== op) return
    if (result === 'applied' || result === 'gone') {
      counters.applied++
      const since = receivedAt.get(work.state.key)
      if (since !== undefined) latency.add(this.#turn.nowMs - since)
      if (lane.intent.kind !== 'create' && work.entity.bindings.get(lane.app)?.capabilities.condition === 'C0') {
        let samples = exposure.get(lane.app)
        if (samples === undefined) exposure.set(lane.app, (samples = new Samples()))
        samples.add(Math.max(0, this.#turn.nowMs - lane.knownAtMs))
      }
    } else if (result === 'unknown') counters.unknown++
    else counters.refused++
  }

  takeOperator(entry: JournalEntry, input: Extract<Input, { type: 'operator' }>): void {
    const { operator } = input
    if (operator.action === 'replay') {
      this.#turn.engine.waiting.releaseParked(operator.seq)
      return
    }
    if (operator.action === 'release-brake') {
      const { brakes, log } = this.#turn.engine
      const held = brakes.release(operator.brake, entry.atMs)
      if (held === undefined) return
      log.log('warn', `the brake ${operator.brake} was released by a person; ${held.length} records go on`)
      for (const [app, key] of held) this.#turn.engine.markBehind(app, key)
      return
    }
    if (operator.action === 'first-read') {
      this.#turn.firstReads.push({ app: operator.app, atMs: entry.atMs })
      return
    }
    if (operator.action === 'resolve' || operator.action === 'undelete') {
      const work = this.#turn.batch.work(operator.key)
      const place = { seq: entry.seq, atMs: entry.atMs }
      if (work === undefined) return
      if (operator.action === 'resolve') resolveField(work, operator, place)
      else undelete(work, place)
      return
    }
    if (operator.action === 'link' || operator.action === 'separate') return this.#pair(entry, operator)
    if (operator.action === 'reread') return this.#reread(entry, operator)
    const work = this.#turn.batch.work(operator.key)
    const binding = work?.entity.bindings.get(operator.app)
    if (work === undefined || binding === undefined) return
    if (operator.action === 'withdraw')
      return withdraw(work, binding, operator.nativeId, { seq: entry.seq, atMs: entry.atMs })
    work.say({ seq: entry.seq, atMs: entry.atMs }, operator.app, 'released', 'released by a person; tried again')
    const lane = work.lane(binding)
    const lost = lane.intent?.kind === 'create' && lane.park !== null
    work.setLane({ ...lane, park: null, retry: null, intent: lost ? null : lane.intent })
    this.#turn.laneFreed(work, binding)
  }

  #pair(entry: JournalEntry, pair: Pair): void {
    const { batch, engine } = this.#turn
    const work = batch.work(pair.key)
    const other = batch.work(pair.other.key)
    if (work === undefined || other === undefined) return
    const pairing: Pairing = {
      model: engine.model,
      instanceId: engine.info?.instanceId ?? '',
      at: { seq: entry.seq, atMs: entry.atMs },
      create: (entity, key) => batch.create(entity, key),
      addLink: (link) => batch.addLink(link),
      isBusy: (record, lane) => this.#isUnderWay(record, lane),
    }
    if (pair.action === 'link') {
      linkRecords(pairing, work, other, pair)
      if (other.state.mergedInto !== work.state.key) return
      this.#wakeWaitersFor(other)
      engine.findings.candidates.decided(work.state.key, other.state.key, 'one', entry.atMs)
      return
    }
    const apart = work === other ? separateRecords(pairing, work, pair) : sayTwo(pairing, work, other, pair)
    if (apart !== null) engine.findings.candidates.decided(work.state.key, apart, 'two', entry.atMs)
  }

  /** What waits for a record that has become another waits for that one. */
  #wakeWaitersFor({ state, entity }: RecordWork): void {
    const { linkWaiters, replan } = this.#turn.engine
    for (const app of entity.bindings.keys()) {
      const name = laneKey(state.key, app)
      for (const waiter of linkWaiters.get(name) ?? []) replan.add(waiter)
      linkWaiters.delete(name)
    }
  }

  /** Whatever is not over on a lane belongs to the record that it is of: until then the lane cannot go over to another. */
  #isUnderWay(work: RecordWork, lane: Lane): boolean {
    const { dispatcher, waiting } = this.#turn.engine
    const binding = work.entity.bindings.get(lane.app)
    if (binding === undefined) return true
    const { intent, reading, overlays, unfolded, nativeId } = lane
    if (intent !== null || reading !== null || overlays.length + unfolded.length > 0) return true
    if (dispatcher.isInFlight(laneKey(work.state.key, lane.app))) return true
    return nativeId !== null && waiting.first(refOf(binding, nativeId)) !== undefined
  }

  /** Asked for by a comparison. A write under way tells by itself, and a read under way is asked for again. */
  #reread(entry: JournalEntry, { key, app }: Extract<OperatorAction, { action: 'reread' }>): void {
    const work = this.#turn.batch.work(key)
    const binding = work?.entity.bindings.get(app)
    if (work === undefined || binding === undefined) return
    const lane = work.lane(binding)
    if (lane.nativeId === null || lane.intent !== null) return
    work.say({ seq: entry.seq, atMs: entry.atMs }, app, 'hint', 'a comparison found a difference; it is read')
    work.setLane({
      ...lane,
      reading: { why: 'verify', afterSeq: entry.seq, notBeforeMs: 0, tries: lane.reading?.tries ?? 0 },
    })
  }
}

/** A read of before a restart answers nothing that is asked now. */
const BEFORE_RESTART = asJournalPosition(-1)
/** Pause before a read of an unlinked record is tried again. */
const READ_RETRY_MS = 1000

function flattenReply(
  binding: BindingModel,
  record: Parameters<BindingModel['flatten']>[0] | undefined,
): ReturnType<BindingModel['flatten']> | null {
  if (record === undefined) return null
  try {
    return binding.flatten(record)
  } catch {
    // The reply of a successful write in a shape that cannot be read: the write stands, its rendition is learnt from the echo.
    return null
  }
}
