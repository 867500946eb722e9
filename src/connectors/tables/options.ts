import type { ObjectId } from '../../model/ids.ts'

/** What every connector to a database must know of a table, as plain data; the outer half (`config.ts`) makes it from bindings. */

/** One column that a mapping uses. `written`: the mapping writes it, so that a generated column there is a mistake of the config. */
export interface ColumnUse {
  readonly name: string
  readonly written: boolean
}

/** A part of a record, kept as rows of a table of its own: the lines of an order. */
export interface PartTable {
  /** The name under which the rows appear as a list in the record. */
  readonly container: string
  readonly table: string
  /** The column of a child row that holds its parent's id. */
  readonly parent: string
  /** The column that tells the rows of one parent apart. */
  readonly key: string
  readonly columns: readonly ColumnUse[]
}

/** One object of an application that is a database: a table, and the tables of its parts. */
export interface TableUse {
  readonly object: ObjectId
  readonly table: string
  readonly id: string
  readonly idType: 'text' | 'number'
  /** The mapped columns; the id is among them. */
  readonly columns: readonly ColumnUse[]
  readonly parts: readonly PartTable[]
  /** A column with the time of the last change, for the policy `latest` and for polling; null where there is none. */
  readonly updatedAt: string | null
  /** A column whose number grows with every change; null where there is none. */
  readonly version: string | null
}
