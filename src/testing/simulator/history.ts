import type { DeletePolicy } from '../../model/entity.ts'
import type { AppId, CanonicalKey, EntityName, NativeId, ObjectId, OpId } from '../../model/ids.ts'
import type { Conflict, HeldEntry, Link, OpenLane, RecordState } from '../../model/record.ts'
import type { Fields, Path, Value } from '../../model/value.ts'
import type { AppObject, Cells } from './apps/mapping.ts'

/**
 * Everything that the checkers judge by: what the applications' own logs say, what was acknowledged, and the hub's state at the end. Plain data, so
 * that a test can write a bad history by hand and see the checker find it.
 */
export interface History {
  readonly apps: ReadonlyMap<AppId, HistoryApp>
  readonly deletes: DeletePolicy
  /** Entities to which others refer: their records come first, and users do not delete them. */
  readonly referred: ReadonlySet<EntityName>
  /** Entities that refer to others. */
  readonly refers: ReadonlySet<EntityName>
  /** Every committed version of every record in every application, in the order of commit. */
  readonly versions: AppVersion[]
  /** Writes of the hub that reached an application and changed nothing. */
  readonly noopWrites: NoopWrite[]
  /** Reads that the hub got from applications that take blind writes. */
  readonly reads: HubRead[]
  readonly acknowledged: Acknowledged[]
  readonly heads: HeadVersion[]
  /** Conflicts, by the place in the order of everything at which they were written down. */
  readonly logged: { readonly seq: number; readonly conflict: Conflict }[]
  /** Requests that left the hub after everything had come to rest. */
  readonly writesAfterQuiet: { readonly app: AppId; readonly op: OpId; readonly atMs: number }[]
  /** No fault was possible in this run, and every application tells at once how it keeps what it was given: then the bound of V5 is exact. */
  readonly exact: boolean
  /** Whether the outcome of a write could stay unknown to the hub. */
  readonly doubts: boolean
  /** Nothing went wrong in this run, so that whatever takes long is of the hub's own making. */
  readonly calm: boolean
  /** Some application is only looked at from time to time, page by page: then what is prompt depends on how much there is to look at. */
  readonly polled: boolean
  /** When the hub was first started. */
  readonly startMs: number
  /** The application that takes long to write one record. */
  readonly sluggish: AppId | null
  /** null when the hub did not come to rest within the time allowed. */
  end: HubEnd | null
  /** The same once more, after the hub was killed at rest and started again; null when it was not. */
  recovered: HubEnd | null
}

export interface HistoryApp {
  readonly app: AppId
  readonly rank: number
  /** Writes are not conditional (C0): what users commit between our read and our write is lost, and counted as declared. */
  readonly blind: boolean
  /** It takes blind writes and keeps a complete log: what such a write has overwritten unread is found in the log and repaired, so nothing may be lost, but for a while it is gone. */
  readonly repairs: boolean
  /** Its version tokens are made from the content alone: what was changed and set back looks as if nothing had happened. */
  readonly contentTokens: boolean
  /** How long it may take until the hub has looked at one more row of it, where it is looked at from time to time, page by page. */
  readonly lookMs: number
  /** Its API refuses some texts. */
  readonly strict: boolean
  /** How far its reads are behind (R1). */
  readonly lagMs: number
  /** A create whose answer was lost can be found again. */
  readonly tellsCreates: boolean
  readonly objects: ReadonlyMap<EntityName, AppObject>
}

export interface AppVersion {
  /** Place in the order of everything that happened. */
  readonly seq: number
  readonly atMs: number
  readonly app: AppId
  readonly object: ObjectId
  readonly entity: EntityName
  readonly nativeId: NativeId
  /** Which thing in the world it is, by its code: the same in all applications. */
  readonly record: number
  readonly kind: 'create' | 'update' | 'delete'
  /** The application's values after it; for a delete, the last ones. */
  readonly cells: Cells
  readonly changed: readonly Path[]
  /** Who did it: the user's action, or the hub's write. */
  readonly user: UserWrite | null
  readonly hub: HubWrite | null
}

export interface UserWrite {
  readonly action: number
  /** The version that the user had in front of them, by its place in the order; differs from the current one where users overwrite each other. */
  readonly readSeq: number | null
}

export interface HubWrite {
  readonly op: OpId
  readonly key: CanonicalKey
  readonly sentAtMs: number
  /** What was known to have happened when it left, by place in the order. */
  readonly sentSeq: number
  /** The canonical values that it carried, before the application normalised them. */
  readonly written: Fields
}

export interface NoopWrite {
  readonly app: AppId
  readonly record: number
  readonly op: OpId
  readonly atMs: number
  readonly resend: boolean
}

export interface HubRead {
  readonly app: AppId
  readonly object: ObjectId
  readonly nativeId: NativeId
  /** Versions up to this place were seen by it. */
  readonly capturedSeq: number
  /** When the hub had the answer. */
  readonly receivedAtMs: number
}

export interface Acknowledged {
  readonly app: AppId
  readonly deliveryId: string
  readonly atMs: number
  /** It was recognised at the door, and the durable state had its version or a newer one then. */
  readonly isKnown?: boolean
}

/** A value that the head of a record came to have. */
export interface HeadVersion {
  readonly seq: number
  /** The application that it came from. */
  readonly app: AppId
  readonly key: CanonicalKey
  readonly path: Path
  readonly value: Value
}

export interface HubEnd {
  readonly states: readonly RecordState[]
  readonly links: readonly Link[]
  readonly conflicts: readonly Conflict[]
  readonly held: readonly HeldEntry[]
  readonly openLanes: readonly OpenLane[]
  /** `<app> <delivery id>` of every notification in the journal. */
  readonly journalled: ReadonlySet<string>
}

export const deliveryKey = (app: AppId, deliveryId: string): string => app + ' ' + deliveryId

/** A promise that was broken: which one, and the story in a sentence. */
export interface Violation {
  readonly checker: string
  readonly message: string
}

/** Judges a finished run; null when the promise held. */
export type Checker = (history: History) => string | null
