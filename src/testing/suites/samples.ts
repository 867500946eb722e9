import { SyncError } from '../../errors/index.ts'
import type { Change, Input } from '../../model/change.ts'
import {
  type AppId,
  asAppId,
  asCanonicalKey,
  asEntityName,
  asJournalPosition,
  asNativeId,
  asObjectId,
  asOpId,
  asToken,
} from '../../model/ids.ts'
import type {
  Conflict,
  HeldEntry,
  Intent,
  Lane,
  Link,
  OpenLane,
  Overlay,
  RecordState,
  Verdict,
} from '../../model/record.ts'
import type { NewEntry } from '../../ports/journal.ts'
import type { CommitBatch, LoadQuery } from '../../ports/store.ts'

/** Well-formed data for the suites, each made from the little that a test cares about. */

export const ORDERS = asAppId('orders')
export const WAREHOUSE = asAppId('warehouse')
export const CUSTOMER = asEntityName('customer')
export const CUSTOMERS = asObjectId('customers')
export const AT_MS = 1_750_000_000_000

export const sampleLane = (app: AppId, over: Partial<Lane> = {}): Lane => ({
  app,
  object: CUSTOMERS,
  nativeId: asNativeId('1'),
  incarnation: 0,
  exists: true,
  image: { full_name: 'Ada' },
  sent: { name: 'Ada', credit: 10n },
  token: asToken('3'),
  basis: asJournalPosition(1),
  byChance: [],
  unfolded: [],
  intent: null,
  overlays: [],
  reading: null,
  park: null,
  retry: null,
  waitsFor: null,
  detached: false,
  madeAtMs: null,
  withdrawn: false,
  own: [],
  nextOp: 1,
  readSeq: asJournalPosition(0),
  knownAtMs: AT_MS,
  swings: null,
  ...over,
})

export function sampleRecord(key: string, over: Partial<RecordState> = {}): RecordState {
  const origin = { seq: asJournalPosition(1), app: ORDERS, timeMs: AT_MS, root: asJournalPosition(1), hops: 0 }
  return {
    key: asCanonicalKey(key),
    entity: CUSTOMER,
    shard: 0,
    rev: 1,
    deleted: false,
    mappingVersion: 1,
    head: { name: { value: 'Ada', origin }, credit: { value: 10n, origin } },
    headSeq: asJournalPosition(1),
    lanes: { [ORDERS]: sampleLane(ORDERS), [WAREHOUSE]: sampleLane(WAREHOUSE, { sent: { name: 'Ad' } }) },
    matchKey: null,
    parkedPaths: {},
    ...over,
  }
}

export const sampleIntent = (over: Partial<Intent> = {}): Intent => ({
  op: asOpId('h1.1.k.orders.7'),
  epoch: 1,
  kind: 'update',
  state: 'open',
  patch: { credit: 2n ** 60n },
  native: { credit_cents: 2n ** 60n },
  baseImage: { credit_cents: 10n },
  baseToken: asToken('3'),
  atMs: AT_MS,
  tries: 1,
  notBeforeMs: AT_MS,
  root: asJournalPosition(1),
  hops: 1,
  mappingVersion: 1,
  headSeq: asJournalPosition(1),
  ...over,
})

export const sampleOverlay = (over: Partial<Overlay> = {}): Overlay => ({
  op: asOpId('h1.1.k.orders.7'),
  kind: 'update',
  token: null,
  patch: { none: null },
  native: { no: 1n },
  headSeq: asJournalPosition(1),
  root: asJournalPosition(1),
  hops: 1,
  seq: asJournalPosition(4),
  atMs: AT_MS,
  ...over,
})

export const sampleLink = (nativeId: string, key: string | null, over: Partial<Link> = {}): Link => ({
  app: ORDERS,
  object: CUSTOMERS,
  nativeId: asNativeId(nativeId),
  entity: CUSTOMER,
  key: key === null ? null : asCanonicalKey(key),
  incarnation: 0,
  state: key === null ? 'tombstone' : 'live',
  token: null,
  atMs: AT_MS,
  ...over,
})

export const sampleOpenLane = (key: string, app: AppId, state: OpenLane['state'] = 'intent'): OpenLane => ({
  key: asCanonicalKey(key),
  entity: CUSTOMER,
  app,
  state,
  op: asOpId(`h1.1.${key}.${app}.1`),
  sinceMs: AT_MS,
  code: null,
})

export const sampleVerdict = (seq: number, over: Partial<Verdict> = {}): Verdict => ({
  seq: asJournalPosition(seq),
  atMs: AT_MS,
  app: ORDERS,
  verdict: 'accepted',
  text: `change ${seq} was accepted:\n"quoted", \u2028 and \u{1F510}`,
  ...over,
})

export const sampleConflict = (key: string, over: Partial<Conflict> = {}): Conflict => ({
  key: asCanonicalKey(key),
  entity: CUSTOMER,
  path: 'credit',
  loserApp: ORDERS,
  loserValue: 2n ** 60n,
  winnerApp: WAREHOUSE,
  winnerValue: null,
  reason: 'both-changed',
  policy: 'latest',
  seq: asJournalPosition(5),
  atMs: AT_MS,
  ...over,
})

export const sampleChange = (nativeId: string, over: Partial<Change> = {}): Change => ({
  app: ORDERS,
  object: CUSTOMERS,
  nativeId: asNativeId(nativeId),
  kind: 'image',
  record: { id: nativeId, name: 'Ada', credit: 2n ** 60n, lines: [{ lineNo: 1, qty: 2 }] },
  token: asToken('4'),
  ...over,
})

export const sampleEntry = (nativeId: string, over: Partial<NewEntry> = {}): NewEntry => ({
  shard: 0,
  atMs: AT_MS,
  mappingVersion: 1,
  input: { type: 'notification', change: sampleChange(nativeId) } satisfies Input,
  dedupKey: null,
  ...over,
})

export const sampleHeld = (seq: number, over: Partial<HeldEntry> = {}): HeldEntry => ({
  seq: asJournalPosition(seq),
  app: ORDERS,
  object: CUSTOMERS,
  nativeId: asNativeId(`n${seq}`),
  entity: CUSTOMER,
  waitsOn: 'creates',
  waitsFor: ['k1'],
  code: null,
  message: null,
  sinceMs: AT_MS,
  entry: { ...withoutDedupKey(sampleEntry(`n${seq}`)), seq: asJournalPosition(seq) },
  ...over,
})

export function sampleBatch(epoch: number, over: Partial<CommitBatch> = {}): CommitBatch {
  return {
    epoch,
    cursor: null,
    records: [],
    links: [],
    matches: [],
    held: [],
    heldDone: [],
    conflicts: [],
    ...over,
  }
}

export const newRecord = (state: RecordState, over: Partial<CommitBatch['records'][number]> = {}) => ({
  state,
  expectRev: state.rev - 1,
  verdicts: [],
  openLanes: null,
  ...over,
})

export const loadQuery = (over: Partial<LoadQuery>): LoadQuery => ({
  records: [],
  natives: [],
  canonicals: [],
  matches: [],
  ...over,
})

export function withoutDedupKey({ dedupKey: _, ...entry }: NewEntry): Omit<NewEntry, 'dedupKey'> {
  return entry
}

/** The code with which a promise is refused; undefined when it is kept. Only a SyncError counts. */
export async function refusalOf(promise: Promise<unknown>): Promise<string | undefined> {
  try {
    await promise
    return undefined
  } catch (error) {
    if (SyncError.is(error)) return error.code
    throw error
  }
}
