/** What holds between records: unique values, and references to records that are there. */

import type { AppDescription, Id, Line, ObjectDescription, Row, Scalar } from './description.ts'
import { invalidField, RequestProblem } from './problem.ts'
import type { Table } from './table.ts'

/** Only the fields that are in `row` are checked: those that a write sets. */
export function checkUnique(app: AppDescription, table: Table, row: Row, ownId: Id | null): void {
  const { object } = table
  const names = object.fields.filter((field) => field.unique).map((field) => field.name)
  for (const name of [...names, app.names.extRef]) {
    const value = row[name]
    if (value === undefined || value === null) continue
    const existing = table.find(name, value as Scalar)
    if (!existing || existing.row[object.idField] === ownId) continue
    const members = { field: name, existing_id: existing.row[object.idField] }
    throw new RequestProblem(409, 'duplicate', `Another ${object.one} has this ${name}.`, members)
  }
}

export function checkReferences(tables: ReadonlyMap<string, Table>, object: ObjectDescription, row: Row): void {
  for (const { name, refersTo } of object.fields) {
    if (refersTo !== undefined && name in row) checkReference(tables, refersTo, row[name] as Scalar, name)
  }
  if (!object.lines || !(object.lines.name in row)) return
  const references = object.lines.fields.filter((field) => field.refersTo !== undefined)
  for (const [index, line] of (row[object.lines.name] as Line[]).entries()) {
    for (const { name, refersTo } of references) {
      checkReference(tables, refersTo!, line[name]!, `${object.lines.name}[${index}].${name}`)
    }
  }
}

function checkReference(tables: ReadonlyMap<string, Table>, target: string, id: Scalar, path: string): void {
  if (id === null || tables.get(target)!.isLive(id)) return
  throw invalidField(path, `there is no live record ${id} in ${target}`, 'unknown-reference')
}
