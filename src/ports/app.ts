import type { Capabilities } from '../model/capabilities.ts'
import type { Change, Outcome, ReadImage } from '../model/change.ts'
import type { AppId, CorrelationId, FeedPosition, NativeId, ObjectId, OpId, Token } from '../model/ids.ts'
import type { Lineage } from '../model/lineage.ts'
import type { NativeRecord } from '../model/value.ts'

/** A request as it came off the socket; header names in lower case, the body's raw bytes (signatures are checked on them). */
export interface RawRequest {
  readonly method: string
  /** The path without the query. */
  readonly path: string
  readonly query: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
  readonly remoteAddress: string
  /** For a declared path with `:name` segments: what stood there. `path` is then the declared one. */
  readonly params?: Readonly<Record<string, string>>
  /** The certificate that the sender proved to have, where the listener speaks TLS and asked for one. */
  readonly clientCertificate?: { readonly fingerprint256: string; readonly subject: string }
}

export interface RawReply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** A path on which requests are taken. `refusals` says how senders there are told what is wrong; problem+json unless given. */
export interface Listens {
  readonly method: string
  readonly path: string
  readonly refusals?: 'problem+json' | 'problem+xml' | 'soap'
}

/** What a push was found to say, and what to answer once the journal has it. */
export interface Accepted {
  readonly changes: readonly Change[]
  readonly reply: RawReply
  /** The sender waits until these applications (null: all others) have what it told, and is told their ids; after the time with what is known by then. */
  readonly waits?: { readonly apps: readonly AppId[] | null; readonly timeoutMs: number }
}

/**
 * Where changes come out of an application. All methods take plain data and give plain data, so that an agent can carry them over a wire;
 * `signal` alone is not data (a wire sends it as a cancel frame). Methods may be called at the same time unless they say otherwise. They reject with
 * SyncError only; the engine acts on its `handling`.
 */
export interface Source extends AsyncDisposable {
  readonly app: AppId
  /** Paths on which this source wants to be given requests, exact, starting with `/`. */
  readonly listens: readonly Listens[]
  /**
   * Feeds to be read by cursor, by name; one `read` per feed at a time. `everyMs` is the pause after a read that found nothing more; 0 for a log whose `read`
   * itself waits until there is something (or a second has passed). `resettable`: `read` takes FEED_RESET for a position, see there.
   */
  readonly feeds: readonly { readonly feed: string; readonly everyMs: number; readonly resettable?: true }[]

  /**
   * Authenticates and reads one push. Rejects with handling `park` for what must be refused (its code says the HTTP status, see `httpStatusOf`). Must not
   * have effects: after it resolves the changes are journalled, and only then `reply` goes out; a crash between makes the sender resend.
   */
  accept(request: RawRequest, nowMs: number): Accepted
  /**
   * Changes after `after` (null: from the beginning of what the application still knows), at most `max`; a source transaction of up to 10,000 changes is given whole all the same. An empty result is not an
   * error. `more: false` of a log (F3) is a promise: whatever was committed before this call began has been given by it or by earlier ones. Writes in doubt are decided on it.
   */
  read(
    feed: string,
    after: FeedPosition | null,
    max: number,
    signal: AbortSignal,
  ): Promise<{ readonly changes: readonly Change[]; readonly position: FeedPosition; readonly more: boolean }>
  /** Asks a `read` of this feed that waits for news to end now with what there is. Absent where such a read ends within a second by itself. */
  hurry?(feed: string): void
  /** The journal has everything up to `position`; the application may forget it. Never called with a position that is not durable. */
  confirm(feed: string, position: FeedPosition): Promise<void>
  /** Reads records as they are now; one result per request, same order. A failed read is a result (`failed`), not a rejection. */
  readRecords(
    requests: readonly { readonly object: ObjectId; readonly nativeId: NativeId }[],
    signal: AbortSignal,
  ): Promise<readonly ReadImage[]>
  /** Records that hold the correlation id, for creates of unknown outcome (K1). `missing` when there is none. Only where capability create is K1 or K2 by stored id. */
  findByCorrelation(
    requests: readonly { readonly object: ObjectId; readonly correlationId: CorrelationId }[],
    signal: AbortSignal,
  ): Promise<readonly ReadImage[]>
  /**
   * Every record that the application holds now, for the comparison of whole applications: in an order of its own that does not change between pages, after
   * `after` (null: from the beginning), at most `max`. `position` names the end of the page; null when there is nothing more. A record that changes meanwhile may be seen in
   * either state; one that is there all the time is seen exactly once. Absent where an application cannot list its records. Parts come with their record.
   */
  scan?(
    object: ObjectId,
    after: FeedPosition | null,
    max: number,
    signal: AbortSignal,
  ): Promise<{ readonly records: readonly ReadImage[]; readonly position: FeedPosition | null }>
  close(): Promise<void>
}

/** One write. All of them carry what a careful target needs; a target uses what its application takes. */
export interface WriteOp {
  readonly op: OpId
  readonly object: ObjectId
  readonly kind: 'create' | 'update' | 'delete'
  /** null for a create. */
  readonly nativeId: NativeId | null
  /** The changed native fields, nested (arrays of parts whole). Empty for a delete. */
  readonly patch: NativeRecord
  /** All mapped native fields as they shall be, for applications that replace whole records. */
  readonly full: NativeRecord
  /** The version this write is based on; the target refuses the write when the record has another (C2). */
  readonly baseToken: Token | null
  /**
   * Native values this write is based on, of the changed fields (parts that it touches whole), for targets that compare old values (`conditionOn: 'patch'`): the write is refused as `conflict` when one of them
   * differs. A field that is absent here was never seen there.
   */
  readonly baseValues: NativeRecord
  /** Stored in a created record, where the application keeps it. */
  readonly correlationId: CorrelationId
  /** By native field where its values come from (capability `lineage`), for messages that other hubs may read. */
  readonly lineage?: Readonly<Record<string, Lineage>>
  /** Sent before: the outcome of an earlier try is unknown. The same idempotency key (the op id) goes with it. */
  readonly resend: boolean
}

/**
 * Where our writes go. `write` resolves with one outcome per op, same length and order, whatever happened: a rejection counts as `unknown` for all of
 * them. `deadlineMs` is how long it may take; what has no answer by then is `unknown`. No op may be applied after `write` resolved with another outcome than `unknown`. At most `capabilities.batchMax` ops a call and
 * `capabilities.concurrency` calls at once; never two ops of one record at once.
 */
export interface Target extends AsyncDisposable {
  readonly app: AppId
  write(ops: readonly WriteOp[], deadlineMs: number, signal: AbortSignal): Promise<readonly Outcome[]>
  close(): Promise<void>
}

/** An application as the engine holds it: both directions and what they can do, per object. */
export interface Connector {
  readonly app: AppId
  readonly source: Source
  readonly target: Target
  readonly capabilities: (object: ObjectId) => Capabilities
}
