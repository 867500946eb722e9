import type { AppId, CanonicalKey, EntityName, NativeId } from '../model/ids.ts'

/** The cross-reference as far as a decision needs it: loaded before, so that the decision itself does no I/O. */
export interface References {
  /** The canonical key that a native id of an entity stands for in this application; undefined while it is not linked. */
  keyOf(app: AppId, entity: EntityName, nativeId: NativeId): CanonicalKey | undefined
  /** The native id of a canonical record in this application; undefined while it is not there. */
  nativeOf(app: AppId, key: CanonicalKey): NativeId | undefined
}

/** Thrown inside a fold when a reference cannot be translated yet: the entry waits, it is not an error of the record. */
export class MissingReference {
  readonly entity: EntityName
  readonly nativeId: NativeId
  constructor(entity: EntityName, nativeId: NativeId) {
    this.entity = entity
    this.nativeId = nativeId
  }
}
