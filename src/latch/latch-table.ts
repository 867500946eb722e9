import type { AppId, CanonicalKey, NativeId, ObjectId, OpId } from '../model/ids.ts'

interface ClosedLatch {
  readonly op: OpId
  readonly object: ObjectId
  /** null while a create has no native id yet. */
  readonly nativeId: NativeId | null
}

/** The latches of one application. Nested maps rather than joined keys: no text is built on the hot path. */
interface AppLatches {
  readonly byKey: Map<CanonicalKey, ClosedLatch>
  readonly byNative: Map<ObjectId, Map<NativeId, ClosedLatch>>
  readonly creates: Map<ObjectId, Set<CanonicalKey>>
}

/**
 * The latches that are closed: an index in memory over the durable intents, never the truth itself. It may be lost at any time and is rebuilt from
 * the open lanes of the store; a latch is closed here only after its intent is committed, and opened when its outcome is.
 * It answers "is a write of ours outstanding on this record?" and "which creates are open on this object?" without a query.
 */
export class LatchTable {
  readonly #apps = new Map<AppId, AppLatches>()

  /** Number of closed latches. */
  get size(): number {
    let size = 0
    for (const { byKey } of this.#apps.values()) size += byKey.size
    return size
  }

  /** Closes the latch of a lane; `nativeId` is null for a create. A lane has one write at a time, so an older latch of it is replaced. */
  close(app: AppId, object: ObjectId, nativeId: NativeId | null, key: CanonicalKey, op: OpId): void {
    const latches = this.#of(app)
    const older = latches.byKey.get(key)
    if (older !== undefined) forget(latches, older, key)
    const latch: ClosedLatch = { op, object, nativeId }
    latches.byKey.set(key, latch)
    if (nativeId === null) inner(latches.creates, object, newSet).add(key)
    else inner(latches.byNative, object, newMap).set(nativeId, latch)
  }

  /** Opens the latch of a lane. Idempotent. */
  open(app: AppId, key: CanonicalKey): void {
    const latches = this.#apps.get(app)
    const latch = latches?.byKey.get(key)
    if (latches === undefined || latch === undefined) return
    latches.byKey.delete(key)
    forget(latches, latch, key)
  }

  /** The write of ours that is outstanding on a native record. */
  opOf(app: AppId, object: ObjectId, nativeId: NativeId): OpId | undefined {
    return this.#apps.get(app)?.byNative.get(object)?.get(nativeId)?.op
  }

  /** The write of ours that is outstanding on a lane. */
  opOfLane(app: AppId, key: CanonicalKey): OpId | undefined {
    return this.#apps.get(app)?.byKey.get(key)?.op
  }

  isClosed(app: AppId, key: CanonicalKey): boolean {
    return this.#apps.get(app)?.byKey.has(key) ?? false
  }

  /** Canonical records that we are creating in this object right now: a notification of an unknown id may be one of them. */
  openCreates(app: AppId, object: ObjectId): ReadonlySet<CanonicalKey> {
    return this.#apps.get(app)?.creates.get(object) ?? NONE
  }

  clear(): void {
    this.#apps.clear()
  }

  #of(app: AppId): AppLatches {
    let latches = this.#apps.get(app)
    if (latches === undefined) {
      latches = { byKey: new Map(), byNative: new Map(), creates: new Map() }
      this.#apps.set(app, latches)
    }
    return latches
  }
}

/** Takes a latch out of the second index. Two entities may follow one native row: the latch of the other stays. */
function forget(latches: AppLatches, latch: ClosedLatch, key: CanonicalKey): void {
  if (latch.nativeId === null) {
    latches.creates.get(latch.object)?.delete(key)
    return
  }
  const natives = latches.byNative.get(latch.object)
  if (natives?.get(latch.nativeId) === latch) natives.delete(latch.nativeId)
}

const NONE: ReadonlySet<CanonicalKey> = new Set()
const newMap = (): Map<NativeId, ClosedLatch> => new Map()
const newSet = (): Set<CanonicalKey> => new Set()

function inner<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key)
  if (value === undefined) {
    value = make()
    map.set(key, value)
  }
  return value
}
