/** Everything is bounded; each number says why. */
export interface EngineLimits {
  /** Entries folded in one commit: enough to share an fsync (about 0.1 ms) among them, few enough to keep a commit below 20 ms. */
  readonly batchMax: number
  /** Entries of the journal kept in memory ahead of the fold; beyond it they are read back from the journal. About 2 kB each. */
  readonly tailMax: number
  /** Unfolded notifications before the intake answers 503: some seconds of work at full speed. */
  readonly backlogMax: number
  /** Records and cross-reference rows cached: the hot set, about 3 kB and 0.3 kB each. */
  readonly recordsCached: number
  readonly linksCached: number
  /**
   * With this many requests under way, inputs are gathered for `lingerMs` so that more of them share a commit. A single change is never delayed: little is under
   * way then. 6 ms came out ahead of 1 and 2 ms in a few short runs on a noisy machine; `npm run bench -- http` has not confirmed it (docs/benchmarks.md).
   */
  readonly lingerFrom: number
  readonly lingerMs: number
  /** How long one write or read may take before its outcome counts as unknown. */
  readonly requestMs: number
  /** How long an entry may wait in memory for a busy lane before it is copied to the held entries, so that the cursor moves on. */
  readonly holdInMemoryMs: number
  /** How long a record waits for one that it refers to before it is shown as parked (it is taken up all the same when that one comes). */
  readonly referenceDeadlineMs: number
  /** Longest pause after an application could not be reached; its lanes wait with it, and one write at a time probes. */
  readonly appPauseMaxMs: number
}

export const DEFAULT_LIMITS: EngineLimits = {
  batchMax: 256,
  tailMax: 20_000,
  backlogMax: 50_000,
  recordsCached: 10_000,
  linksCached: 50_000,
  lingerFrom: 12,
  lingerMs: 6,
  requestMs: 10_000,
  holdInMemoryMs: 2_000,
  referenceDeadlineMs: 10 * 60_000,
  appPauseMaxMs: 5_000,
}
