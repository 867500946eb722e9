import { REFERENCE_MISSING } from '../deliver/plan.ts'
import { hintsOfRecord } from '../merge/hints.ts'
import { isLogFed, tellsOurCreates } from '../model/capabilities.ts'
import type { BindingModel } from '../model/entity.ts'
import { asJournalPosition, correlationIdOf, type JournalPosition, laneKey, type NativeId } from '../model/ids.ts'
import {
  type Conflict,
  isThere,
  type Lane,
  type Link,
  type Note,
  type OpenLane,
  type RecordState,
} from '../model/record.ts'
import type { CommitBatch, RecordWrite } from '../ports/store.ts'
import { CONSUMER } from './engine.ts'
import { mayLeaveEarly } from './latching.ts'
import { openLaneOf, type RecordWork } from './record-work.ts'
import type { EngineEvent } from './stats.ts'

import { laneReason, overlayReason, readReason, type Turn } from './turn.ts'

/** The end of a turn: all that was decided committed as one with the cursor, and only then sent. HOT PATH. */
export class Committing {
  readonly #turn: Turn
  readonly #events: EngineEvent[]

  constructor(turn: Turn, events: EngineEvent[]) {
    this.#turn = turn
    this.#events = events
  }

  async commit(): Promise<void> {
    const engine = this.#turn.engine
    this.#spill()
    const records: RecordWrite[] = []
    const links = lastOfEach(this.#turn.batch.links)
    const conflicts: Conflict[] = []
    const matches: CommitBatch['matches'][number][] = []
    for (const work of this.#turn.batch.works.values()) {
      if (!work.changed && work.isRecovered && this.#openLanes(work)?.length === 0) {
        engine.openKeys.add(work.state.key)
        work.isRewritten = true
      }
      if (!work.changed && !work.isRewritten) continue
      work.state = { ...work.state, rev: work.expectRev + 1 }
      const openLanes = this.#openLanes(work)
      const noted = engine.door.takeNoted(work.state.key)
      const verdicts = noted.length === 0 ? work.verdicts : [...work.verdicts, ...noted]
      records.push({ state: work.state, expectRev: work.expectRev, verdicts, openLanes })
      conflicts.push(...work.conflicts)
      for (const { matchKey, key } of work.matches) matches.push({ entity: work.entity.name, matchKey, key })
    }
    const settled = matches.length < 2 ? matches : this.#inOrder(matches)
    const hints = this.#hints()
    const position = this.#cursorAfter()
    const notes = this.#notes()
    const rows = records.length + links.length + this.#turn.held.length + this.#turn.heldDone.length + notes.length
    const nothing = rows === 0
    if (nothing && position === engine.cursor) return
    await engine.store.commit({
      epoch: engine.info?.epoch ?? 0,
      cursor: { consumer: CONSUMER, position },
      records,
      links,
      matches: settled,
      conflicts,
      held: this.#turn.held,
      heldDone: this.#turn.heldDone,
      ...(notes.length === 0 ? {} : { notes }),
      ...(hints.length === 0 ? {} : { hints }),
    })
    engine.cursor = position
    engine.counters.commits++
    engine.counters.conflicts += conflicts.length
    this.#turn.batch.commitLinks()
    for (const prepared of this.#turn.madeDurable) engine.waiting.madeDurable(prepared)
  }

  /** Match keys that were given up first, then those that were taken, each as it is at the end of the batch: one record may have taken what another gave up. */
  #inOrder(matches: readonly CommitBatch['matches'][number][]): CommitBatch['matches'] {
    const taken = matches.filter(
      ({ entity, matchKey, key }) => key !== null && this.#turn.batch.matched(entity, matchKey) === key,
    )
    return [...matches.filter(({ key }) => key === null), ...taken]
  }

  /** Hint values that records have come to have in this turn, or have no more. */
  #hints(): NonNullable<CommitBatch['hints']> {
    const rows: NonNullable<CommitBatch['hints']>[number][] = []
    for (const { entity, state, stored } of this.#turn.batch.works.values()) {
      if (entity.hints === undefined || state === stored) continue
      const { key } = state
      const before = new Set(stored === undefined ? [] : hintsOfRecord(entity, stored).map(({ text }) => text))
      for (const { text } of hintsOfRecord(entity, state))
        if (!before.delete(text)) rows.push({ entity: entity.name, hint: text, key, isGone: false })
      for (const hint of before) rows.push({ entity: entity.name, hint, key, isGone: true })
    }
    return rows
  }

  /** Latching mode `volatile`: such writes leave before the commit. What is lost of them by a crash is found by the condition of the next write. */
  sendVolatile(): void {
    const { dispatcher, counters } = this.#turn.engine
    let count = 0
    for (const work of this.#turn.batch.works.values()) {
      for (const binding of work.entity.bindings.values()) {
        if (!mayLeaveEarly(work, binding.app, binding.latching)) continue
        const lane = work.lane(binding)
        if (lane.intent === null || dispatcher.isInFlight(laneKey(work.state.key, binding.app))) continue
        dispatcher.write(work.state, lane, lane.intent, binding)
        counters.sent++
        count++
      }
    }
    if (count > 0) dispatcher.flushEarly()
  }

  /** What was learnt in this turn that belongs to no single record. */
  #notes(): readonly Note[] {
    const { findings, brakes } = this.#turn.engine
    for (const work of this.#turn.batch.works.values()) {
      for (const { binding, paths, before, now, atMs } of work.renditions) {
        for (const path of paths) findings.nearMiss(binding, work.state.key, path, before, now, atMs)
      }
    }
    const tripped = brakes.takeChanged()
    for (const { id, body } of tripped) if (body?.state === 'tripped') this.#sayTripped(id)
    return [...tripped, ...findings.takeChanged(), ...findings.candidates.takeChanged()]
  }

  #sayTripped(id: string): void {
    const brake = this.#turn.engine.brakes.tripped().find((one) => one.id === id)
    if (brake === undefined) return
    const { from, to, kind, count, withinMs } = brake
    if (kind === 'first-contact') {
      const told = `the first contact would create ${count} records of ${from} in ${to}, which nobody has asked for yet: nothing of it is written. \`latchwork rehearse\` lists them; \`latchwork backfill\`, or \`latchwork brake release ${id}\`, lets them go`
      this.#turn.engine.log.log('error', told, { code: 'brake.first-contact', brake: id })
      return
    }
    const message = `${count} ${kind} from ${from} to ${to} within ${Math.round(withinMs / 60_000)} min: the brake holds the rest. \`latchwork brake list\` shows them, \`latchwork brake release ${id}\` lets them go`
    this.#turn.engine.log.log('error', message, { code: 'brake.tripped', brake: id })
  }

  #openLanes(work: RecordWork): OpenLane[] | null {
    const open: OpenLane[] = []
    // By binding: a record that has never been in an application has no lane there yet, and may be behind all the same.
    for (const binding of work.entity.bindings.values()) {
      const row = openLaneOf(work.state, work.lane(binding), work.plannedIn(binding.app))
      if (row !== null) open.push(row)
    }
    const { openKeys } = this.#turn.engine
    if (open.length === 0 && !openKeys.has(work.state.key)) return null
    if (open.length === 0) openKeys.delete(work.state.key)
    else openKeys.add(work.state.key)
    return open
  }

  /** Entries that have waited in memory for long are written down, so that they do not hold the cursor back. */
  #spill(): void {
    const { volatile } = this.#turn.engine.waiting
    if (volatile.size === 0) return
    const { holdInMemoryMs } = this.#turn.engine.limits
    const written = new Set(this.#turn.madeDurable)
    for (const prepared of volatile) {
      if (written.has(prepared) || (volatile.size <= VOLATILE_MAX && this.#turn.nowMs - prepared.atMs < holdInMemoryMs))
        continue
      const first = this.#turn.engine.waiting.first(prepared.ref)
      const message =
        first === undefined || first === prepared
          ? 'a write or read of the record is under way'
          : `waits behind entry ${first.seq} of the same record`
      const like = first?.heldFor ?? { waitsOn: 'lane' as const, waitsFor: [], code: null }
      const waitsOn = like.waitsOn === 'operator' ? 'lane' : like.waitsOn
      this.#turn.writeHeld(prepared, waitsOn, like.waitsFor, like.code, message)
    }
  }

  /** Everything up to here is decided, or stands in the held entries. */
  #cursorAfter(): JournalPosition {
    let position: number = Math.max(this.#turn.through, this.#turn.engine.taken)
    if (this.#turn.engine.waiting.volatile.size === 0)
      return asJournalPosition(Math.max(position, this.#turn.engine.cursor))
    const written = new Set(this.#turn.madeDurable)
    for (const prepared of this.#turn.engine.waiting.volatile) {
      if (!written.has(prepared) && prepared.seq <= position) position = prepared.seq - 1
    }
    return asJournalPosition(Math.max(position, this.#turn.engine.cursor))
  }

  /** After the commit: memory follows, and what was decided may leave. */
  after(): void {
    const engine = this.#turn.engine
    engine.taken = asJournalPosition(Math.max(this.#turn.through, engine.taken))
    for (const work of this.#turn.batch.works.values()) {
      if (work.changed || work.isRewritten) engine.caches.records.set(work.state.key, work.state)
      for (const verdict of work.verdicts) this.#note(work, verdict)
      for (const binding of work.entity.bindings.values()) {
        const lane = work.state.lanes[binding.app]
        if (lane === undefined) continue
        this.#track(work, lane, binding)
        if (lane.intent === null && engine.door.size > 0) engine.door.settled(work.state.key, lane.app)
      }
    }
    for (const { app, key } of this.#turn.behind) engine.markBehind(app, key)
    this.#readUnlinked()
    engine.dispatcher.flush()
  }

  #note(work: RecordWork, verdict: RecordWork['verdicts'][number]): void {
    this.#turn.count(verdict.verdict)
    if (this.#turn.engine.events.areUnseen) return
    const { app, seq, atMs, text, paths = [] } = verdict
    const nativeId = work.state.lanes[app]?.nativeId ?? null
    this.#events.push({
      atMs,
      seq,
      entity: work.state.entity,
      key: work.state.key,
      app,
      nativeId,
      verdict: verdict.verdict,
      text,
      paths,
    })
  }

  /** Brings the in-memory latch, the due queue and the dispatcher in line with a lane as it is stored now. */
  #track(work: RecordWork, lane: Lane, binding: BindingModel): void {
    const record = work.state
    const { latches, dispatcher, due, counters } = this.#turn.engine
    if (lane.intent === null) latches.open(lane.app, record.key)
    else if (latches.opOfLane(lane.app, record.key) !== lane.intent.op) {
      latches.close(
        lane.app,
        lane.object,
        lane.intent.kind === 'create' ? null : lane.nativeId,
        record.key,
        lane.intent.op,
      )
    }
    const hadOverlays = (work.stored?.lanes[lane.app]?.overlays.length ?? 0) > 0
    if (hadOverlays || lane.overlays.length > 0) this.#trackOverlays(record, lane)
    this.#wakeWaiters(record, lane)
    const quarantinedUntilMs = record.deleted && lane.exists === true ? record.deletion?.untilMs : undefined
    // Most lanes have nothing else outstanding; their names need not be made.
    const isQuiet = lane.intent === null && lane.reading === null && lane.waitsFor === null && lane.retry === null
    if (isQuiet && quarantinedUntilMs === undefined) return
    const name = laneReason(record.key, lane.app)
    const flight = laneKey(record.key, lane.app)
    const sinceMs = this.#turn.nowOf(record.key, lane.app)
    if (dispatcher.isInFlight(flight)) return
    if (lane.reading !== null) {
      // Asked already: its pause is over, whatever a clock that was set back says of it.
      if (dispatcher.isInFlight(askOf(flight))) return
      if (this.#turn.isPausing(record.key, lane.app, lane.reading.notBeforeMs))
        return this.#turn.engine.schedule(name, lane.reading.notBeforeMs, sinceMs)
      due.delete(name)
      const isCreate = lane.nativeId === null
      if (isLogFed(binding.capabilities) && (!isCreate || tellsOurCreates(binding.capabilities)))
        dispatcher.pass(askOf(flight), lane, record.key)
      else if (lane.nativeId !== null) dispatcher.read(flight, lane.app, lane.object, lane.nativeId, null)
      else
        dispatcher.read(flight, lane.app, lane.object, '' as NativeId, {
          key: record.key,
          id: correlationIdOf(record.key, lane.incarnation),
        })
      return
    }
    if (lane.intent !== null) {
      if (lane.park !== null) return
      if (this.#turn.isPausing(record.key, lane.app, lane.intent.notBeforeMs))
        return this.#turn.engine.schedule(name, lane.intent.notBeforeMs, sinceMs)
      due.delete(name)
      // A write decided in this turn has its slot; one that is sent again, or had to wait for an answer, needs one.
      const isNew = work.stored?.lanes[lane.app]?.intent?.op !== lane.intent.op
      if (!isNew && !dispatcher.takeSlot(lane.app)) return this.#turn.engine.markBehind(lane.app, record.key)
      counters.sent++
      dispatcher.write(record, lane, lane.intent, binding)
      return
    }
    // A time that is over has been planned for in this turn: what keeps the lane back all the same wakes it itself.
    const deadlineMs =
      lane.waitsFor === null || lane.park?.code === REFERENCE_MISSING
        ? 0
        : lane.waitsFor.sinceMs + this.#turn.engine.limits.referenceDeadlineMs
    if (deadlineMs > this.#turn.nowMs) this.#turn.engine.schedule(name, deadlineMs, this.#turn.nowMs)
    if (quarantinedUntilMs !== undefined && quarantinedUntilMs > this.#turn.nowMs)
      this.#turn.engine.schedule(name, quarantinedUntilMs, this.#turn.nowMs)
    if (lane.retry !== null && this.#turn.isPausing(record.key, lane.app, lane.retry.notBeforeMs, lane.retry.sinceMs))
      this.#turn.engine.schedule(name, lane.retry.notBeforeMs, Math.max(sinceMs, lane.retry.sinceMs ?? 0))
  }

  /** What refers to this record can be written now: it has come to be in this application, or is known again not to have gone. */
  #wakeWaiters({ key }: RecordState, lane: Lane): void {
    const { linkWaiters, replan } = this.#turn.engine
    if (linkWaiters.size === 0 || lane.nativeId === null || !isThere(lane)) return
    const name = laneKey(key, lane.app)
    const waiters = linkWaiters.get(name)
    if (waiters === undefined) return
    linkWaiters.delete(name)
    for (const waiter of waiters) replan.add(waiter)
  }

  /** A write that the log does not show within a while has changed nothing; then the log is asked to be read to its end, to be sure. */
  #trackOverlays(record: RecordState, lane: Lane): void {
    const { due, dispatcher } = this.#turn.engine
    const name = overlayReason(record.key, lane.app)
    const [oldest] = lane.overlays
    const pass = passOf(laneKey(record.key, lane.app))
    if (oldest === undefined) {
      due.delete(name)
      dispatcher.dropPass(pass)
    } else if (dispatcher.isInFlight(pass)) return
    else if (this.#turn.due.has(name)) dispatcher.pass(pass, lane, record.key)
    // Whatever a wall clock that was set back says, it is not waited for longer than this.
    else {
      const { nowMs } = this.#turn
      const askMs = Math.min(oldest.atMs, nowMs) + OVERLAY_WAIT_MS
      this.#turn.engine.schedule(name, askMs > nowMs ? askMs : nowMs + OVERLAY_AGAIN_MS, nowMs)
    }
  }

  #readUnlinked(): void {
    const { dispatcher } = this.#turn.engine
    for (const name of this.#turn.due.keys()) {
      if (!name.startsWith('read:')) continue
      const first = this.#turn.engine.waiting.first(name.slice(5))
      if (first !== undefined) this.#turn.wantRead(first.binding, first.nativeId, first.ref)
    }
    for (const { binding, nativeId, ref } of this.#turn.reads)
      dispatcher.read(readReason(ref), binding.app, binding.object, nativeId, null)
  }
}

/** How long a write of ours may lie over what an application's log has shown before the log is asked to be read to its end: longer than an ordinary log lags, so that hardly any write costs this. */
const OVERLAY_WAIT_MS = 5_000

/** And how long after that it is asked again, where that has not settled it. */
const OVERLAY_AGAIN_MS = 500

/** The log is asked for the sake of a write in doubt, or of one refused by its condition; `passOf`: for the sake of writes that it has yet to show. */
const askOf = (flight: string): string => 'ask:' + flight
const passOf = (flight: string): string => 'pass:' + flight

/** Waiting entries kept in memory before they are written down regardless of their age. */
const VOLATILE_MAX = 2000

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
