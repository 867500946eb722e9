import type { Message } from './flow.ts'
import type { AppId, CanonicalKey, FlowName, JournalPosition, NativeId, ObjectId, OpId, Token } from './ids.ts'
import type { Lineage } from './lineage.ts'
import type { NativeRecord, Path, Value } from './value.ts'

/**
 * What an application said about one of its records: evidence of its state, not an instruction. Plain data, so that it can
 * be journalled and carried by a wire.
 */
export interface Change {
  readonly app: AppId
  readonly object: ObjectId
  readonly nativeId: NativeId
  /** image: the full record; partial: only the fields present; deleted: it is gone; hint: something happened, read it. */
  readonly kind: 'image' | 'partial' | 'deleted' | 'hint'
  /** The record as sent, for image and partial. Unmapped fields may be present; an absent field is "not sent". */
  readonly record?: NativeRecord
  readonly token?: Token
  /** The correlation id that a create of ours stored in the record, where the application keeps it. */
  readonly correlationId?: string
  /**
   * The op id of the write that caused this, where the application carries marks (M2). Where one mark stands for a whole transaction of ours, the connector has found the op of this record. What
   * triggers of the application add in the same transaction bears the same mark.
   */
  readonly mark?: string
  /** By native field where its values come from, where another hub says so. Of a field that is not named, nothing is known. */
  readonly lineage?: Readonly<Record<Path, Lineage>>
  /** When the application says that the change happened (ms since 1970); untrusted, only for the policy `latest`. */
  readonly sourceTimeMs?: number
  /** The sender's id of this delivery; the same id seen again is acknowledged and not journalled again. */
  readonly deliveryId?: string
  /** The source transaction: its changes stand together in the journal and are folded in one commit, up to 10,000 of them. What is written from them to others is not one transaction. */
  readonly sourceTx?: { readonly id: string; readonly index: number; readonly last: boolean }
}

/** What a read of one record found. `at` of the enclosing journal entry is when the reply came. */
export interface ReadImage {
  readonly app: AppId
  readonly object: ObjectId
  readonly nativeId: NativeId
  /**
   * found; missing (404 or 410); failed (nothing learnt, the read is tried again). passed: nobody looked at the record, but the application's log was read to its end after it was asked for:
   * whatever had happened by then stands before this in the journal.
   */
  readonly result: 'found' | 'missing' | 'failed' | 'passed'
  readonly record?: NativeRecord
  readonly token?: Token
  readonly correlationId?: string
  readonly sourceTimeMs?: number
  /** Why it failed, and when to try again. */
  readonly code?: string
  readonly message?: string
  readonly retryAfterMs?: number
}

/** What became of one write. Same op id as the operation it answers. */
export interface Outcome {
  readonly op: OpId
  /**
   * applied: it happened, now or (idempotent resend) before. conflict: refused by its condition (412). gone: the record does not exist (404, 410).
   * refused: certainly not applied; `handling` says whether to try again. unknown: it may or may not have happened.
   */
  readonly result: 'applied' | 'conflict' | 'gone' | 'refused' | 'unknown'
  /** The id that the application gave to a created record. */
  readonly nativeId?: NativeId
  readonly token?: Token
  /** The record after the write, where the reply carries it. */
  readonly record?: NativeRecord
  readonly handling?: 'retry' | 'park'
  readonly code?: string
  readonly message?: string
  readonly retryAfterMs?: number
}

export type Choice = { readonly take: AppId } | { readonly value: Value }

/** A record as a person names it, and which one that was when they did. */
export interface NamedRecord {
  readonly key: CanonicalKey
  readonly app: AppId
  readonly nativeId: NativeId
}

/** What an operator asked for. */
export type OperatorAction =
  | { readonly action: 'release'; readonly key: CanonicalKey; readonly app: AppId }
  | { readonly action: 'replay'; readonly seq: JournalPosition }
  /** Lets what a tripped brake holds go on: `<from>><to>:<deletes or writes>`. */
  | { readonly action: 'release-brake'; readonly brake: string }
  /** Everything that an application held when its feeds were first read stands before this in the journal. */
  | { readonly action: 'first-read'; readonly app: AppId }
  /** Read the record in this application now, and fold what it holds. */
  | { readonly action: 'reread'; readonly key: CanonicalKey; readonly app: AppId }
  /** Takes back what a create of ours made in this application under this id, unless somebody there has changed it. */
  | { readonly action: 'withdraw'; readonly key: CanonicalKey; readonly app: AppId; readonly nativeId: NativeId }
  /** Takes the deletion of a record back, whatever became of it: it is created again where it is gone. */
  | { readonly action: 'undelete'; readonly key: CanonicalKey }
  /** Two records are one, or are not: each named by one of its records in an application. `separate` takes the second out of a record that they share. */
  | ({ readonly action: 'link' | 'separate'; readonly other: NamedRecord } & NamedRecord)
  /** What stands of a field that is set aside: the value that an application holds, or one that the person gives. */
  | { readonly action: 'resolve'; readonly key: CanonicalKey; readonly path: Path; readonly choice: Choice }

/** Every input of the decision, as it stands in the journal. */
export type Input =
  | { readonly type: 'notification'; readonly change: Change }
  /** `begunAfter`: the journal position when the read was sent; it answers every hint up to there. `key`: the create that was looked for by its correlation id. */
  | {
      readonly type: 'read'
      readonly read: ReadImage
      readonly begunAfter: JournalPosition
      readonly key?: CanonicalKey
    }
  | { readonly type: 'outcome'; readonly key: CanonicalKey; readonly app: AppId; readonly outcome: Outcome }
  | { readonly type: 'operator'; readonly operator: OperatorAction }
  /** For a flow, which has a cursor of its own; the fold steps over it. */
  | { readonly type: 'message'; readonly flow: FlowName; readonly message: Message }

/** A journal entry: one input with its place in the order of everything. Append-only, never updated. */
export interface JournalEntry {
  readonly seq: JournalPosition
  readonly shard: number
  /** Wall-clock time of receipt, ms since 1970. It is an input: replaying the journal replays the same times. */
  readonly atMs: number
  readonly mappingVersion: number
  readonly input: Input
}
