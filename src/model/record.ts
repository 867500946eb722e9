import type { JournalEntry } from './change.ts'
import type { AppId, CanonicalKey, EntityName, JournalPosition, NativeId, ObjectId, OpId, Token } from './ids.ts'
import type { Lineage } from './lineage.ts'
import type { Fields, Image, NativeRecord, Path, Value } from './value.ts'

/** Which change a head value came from. One object per change, shared by all the cells it set. */
export interface Origin {
  /**
   * The version of the cell: the journal position of the change, or one more than the head's newest where an older entry was decided later. It only ever rises along a
   * head, so that a value which came back can be told from one that never left.
   */
  readonly seq: JournalPosition
  readonly app: AppId
  /** Source time clamped to receipt time, ms since 1970; what the policy `latest` compares. */
  readonly timeMs: number
  /** The user's change that this descends from, and how many of our writes lie between. A user's change is its own root with 0 hops. */
  readonly root: JournalPosition
  readonly hops: number
  /** Other hubs that the change went through before it came here, by their instance ids. */
  readonly via?: readonly string[]
  /** That user's change where it was made at another hub, as that hub names it (`Lineage.root`). */
  readonly from?: string
}

export interface HeadCell {
  readonly value: Value
  readonly origin: Origin
}

/**
 * Our one open write on a lane: the durable latch. The lane is closed while this stands.
 * open: committed, on its way or about to be. unknown: it may have been applied. readback: applied blindly, being confirmed by a read.
 */
export interface Intent {
  readonly op: OpId
  readonly epoch: number
  readonly kind: 'create' | 'update' | 'delete'
  readonly state: 'open' | 'unknown' | 'readback'
  /** Canonical values that this write carries, and the native values they encode to. */
  readonly patch: Fields
  readonly native: Image
  /** What the app was known to hold, of the native paths of the patch, and its token, when the write was decided. */
  readonly baseImage: Image
  readonly baseToken: Token | null
  /** When it was decided (ms since 1970), and how often it was sent. */
  readonly atMs: number
  readonly tries: number
  /** Not sent, or not resolved, before this time. */
  readonly notBeforeMs: number
  /** A try whose outcome stayed unknown may still be applied until then, whatever a later try is answered. */
  readonly doubtUntilMs?: number
  readonly root: JournalPosition
  readonly hops: number
  /** By native field where its values come from; only where the application is told of it. */
  readonly lineage?: Readonly<Record<Path, Lineage>>
  readonly mappingVersion: number
  /** The version of the head that it was decided on: once it is applied, the application agrees with the head as of then. */
  readonly headSeq: JournalPosition
}

/** An own write that we know of, kept for attributing its echo exactly and for diagnosis. */
export interface OwnWrite {
  readonly op: OpId
  readonly token: Token | null
  readonly paths: readonly Path[]
  /** Whether the app's own rendition of these paths has been seen (in the reply, a read or the echo). */
  readonly renditionSeen: boolean
  readonly atMs: number
  readonly root: JournalPosition
  readonly hops: number
}

/**
 * An own write that is known to be applied, whose position in the application's log is not reached yet: what the application holds is `image` and `sent`, and these over it, oldest first. A delete stands
 * for every answer that says that the record is gone.
 */
export interface Overlay {
  readonly op: OpId
  readonly kind: Intent['kind']
  readonly token: Token | null
  readonly patch: Fields
  /** As written; the parts that it touches whole. */
  readonly native: Image
  readonly headSeq: JournalPosition
  readonly root: JournalPosition
  readonly hops: number
  /** Where its acknowledgement stands in the journal, and when it came: once the log was read from there on to its end, the write has left nothing in it. */
  readonly seq: JournalPosition
  readonly atMs: number
}

/** Set aside, visibly: nothing is sent on this lane until a newer head tries once, or a person releases it. */
export interface Park {
  readonly code: string
  readonly message: string
  readonly atMs: number
  /** The head position that failed; a newer one makes one fresh attempt. */
  readonly headSeq: JournalPosition
}

/** One record in one application. All lanes have all members, in one order: they are copied with every step of a decision, and copies of one shape are cheap. HOT PATH. */
export interface Lane {
  readonly app: AppId
  readonly object: ObjectId
  readonly nativeId: NativeId | null
  readonly incarnation: number
  /** Whether the app is known to hold the record; null when it never had it or that is not known. */
  readonly exists: boolean | null
  /** seen: the native values exactly as the app stores them, the canonical values they stand for, the position where both are exactly true. */
  readonly image: Image
  readonly sent: Fields
  readonly token: Token | null
  /**
   * The version of the head that the application has agreed with, wherever its value equals the head's; except for `byChance`: paths whose head went away from that value and
   * came back, which its users need not have seen. A change of such a path is a change on both sides. Empty but for the moment until a read has proved more.
   */
  readonly basis: JournalPosition
  readonly byChance: readonly Path[]
  /** Native values that were told and are not folded yet, because they refer to records that are not known: the entry that told them is held, and folded for these alone. */
  readonly unfolded: readonly Path[]
  readonly intent: Intent | null
  readonly overlays: readonly Overlay[]
  /** A read is wanted or under way: why, and the newest journal position it has to answer. */
  readonly reading: {
    readonly why: 'hint' | 'conflict' | 'gone' | 'unknown' | 'readback' | 'fresh' | 'verify'
    readonly afterSeq: JournalPosition
    readonly notBeforeMs: number
    readonly tries: number
    /** The version of the head when it was decided on, for reads that prove what the application held then. */
    readonly headSeq?: JournalPosition
  } | null
  readonly park: Park | null
  /** The last write was certainly not applied: when to plan again. */
  readonly retry: {
    readonly tries: number
    readonly notBeforeMs: number
    /** When the pause began, where it may come to be timed only later: a wall clock that shows an earlier time was set back since. */
    readonly sinceMs?: number
    readonly code: string
    readonly message: string
  } | null
  /** Waits until this canonical record has a native id in this app. */
  readonly waitsFor: { readonly entity: EntityName; readonly key: CanonicalKey; readonly sinceMs: number } | null
  /** The app deleted it while others keep it (policy), so it is no longer followed there. */
  readonly detached: boolean
  /** A create of ours made the record there, at this time (ms since 1970); null where the application had it itself. */
  readonly madeAtMs: number | null
  /** A person took back what we had made there: it is deleted, unless its own users have changed it, and not created again. */
  readonly withdrawn: boolean
  /** Own writes, newest first, at most `OWN_WRITES_MAX`. */
  readonly own: readonly OwnWrite[]
  /** Number of the next op of this lane. */
  readonly nextOp: number
  /** Journal position of the newest read or outcome folded here: an older one, met again after a restart, is skipped. */
  readonly readSeq: JournalPosition
  /** When the app's state was last known for certain (a read, a token, a reply): the start of a blind write's exposure window. */
  readonly knownAtMs: number
  /** Values that the app put in place of ours at machine speed, newest first: what the oscillation brake looks at. */
  readonly swings: Readonly<Record<Path, readonly Swing[]>> | null
}

/** One value that an application put in the place of ours, and ours. */
export interface Swing {
  /** The text of both, cut off: enough to see that they are the same again. */
  readonly value: string
  readonly atMs: number
}

/** One versioned row: the head, all lanes, their intents. `rev` is raised by every commit, and every commit must expect it. */
export interface RecordState {
  readonly key: CanonicalKey
  readonly entity: EntityName
  readonly shard: number
  readonly rev: number
  readonly deleted: boolean
  /** Which application told of the deletion, when. `untilMs`: the others keep the record until then (delete policy `quarantine`). */
  readonly deletion?: Deletion
  /** A person said that it is the same as that one: everything of it is there now, and references to it are followed. */
  readonly mergedInto?: CanonicalKey
  /** A person took it out of that one at this place of the journal: what either has changed since is known, should they be said to be one after all. `unseen`: values of that one that had not come to it. */
  readonly apart?: { readonly from: CanonicalKey; readonly seq: JournalPosition; readonly unseen: readonly Path[] }
  readonly mappingVersion: number
  readonly head: Readonly<Record<Path, HeadCell>>
  /** Version of the newest change of the record: raised by every one, see `nextHeadSeq`. */
  readonly headSeq: JournalPosition
  readonly lanes: Readonly<Record<AppId, Lane>>
  readonly matchKey: string | null
  /** Paths on which the applications do not agree (policy `manual`, a merge that failed, oscillation, hop budget): each keeps its own value. */
  readonly parkedPaths: Readonly<Record<Path, SetAside>>
}

export interface Deletion {
  readonly app: AppId
  readonly atMs: number
  readonly untilMs?: number
}

/** Why a field is set aside. Both values are kept where they are: one in the head, the others in `sent` of the lanes of `apps`. */
export interface SetAside {
  readonly code: string
  readonly message: string
  readonly sinceMs?: number
  /** Applications whose value neither stands nor has lost; when the last of them agrees, the field is taken up again by itself. */
  readonly apps?: readonly AppId[]
}

/** A small durable fact that belongs to no single record: a brake that has tripped, the form in which an application keeps a field. */
export interface Note {
  readonly kind: string
  /** Unique within its kind. */
  readonly id: string
  readonly atMs: number
  /** Plain data; null takes the note away. */
  readonly body: NativeRecord | null
}

/** A row of the cross-reference. */
export interface Link {
  readonly app: AppId
  readonly object: ObjectId
  readonly nativeId: NativeId
  readonly entity: EntityName
  /** null: a native id that was deleted before it was ever linked (tombstone). */
  readonly key: CanonicalKey | null
  readonly incarnation: number
  readonly state: 'live' | 'tombstone'
  /** For a tombstone: the token of the delete, where there was one; an image no newer than it is dropped. */
  readonly token: Token | null
  /** Only when it is written: the record that it is taken from, because a person said that the two are one. */
  readonly from?: CanonicalKey
  readonly atMs: number
}

/** A change that must wait, copied out of the journal so that the cursor can move on. */
export interface HeldEntry {
  readonly seq: JournalPosition
  readonly app: AppId
  readonly object: ObjectId
  readonly nativeId: NativeId
  readonly entity: EntityName
  /** creates: our open creates on this object. reference: a record that is not linked yet. lane: a write or read under way. read: a hint whose record is to be read. operator: parked, waits for a person. */
  readonly waitsOn: 'creates' | 'reference' | 'lane' | 'read' | 'operator'
  /** For creates: the canonical keys whose creates were open. For reference: `<entity>:<native id>`. */
  readonly waitsFor: readonly string[]
  readonly code: string | null
  readonly message: string | null
  readonly sinceMs: number
  readonly entry: JournalEntry
}

/** A value that lost, kept whole. */
export interface Conflict {
  readonly key: CanonicalKey
  readonly entity: EntityName
  readonly path: Path
  readonly loserApp: AppId
  readonly loserValue: Value
  readonly winnerApp: AppId
  readonly winnerValue: Value
  /** both-changed: the policy decided. deleted: the record (or its part) was deleted by the winner. unseen: the deleter had not seen it. first-contact: matched with different values. in-doubt: a write of ours may have been undone there. */
  readonly reason: 'both-changed' | 'deleted' | 'unseen' | 'first-contact' | 'in-doubt'
  readonly policy: string
  readonly seq: JournalPosition
  readonly atMs: number
}

/** What was decided about one input of one record, and why. The last 64 of a record stand in its row. */
export interface Verdict {
  readonly seq: JournalPosition
  readonly atMs: number
  readonly app: AppId
  /** A stable word: see VERDICTS in this file. */
  readonly verdict: VerdictName
  /** One sentence for a person, with the proof. */
  readonly text: string
  readonly op?: OpId
  readonly paths?: readonly Path[]
}

export type VerdictName =
  | 'accepted'
  | 'convergent'
  | 'echo'
  | 'rendition'
  | 'stale'
  | 'conflict-won'
  | 'conflict-lost'
  | 'merged'
  | 'set-aside'
  | 'linked'
  | 'created'
  | 'deleted'
  | 'detached'
  | 'tombstone'
  | 'held'
  | 'hint'
  | 'read'
  | 'intent'
  | 'applied'
  | 'retry'
  | 'refused'
  | 'unknown'
  | 'resolved'
  | 'gone'
  | 'parked'
  | 'released'
  | 'waiting'
  | 'derived'
  | 'ambiguous'
  | 'separated'
  | 'candidate'
  | 'unchanged'

/** A lane with something outstanding: what a restart loads, and what the cross-reference view calls closed. */
export interface OpenLane {
  readonly key: CanonicalKey
  readonly entity: EntityName
  readonly app: AppId
  readonly state: 'intent' | 'unknown' | 'readback' | 'reading' | 'overlay' | 'parked' | 'waiting' | 'retry' | 'behind'
  readonly op: OpId | null
  readonly sinceMs: number
  readonly code: string | null
}

/** The version that a change decided at this journal position makes: entries that had to wait are decided after later ones, versions only rise. */
export const nextHeadSeq = (record: Pick<RecordState, 'headSeq'>, seq: JournalPosition): JournalPosition =>
  seq > record.headSeq ? seq : ((record.headSeq + 1) as JournalPosition)

/** The ring of own writes per lane (docs/protocol.md 3.7): for attribution and diagnosis only. */
export const OWN_WRITES_MAX = 32
/** Verdicts kept in a record's row, so that `explain` outlives the journal. */
export const VERDICTS_MAX = 64

/** Whether the application holds the record, as far as is known: also what our own writes made or took away since its log was read. */
export const isThere = (lane: Lane): boolean =>
  lane.exists === true && !lane.overlays.some((overlay) => overlay.kind === 'delete')

/** True while an intent or overlay of ours is outstanding: the latch of docs/protocol.md. */
export const isLatchClosed = (state: OpenLane['state']): boolean =>
  state === 'intent' || state === 'unknown' || state === 'readback' || state === 'overlay'
