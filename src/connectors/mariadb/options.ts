import type { AppId } from '../../model/ids.ts'
import type { PollingOptions } from '../polling/options.ts'
import type { TableUse } from '../tables/options.ts'

/** Text, or the environment variable that holds it. */
export type ConfigText = string | { readonly env: string; readonly fallback?: string }

/** An application that keeps its data in MariaDB (or MySQL), as plain data. */
export interface MariadbAppOptions {
  readonly app: AppId
  /** `mysql://user:password@host:port/database` */
  readonly url: ConfigText
  /** How changes are noticed: the server's binary log, triggers into a change table, or by asking again and again. */
  readonly changes: 'binlog' | 'triggers' | PollingOptions
  /** Our own tables and triggers are named so: `latchwork_changes`. */
  readonly prefix: string
  /** How often the change table is looked at. */
  readonly pollMs: number
  /** Which replica we say that we are; every reader of a server's log has another. */
  readonly serverId: number
  readonly connectionsMax: number
  readonly lockTimeoutMs: number
  readonly statementTimeoutMs: number
  readonly tables: readonly TableUse[]
}
