import type { AppConnector, BindingSpec } from '../../config/app.ts'
import type { EntityTypes, MappedOf, NativeName, RowOf } from '../../config/checked.ts'
import type { Binding } from '../../config/entity.ts'
import {
  type LooseFields,
  type LooseParts,
  MAPPING_KEYS,
  type MappingOptions,
  type NoParts,
  type TypedMapping,
} from '../../config/mapping.ts'
import { checkKeys, checkNativeName, isPlainObject, refuse, refuseUnknown } from '../../config/refuse.ts'
import { nativeKindOf, nativeNames } from '../../config/row.ts'
import { asObjectId } from '../../model/ids.ts'
import type { ColumnUse, PartTable, TableUse } from './options.ts'

/** How a table is bound to an entity, the same for every database. */

// biome-ignore lint/suspicious/noExplicitAny: nothing is known of the rows of this table.
type AnyRow = any

/** The rows of a part: `children: { lines: { table: 'order_lines', parent: 'order_id' } }`, where `lines` is the list that `parts` maps. */
export interface ChildTable {
  readonly table: string
  /** The column that holds the parent's id. */
  readonly parent: string
}

export interface TableOptions<Name extends string = string> {
  /** The tables whose rows are parts of a record, by the name of the list that `parts` maps from. */
  readonly children?: Readonly<Record<string, ChildTable>>
  /** The column with the time of the last change. */
  readonly updatedAt?: Name
  /** The column whose number grows with every change. */
  readonly version?: Name
  /** The name of the object in the cross-reference; the table's unless given. */
  readonly object?: string
}

const TABLE_KEYS = ['children', 'updatedAt', 'version', 'object'] as const satisfies readonly (keyof TableOptions)[]

export interface TableBinder {
  /**
   * A table bound to the entity of the `sync` around it. `row` says what its rows look like: a zod object or `rowOf<Row>()`; without it names and types are not checked by the compiler, but
   * when the hub connects. A part appears in `row` as a list, under the name given in `children`.
   */
  table<
    Types extends EntityTypes,
    R,
    const F extends LooseFields<NoInfer<Types>['fields'], RowOf<R>>,
    const P extends LooseParts<NoInfer<Types>['parts']> = NoParts,
  >(
    name: string,
    row: R,
    options: TableOptions<NativeName<RowOf<R>>> & TypedMapping<NoInfer<Types>, RowOf<R>, F, P>,
  ): Binding<Types, MappedOf<F, P>>
  table<
    Types extends EntityTypes,
    const F extends LooseFields<NoInfer<Types>['fields'], AnyRow>,
    const P extends LooseParts<NoInfer<Types>['parts']> = NoParts,
  >(name: string, options: TableOptions & TypedMapping<NoInfer<Types>, AnyRow, F, P>): Binding<Types, MappedOf<F, P>>
}

/** What `app.table(...)` gives; typed by `TableBinder`. */
export function bindTable(connector: AppConnector, name: string, rest: readonly unknown[]): Binding<never, never> {
  const where = `table(${JSON.stringify(name)})`
  if (typeof name !== 'string' || name === '' || name.includes('\u0000'))
    refuse(where, 'this is not the name of a table', "Give table('customers', { ... }).")
  const [row, options] = rest.length > 1 ? rest : [undefined, rest[0]]
  checkKeys(where, options, [...TABLE_KEYS, ...MAPPING_KEYS])
  const native = options as TableOptions & MappingOptions
  const object = native.object ?? name
  checkNativeName(`${where}.object`, object)
  const spec: BindingSpec = {
    connector,
    object: asObjectId(object),
    row,
    mapping: native,
    native: { ...native, tableName: name },
  }
  return { spec } as Binding<never, never>
}

type Given = TableOptions & MappingOptions & { readonly tableName: string }

/** All tables of an application, each once. Two entities may share a table: what either maps is used. */
export function tableUses(where: string, bindings: readonly BindingSpec[]): readonly TableUse[] {
  const uses = new Map<string, TableUse>()
  for (const spec of bindings) {
    const use = tableUse(`${where}.${spec.object}`, spec)
    const known = uses.get(use.object)
    uses.set(use.object, known === undefined ? use : shared(`${where}.${use.object}`, known, use))
  }
  return [...uses.values()]
}

function tableUse(where: string, spec: BindingSpec): TableUse {
  const given = spec.native as Given
  const name = (key: 'id' | 'updatedAt' | 'version'): string | null => {
    const column = given[key]
    if (column === undefined) return null
    checkColumn(`${where}.${key}`, column, spec.row)
    return column
  }
  const id = name('id')
  if (id === null) refuse(`${where}.id`, 'the column with the id is missing', "Give id: 'id'.")
  return {
    object: spec.object,
    table: given.tableName,
    id,
    idType: idTypeOf(where, given, spec.row, id),
    columns: columnsOf(where, given.fields, Object.keys(given.onCreate ?? {})),
    parts: partsOf(where, given),
    updatedAt: name('updatedAt'),
    version: name('version'),
  }
}

function checkColumn(where: string, column: string, row: unknown): void {
  checkNativeName(where, column)
  if (nativeKindOf(row, column) === 'missing') refuseUnknown(where, 'a column of this row', column, nativeNames(row))
}

function idTypeOf(where: string, given: Given, row: unknown, id: string): 'text' | 'number' {
  const kind = nativeKindOf(row, id)
  if (kind === 'text' || kind === 'number') return kind
  if (kind === 'other') refuse(`${where}.id`, `'${id}' is neither text nor a number`, 'Name the column with the id.')
  if (given.idType !== undefined && given.idType !== 'text' && given.idType !== 'number')
    refuseUnknown(`${where}.idType`, 'a type of ids', String(given.idType), ['text', 'number'])
  return given.idType ?? 'text'
}

function partsOf(where: string, given: Given): readonly PartTable[] {
  const children = given.children ?? {}
  if (!isPlainObject(children))
    refuse(`${where}.children`, 'an object is needed', "Give { lines: { table: 'order_lines', parent: 'order_id' } }.")
  const parts = Object.entries(given.parts ?? {})
  for (const container of Object.keys(children)) {
    if (!parts.some(([, part]) => part.from === container))
      refuse(`${where}.children.${container}`, 'no part maps it', `Give parts: { ...: { from: '${container}', ... } }.`)
  }
  return parts.map(([part, options]) => {
    const place = `${where}.children.${options.from}`
    const child = Object.hasOwn(children, options.from) ? children[options.from] : undefined
    if (child === undefined)
      refuse(
        `${where}.parts.${part}`,
        `the table of '${options.from}' is not named`,
        `Give children: { ${options.from}: { table: '...', parent: '...' } }.`,
      )
    checkKeys(place, child, ['table', 'parent'])
    checkNativeName(`${place}.parent`, child.parent)
    return {
      container: options.from,
      table: child.table,
      parent: child.parent,
      key: options.key,
      columns: columnsOf(`${where}.parts.${part}`, options.fields, []),
    }
  })
}

/** The columns that a mapping reads or writes. What is wrong with a form itself, the mapping's own compiler says. */
function columnsOf(where: string, fields: Readonly<Record<string, unknown>>, created: readonly string[]): ColumnUse[] {
  const uses = new Map<string, ColumnUse>()
  const add = (name: unknown, written: boolean): void => {
    if (typeof name !== 'string') return
    if (name.includes('.'))
      refuse(
        where,
        `'${name}' reaches into a column, and columns have no inside here`,
        'Map the column itself, with a codec that reads it.',
      )
    uses.set(name, { name, written: written || uses.get(name)?.written === true })
  }
  const addForm = (form: unknown, written: boolean): void => {
    if (Array.isArray(form) && !Array.isArray(form[0])) add(form[0], written)
    else if (Array.isArray(form)) for (const name of form[0] as unknown[]) add(name, written)
    else if (!isPlainObject(form)) add(form, written)
    else if (form.mapping === 'derived') for (const name of form.natives as unknown[]) add(name, false)
    else addForm(form.form, form.mapping === 'writeOnly')
  }
  for (const form of Object.values(isPlainObject(fields) ? fields : {})) addForm(form, true)
  for (const name of created) add(name, true)
  return [...uses.values()]
}

function shared(where: string, a: TableUse, b: TableUse): TableUse {
  const same =
    a.table === b.table &&
    a.id === b.id &&
    a.idType === b.idType &&
    a.updatedAt === b.updatedAt &&
    a.version === b.version
  if (!same) refuse(where, 'two entities share it, but its options differ', 'Give both the same options.')
  const columns = new Map(a.columns.map((use) => [use.name, use]))
  for (const use of b.columns)
    columns.set(use.name, { name: use.name, written: use.written || columns.get(use.name)?.written === true })
  const parts = new Map(a.parts.map((part) => [part.container, part]))
  for (const part of b.parts) {
    const known = parts.get(part.container)
    if (known !== undefined && JSON.stringify(known) !== JSON.stringify(part))
      refuse(`${where}.${part.container}`, 'two entities map this part differently', 'Map it in one of them only.')
    parts.set(part.container, part)
  }
  return { ...a, columns: [...columns.values()], parts: [...parts.values()] }
}
