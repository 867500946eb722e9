/** How tables are asked again and again. */
export interface PollingOptions {
  /** The pause between two passes. */
  readonly everyMs: number
  /** At least the longest time that a transaction of the application stays open after it has stamped a row: rows that far back are looked at again in every pass. */
  readonly overlapMs: number
  /** How often all ids are compared, to notice what was deleted. */
  readonly deletesEveryMs: number
}

export const POLLING_DEFAULTS: PollingOptions = { everyMs: 1_000, overlapMs: 30_000, deletesEveryMs: 60_000 }
