/** What the evaluation looks at: the applications' own logs and databases, and what the hub lists. Nothing of it is the hub's opinion of itself. */

export type AppName = 'desk' | 'warehouse'
export const otherApp = (app: AppName): AppName => (app === 'desk' ? 'warehouse' : 'desk')

export type Row = Readonly<Record<string, unknown>>

/** One accepted write, as the application logged it. */
export interface LogItem {
  readonly seq: number
  readonly at_ms: number
  readonly actor: string
  readonly object: string
  readonly id: string | number
  readonly op: 'create' | 'update' | 'delete'
  /** The revision that the write went on from; null for a create. */
  readonly base_rev: number | null
  readonly rev: number
  readonly changed: number
  readonly before: Row | null
  readonly after: Row | null
}

export interface AppEvidence {
  readonly log: readonly LogItem[]
  /** Live records by object, at the end. */
  readonly objects: Readonly<Record<string, readonly Row[]>>
}

/** A line of `latchwork xref list --json`. */
export interface XrefRow {
  readonly app: string
  readonly object: string
  readonly nativeId: string
  readonly entity: string
  readonly key: string | null
}

/** A line of `latchwork conflicts --json`. */
export interface ConflictRow {
  readonly key: string
  readonly entity: string
  readonly path: string
  readonly loserApp: string
  readonly loserValue: unknown
  readonly reason: string
}

export interface Evidence {
  readonly desk: AppEvidence
  readonly warehouse: AppEvidence
  readonly xref: readonly XrefRow[]
  readonly conflicts: readonly ConflictRow[]
}

export const isHub = (item: LogItem): boolean => item.actor === 'api'
/** First data counts as what people put there, but nobody waits for it. */
export const isSeed = (item: LogItem): boolean => item.actor === 'seed'
