/**
 * What an application's API offers, in the letters of docs/protocol.md section 1, strongest first. Differences between adapters are this
 * data; the engine and the suites branch on it and on nothing else.
 */
export interface Capabilities {
  /** How we hear of changes: F3 ordered complete log; F2 complete, unordered, duplicated; F1 coalescing (poll); F0 may lose; none. */
  readonly feed: 'F3' | 'F2' | 'F1' | 'F0' | 'none'
  /** T2 ordered per record; T1 equality only; T0 none. */
  readonly token: 'T2' | 'T1' | 'T0'
  /** C2 a write is refused when the base token or the old values differ; C0 blind. */
  readonly condition: 'C2' | 'C0'
  /**
   * What a C2 condition looks at. record (also when absent): the record's version, so that a write which was taken has overwritten nothing unseen. patch: only the old values of the
   * fields (and whole parts) that the write changes, so that an unseen edit of other fields may stand beside it; such a target is told `baseValues`. values: the old values of all mapped
   * fields, which are `full` with `baseValues` in place of what is written; as strict as a version.
   */
  readonly conditionOn?: 'record' | 'patch' | 'values'
  /** Create: K2 idempotency key or unique stored correlation id; K1 searchable correlation id; K0 none. */
  readonly create: 'K2' | 'K1' | 'K0'
  /** M2 per operation, in the same transaction; M1 "a write of this client"; Mr a field in the row; M0 none. */
  readonly mark: 'M2' | 'M1' | 'Mr' | 'M0'
  /** I2 full after-image; I1 changed fields only; I0 id only. */
  readonly image: 'I2' | 'I1' | 'I0'
  /** R2 read-your-writes; R1 eventually consistent; R0 none. */
  readonly read: 'R2' | 'R1' | 'R0'
  /** Whether notifications and reads carry the correlation id that our create stored. */
  readonly correlation: boolean
  /** Which writes take an idempotency key, so that an UNKNOWN outcome is resolved by sending the same again. */
  readonly idempotency: 'all' | 'create' | 'none'
  /** Whether the reply to a write names the new token, and whether it carries the full record. */
  readonly reply: { readonly token: boolean; readonly image: boolean }
  /** Its messages say where their values come from, because other hubs may read them. */
  readonly lineage?: true
  /** Most operations in one `write` call. */
  readonly batchMax: number
  /** Most `write` calls under way at once. */
  readonly concurrency: number
  /** A batch either applies as a whole or not at all. */
  readonly atomicGroups: boolean
  /** The longest time that the application, or a proxy before it, may still apply a request that we gave up on. */
  readonly fenceMs: number
}

/**
 * Whether what we wrote is kept apart (overlays) until the application's log shows it. So it is where the log is complete and ordered and a write may stand beside edits that the log has yet to
 * show: then only the log may say what the application holds, never a read or the reply to a write (docs/protocol.md step 9).
 */
export const isLogFed = (c: Capabilities): boolean =>
  c.feed === 'F3' && c.token === 'T2' && c.image !== 'I0' && (c.condition === 'C0' || c.conditionOn === 'patch')

/** Whether what tells of a new record tells also that a create of ours made it. */
export const tellsOurCreates = (c: Capabilities): boolean => c.correlation || c.mark === 'M2'

/** The class of section 1: A, B, B-, C, D, or X where no two-way promise can be made with these letters. */
export type CapabilityClass = 'A' | 'B' | 'B-' | 'C' | 'D' | 'X'

/** Names the class that the promises of docs/protocol.md section 7 are stated for. */
export function classOf(c: Capabilities): CapabilityClass {
  const createSafe = c.create === 'K2' || (c.create === 'K1' && c.fenceMs > 0)
  const seesState = (c.token === 'T2' && c.feed !== 'F0' && c.feed !== 'none') || c.read === 'R2'
  if (c.condition === 'C2' && createSafe && seesState) return 'A'
  if (c.feed === 'F3' && c.image === 'I2') return c.mark === 'M2' ? 'B' : 'B-'
  if (c.read === 'R2') return 'C'
  if (c.token === 'T0' && c.read === 'R0') return 'D'
  return 'X'
}
