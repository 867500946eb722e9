import type { AppId, ObjectId } from '../../model/ids.ts'

/** Text given in the config, or the name of an environment variable that holds it. */
export type ConfigText = string | { readonly env: string; readonly fallback?: string }

/** A column that a mapping names. `written`: we write it, so the database must not generate it. */
export interface PostgresColumn {
  readonly name: string
  readonly written: boolean
}

/** A part of a record, kept as rows of a table of its own. */
export interface PostgresPart {
  /** The name of the list in the native record. */
  readonly container: string
  readonly table: string
  /** The columns of a row that hold its record's id, in the order of the id's columns; null: taken from the one foreign key between the two. */
  readonly parent: readonly string[] | null
  /** The column that tells the rows of one record apart. */
  readonly key: string
  readonly columns: readonly PostgresColumn[]
}

/** One table of a PostgreSQL application: what the connector must know of it, as plain data. */
export interface PostgresTable {
  readonly object: ObjectId
  readonly schema: string
  readonly table: string
  /** The columns of its key; several make a composite id. */
  readonly id: readonly string[]
  readonly columns: readonly PostgresColumn[]
  readonly parts: readonly PostgresPart[]
  /** A unique text column that keeps the hub's id of a record; null: that is kept in `<ownSchema>.applied_ops`. */
  readonly correlation: string | null
  /** A column with the time of the last change, for the policy `latest`; null: the time of the commit. */
  readonly updatedAt: string | null
}

export interface PostgresAppOptions {
  readonly app: AppId
  readonly url: ConfigText
  readonly tables: readonly PostgresTable[]
  /** How changes are noticed: logical replication (also when absent), or triggers into a change table in `schema`. */
  readonly changes?: 'replication' | 'triggers'
  /** Where the change table is: the schema of the tables. */
  readonly schema?: string
  readonly slot: string
  readonly publication: string
  /** The schema of the connector's own table. */
  readonly ownSchema: string
  readonly connectionsMax: number
  readonly batchMax: number
  readonly statementTimeoutMs: number
  readonly lockTimeoutMs: number
  /** WAL that the slot may hold back before it is warned of. */
  readonly walWarnBytes: number
  /** Origins of replication that the writing sessions bear, `<origin>_1` and on; null: none. */
  readonly origin?: string | null
  /** What a TRUNCATE of a table in the log does: it names no records, so it cannot be carried as deletes. */
  readonly truncate: 'stop' | 'ignore'
}
