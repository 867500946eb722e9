import { isPausing } from '../deliver/backoff.ts'
import { SyncError } from '../errors/index.ts'
import { MissingReference } from '../merge/references.ts'
import { isLogFed } from '../model/capabilities.ts'
import type { BindingModel } from '../model/entity.ts'
import { type AppId, type CanonicalKey, type JournalPosition, laneKey, type NativeId } from '../model/ids.ts'
import type { HeldEntry, Lane } from '../model/record.ts'
import { heldStateFor } from '../model/state/held-state.ts'
import { Batch } from './batch.ts'
import type { Engine } from './engine.ts'
import { type Prepared, refOf } from './prepared.ts'
import type { At, RecordWork } from './record-work.ts'

/** Names under which the due queue and the waiting room know what they wait for. */
export const laneReason = (key: CanonicalKey, app: AppId): string => 'lane:' + laneKey(key, app)
/** Writes of ours on this lane that its application's log has yet to show. */
export const overlayReason = (key: CanonicalKey, app: AppId): string => 'over:' + laneKey(key, app)
export const linkReason = (ref: string): string => 'link:' + ref
export const readReason = (ref: string): string => 'read:' + ref

/** Names that the due queue gave out, with what each waited for. */
export type Due = ReadonlyMap<string, number | undefined>
export const NOTHING_DUE: Due = new Map()

/** What one turn of the loop collects while it decides: shared by its three strides (observing, answers, committing). */
export class Turn {
  readonly engine: Engine
  readonly batch: Batch
  readonly nowMs: number
  /** The newest journal entry of this turn. */
  readonly through: JournalPosition
  readonly due: Due
  /** Lanes that had waited for nothing but a slot: a pause that was over then is over, whatever was done to the wall clock since. */
  readonly #freed: ReadonlySet<string>
  /** When the answers came that this turn decides on, by what was under way. */
  readonly #answeredAt = new Map<string, number>()
  readonly held: HeldEntry[] = []
  readonly madeDurable: Prepared[] = []
  readonly heldDone: { seq: JournalPosition; entity: Prepared['entity']['name'] }[] = []
  /** Mode `table`: our creates that were open on the object of an entry, as the store said. */
  readonly askedCreates = new Map<string, readonly CanonicalKey[]>()
  /** Entries that answer what this process asked; an answer of before a restart says how things were, not how they are. */
  readonly live = new Set<JournalPosition>()
  /** Lanes that need a write and found no free slot. */
  readonly behind: { app: AppId; key: CanonicalKey }[] = []
  /** Applications of which this turn has decided the last that they held when their feeds were first read. */
  readonly firstReads: { readonly app: AppId; readonly atMs: number }[] = []
  /** Reads of records that are not linked yet. */
  readonly reads: { binding: BindingModel; nativeId: NativeId; ref: string }[] = []

  constructor(engine: Engine, through: JournalPosition, due: Due, freed: ReadonlySet<string>) {
    this.engine = engine
    this.batch = new Batch(engine.model, engine.store, engine.caches)
    this.nowMs = engine.clock.nowMs()
    this.through = through
    this.due = due
    this.#freed = freed
  }

  done(prepared: Prepared): void {
    const heldNow = this.madeDurable.lastIndexOf(prepared)
    if (heldNow >= 0) {
      // Held and finished in one batch: the row is not written at all.
      this.madeDurable.splice(heldNow, 1)
      this.held.splice(
        this.held.findLastIndex((held) => held.seq === prepared.seq && held.entity === prepared.entity.name),
        1,
      )
    }
    if (prepared.durable) this.heldDone.push({ seq: prepared.seq, entity: prepared.entity.name })
  }

  received(work: RecordWork): void {
    if (work.state.headSeq !== work.stored?.headSeq) this.engine.receivedAt.set(work.state.key, this.nowMs)
  }

  /** Runs a fold; what cannot be translated yet waits, what cannot be folded at all is parked. */
  guarded(prepared: Prepared, fold: () => void): boolean {
    try {
      fold()
      return true
    } catch (error) {
      if (error instanceof MissingReference) this.awaitReference(prepared, error)
      else this.park(prepared, SyncError.from(error))
      return false
    }
  }

  awaitReference(prepared: Prepared, missing: MissingReference): void {
    const binding = this.engine.model.entities.get(missing.entity)?.bindings.get(prepared.binding.app)
    if (binding === undefined) {
      return this.park(
        prepared,
        new SyncError(
          'resolve.reference-missing',
          `${prepared.binding.app}:${prepared.nativeId} refers to ${missing.entity} ${missing.nativeId}, but ${missing.entity} is not mapped in ${prepared.binding.app}`,
        ),
      )
    }
    const ref = refOf(binding, missing.nativeId)
    if (binding.capabilities.read !== 'R0' && !isLogFed(binding.capabilities))
      this.wantRead(binding, missing.nativeId, ref)
    this.hold(
      prepared,
      [linkReason(ref)],
      'reference',
      [`${missing.entity}:${missing.nativeId}`],
      `refers to ${missing.entity} ${missing.nativeId}, which has not arrived`,
    )
  }

  answered(flight: string, atMs: number): void {
    this.#answeredAt.set(flight, atMs)
  }

  /** The time at which it is decided on a lane: what an answer leads to is counted from when that came, whatever was done to the wall clock since. */
  nowOf(key: CanonicalKey, app: AppId): number {
    return this.#answeredAt.size === 0 ? this.nowMs : (this.#answeredAt.get(laneKey(key, app)) ?? this.nowMs)
  }

  /** Whether the pause of a lane is still running. Durations are monotonic: the wall clock is only asked for one that is not under way yet. */
  isPausing(key: CanonicalKey, app: AppId, notBeforeMs: number, sinceMs = 0): boolean {
    if (notBeforeMs === 0) return false
    const name = laneReason(key, app)
    if (this.#freed.has(name) || (this.due.size > 0 && this.due.get(name) === notBeforeMs)) return false
    if (this.engine.due.awaits(name, notBeforeMs)) return true
    const nowMs = this.nowOf(key, app)
    return nowMs < sinceMs || isPausing(notBeforeMs, nowMs)
  }

  /** A native id has become known: what was told and refers to it can be folded. */
  linked(binding: BindingModel, nativeId: NativeId): void {
    this.engine.waiting.release(linkReason(refOf(binding, nativeId)))
  }

  /** Whoever waited for this lane goes on, once nothing of ours is outstanding on it. */
  laneFreed(work: RecordWork, binding: BindingModel): void {
    const lane = work.lane(binding)
    if (!isBusy(lane, binding)) this.engine.waiting.release(laneReason(work.state.key, binding.app))
  }

  wantRead(binding: BindingModel, nativeId: NativeId, ref: string): void {
    this.reads.push({ binding, nativeId, ref })
  }

  /** Makes an entry wait for something that may take long: it is written down, so that the cursor can move on. */
  hold(
    prepared: Prepared,
    reasons: readonly string[],
    waitsOn: HeldEntry['waitsOn'],
    waitsFor: readonly string[],
    message: string,
  ): void {
    // What is written down already is written again where it waits for something else by now: the list says why.
    const { heldFor } = prepared
    const isSame = heldFor?.waitsOn === waitsOn && heldFor.waitsFor.join() === waitsFor.join()
    if (!prepared.durable || !isSame) this.writeHeld(prepared, waitsOn, waitsFor, null, message)
    this.engine.waiting.wait(prepared, reasons, heldStateFor(waitsOn))
    this.count('held')
  }

  writeHeld(
    prepared: Prepared,
    waitsOn: HeldEntry['waitsOn'],
    waitsFor: readonly string[],
    code: string | null,
    message: string,
  ): void {
    const { binding, entry, seq, nativeId, atMs } = prepared
    this.held.push({
      seq,
      app: binding.app,
      object: binding.object,
      nativeId,
      entity: binding.entity,
      waitsOn,
      waitsFor,
      code,
      message,
      sinceMs: atMs,
      entry,
    })
    prepared.heldFor = { waitsOn, waitsFor, code }
    this.madeDurable.push(prepared)
  }

  /** Sets an entry that cannot be folded aside, visibly: a newer full image supersedes it, a person can replay it. */
  park(prepared: Prepared, reason: SyncError): void {
    if (reason.handling === 'bug')
      this.engine.log.log('error', reason.message, {
        code: reason.code,
        cause: reason.cause instanceof Error ? reason.cause.stack : undefined,
      })
    this.writeHeld(prepared, 'operator', [], reason.code, reason.message)
    this.engine.waiting.wait(prepared, ['operator'], heldStateFor('operator'))
    const link = this.batch.linkOf(prepared)
    const work = link?.state === 'live' && link.key !== null ? this.batch.work(link.key) : undefined
    if (work === undefined) this.count('parked')
    else work.say(prepared, prepared.binding.app, 'parked', reason.message)
  }

  count(name: string): void {
    this.engine.verdicts.add(name)
  }
}

/**
 * Step 4: whether what is told of a lane has to wait. A log goes on being heard while a write is in doubt, because it alone can tell; and while one is open, if it says whose each change is.
 */
export function isBusy(lane: Lane, { capabilities }: BindingModel): boolean {
  if (isLogFed(capabilities)) return lane.intent?.state === 'open' && capabilities.mark !== 'M2'
  return lane.intent !== null || lane.reading !== null
}

/** The journal place of an entry. */
export const at = (prepared: Prepared): At => ({ seq: prepared.seq, atMs: prepared.atMs })
