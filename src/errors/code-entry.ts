/** What the engine does with an error: try again, set the one record aside, stop the hub, or a defect of ours. */
export type Handling = 'retry' | 'park' | 'stop' | 'bug'

export interface CodeEntry {
  readonly handling: Handling
  /** HTTP status when it is the answer to a request. */
  readonly status: number
  /** The manual: what it means, and what to do. `docs/errors.md` is generated from it. */
  readonly manual: string
}
