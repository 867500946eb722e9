import { SyncError } from '../errors/index.ts'
import { matchKeyOfRecord } from '../merge/match.ts'
import { MissingReference } from '../merge/references.ts'
import type { Input, JournalEntry } from '../model/change.ts'
import type { BindingModel } from '../model/entity.ts'
import { type AppId, asJournalPosition, type CanonicalKey, type JournalPosition, laneKey, type NativeId, type NativeRef } from '../model/ids.ts'
import type { Conflict, HeldEntry, Lane, Link, OpenLane, RecordState } from '../model/record.ts'
import type { CommitBatch, RecordWrite } from '../ports/store.ts'
import { type Resolution, resolve } from '../resolve/resolve.ts'
import { isLostWhenUnknown } from '../deliver/plan.ts'
import { valuesEquivalent } from '../model/value.ts'
import { Batch } from './batch.ts'
import { adoptCreate, doubtAfterRestart, observe, plan, takeOutcome, takeRead } from './decide.ts'
import { CONSUMER, type Engine } from './engine.ts'
import { canonicalKeyFor, jitterOf } from './keys.ts'
import { type Prepared, prepare, prepareFor, refOf } from './prepared.ts'
import { type At, emptyLane, openLaneOf, type RecordWork } from './record-work.ts'
import { type EngineEvent, Samples } from './stats.ts'

type OutcomeInput = Extract<Input, { type: 'outcome' }>
type ReadInput = Extract<Input, { type: 'read' }>

/** Names under which the due queue and the waiting room know what they wait for. */
const laneReason = (key: CanonicalKey, app: AppId): string => 'lane:' + laneKey(key, app)
const linkReason = (ref: string): string => 'link:' + ref
const readReason = (ref: string): string => 'read:' + ref

/**
 * One turn of the loop: a batch of entries decided, committed as one, and what it wants sent. In three strides, with I/O only between them: load, decide, commit.
 * HOT PATH: everything here runs once per batch or once per entry.
 */
export class Cycle {
  readonly events: EngineEvent[] = []
  readonly #engine: Engine
  readonly #batch: Batch
  readonly #entries: readonly JournalEntry[]
  readonly #due: readonly string[]
  readonly #touched: CanonicalKey[] = []
  readonly #recovering: readonly OpenLane[]
  readonly #released: readonly Prepared[]
  readonly #held: HeldEntry[] = []
  readonly #madeDurable: Prepared[] = []
  readonly #heldDone: { seq: JournalPosition; entity: Prepared['entity']['name'] }[] = []
  readonly #fresh = new Set<string>()
  readonly #behind: { app: AppId; key: CanonicalKey }[] = []
  readonly #reads: { binding: BindingModel; nativeId: NativeId; ref: string }[] = []
  readonly #nowMs: number
  #through: JournalPosition

  constructor(engine: Engine, entries: readonly JournalEntry[], recovering: readonly OpenLane[] = [], released: readonly Prepared[] = []) {
    this.#engine = engine
    this.#batch = new Batch(engine.model, engine.store, engine.caches)
    this.#entries = entries
    this.#recovering = recovering
    this.#released = released
    this.#nowMs = engine.clock.nowMs()
    this.#through = entries.at(-1)?.seq ?? engine.taken
    this.#due = engine.due.size === 0 ? [] : engine.due.take(engine.clock.monotonicMs())
    this.#pickLanes()
  }

  /** After a restart: every open write is in doubt, and everything outstanding is taken up again. */
  static async recover(engine: Engine, lanes: readonly OpenLane[]): Promise<void> {
    await new Cycle(engine, [], lanes).run()
  }

  /** After a restart: held entries are looked at again; those that still have to wait, wait on. */
  static async takeUpHeld(engine: Engine, held: readonly Prepared[]): Promise<void> {
    await new Cycle(engine, [], [], held).run()
  }

  hasWork(): boolean {
    return this.#entries.length > 0 || this.#due.length > 0 || this.#touched.length > 0
  }

  /** Lanes to be planned that no entry of this batch speaks of: those that are due, those behind that a free slot can take. */
  #pickLanes(): void {
    const { behind, dispatcher, replan } = this.#engine
    for (const name of this.#due) {
      if (name.startsWith('lane:')) this.#touched.push(name.slice(5, name.indexOf('\u0000')) as CanonicalKey)
    }
    for (const key of replan) this.#touched.push(key)
    replan.clear()
    for (const [app, keys] of behind) {
      if (keys.size === 0) continue
      let free = dispatcher.freeSlots(app)
      for (const key of keys) {
        if (free-- <= 0) break
        keys.delete(key)
        this.#touched.push(key)
      }
    }
  }

  async run(): Promise<void> {
    const items = this.#entries.map((entry) => ({ entry, prepared: this.#prepare(entry) }))
    await this.#load(items)
    if (this.#engine.killed) return
    for (const lane of this.#recovering) this.#doubt(lane)
    for (const key of this.#touched) this.#batch.work(key)
    for (const prepared of this.#released) this.#parkedBefore(prepared) || this.#observe(prepared)
    for (const { entry, prepared } of items) this.#take(entry, prepared)
    for (let released = this.#engine.waiting.takeReleased(); released.length > 0; released = this.#engine.waiting.takeReleased()) {
      await this.#batch.load(released, [])
      for (const prepared of released) this.#observe(prepared)
    }
    await this.#settleMatches()
    await this.#batch.loadReferred()
    this.#plan()
    await this.#commit()
    if (this.#engine.killed) return
    this.#after()
  }

  #prepare(entry: JournalEntry): Prepared[] {
    return prepare(this.#engine.model, entry).filter((prepared) => !this.#engine.heldBefore.delete(`${prepared.seq}:${prepared.entity.name}`))
  }

  async #load(items: readonly { entry: JournalEntry; prepared: Prepared[] }[]): Promise<void> {
    const keys: CanonicalKey[] = [...this.#touched]
    const prepared: Prepared[] = [...this.#released]
    for (const lane of this.#recovering) keys.push(lane.key)
    for (const item of items) {
      prepared.push(...item.prepared)
      const { input } = item.entry
      if (input.type === 'outcome') keys.push(input.key)
      else if (input.type === 'read' && input.key !== undefined) keys.push(input.key)
      else if (input.type === 'operator' && input.operator.action === 'release') keys.push(input.operator.key)
    }
    for (const { binding } of prepared) {
      if (isLostWhenUnknown(binding)) keys.push(...this.#engine.latches.openCreates(binding.app, binding.object))
    }
    await this.#batch.load(prepared, keys)
    const created = items.flatMap(({ entry: { input } }) => (input.type === 'outcome' ? this.#createdRef(input) : []))
    if (created.length > 0) await this.#batch.loadLinks(created)
  }

  /** The record that the outcome of a create names: it may be known already. */
  #createdRef(input: OutcomeInput): NativeRef[] {
    const lane = this.#batch.state(input.key)?.lanes[input.app]
    const { nativeId } = input.outcome
    return lane === undefined || lane.nativeId !== null || nativeId === undefined ? [] : [{ app: input.app, object: lane.object, nativeId }]
  }

  #doubt(lane: OpenLane): void {
    const work = this.#batch.work(lane.key)
    const binding = work?.entity.bindings.get(lane.app)
    this.#engine.openKeys.add(lane.key)
    if (work === undefined || binding === undefined || this.#engine.dispatcher.isInFlight(laneKey(lane.key, lane.app))) return
    doubtAfterRestart(work, binding, { seq: this.#engine.cursor, atMs: this.#nowMs })
  }

  #take(entry: JournalEntry, prepared: readonly Prepared[]): void {
    const { input } = entry
    const lane = this.#engine.undecided.get(entry.seq)
    if (lane !== undefined) {
      this.#engine.undecided.delete(entry.seq)
      this.#engine.dispatcher.done(lane)
    }
    switch (input.type) {
      case 'notification':
        this.#engine.counters.notifications++
        for (const one of prepared) this.#arrive(one)
        return
      case 'read':
        this.#engine.counters.reads++
        if (input.key !== undefined) this.#takeSearch(entry, input, input.key)
        else for (const one of prepared) this.#takeRead(one, input)
        return
      case 'outcome':
        this.#takeOutcome(entry, input)
        return
      case 'operator':
        this.#takeOperator(entry, input)
        return
      case 'timer':
        return
    }
  }

  #arrive(prepared: Prepared): void {
    const behind = this.#engine.waiting.behind(prepared)
    for (const superseded of behind.superseded) this.#done(superseded)
    if (!behind.queued) this.#observe(prepared)
  }

  /** An entry that was set aside for a person stays aside over a restart. */
  #parkedBefore(prepared: Prepared): boolean {
    if (!this.#engine.parkedBefore.delete(prepared.seq)) return false
    this.#engine.waiting.wait(prepared, ['operator'], 'parked')
    return true
  }

  #done(prepared: Prepared): void {
    const heldNow = this.#madeDurable.lastIndexOf(prepared)
    if (heldNow >= 0) {
      // Held and finished in one batch: the row is not written at all.
      this.#madeDurable.splice(heldNow, 1)
      this.#held.splice(this.#held.findLastIndex((held) => held.seq === prepared.seq && held.entity === prepared.entity.name), 1)
    }
    if (prepared.durable) this.#heldDone.push({ seq: prepared.seq, entity: prepared.entity.name })
  }

  /** Resolves and folds one observation, or makes it wait. */
  #observe(prepared: Prepared): void {
    if (this.#engine.waiting.first(prepared.ref) !== undefined) {
      const behind = this.#engine.waiting.behind(prepared)
      for (const superseded of behind.superseded) this.#done(superseded)
      if (behind.queued) return
    }
    if (prepared.broken !== null) return this.#park(prepared, prepared.broken)
    const { binding } = prepared
    const link = this.#batch.link(binding.app, binding.object, prepared.nativeId, binding.entity)
    const openCreates = this.#openCreates(prepared)
    const resolution = resolve(
      { binding, kind: prepared.kind, token: prepared.token, isRead: prepared.begunAfter !== null, correlationId: prepared.correlationId, matchKey: prepared.matchKey },
      {
        link,
        correlated: prepared.correlationId === undefined ? undefined : this.#batch.state(prepared.correlationId),
        matched: this.#matched(prepared),
        openCreates,
      },
    )
    this.#follow(prepared, resolution, link)
  }

  #openCreates(prepared: Prepared): readonly CanonicalKey[] {
    const { binding } = prepared
    if (binding.capabilities.correlation) return NONE
    const open = this.#engine.latches.openCreates(binding.app, binding.object)
    if (open.size === 0) return NONE
    const keys = prepared.holdKeys === null ? [...open] : prepared.holdKeys.filter((key) => open.has(key))
    return keys.filter((key) => {
      const record = this.#batch.state(key)
      const lane = record?.lanes[binding.app]
      return record === undefined || (lane?.intent?.kind === 'create' && lane.park === null)
    })
  }

  #matched(prepared: Prepared): RecordState | undefined {
    if (prepared.matchKey === null) return undefined
    const key = this.#batch.matched(prepared.entity.name, prepared.matchKey)
    return key === null ? undefined : this.#batch.state(key)
  }

  #follow(prepared: Prepared, resolution: Resolution, link: Link | undefined): void {
    switch (resolution.to) {
      case 'record':
        return this.#observeLinked(prepared, resolution.key)
      case 'link':
        return this.#observeUnlinked(prepared, resolution.key, resolution.why, resolution.incarnation)
      case 'new':
        if (this.#adoptByState(prepared)) return
        return this.#observeNew(prepared, resolution.incarnation)
      case 'hold':
        if (this.#adoptByState(prepared)) return
        prepared.holdKeys = resolution.keys
        return this.#hold(prepared, resolution.keys.map((key) => laneReason(key, prepared.binding.app)), 'creates', resolution.keys, 'one of our creates may have made it')
      case 'read':
        this.#wantRead(prepared.binding, prepared.nativeId, prepared.ref)
        return this.#hold(prepared, [readReason(prepared.ref)], 'read', [prepared.ref], 'the record is being read')
      case 'tombstone':
        this.#batch.addLink(tombstoneOf(prepared, link))
        this.#count('tombstone')
        return this.#done(prepared)
      case 'drop':
        this.#sayDropped(prepared, link, resolution.why)
        return this.#done(prepared)
      case 'ambiguous': {
        const { app } = prepared.binding
        const other = this.#batch.state(resolution.key)?.lanes[app]?.nativeId
        return this.#park(
          prepared,
          new SyncError('resolve.ambiguous', `${app}:${prepared.nativeId} matches ${prepared.entity.name} ${resolution.key}, which is ${app}:${other} already. Delete one of the two in ${app}, or change its ${prepared.entity.match?.join(', ')}.`),
        )
      }
    }
  }

  /**
   * In an application that can neither take an idempotency key nor keep a correlation id, a record that is exactly what a create of unknown outcome would have
   * made is taken to be it (hazard 4: hold, then match by fingerprint, else a person).
   */
  #adoptByState(prepared: Prepared): boolean {
    const { binding, image } = prepared
    if (image === null || !isLostWhenUnknown(binding)) return false
    for (const key of this.#engine.latches.openCreates(binding.app, binding.object)) {
      const work = this.#batch.work(key)
      const lane = work?.lane(binding)
      const intent = lane?.intent
      if (work === undefined || lane === undefined || intent?.kind !== 'create' || intent.state !== 'unknown') continue
      if (!Object.entries(intent.native).every(([path, value]) => valuesEquivalent(image[path], value))) continue
      const seen = { ...at(prepared), image, token: prepared.token, sourceTimeMs: prepared.sourceTimeMs, isRead: prepared.begunAfter !== null }
      return this.#guarded(prepared, () => {
        adoptCreate(work, binding, lane, intent, prepared.nativeId, seen, this.#batch)
        this.#linked(work, binding, prepared.nativeId)
        this.#laneFreed(work, binding)
        this.#done(prepared)
      })
    }
    return false
  }

  #sayDropped(prepared: Prepared, link: Link | undefined, why: string): void {
    const work = link?.key == null ? undefined : this.#batch.work(link.key)
    const name = prepared.kind === 'deleted' ? 'echo' : 'stale'
    if (work === undefined) this.#count(name)
    else work.say(prepared, prepared.binding.app, name, `${prepared.binding.app}:${prepared.nativeId}: ${why}`)
  }

  #observeLinked(prepared: Prepared, key: CanonicalKey): void {
    const { binding } = prepared
    const work = this.#batch.work(key)
    if (work === undefined) {
      return this.#park(prepared, new SyncError('internal.bug', `${binding.app}:${prepared.nativeId} is linked to ${key}, which does not exist`))
    }
    const lane = work.lane(binding)
    if (prepared.begunAfter !== null && prepared.seq <= lane.readSeq) return this.#done(prepared)
    if (lane.intent === null && prepared.kind === 'hint') return this.#hint(work, prepared, lane)
    if (lane.intent !== null || lane.reading !== null) {
      this.#engine.waiting.wait(prepared, [laneReason(key, binding.app)])
      return
    }
    this.#fold(work, prepared)
  }

  /** Something happened there: one read begun from now on answers it, and every hint until then. */
  #hint(work: RecordWork, prepared: Prepared, lane: Lane): void {
    const { token } = prepared.binding.capabilities
    const known = lane.own.every((own) => own.token !== lane.token || own.renditionSeen)
    if (token === 'T1' && known && prepared.token !== undefined && prepared.token === lane.token) {
      work.say(prepared, lane.app, 'echo', `${lane.app} notifies of version ${lane.token}, which is known`)
      return this.#done(prepared)
    }
    const reading = lane.reading ?? { why: 'hint' as const, afterSeq: prepared.seq, notBeforeMs: 0, tries: 0 }
    work.setLane({ ...lane, reading: { ...reading, afterSeq: prepared.seq } })
    if (lane.reading === null) work.say(prepared, lane.app, 'hint', `${lane.app} says that something changed; it is read`)
    this.#done(prepared)
  }

  /** Folds into an idle, linked lane. */
  #fold(work: RecordWork, prepared: Prepared): void {
    this.#guarded(prepared, () => {
      observe(work, prepared.binding, { ...at(prepared), image: prepared.image, token: prepared.token, sourceTimeMs: prepared.sourceTimeMs, isRead: prepared.begunAfter !== null }, this.#batch)
      this.#received(work)
      this.#done(prepared)
    })
  }

  #received(work: RecordWork): void {
    if (work.state.headSeq !== work.stored?.headSeq) this.#engine.receivedAt.set(work.state.key, this.#nowMs)
  }

  /** Runs a fold; what cannot be translated yet waits, what cannot be folded at all is parked. */
  #guarded(prepared: Prepared, fold: () => void): boolean {
    try {
      fold()
      return true
    } catch (error) {
      if (error instanceof MissingReference) this.#awaitReference(prepared, error)
      else this.#park(prepared, SyncError.from(error))
      return false
    }
  }

  #awaitReference(prepared: Prepared, missing: MissingReference): void {
    const binding = this.#engine.model.entities.get(missing.entity)?.bindings.get(prepared.binding.app)
    if (binding === undefined) {
      return this.#park(prepared, new SyncError('resolve.reference-missing', `${prepared.binding.app}:${prepared.nativeId} refers to ${missing.entity} ${missing.nativeId}, but ${missing.entity} is not mapped in ${prepared.binding.app}`))
    }
    const ref = refOf(binding, missing.nativeId)
    if (binding.capabilities.read !== 'R0') this.#wantRead(binding, missing.nativeId, ref)
    this.#hold(prepared, [linkReason(ref)], 'reference', [`${missing.entity}:${missing.nativeId}`], `refers to ${missing.entity} ${missing.nativeId}, which has not arrived`)
  }

  #observeUnlinked(prepared: Prepared, key: CanonicalKey, why: 'correlation' | 'match', incarnation: number): void {
    const { binding } = prepared
    const work = this.#batch.work(key)
    if (work === undefined) return this.#park(prepared, new SyncError('internal.bug', `${key} was resolved but is not loaded`))
    const lane = work.lane(binding)
    const seen = { ...at(prepared), image: prepared.image, token: prepared.token, sourceTimeMs: prepared.sourceTimeMs, isRead: prepared.begunAfter !== null }
    if (lane.intent !== null) {
      const replyWillTell = lane.intent.state === 'open' || binding.capabilities.idempotency !== 'none'
      if (replyWillTell || lane.intent.kind !== 'create') {
        this.#engine.waiting.wait(prepared, [laneReason(key, binding.app)])
        return
      }
      this.#guarded(prepared, () => {
        adoptCreate(work, binding, lane, lane.intent as NonNullable<Lane['intent']>, prepared.nativeId, seen, this.#batch)
        this.#linked(work, binding, prepared.nativeId)
        this.#laneFreed(work, binding)
        this.#done(prepared)
      })
      return
    }
    this.#guarded(prepared, () => {
      this.#linkLane(work, prepared, incarnation)
      work.say(prepared, binding.app, 'linked', why === 'match' ? `${binding.app}:${prepared.nativeId} is the same ${prepared.entity.name}: equal ${prepared.entity.match?.join(', ')}` : `${binding.app}:${prepared.nativeId} bears our correlation id`)
      if (prepared.kind === 'hint') this.#hint(work, prepared, work.lane(binding))
      else observe(work, binding, seen, this.#batch)
      this.#received(work)
      this.#linked(work, binding, prepared.nativeId)
      this.#done(prepared)
    })
  }

  #observeNew(prepared: Prepared, incarnation: number): void {
    const { binding, entity } = prepared
    if (!binding.adoptHere) {
      this.#count('unchanged')
      return this.#done(prepared)
    }
    const key = canonicalKeyFor(this.#engine.info?.instanceId ?? '', entity.name, prepared.seq, prepared.atMs)
    const work = this.#batch.create(entity, key)
    const folded = this.#guarded(prepared, () => {
      this.#linkLane(work, prepared, incarnation)
      work.say(prepared, binding.app, 'created', `${binding.app}:${prepared.nativeId} is new`)
      observe(work, binding, { ...at(prepared), image: prepared.image, token: prepared.token, sourceTimeMs: prepared.sourceTimeMs, isRead: prepared.begunAfter !== null }, this.#batch)
      if (prepared.matchKey !== null) {
        work.state = { ...work.state, matchKey: prepared.matchKey }
        work.matches.push({ matchKey: prepared.matchKey, key })
        this.#batch.setMatch(entity.name, prepared.matchKey, key)
      }
      this.#received(work)
      this.#linked(work, binding, prepared.nativeId)
      this.#done(prepared)
    })
    if (!folded) this.#batch.undo(key)
  }

  #linkLane(work: RecordWork, prepared: Prepared, incarnation: number): void {
    const { binding, nativeId } = prepared
    const before = work.lane(binding)
    work.setLane({ ...emptyLane(binding), nativeId, incarnation, nextOp: before.nextOp, own: before.own })
    work.link(binding, nativeId, incarnation, prepared)
  }

  /** A native id has become known: visible to the batch, and to whoever waited for it. */
  #linked(work: RecordWork, binding: BindingModel, nativeId: NativeId): void {
    this.#engine.waiting.release(linkReason(refOf(binding, nativeId)))
    const waiters = this.#engine.linkWaiters.get(laneKey(work.state.key, binding.app))
    if (waiters === undefined) return
    this.#engine.linkWaiters.delete(laneKey(work.state.key, binding.app))
    for (const key of waiters) this.#engine.replan.add(key)
  }

  #takeRead(prepared: Prepared, input: ReadInput): void {
    const { binding, ref } = prepared
    const link = this.#batch.link(binding.app, binding.object, prepared.nativeId, binding.entity)
    const work = link?.state === 'live' && link.key !== null ? this.#batch.work(link.key) : undefined
    if (work !== undefined) return this.#takeLinkedRead(work, prepared, input)
    if (input.read.result === 'failed') {
      this.#engine.schedule(readReason(ref), this.#nowMs + (input.read.retryAfterMs ?? READ_RETRY_MS))
      return
    }
    const waiting = this.#engine.waiting.takeAnswered(ref, input.begunAfter)
    for (const hint of waiting) this.#done(hint)
    this.#observe(prepared)
    this.#engine.waiting.releaseRef(ref, readReason(ref))
  }

  #takeLinkedRead(work: RecordWork, prepared: Prepared, input: ReadInput): void {
    const { binding } = prepared
    const before = work.lane(binding)
    this.#guarded(prepared, () => {
      if (prepared.broken !== null) {
        work.setLane({ ...before, reading: null, intent: before.intent?.state === 'readback' ? null : before.intent })
        throw prepared.broken
      }
      const heard = this.#engine.waiting.has(laneReason(work.state.key, binding.app))
      takeRead(work, binding, input.read, input.begunAfter, at(prepared), jitterOf(prepared.seq), prepared.image, this.#batch, heard)
    })
    this.#received(work)
    if (input.read.result === 'found' && work.lane(binding).reading === null) this.#fresh.add(laneKey(work.state.key, binding.app))
    this.#laneFreed(work, binding)
  }

  /** What a search by correlation id found: the write that created it is settled, or certainly did not happen. */
  #takeSearch(entry: JournalEntry, input: ReadInput, key: CanonicalKey): void {
    const work = this.#batch.work(key)
    const binding = work?.entity.bindings.get(input.read.app)
    if (work === undefined || binding === undefined) return
    const found = input.read.result === 'found' ? prepareFor(this.#engine.model, binding, entry) : null
    const place: At = { seq: entry.seq, atMs: entry.atMs }
    const take = (image: Prepared['image']): void => {
      const { linked } = takeRead(work, binding, input.read, input.begunAfter, place, jitterOf(entry.seq), image, this.#batch)
      if (linked !== undefined) this.#linked(work, binding, linked)
    }
    try {
      take(found?.image ?? null)
    } catch {
      // Its values cannot be folded yet (or at all): it is linked all the same, and then read like any record that a hint names.
      take(null)
      work.setLane({ ...work.lane(binding), reading: { why: 'hint', afterSeq: entry.seq, notBeforeMs: 0, tries: 0 }, readSeq: asJournalPosition(0) })
    }
    this.#laneFreed(work, binding)
  }

  #takeOutcome(entry: JournalEntry, input: OutcomeInput): void {
    const { outcome } = input
    const work = this.#batch.work(input.key)
    const binding = work?.entity.bindings.get(input.app)
    if (work === undefined || binding === undefined) return
    const before = work.lane(binding)
    this.#countOutcome(work, before, input)
    const place: At = { seq: entry.seq, atMs: entry.atMs }
    const known = outcome.nativeId === undefined || before.nativeId !== null ? undefined : this.#batch.link(input.app, binding.object, outcome.nativeId, binding.entity)
    if (known?.state === 'live' && known.key !== input.key && before.intent?.op === outcome.op) {
      return this.#createdTwice(work, binding, before, known, place)
    }
    const { linked } = takeOutcome(work, binding, outcome, place, jitterOf(entry.seq), () => flattenReply(binding, outcome.record), this.#batch)
    if (linked !== undefined) {
      this.#linked(work, binding, linked)
      if (known?.state === 'tombstone' && known.key === null) {
        observe(work, binding, { ...place, image: null, token: known.token ?? undefined, sourceTimeMs: undefined, isRead: true }, this.#batch)
      }
    }
    this.#laneFreed(work, binding)
  }

  /** The reply to a create names a record that is another one's already: never linked twice, a person decides. */
  #createdTwice(work: RecordWork, binding: BindingModel, lane: Lane, known: Link, place: At): void {
    const message = `${binding.app} answered our create with ${known.nativeId}, which is ${known.entity} ${known.key} already. Merge the two in one application, then release.`
    work.say(place, binding.app, 'ambiguous', message)
    work.setLane({ ...lane, intent: null, reading: null, park: { code: 'resolve.ambiguous', message, atMs: place.atMs, headSeq: work.state.headSeq } })
    this.#laneFreed(work, binding)
  }

  #countOutcome(work: RecordWork, lane: Lane, input: OutcomeInput): void {
    const { counters, receivedAt, latency, exposure } = this.#engine
    const { result, op } = input.outcome
    if (lane.intent?.op !== op) return
    if (result === 'applied' || result === 'gone') {
      counters.applied++
      const since = receivedAt.get(work.state.key)
      if (since !== undefined) latency.add(this.#nowMs - since)
      if (lane.intent.kind !== 'create' && work.entity.bindings.get(lane.app)?.capabilities.condition === 'C0') {
        let samples = exposure.get(lane.app)
        if (samples === undefined) exposure.set(lane.app, (samples = new Samples()))
        samples.add(Math.max(0, this.#nowMs - lane.knownAtMs))
      }
    } else if (result === 'unknown') counters.unknown++
    else counters.refused++
  }

  /** Whoever waited for this lane goes on, once nothing of ours is outstanding on it. */
  #laneFreed(work: RecordWork, binding: BindingModel): void {
    const lane = work.lane(binding)
    if (lane.intent === null && lane.reading === null) this.#engine.waiting.release(laneReason(work.state.key, binding.app))
  }

  #takeOperator(entry: JournalEntry, input: Extract<Input, { type: 'operator' }>): void {
    const { operator } = input
    if (operator.action === 'replay') {
      this.#engine.waiting.releaseParked(operator.seq)
      return
    }
    if (operator.action !== 'release') return
    const work = this.#batch.work(operator.key)
    const binding = work?.entity.bindings.get(operator.app)
    if (work === undefined || binding === undefined) return
    work.say({ seq: entry.seq, atMs: entry.atMs }, operator.app, 'released', 'released by a person; tried again')
    const lane = work.lane(binding)
    const lost = lane.intent?.kind === 'create' && lane.park !== null
    work.setLane({ ...lane, park: null, retry: null, intent: lost ? null : lane.intent })
    this.#laneFreed(work, binding)
  }

  #wantRead(binding: BindingModel, nativeId: NativeId, ref: string): void {
    this.#reads.push({ binding, nativeId, ref })
  }

  /** Makes an entry wait for something that may take long: it is written down, so that the cursor can move on. */
  #hold(prepared: Prepared, reasons: readonly string[], waitsOn: HeldEntry['waitsOn'], waitsFor: readonly string[], message: string): void {
    if (!prepared.durable) this.#writeHeld(prepared, waitsOn, waitsFor, null, message)
    this.#engine.waiting.wait(prepared, reasons, waitsOn === 'reference' ? 'replaceable' : 'queued')
    this.#count('held')
  }

  #writeHeld(prepared: Prepared, waitsOn: HeldEntry['waitsOn'], waitsFor: readonly string[], code: string | null, message: string): void {
    const { binding, entry, seq, nativeId, atMs } = prepared
    this.#held.push({ seq, app: binding.app, object: binding.object, nativeId, entity: binding.entity, waitsOn, waitsFor, code, message, sinceMs: atMs, entry })
    this.#madeDurable.push(prepared)
  }

  /** Sets an entry that cannot be folded aside, visibly: a newer full image supersedes it, a person can replay it. */
  #park(prepared: Prepared, reason: SyncError): void {
    if (reason.handling === 'bug') this.#engine.log.log('error', reason.message, { code: reason.code, cause: reason.cause instanceof Error ? reason.cause.stack : undefined })
    prepared.parkedFor = reason.code
    this.#writeHeld(prepared, 'operator', [], reason.code, reason.message)
    this.#engine.waiting.wait(prepared, ['operator'], 'parked')
    const { binding } = prepared
    const link = this.#batch.link(binding.app, binding.object, prepared.nativeId, binding.entity)
    const work = link?.state === 'live' && link.key !== null ? this.#batch.work(link.key) : undefined
    if (work === undefined) this.#count('parked')
    else work.say(prepared, binding.app, 'parked', reason.message)
  }

  /** Keeps the unique match keys up to date with the heads. */
  async #settleMatches(): Promise<void> {
    const changed: { work: RecordWork; matchKey: string | null }[] = []
    for (const work of this.#batch.works.values()) {
      if (work.entity.match === null || work.state === work.stored) continue
      const matchKey = matchKeyOfRecord(work.entity, work.state)
      if (matchKey !== work.state.matchKey) changed.push({ work, matchKey })
    }
    if (changed.length === 0) return
    await this.#batch.loadMatches(changed.flatMap(({ work, matchKey }) => (matchKey === null ? [] : [{ entity: work.entity.name, matchKey }])))
    for (const { work, matchKey } of changed) {
      const { key, matchKey: old } = work.state
      const entity = work.entity.name
      if (old !== null && this.#batch.matched(entity, old) === key) this.#batch.setMatch(entity, old, null)
      if (old !== null) work.matches.push({ matchKey: old, key: null })
      const taken = matchKey === null ? null : this.#batch.matched(entity, matchKey)
      const free = taken === null || taken === key ? matchKey : null
      work.state = { ...work.state, matchKey: free }
      if (free === null) continue
      work.matches.push({ matchKey: free, key })
      this.#batch.setMatch(entity, free, key)
    }
  }

  #plan(): void {
    const { info, dispatcher } = this.#engine
    const opPrefix = `${info?.instanceId}.${info?.generation}`
    const seq = this.#through
    for (const work of this.#batch.works.values()) {
      for (const binding of work.entity.bindings.values()) {
        const next = plan(work, binding, {
          nowMs: this.#nowMs,
          seq,
          epoch: info?.epoch ?? 0,
          opPrefix,
          takeSlot: (app) => dispatcher.takeSlot(app),
          nativeOf: (app, key) => this.#batch.nativeOf(app, key),
          blocked: this.#isBlocked(work, binding),
          fresh: this.#fresh.has(laneKey(work.state.key, binding.app)),
        })
        if (next === 'behind') this.#behind.push({ app: binding.app, key: work.state.key })
        if (next === 'waiting') this.#waitForLink(work, work.lane(binding))
      }
    }
  }

  #isBlocked(work: RecordWork, binding: BindingModel): boolean {
    const nativeId = work.state.lanes[binding.app]?.nativeId
    return nativeId != null && this.#engine.waiting.size > 0 && this.#engine.waiting.blocks(refOf(binding, nativeId))
  }

  #waitForLink(work: RecordWork, lane: Lane): void {
    if (lane.waitsFor === null) return
    const name = laneKey(lane.waitsFor.key, lane.app)
    let waiters = this.#engine.linkWaiters.get(name)
    if (waiters === undefined) this.#engine.linkWaiters.set(name, (waiters = new Set()))
    waiters.add(work.state.key)
  }

  async #commit(): Promise<void> {
    const engine = this.#engine
    this.#spill()
    const records: RecordWrite[] = []
    const links = lastOfEach(this.#batch.links)
    const conflicts: Conflict[] = []
    const matches: CommitBatch['matches'][number][] = []
    for (const work of this.#batch.works.values()) {
      if (!work.changed) continue
      work.state = { ...work.state, rev: work.expectRev + 1 }
      const openLanes = this.#openLanes(work)
      records.push({ state: work.state, expectRev: work.expectRev, verdicts: work.verdicts, openLanes })
      conflicts.push(...work.conflicts)
      for (const { matchKey, key } of work.matches) matches.push({ entity: work.entity.name, matchKey, key })
    }
    const position = this.#cursorAfter()
    const nothing = records.length + links.length + this.#held.length + this.#heldDone.length === 0
    if (nothing && position === engine.cursor) return
    await engine.store.commit({
      epoch: engine.info?.epoch ?? 0,
      cursor: { consumer: CONSUMER, position },
      records, links, matches, conflicts,
      held: this.#held,
      heldDone: this.#heldDone,
    })
    engine.cursor = position
    engine.counters.commits++
    engine.counters.conflicts += conflicts.length
    this.#batch.commitLinks()
    for (const prepared of this.#madeDurable) engine.waiting.madeDurable(prepared)
  }

  #openLanes(work: RecordWork): OpenLane[] | null {
    const open: OpenLane[] = []
    for (const lane of Object.values(work.state.lanes)) {
      const behind = this.#behind.some((one) => one.key === work.state.key && one.app === lane.app)
      const row = openLaneOf(work.state, lane, behind)
      if (row !== null) open.push(row)
    }
    const { openKeys } = this.#engine
    if (open.length === 0 && !openKeys.has(work.state.key)) return null
    if (open.length === 0) openKeys.delete(work.state.key)
    else openKeys.add(work.state.key)
    return open
  }

  /** Entries that have waited in memory for long are written down, so that they do not hold the cursor back. */
  #spill(): void {
    const { volatile } = this.#engine.waiting
    if (volatile.size === 0) return
    const { holdInMemoryMs } = this.#engine.limits
    const written = new Set(this.#madeDurable)
    for (const prepared of volatile) {
      if (written.has(prepared) || (volatile.size <= VOLATILE_MAX && this.#nowMs - prepared.atMs < holdInMemoryMs)) continue
      const first = this.#engine.waiting.first(prepared.ref)
      const message = first === undefined || first === prepared ? 'a write or read of the record is under way' : `waits behind entry ${first.seq} of the same record`
      this.#writeHeld(prepared, 'lane', first === undefined ? [] : [String(first.seq)], first?.parkedFor ?? null, message)
    }
  }

  /** Everything up to here is decided, or stands in the held entries. */
  #cursorAfter(): JournalPosition {
    const written = new Set(this.#madeDurable)
    let position: number = Math.max(this.#through, this.#engine.taken)
    for (const prepared of this.#engine.waiting.volatile) {
      if (!written.has(prepared) && prepared.seq <= position) position = prepared.seq - 1
    }
    return asJournalPosition(Math.max(position, this.#engine.cursor))
  }

  /** After the commit: memory follows, and what was decided may leave. */
  #after(): void {
    const engine = this.#engine
    engine.taken = asJournalPosition(Math.max(this.#through, engine.taken))
    for (const work of this.#batch.works.values()) {
      if (work.changed) engine.caches.records.set(work.state.key, work.state)
      for (const verdict of work.verdicts) this.#note(work, verdict)
      for (const binding of work.entity.bindings.values()) {
        const lane = work.state.lanes[binding.app]
        if (lane !== undefined) this.#track(work.state, lane, binding)
      }
    }
    for (const { app, key } of this.#behind) engine.markBehind(app, key)
    this.#readUnlinked()
    engine.dispatcher.flush()
  }

  #note(work: RecordWork, verdict: RecordWork['verdicts'][number]): void {
    this.#count(verdict.verdict)
    if (!this.#engine.observed) return
    const { app, seq, atMs, text, paths = [] } = verdict
    const nativeId = work.state.lanes[app]?.nativeId ?? null
    this.events.push({ atMs, seq, entity: work.state.entity, key: work.state.key, app, nativeId, verdict: verdict.verdict, text, paths })
  }

  #count(name: string): void {
    this.#engine.verdicts[name] = (this.#engine.verdicts[name] ?? 0) + 1
  }

  /** Brings the in-memory latch, the due queue and the dispatcher in line with a lane as it is stored now. */
  #track(record: RecordState, lane: Lane, binding: BindingModel): void {
    const { latches, dispatcher, due, counters } = this.#engine
    const name = laneReason(record.key, lane.app)
    if (lane.intent === null) latches.open(lane.app, record.key)
    else if (latches.opOfLane(lane.app, record.key) !== lane.intent.op) {
      latches.close(lane.app, lane.object, lane.intent.kind === 'create' ? null : lane.nativeId, record.key, lane.intent.op)
    }
    const flight = laneKey(record.key, lane.app)
    if (dispatcher.isInFlight(flight)) return
    if (lane.reading !== null) {
      if (lane.reading.notBeforeMs > this.#nowMs) return this.#engine.schedule(name, lane.reading.notBeforeMs)
      due.delete(name)
      if (lane.nativeId !== null) dispatcher.read(flight, lane.app, lane.object, lane.nativeId, null)
      else dispatcher.read(flight, lane.app, lane.object, '' as NativeId, record.key)
      return
    }
    if (lane.intent !== null) {
      if (lane.park !== null) return
      if (lane.intent.notBeforeMs > this.#nowMs) return this.#engine.schedule(name, lane.intent.notBeforeMs)
      due.delete(name)
      if (lane.intent.state !== 'open' && !dispatcher.takeSlot(lane.app)) return this.#engine.markBehind(lane.app, record.key)
      counters.sent++
      dispatcher.write(record, lane, lane.intent, binding)
      return
    }
    if (lane.retry !== null && lane.retry.notBeforeMs > this.#nowMs) this.#engine.schedule(name, lane.retry.notBeforeMs)
  }

  #readUnlinked(): void {
    const { dispatcher } = this.#engine
    for (const name of this.#due) {
      if (!name.startsWith('read:')) continue
      const first = this.#engine.waiting.first(name.slice(5))
      if (first !== undefined) this.#wantRead(first.binding, first.nativeId, first.ref)
    }
    for (const { binding, nativeId, ref } of this.#reads) dispatcher.read(readReason(ref), binding.app, binding.object, nativeId, null)
  }
}

/** Waiting entries kept in memory before they are written down regardless of their age. */
const VOLATILE_MAX = 2000
/** Pause before a read of an unlinked record is tried again. */
const READ_RETRY_MS = 1000
const NONE: readonly CanonicalKey[] = []

const at = (prepared: Prepared): At => ({ seq: prepared.seq, atMs: prepared.atMs })

function tombstoneOf(prepared: Prepared, link: Link | undefined): Link {
  const { binding, nativeId, token, atMs } = prepared
  return {
    app: binding.app, object: binding.object, nativeId, entity: binding.entity, key: null, incarnation: link?.incarnation ?? 0, state: 'tombstone', token: token ?? null, atMs,
  }
}

function flattenReply(binding: BindingModel, record: Parameters<BindingModel['flatten']>[0] | undefined): ReturnType<BindingModel['flatten']> | null {
  if (record === undefined) return null
  try {
    return binding.flatten(record)
  } catch {
    // The reply of a successful write in a shape that cannot be read: the write stands, its rendition is learnt from the echo.
    return null
  }
}


/** One row of the cross-reference per native reference and entity: the last that the batch made. */
function lastOfEach(links: readonly Link[]): Link[] {
  if (links.length < 2) return [...links]
  const last = new Map<string, Link>()
  for (const link of links) {
    const name = [link.app, link.object, link.nativeId, link.entity].join('\u0000')
    last.delete(name)
    last.set(name, link)
  }
  return [...last.values()]
}
