import type { Change } from '../../model/change.ts'
import { type AppId, asNativeId, asToken, type NativeId, type ObjectId, type Token } from '../../model/ids.ts'
import type { NativeRecord } from '../../model/value.ts'

/** A row of the change table: that a record was touched. What it holds now is read beside it, in the same snapshot. */
export interface ChangeRow {
  readonly seq: bigint
  readonly object: ObjectId
  readonly nativeId: NativeId
  /** The row itself went; a record that is there all the same was made again under its id. */
  readonly gone: boolean
  readonly atMs: number
}

/** A record as it is in the snapshot: the newest change of it that the snapshot holds, and what it stands for. */
export interface StoredRecord {
  readonly record: NativeRecord | null
  readonly seq: bigint
  /** The write of ours whose last change is exactly this one. */
  readonly mark: string | null
  /** The create of ours that made this record. */
  readonly correlationId: string | null
  readonly sourceTimeMs: number | null
  /** Its newest change still stands in the change table. */
  readonly isOpen: boolean
}

/** Tokens are ordered by the generation of the change table, then by the number of the record's newest change (T2). */
export const tokenOf = (generation: number, seq: bigint): Token => asToken(`${generation}.${seq}`)

export const recordRef = (object: ObjectId, nativeId: NativeId): string => object + '\u0000' + nativeId

/**
 * What a page of rows says, one change per record: its state in the snapshot, at the number of its newest change. A record that went and came back within the page is told as both. Pure.
 */
export function changesOf(
  app: AppId,
  generation: number,
  rows: readonly ChangeRow[],
  stored: ReadonlyMap<string, StoredRecord>,
): Change[] {
  const changes: Change[] = []
  const lastByRef = new Map<string, number>()
  const goneByRef = new Map<string, ChangeRow>()
  for (const [i, row] of rows.entries()) {
    const ref = recordRef(row.object, row.nativeId)
    lastByRef.set(ref, i)
    if (row.gone) goneByRef.set(ref, row)
  }
  for (const [i, row] of rows.entries()) {
    const ref = recordRef(row.object, row.nativeId)
    if (lastByRef.get(ref) !== i) continue
    const now = stored.get(ref)
    if (now === undefined) continue
    const gone = goneByRef.get(ref)
    if (now.record !== null && gone !== undefined)
      changes.push(deletion(app, generation, gone.object, gone.nativeId, gone.seq, gone.atMs, null))
    changes.push(changeOf(app, generation, row, now))
  }
  return changes
}

function changeOf(app: AppId, generation: number, row: ChangeRow, now: StoredRecord): Change {
  const timeMs = now.sourceTimeMs ?? row.atMs
  if (now.record === null) return deletion(app, generation, row.object, row.nativeId, now.seq, timeMs, now.mark)
  return {
    ...imageOf(app, generation, row.object, row.nativeId, now),
    sourceTimeMs: timeMs,
    deliveryId: deliveryId(generation, row.nativeId, now.seq),
  }
}

function deletion(
  app: AppId,
  generation: number,
  object: ObjectId,
  nativeId: NativeId,
  seq: bigint,
  atMs: number,
  mark: string | null,
): Change {
  return {
    app,
    object,
    nativeId,
    kind: 'deleted',
    token: tokenOf(generation, seq),
    sourceTimeMs: atMs,
    deliveryId: deliveryId(generation, nativeId, seq),
    ...(mark === null ? {} : { mark }),
  }
}

/** The change that a record's image is, without what only a notification has. */
export function imageOf(
  app: AppId,
  generation: number,
  object: ObjectId,
  nativeId: NativeId,
  now: StoredRecord,
): Change {
  return {
    app,
    object,
    nativeId: asNativeId(nativeId),
    kind: 'image',
    record: now.record ?? {},
    token: tokenOf(generation, now.seq),
    ...(now.mark === null ? {} : { mark: now.mark }),
    ...(now.correlationId === null ? {} : { correlationId: now.correlationId }),
  }
}

/** The same record at the same version is the same delivery, however often it is read. */
const deliveryId = (generation: number, nativeId: NativeId, seq: bigint): string => `${generation}.${seq}:${nativeId}`
