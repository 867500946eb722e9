import { isLostWhenUnknown } from '../deliver/plan.ts'
import { deriveWritebacks } from '../deliver/writeback.ts'
import { matchKeyOfRecord } from '../merge/match.ts'
import { isLogFed, tellsOurCreates } from '../model/capabilities.ts'
import type { Change, JournalEntry, OperatorAction } from '../model/change.ts'
import type { BindingModel } from '../model/entity.ts'
import { type AppId, type CanonicalKey, laneKey, type NativeRef } from '../model/ids.ts'
import type { Lane, OpenLane } from '../model/record.ts'
import { heldStateFor } from '../model/state/held-state.ts'
import { Answers, type OutcomeInput } from './answers.ts'
import type { Direction } from './brake-state.ts'
import { Committing } from './committing.ts'
import { plan } from './decide.ts'
import type { Engine } from './engine.ts'
import { doubtAfterRestart } from './evidence.ts'
import { isTable, openCreatesInStore, opPrefixOf } from './latching.ts'
import { Observing } from './observing.ts'
import { reviveChanged } from './pairing.ts'
import { type Prepared, prepare, refOf } from './prepared.ts'
import type { RecordWork } from './record-work.ts'
import type { EngineEvent } from './stats.ts'
import { type Due, laneReason, NOTHING_DUE, Turn } from './turn.ts'

/**
 * One turn of the loop: a batch of entries decided, committed as one, and what it wants sent. In three strides, with I/O only between them: load, decide, commit.
 * HOT PATH: everything here runs once per batch or once per entry.
 */
export class Cycle {
  readonly events: EngineEvent[] = []
  readonly #engine: Engine
  readonly #turn: Turn
  readonly #observing: Observing
  readonly #answers: Answers
  readonly #committing: Committing
  readonly #entries: readonly JournalEntry[]
  readonly #touched: readonly CanonicalKey[]
  readonly #recovering: readonly OpenLane[]
  readonly #released: readonly Prepared[]

  private constructor(
    engine: Engine,
    entries: readonly JournalEntry[],
    due: Due,
    recovering: readonly OpenLane[],
    released: readonly Prepared[],
  ) {
    this.#engine = engine
    const { touched, freed } = pickLanes(engine, due)
    this.#touched = touched
    this.#turn = new Turn(engine, entries.at(-1)?.seq ?? engine.taken, due, freed)
    this.#observing = new Observing(this.#turn)
    this.#answers = new Answers(this.#turn, this.#observing)
    this.#committing = new Committing(this.#turn, this.events)
    this.#entries = entries
    this.#recovering = recovering
    this.#released = released
  }

  /** The next turn; undefined where there is nothing to do, which is every second time that the loop looks. */
  static next(engine: Engine, entries: readonly JournalEntry[]): Cycle | undefined {
    const due = takeDue(engine)
    if (entries.length === 0 && due.size === 0 && !hasLanesToPlan(engine)) return undefined
    return new Cycle(engine, entries, due, [], [])
  }

  /** After a restart: every open write is in doubt, and everything outstanding is taken up again. */
  static async recover(engine: Engine, lanes: readonly OpenLane[]): Promise<void> {
    await new Cycle(engine, [], takeDue(engine), lanes, []).run()
  }

  /** After a restart: held entries are looked at again; those that still have to wait, wait on. */
  static async takeUpHeld(engine: Engine, held: readonly Prepared[]): Promise<void> {
    await new Cycle(engine, [], takeDue(engine), [], held).run()
  }

  async run(): Promise<void> {
    const items = this.#entries.map((entry) => ({ entry, prepared: this.#prepare(entry) }))
    const loading = this.#load(items)
    if (loading !== undefined) await loading
    if (this.#engine.killed) return
    for (const lane of this.#recovering) this.#doubt(lane)
    for (const key of this.#touched) this.#turn.batch.work(key)
    for (const prepared of this.#released) this.#parkedBefore(prepared) || this.#observing.observe(prepared)
    for (const { entry, prepared } of items) this.#take(entry, prepared)
    for (
      let released = this.#engine.waiting.takeReleased();
      released.length > 0;
      released = this.#engine.waiting.takeReleased()
    ) {
      const again = this.#turn.batch.load(released, [])
      if (again !== undefined) await again
      for (const prepared of released) this.#observing.observe(prepared)
    }
    const changed = this.#changedMatches()
    if (changed.length > 0) await this.#settleMatches(changed)
    const referred = this.#turn.batch.loadReferred()
    if (referred !== undefined) await referred
    if (this.#engine.brakes.wantsRecords(this.#turn.nowMs)) await this.#learnRecords()
    this.#plan()
    this.#endFirstReads()
    this.#committing.sendVolatile()
    await this.#committing.commit()
    if (this.#engine.killed) return
    this.#committing.after()
  }

  #prepare(entry: JournalEntry): Prepared[] {
    const prepared = prepare(this.#engine.model, entry)
    const { heldBefore } = this.#engine
    return heldBefore.size === 0
      ? prepared
      : prepared.filter((one) => !heldBefore.delete(`${one.seq}:${one.entity.name}`))
  }

  #load(items: readonly { entry: JournalEntry; prepared: Prepared[] }[]): Promise<void> | undefined {
    const keys: CanonicalKey[] = [...this.#touched]
    const prepared: Prepared[] = [...this.#released]
    for (const lane of this.#recovering) keys.push(lane.key)
    for (const item of items) {
      prepared.push(...item.prepared)
      const { input } = item.entry
      if (input.type === 'outcome') keys.push(input.key)
      else if (input.type === 'read' && input.key !== undefined) keys.push(input.key)
      else if (input.type === 'operator') keys.push(...keysIn(input.operator))
    }
    for (const { binding } of prepared) {
      if (isLostWhenUnknown(binding)) keys.push(...this.#engine.latches.openCreates(binding.app, binding.object))
    }
    const asked = prepared.filter(isTable)
    const loading = asked.length === 0 ? this.#turn.batch.load(prepared, keys) : this.#loadAsked(prepared, asked, keys)
    return loading === undefined ? this.#loadCreated(items) : loading.then(() => this.#loadCreated(items))
  }

  /** Mode `table`: each observation asks for itself. */
  async #loadAsked(prepared: readonly Prepared[], asked: readonly Prepared[], keys: CanonicalKey[]): Promise<void> {
    await this.#turn.batch.load(
      prepared.filter((one) => !isTable(one)),
      keys,
    )
    for (const one of asked) {
      const { app, object, capabilities } = one.binding
      await this.#turn.batch.load([one], [])
      if (!tellsOurCreates(capabilities) && !this.#turn.batch.isLinked(one))
        this.#turn.askedCreates.set(one.ref, await openCreatesInStore(this.#engine.store, app, object))
    }
  }

  #loadCreated(items: readonly { entry: JournalEntry }[]): Promise<void> | undefined {
    const created: NativeRef[] = []
    for (const { entry } of items) if (entry.input.type === 'outcome') created.push(...this.#createdRef(entry.input))
    return created.length === 0 ? undefined : this.#turn.batch.loadLinks(created)
  }

  /** The record that the outcome of a create names: it may be known already. */
  #createdRef(input: OutcomeInput): NativeRef[] {
    const lane = this.#turn.batch.state(input.key)?.lanes[input.app]
    const { nativeId } = input.outcome
    return lane === undefined || lane.nativeId !== null || nativeId === undefined
      ? []
      : [{ app: input.app, object: lane.object, nativeId }]
  }

  #doubt(lane: OpenLane): void {
    const work = this.#turn.batch.work(lane.key)
    const binding = work?.entity.bindings.get(lane.app)
    this.#engine.openKeys.add(lane.key)
    if (work === undefined) return
    if (lane.state === 'waiting' || lane.state === 'behind') work.isRecovered = true
    if (binding === undefined || this.#engine.dispatcher.isInFlight(laneKey(lane.key, lane.app))) return
    doubtAfterRestart(work, binding, { seq: this.#engine.cursor, atMs: this.#turn.nowMs })
  }

  #take(entry: JournalEntry, prepared: readonly Prepared[]): void {
    const { input } = entry
    const lane = this.#engine.undecided.get(entry.seq)
    if (lane !== undefined) {
      this.#engine.undecided.delete(entry.seq)
      this.#turn.live.add(entry.seq)
      this.#turn.answered(lane, entry.atMs)
      this.#engine.dispatcher.done(lane)
    }
    switch (input.type) {
      case 'notification':
        this.#engine.counters.notifications++
        this.#noteClock(input.change, entry.atMs)
        for (const one of prepared) this.#observing.arrive(one)
        return
      case 'read':
        this.#engine.counters.reads++
        if (input.key !== undefined && input.read.result === 'passed') this.#answers.takePass(entry, input, input.key)
        else if (input.key !== undefined) this.#answers.takeSearch(entry, input, input.key)
        else for (const one of prepared) this.#answers.takeRead(one, input)
        return
      case 'outcome':
        this.#answers.takeOutcome(entry, input)
        return
      case 'operator':
        this.#answers.takeOperator(entry, input)
        return
      case 'message':
        // A flow's, which reads the journal with a cursor of its own.
        return
    }
  }

  #noteClock({ app, sourceTimeMs }: Change, receivedMs: number): void {
    const found = this.#engine.findings.clock(app, sourceTimeMs, receivedMs)
    if (found === undefined) return
    const ahead = Math.round(found.aheadMs / 1000)
    this.#engine.log.log(
      'warn',
      `the clock of ${app} is up to ${ahead} s ahead: its changes count as made when they were received. Correct it, or the policy latest() is unfair to the others`,
      { app, aheadMs: found.aheadMs },
    )
  }

  /** An entry that was set aside for a person stays aside over a restart. */
  #parkedBefore(prepared: Prepared): boolean {
    if (!this.#engine.parkedBefore.delete(prepared.seq)) return false
    this.#engine.waiting.wait(prepared, ['operator'], heldStateFor('operator'))
    return true
  }

  #changedMatches(): ChangedMatch[] {
    const changed: ChangedMatch[] = []
    for (const work of this.#turn.batch.works.values()) {
      if (work.entity.match === null || work.state === work.stored) continue
      const matchKey = matchKeyOfRecord(work.entity, work.state)
      if (matchKey !== work.state.matchKey) changed.push({ work, matchKey })
    }
    return changed
  }

  /** Keeps the unique match keys up to date with the heads. */
  async #settleMatches(changed: readonly ChangedMatch[]): Promise<void> {
    await this.#turn.batch.loadMatches(
      changed.flatMap(({ work, matchKey }) => (matchKey === null ? [] : [{ entity: work.entity.name, matchKey }])),
    )
    // All that is given up first: what one record gives up, another may take.
    for (const { work } of changed) {
      const { key, matchKey: old } = work.state
      const entity = work.entity.name
      if (old !== null && this.#turn.batch.matched(entity, old) === key) this.#turn.batch.setMatch(entity, old, null)
      if (old !== null) work.matches.push({ matchKey: old, key: null })
    }
    for (const { work, matchKey } of changed) {
      const { key } = work.state
      const entity = work.entity.name
      const taken = matchKey === null ? null : this.#turn.batch.matched(entity, matchKey)
      const free = taken === null || taken === key ? matchKey : null
      work.state = { ...work.state, matchKey: free }
      if (free === null) continue
      work.matches.push({ matchKey: free, key })
      this.#turn.batch.setMatch(entity, free, key)
    }
  }

  /** The mass-delete brake is a share of all records: counted before the first deletes of a while are planned. */
  async #learnRecords(): Promise<void> {
    const { brakes, store } = this.#engine
    for (const work of this.#turn.batch.works.values()) {
      if (!work.state.deleted || work.stored?.deleted === true) continue
      brakes.learnRecords((await store.counts()).records, this.#turn.nowMs)
      return
    }
  }

  /** Whether a write may leave now: a slot is free, and no brake holds what goes in this direction. */
  #mayWrite(work: RecordWork, to: AppId): 'yes' | 'no' | 'braked' {
    const { dispatcher, brakes } = this.#engine
    if (!brakes.contact.isOver && !this.#isAskedFor(work, to)) return 'braked'
    if (!dispatcher.hasSlot(to)) return 'no'
    const direction = directionOf(work, to)
    if (direction !== null && !brakes.pass(direction, work.state.key, this.#turn.nowMs)) return 'braked'
    return dispatcher.takeSlot(to) ? 'yes' : 'no'
  }

  /** Whether a person has asked for what a first contact leads to, or need not be asked. */
  #isAskedFor(work: RecordWork, to: AppId): boolean {
    const direction = directionOf(work, to)
    const isCreate = work.state.lanes[to]?.nativeId == null
    return direction === null || this.#engine.brakes.contact.passes(direction, work.state.key, isCreate)
  }

  /** After the planning: only then is it known what the last of what was read leads to. */
  #endFirstReads(): void {
    const { brakes, dispatcher } = this.#engine
    for (const { app, atMs } of this.#turn.firstReads) {
      for (const [to, key] of brakes.contact.end(app, atMs)) this.#turn.behind.push({ app: to, key })
      dispatcher.unhold(app)
    }
  }

  #plan(): void {
    const { info, brakes, dispatcher } = this.#engine
    const { batch } = this.#turn
    const nativeOf = (app: AppId, key: CanonicalKey) => batch.nativeOf(app, key)
    const isGone = (app: AppId, key: CanonicalKey) => batch.isGone(app, key)
    const seq = this.#turn.through
    for (const work of this.#turn.batch.works.values()) {
      if (work.state.mergedInto !== undefined) reviveChanged(work, { seq, atMs: this.#turn.nowMs })
      work.state = deriveWritebacks(work.entity, work.state, { seq, atMs: this.#turn.nowMs })
      for (const binding of work.entity.bindings.values()) {
        let isBraked = false
        if (!brakes.contact.isOver) brakes.contact.forget(work.state.key, binding.app)
        const planned = plan(work, binding, {
          nowMs: this.#turn.nowOf(work.state.key, binding.app),
          seq,
          epoch: info?.epoch ?? 0,
          opPrefix: opPrefixOf(binding.latching, info ?? NO_INFO),
          takeSlot: (app) => {
            const may = this.#mayWrite(work, app)
            isBraked = may === 'braked'
            return may === 'yes'
          },
          nativeOf,
          referenceDeadlineMs: this.#engine.limits.referenceDeadlineMs,
          isGone,
          blocked: this.#isBlocked(work, binding),
          isPausing: (notBeforeMs, sinceMs) => this.#turn.isPausing(work.state.key, binding.app, notBeforeMs, sinceMs),
          inFlight: isLogFed(binding.capabilities) && dispatcher.isInFlight(laneKey(work.state.key, binding.app)),
          fresh: work.freshIn.includes(binding.app),
        })
        const next = isBraked ? 'braked' : planned
        work.setPlanned(binding.app, next)
        if (next === 'behind') this.#turn.behind.push({ app: binding.app, key: work.state.key })
        if (next === 'waiting') this.#waitForLink(work, work.lane(binding))
      }
    }
  }

  #isBlocked(work: RecordWork, binding: BindingModel): boolean {
    const { waiting, heldRefs, replan } = this.#engine
    const nativeId = work.state.lanes[binding.app]?.nativeId
    if (nativeId == null || waiting.size + heldRefs.size === 0) return false
    const ref = refOf(binding, nativeId)
    if (!heldRefs.has(ref)) return waiting.blocks(ref)
    replan.add(work.state.key)
    return true
  }

  #waitForLink(work: RecordWork, lane: Lane): void {
    if (lane.waitsFor === null) return
    const name = laneKey(this.#turn.batch.nowUnder(lane.waitsFor.key), lane.app)
    let waiters = this.#engine.linkWaiters.get(name)
    if (waiters === undefined) this.#engine.linkWaiters.set(name, (waiters = new Set()))
    waiters.add(work.state.key)
  }
}

const takeDue = ({ due, clock }: Engine): Due => (due.size === 0 ? NOTHING_DUE : due.take(clock.monotonicMs()))

function hasLanesToPlan({ behind, dispatcher, replan }: Engine): boolean {
  if (replan.size > 0) return true
  for (const [app, keys] of behind) if (keys.size > 0 && dispatcher.hasSlot(app)) return true
  return false
}

/** Lanes to be planned that no entry of this batch speaks of: those that are due, those behind that a free slot can take. */
function pickLanes({ behind, dispatcher, replan }: Engine, due: Due): { touched: CanonicalKey[]; freed: Set<string> } {
  const touched: CanonicalKey[] = []
  const freed = new Set<string>()
  for (const name of due.keys()) {
    if (name.startsWith('lane:') || name.startsWith('over:'))
      touched.push(name.slice(5, name.indexOf('\u0000')) as CanonicalKey)
  }
  for (const key of replan) touched.push(key)
  replan.clear()
  for (const [app, keys] of behind) {
    if (keys.size === 0) continue
    let free = dispatcher.freeSlots(app)
    for (const key of keys) {
      if (free-- <= 0) break
      keys.delete(key)
      touched.push(key)
      freed.add(laneReason(key, app))
    }
  }
  return { touched, freed }
}

function keysIn(operator: OperatorAction): CanonicalKey[] {
  if (!('key' in operator)) return []
  return 'other' in operator ? [operator.key, operator.other.key] : [operator.key]
}

const NO_INFO = { instanceId: '', generation: 0, epoch: 0 }

interface ChangedMatch {
  readonly work: RecordWork
  readonly matchKey: string | null
}

/** From whom to whom a write goes: from who deleted, or who made the newest change. null where that is the application itself. */
function directionOf(work: RecordWork, to: AppId): Direction | null {
  const { deleted, deletion, head, headSeq } = work.state
  if (deleted) return deletion === undefined || deletion.app === to ? null : { from: deletion.app, to, kind: 'deletes' }
  for (const path in head) {
    const origin = head[path]?.origin
    if (origin?.seq === headSeq) return origin.app === to ? null : { from: origin.app, to, kind: 'writes' }
  }
  return null
}
