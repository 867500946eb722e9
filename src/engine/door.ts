import type { Change } from '../model/change.ts'
import type { BindingModel } from '../model/entity.ts'
import { type AppId, type CanonicalKey, laneKey, nativeRefKey } from '../model/ids.ts'
import type { Lane, RecordState, Verdict } from '../model/record.ts'
import { knownBy } from './decide.ts'
import type { Engine } from './engine.ts'
import { refOf } from './prepared.ts'

/** A notification of a version that a write of ours made and that is known: it tells nothing, so nothing of it is journalled. */
export interface Recognised {
  readonly key: CanonicalKey
  readonly verdict: 'echo'
  readonly text: string
}

interface Waiter {
  readonly binding: BindingModel
  readonly change: Change
  readonly key: CanonicalKey
  readonly sinceMs: number
  readonly resolve: (found: Recognised | null) => void
}

/** Verdicts kept until their record is written again; beyond it the oldest are forgotten. They explain, they decide nothing. */
const NOTED_MAX = 5_000
/** How long the acknowledgement of what may be an echo waits for the outcome of the write: longer than most writes take, shorter than any sender's patience. */
const ECHO_WAIT_MS = 50

/**
 * The latch at the door. An ordered version that is no newer than the durable state of its lane can never tell anything, whatever else is under way (docs/protocol.md, step 6:
 * the one comparison that may drop without looking at content), so the echo of a write of ours needs neither the journal nor the fold. It usually comes before the reply to that write is
 * committed: while the latch is closed it waits a moment, unacknowledged. What is not recognised goes the way of every notification. HOT PATH.
 */
export class Door {
  readonly #engine: Engine
  readonly #waiting = new Map<string, Waiter[]>()
  readonly #noted = new Map<CanonicalKey, Verdict[]>()
  #timer: { cancel(): void } | null = null

  constructor(engine: Engine) {
    this.#engine = engine
  }

  get size(): number {
    return this.#waiting.size
  }

  /** null: it has to be journalled. A promise where a write of ours on its record is under way. */
  recognise(change: Change): Recognised | Promise<Recognised | null> | null {
    const { model, waiting, clock } = this.#engine
    if (change.token === undefined || change.kind === 'hint') return null
    const bindings = model.bindingsOf(change.app, change.object)
    const [binding] = bindings
    if (
      binding === undefined ||
      bindings.length > 1 ||
      binding.capabilities.token !== 'T2' ||
      binding.latching === 'table'
    )
      return null
    const ref = nativeRefKey(binding.app, binding.object, change.nativeId)
    const link = this.#engine.caches.links.get(ref)?.find((one) => one.entity === binding.entity)
    if (link?.state !== 'live' || link.key === null) return null
    if (waiting.size > 0 && waiting.first(refOf(binding, change.nativeId)) !== undefined) return null
    const record = this.#engine.caches.records.get(link.key)
    const lane = record?.lanes[binding.app]
    if (record === undefined || lane === undefined || lane.nativeId !== change.nativeId) return null
    const known = this.#known(record, binding, lane, change)
    if (known !== null || lane.intent?.state !== 'open') return known
    const name = laneKey(link.key, binding.app)
    const { promise, resolve } = Promise.withResolvers<Recognised | null>()
    const waiter: Waiter = { binding, change, key: link.key, sinceMs: clock.monotonicMs(), resolve }
    const others = this.#waiting.get(name)
    if (others === undefined) this.#waiting.set(name, [waiter])
    else others.push(waiter)
    this.#timer ??= clock.timer(ECHO_WAIT_MS, () => this.#giveUp())
    return promise
  }

  /** After a commit: the write of a lane has its outcome. */
  settled(key: CanonicalKey, app: AppId): void {
    const name = laneKey(key, app)
    const waiters = this.#waiting.get(name)
    if (waiters === undefined) return
    this.#waiting.delete(name)
    for (const { binding, change, resolve } of waiters) {
      const record = this.#engine.caches.records.get(key)
      const lane = record?.lanes[app]
      const isSame = record !== undefined && lane !== undefined && lane.nativeId === change.nativeId
      resolve(isSame ? this.#known(record, binding, lane, change) : null)
    }
  }

  /** Nobody waits any longer: what was not recognised is journalled. */
  release(): void {
    this.close()
    const all = [...this.#waiting.values()].flat()
    this.#waiting.clear()
    for (const { resolve } of all) resolve(null)
  }

  close(): void {
    this.#timer?.cancel()
    this.#timer = null
  }

  /** What was recognised of a record since it was written last, newest first. */
  noted(key: CanonicalKey): readonly Verdict[] {
    return this.#noted.get(key) ?? NONE
  }

  /** The same, which is written with the record now. */
  takeNoted(key: CanonicalKey): readonly Verdict[] {
    if (this.#noted.size === 0) return NONE
    const noted = this.#noted.get(key)
    if (noted === undefined) return NONE
    this.#noted.delete(key)
    return noted
  }

  #known({ key, entity }: RecordState, binding: BindingModel, lane: Lane, change: Change): Recognised | null {
    const known = knownBy(binding, lane, change.token, false)
    if (known?.verdict !== 'echo') return null
    const { clock, counters, verdicts } = this.#engine
    const { verdict, text, op } = known
    const atMs = clock.nowMs()
    const noted = { seq: lane.basis, atMs, app: binding.app, verdict, text, op }
    const before = this.#noted.get(key)
    if (before === undefined) this.#noted.set(key, [noted])
    else before.unshift(noted)
    if (this.#noted.size > NOTED_MAX)
      for (const oldest of this.#noted.keys()) {
        this.#noted.delete(oldest)
        break
      }
    counters.notifications++
    verdicts.add(verdict)
    if (!this.#engine.events.areUnseen) {
      const { app, nativeId } = change
      this.#engine.events.emit([{ atMs, seq: 0, entity, key, app, nativeId, verdict, text, paths: [] }])
    }
    return { key, verdict, text }
  }

  #giveUp(): void {
    this.#timer = null
    const nowMs = this.#engine.clock.monotonicMs()
    let nextMs = Number.POSITIVE_INFINITY
    for (const [name, waiters] of this.#waiting) {
      const patient = waiters.filter(({ sinceMs }) => nowMs - sinceMs < ECHO_WAIT_MS)
      for (const waiter of waiters) if (!patient.includes(waiter)) waiter.resolve(null)
      if (patient.length === 0) this.#waiting.delete(name)
      else this.#waiting.set(name, patient)
      for (const { sinceMs } of patient) nextMs = Math.min(nextMs, sinceMs + ECHO_WAIT_MS)
    }
    if (this.#waiting.size > 0)
      this.#timer = this.#engine.clock.timer(Math.max(0, nextMs - nowMs), () => this.#giveUp())
  }
}

const NONE: readonly Verdict[] = []
