import type { AppId, CanonicalKey, NativeId, ObjectId, OpId } from '../model/ids.ts'
import { laneKey, nativeRefKey } from '../model/ids.ts'

interface ClosedLatch {
  readonly op: OpId
  readonly key: CanonicalKey
  readonly app: AppId
  readonly object: ObjectId
  /** The native reference as a Map key; null while a create has no native id yet. */
  readonly ref: string | null
}

/**
 * The latches that are closed: an index in memory over the durable intents, never the truth itself. It may be lost at any time and is rebuilt from
 * the open lanes of the store; a latch is closed here only after its intent is committed, and opened when its outcome is.
 * It answers "is a write of ours outstanding on this record?" and "which creates are open on this object?" without a query.
 */
export class LatchTable {
  readonly #byLane = new Map<string, ClosedLatch>()
  readonly #byRef = new Map<string, ClosedLatch>()
  readonly #createsByObject = new Map<string, Set<CanonicalKey>>()

  /** Number of closed latches. */
  get size(): number {
    return this.#byLane.size
  }

  /** Closes the latch of a lane; `nativeId` is null for a create. A lane has one write at a time, so an older latch of it is replaced. */
  close(app: AppId, object: ObjectId, nativeId: NativeId | null, key: CanonicalKey, op: OpId): void {
    this.open(app, key)
    const ref = nativeId === null ? null : nativeRefKey(app, object, nativeId)
    const latch: ClosedLatch = { op, key, app, object, ref }
    this.#byLane.set(laneKey(key, app), latch)
    if (ref !== null) this.#byRef.set(ref, latch)
    else this.#creates(app, object).add(key)
  }

  /** Opens the latch of a lane. Idempotent. */
  open(app: AppId, key: CanonicalKey): void {
    const lane = laneKey(key, app)
    const latch = this.#byLane.get(lane)
    if (latch === undefined) return
    this.#byLane.delete(lane)
    if (latch.ref !== null) {
      // Two entities may follow one native row: the latch of the other stays.
      if (this.#byRef.get(latch.ref) === latch) this.#byRef.delete(latch.ref)
    } else this.#creates(app, latch.object).delete(key)
  }

  /** The write of ours that is outstanding on a native record. */
  opOf(app: AppId, object: ObjectId, nativeId: NativeId): OpId | undefined {
    return this.#byRef.size === 0 ? undefined : this.#byRef.get(nativeRefKey(app, object, nativeId))?.op
  }

  /** The write of ours that is outstanding on a lane. */
  opOfLane(app: AppId, key: CanonicalKey): OpId | undefined {
    return this.#byLane.get(laneKey(key, app))?.op
  }

  isClosed(app: AppId, key: CanonicalKey): boolean {
    return this.#byLane.has(laneKey(key, app))
  }

  /** Canonical records that we are creating in this object right now: a notification of an unknown id may be one of them. */
  openCreates(app: AppId, object: ObjectId): ReadonlySet<CanonicalKey> {
    return this.#createsByObject.get(app + '\u0000' + object) ?? NONE
  }

  clear(): void {
    this.#byLane.clear()
    this.#byRef.clear()
    this.#createsByObject.clear()
  }

  #creates(app: AppId, object: ObjectId): Set<CanonicalKey> {
    const name = app + '\u0000' + object
    let creates = this.#createsByObject.get(name)
    if (creates === undefined) this.#createsByObject.set(name, (creates = new Set()))
    return creates
  }
}

const NONE: ReadonlySet<CanonicalKey> = new Set()
