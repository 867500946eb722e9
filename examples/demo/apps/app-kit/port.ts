/** What the HTTP side of an application asks of its data, wherever those are. SQLite answers at once, PostgreSQL later. */

import type { AppDescription, Id, ObjectDescription, Row, Scalar, SeedRecord } from './description.ts'
import type { Body } from './fields.ts'

type Soon<T> = T | Promise<T>

export type StoredRow = {
  readonly row: Row
  readonly rev: number
  readonly deleted: boolean
  readonly writtenBy: string
}

export type WriteContext = {
  readonly actor: string
  readonly clientTag: string | null
  readonly idempotencyKey: string | null
  /** Digest of method, path and body: the same key with another fingerprint is refused. */
  readonly fingerprint: string
  /** The revisions of `If-Match`; `any` for `*`; null where the request is unconditional. */
  readonly ifMatch: readonly number[] | 'any' | null
}

export type Reply = {
  readonly status: number
  readonly body: string
  readonly rev: number | null
  readonly location: string | null
  readonly replayed: boolean
}

/** The rows of one object. */
export interface AppRows {
  readonly object: ObjectDescription
  get(id: Id): Soon<StoredRow | undefined>
  /** Live rows in the order of their ids; all where the limit is -1. */
  list(afterId: Id | null, limit: number): Soon<Row[]>
  /** Rows changed since a revision, deleted ones included, in the order of their changes; each at its present state only. */
  changes(afterRev: number, limit: number): Soon<StoredRow[]>
  /** The live row with this value in a unique field. */
  find(field: string, value: Scalar): Soon<StoredRow | undefined>
  /** Live rows for a person: newest first, those that hold the searched text only. */
  search(text: string, limit: number): Soon<{ items: StoredRow[]; total: number }>
  count(): Soon<number>
}

export interface AppStore {
  readonly app: AppDescription
  readonly legacy: boolean
  /** The revision of the newest change that is known of. */
  readonly rev: number
  table(name: string): AppRows | undefined
  create(object: ObjectDescription, body: Body, context: WriteContext): Soon<Reply>
  /** `whole` is PUT: what the body does not give takes its initial value, except the external reference, which stays. */
  modify(object: ObjectDescription, id: Id, body: Body, whole: boolean, context: WriteContext): Soon<Reply>
  delete(object: ObjectDescription, id: Id, context: WriteContext): Soon<Reply>
  /** The live record, or the problem that tells a deleted record from one that never was. */
  live(object: ObjectDescription, id: Id): Soon<StoredRow>
  /** Records of data that never held any. They are there before anybody subscribed, so they raise no events. */
  seed(records: readonly SeedRecord[]): Soon<void>
  /** The write log after a position, as JSON text. */
  logJson(afterSeq: number, limit: number): Soon<string>
  /** The row as callers see it. */
  visible(row: Row): Row
  /** What is told of a deleted record. */
  tombstone(object: ObjectDescription, row: Row, revision: number): Row & { deleted: true }
  /** Called after a change is committed. */
  onChange(listener: () => void): void
  /** Notifications that were not acknowledged yet. */
  webhooksPending(): number
  close(): Soon<void>
}
