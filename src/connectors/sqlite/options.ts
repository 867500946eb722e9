import type { AppId } from '../../model/ids.ts'
import type { TableUse } from '../tables/options.ts'

/** Text, or the environment variable that holds it. */
export type ConfigText = string | { readonly env: string; readonly fallback?: string }

/** An application that keeps its data in a SQLite file, as plain data. */
export interface SqliteAppOptions {
  readonly app: AppId
  readonly file: ConfigText
  /** Our own tables and triggers in that file are named so: `latchwork_changes`. */
  readonly prefix: string
  /** How often it is looked whether another connection has committed. */
  readonly pollMs: number
  readonly tables: readonly TableUse[]
}
