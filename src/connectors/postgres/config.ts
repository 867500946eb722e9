import type { AppConnector, AppDescription, AppHandle, BindingSpec } from '../../config/app.ts'
import type { EntityTypes, MappedOf, NativeName } from '../../config/checked.ts'
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
import { type AppId, asObjectId } from '../../model/ids.ts'
import { postgresCapabilities } from './capabilities.ts'
import type { ConfigText, PostgresAppOptions, PostgresColumn, PostgresPart, PostgresTable } from './options.ts'

/** How a PostgreSQL application is described in a config. Everything here becomes plain data (`PostgresAppOptions`). */

export interface PostgresOptions {
  /** `postgres://user:password@host:port/database`; the primary, never a replica. */
  readonly url: ConfigText
  /** The schema of the tables, `public` unless given. */
  readonly schema?: string
  /** `replication` reads the server's log; `triggers` needs no right to it, and makes a change table and triggers in the tables' schema. */
  readonly changes?: 'replication' | 'triggers'
  /** The replication slot, `latchwork_<app>` unless given. Two hubs on one server need two. */
  readonly slot?: string
  /** The publication, named as the slot unless given. */
  readonly publication?: string
  /** The schema of the hub's own table, `latchwork` unless given. */
  readonly ownSchema?: string
  /** Sessions that write at once. */
  readonly connectionsMax?: number
  /** Records in one statement. */
  readonly batchMax?: number
  readonly statementTimeoutMs?: number
  /** How long a write waits for a row that somebody else holds, before the other records of its batch go on without it. */
  readonly lockTimeoutMs?: number
  /** WAL that the server may hold back for the hub before it is warned of. */
  readonly walWarnBytes?: number
  /** Names our writes as replicated, so that the server's own replication (`origin = none`) and other tools beside the hub do not carry them on. The user must be allowed to. */
  readonly origin?: string
  /** What a TRUNCATE does: stop and say so (it names no records), or go past it. */
  readonly truncate?: 'stop' | 'ignore'
}

const POSTGRES_KEYS = [
  'url',
  'schema',
  'changes',
  'slot',
  'publication',
  'ownSchema',
  'connectionsMax',
  'batchMax',
  'statementTimeoutMs',
  'lockTimeoutMs',
  'walWarnBytes',
  'origin',
  'truncate',
] as const satisfies readonly (keyof PostgresOptions)[]

/** Where the rows of a part are. */
export interface ChildTable {
  /** The table; the name of the list unless given. */
  readonly table?: string
  /** The column (or columns) that hold the record's id; taken from the foreign key unless given. */
  readonly parent?: string | readonly string[]
}

export interface TableOptions<Name extends string = string> {
  /** The columns of a composite key, in their order, where `id` names only the first. */
  readonly key?: readonly Name[]
  /** The tables whose rows are parts of a record, by the name of the list that `parts` maps from; needed where that is not the table's name, or no single foreign key leads here. */
  readonly children?: Readonly<Record<string, ChildTable>>
  /** A unique text column that keeps the hub's id of a record. Without one, a table of the hub's own does. */
  readonly correlation?: Name
  /** The column with the time of the last change, for the policy `latest`; the time of the commit unless given. */
  readonly updatedAt?: Name
  readonly schema?: string
  /** The name of the object in the cross-reference; the table's unless given. */
  readonly object?: string
}

const TABLE_KEYS = [
  'key',
  'children',
  'correlation',
  'updatedAt',
  'schema',
  'object',
] as const satisfies readonly (keyof TableOptions)[]

/** Rows by table, as `latchwork introspect` writes them. */
// biome-ignore lint/suspicious/noExplicitAny: nothing is known of the tables of this database.
type AnyDb = any

/** A row of a table, and beside its columns the rows of other tables as lists, for parts. */
type RowIn<Db, Table> = 0 extends 1 & Db
  ? AnyDb
  : Table extends keyof Db
    ? Db[Table] & { readonly [Other in Exclude<keyof Db, keyof Db[Table] | Table>]?: readonly Db[Other][] }
    : never

type TableName<Db> = 0 extends 1 & Db ? string : keyof Db & string

export interface PostgresApp<Db = AnyDb> extends AppHandle {
  /** A table of this database bound to the entity of the `sync` around it. */
  table<
    const Table extends TableName<Db>,
    Types extends EntityTypes,
    const F extends LooseFields<NoInfer<Types>['fields'], RowIn<Db, Table>>,
    const P extends LooseParts<NoInfer<Types>['parts']> = NoParts,
  >(
    name: Table,
    options: TableOptions<NativeName<RowIn<Db, Table>>> & TypedMapping<NoInfer<Types>, RowIn<Db, Table>, F, P>,
  ): Binding<Types, MappedOf<F, P>>
}

/** An application that keeps its data in PostgreSQL 15 or later, followed by logical replication. */
export function postgres<Db = AnyDb>(options: PostgresOptions): PostgresApp<Db> {
  checkKeys('postgres()', options, POSTGRES_KEYS)
  const { url } = options
  if (!(typeof url === 'string' && url !== '') && !(isPlainObject(url) && typeof url.env === 'string'))
    refuse('postgres().url', 'a url is needed', "Give it, or env('NAME') for what stands in the environment.")
  const connector: AppConnector = {
    kind: 'postgres',
    describe: (app, bindings) => describe(app, options, bindings),
  }
  const table = (name: string, given: unknown): Binding<never, never> => bind(connector, name, given)
  return { connector, table: table as PostgresApp<Db>['table'] }
}

type NativeOptions = TableOptions & MappingOptions & { readonly tableName: string }

function bind(connector: AppConnector, name: string, given: unknown): Binding<never, never> {
  const where = `table(${JSON.stringify(name)})`
  if (typeof name !== 'string' || name === '' || name.includes('\u0000'))
    refuse(where, 'this is not the name of a table', "Give table('customers', { ... }).")
  checkKeys(where, given, [...TABLE_KEYS, ...MAPPING_KEYS])
  const native = given as TableOptions & MappingOptions
  const object = native.object ?? name
  checkNativeName(`${where}.object`, object)
  const spec: BindingSpec = {
    connector,
    object: asObjectId(object),
    row: undefined,
    mapping: native,
    native: { ...native, tableName: name },
  }
  return { spec } as Binding<never, never>
}

function describe(app: AppId, given: PostgresOptions, bindings: readonly BindingSpec[]): AppDescription {
  const where = `apps.${app}`
  const tables = new Map<string, PostgresTable>()
  for (const spec of bindings) {
    const made = readTable(`${where}.${spec.object}`, spec, given.schema ?? 'public')
    const known = tables.get(made.object)
    tables.set(made.object, known === undefined ? made : shared(`${where}.${made.object}`, known, made))
  }
  const number = (name: keyof PostgresOptions, otherwise: number): number =>
    positive(`${where}.${name}`, given[name] as number | undefined, otherwise)
  const slot = given.slot ?? `latchwork_${app.replace(/[^a-z0-9_]/g, (char) => `_${char.toLowerCase()}`)}`
  if (!/^[a-z0-9_]{1,63}$/.test(slot))
    refuse(`${where}.slot`, `'${slot}' cannot be the name of a slot`, 'Use small letters, digits and underscores.')
  const truncate = given.truncate ?? 'stop'
  if (truncate !== 'stop' && truncate !== 'ignore')
    refuseUnknown(`${where}.truncate`, 'a way to treat TRUNCATE', String(truncate), ['stop', 'ignore'])
  const changes = given.changes ?? 'replication'
  if (changes !== 'replication' && changes !== 'triggers')
    refuseUnknown(`${where}.changes`, 'a way to notice changes', String(changes), ['replication', 'triggers'])
  const schema = given.schema ?? 'public'
  if (changes === 'triggers')
    for (const table of tables.values()) checkTriggered(`${where}.${table.object}`, table, schema)
  const { origin = null } = given
  if (origin !== null && (changes !== 'replication' || !/^[\w.-]{1,60}$/.test(origin)))
    refuse(
      `${where}.origin`,
      `'${origin}' cannot be an origin ${changes === 'replication' ? '' : 'of an application followed by triggers'}`.trimEnd(),
      'It needs `changes: replication`, and a name of up to 60 letters, digits, dots and dashes.',
    )
  const options: PostgresAppOptions = {
    app,
    url: given.url,
    tables: [...tables.values()],
    changes,
    schema,
    slot,
    publication: given.publication ?? slot,
    ownSchema: given.ownSchema ?? 'latchwork',
    connectionsMax: number('connectionsMax', 4),
    batchMax: number('batchMax', 1_000),
    statementTimeoutMs: number('statementTimeoutMs', 10_000),
    lockTimeoutMs: number('lockTimeoutMs', 1_000),
    walWarnBytes: number('walWarnBytes', 1_073_741_824),
    origin,
    truncate,
  }
  return {
    definition: { kind: 'postgres', options },
    capabilities: new Map(options.tables.map((table) => [table.object, postgresCapabilities(options, table)])),
    listens: [],
  }
}

/** What a change table cannot follow: it knows a record by one column, and a part by the column of its parent. */
function checkTriggered(where: string, table: PostgresTable, schema: string): void {
  if (table.id.length > 1)
    refuse(
      where,
      'a change table knows a record by one column',
      "Use changes: 'replication', or a table with a key of one.",
    )
  if (table.schema !== schema)
    refuse(
      where,
      `it is in the schema ${table.schema}, its change table would be in ${schema}`,
      'Make it an application of its own.',
    )
  if (table.correlation !== null)
    refuse(`${where}.correlation`, "a change table keeps the hub's id itself", 'Take it out.')
  for (const part of table.parts) {
    if (part.parent?.length !== 1)
      refuse(
        `${where}.children.${part.container}`,
        'the column with the id of its parent is not named',
        `Give children: { ${part.container}: { table: '${part.table}', parent: '...' } }.`,
      )
  }
}

function readTable(where: string, spec: BindingSpec, schema: string): PostgresTable {
  const given = spec.native as NativeOptions
  checkNativeName(`${where}.id`, given.id)
  const id = given.key ?? [given.id]
  if (!Array.isArray(id) || id.length === 0 || id[0] !== given.id)
    refuse(`${where}.key`, `the first of its columns must be the id '${given.id}'`, "Give key: ['a', 'b'] and id: 'a'.")
  return {
    object: spec.object,
    schema: given.schema ?? schema,
    table: given.tableName,
    id,
    columns: columnsIn(where, given.fields, Object.keys(given.onCreate ?? {})),
    parts: readParts(where, given),
    correlation: given.correlation ?? null,
    updatedAt: given.updatedAt ?? null,
  }
}

function readParts(where: string, given: NativeOptions): readonly PostgresPart[] {
  const children = given.children ?? {}
  const parts = Object.entries(given.parts ?? {})
  for (const container of Object.keys(children)) {
    if (!parts.some(([, part]) => part.from === container))
      refuse(`${where}.children.${container}`, 'no part maps it', `Give parts: { ...: { from: '${container}', ... } }.`)
  }
  return parts.map(([part, options]) => {
    const place = `${where}.children.${options.from}`
    const child = Object.hasOwn(children, options.from) ? (children[options.from] as ChildTable) : {}
    checkKeys(place, child, ['table', 'parent'])
    const { parent } = child
    return {
      container: options.from,
      table: child.table ?? options.from,
      parent: parent === undefined ? null : typeof parent === 'string' ? [parent] : parent,
      key: options.key,
      columns: columnsIn(`${where}.parts.${part}`, options.fields, []),
    }
  })
}

/** The columns that a mapping reads or writes. What is wrong with a form itself, the mapping's own compiler says. */
function columnsIn(where: string, fields: unknown, created: readonly string[]): readonly PostgresColumn[] {
  const uses = new Map<string, PostgresColumn>()
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
    if (Array.isArray(form)) for (const name of [form[0]].flat()) add(name, written)
    else if (!isPlainObject(form)) add(form, written)
    else if (form.mapping === 'derived') for (const name of [form.natives].flat()) add(name, false)
    else addForm(form.form, form.mapping === 'writeOnly')
  }
  for (const form of Object.values(isPlainObject(fields) ? fields : {})) addForm(form, true)
  for (const name of created) add(name, true)
  return [...uses.values()]
}

/** Two entities on one table: what either maps is used. */
function shared(where: string, a: PostgresTable, b: PostgresTable): PostgresTable {
  const fixed = ({ columns: _columns, parts: _parts, ...rest }: PostgresTable): string => JSON.stringify(rest)
  if (fixed(a) !== fixed(b))
    refuse(where, 'two entities share it, but its options differ', 'Give both the same options.')
  const parts = new Map([...a.parts, ...b.parts].map((part) => [part.container, part]))
  return { ...a, columns: merged(a.columns, b.columns), parts: [...parts.values()] }
}

function merged(a: readonly PostgresColumn[], b: readonly PostgresColumn[]): readonly PostgresColumn[] {
  const columns = new Map(a.map((column) => [column.name, column]))
  for (const { name, written } of b)
    columns.set(name, { name, written: written || columns.get(name)?.written === true })
  return [...columns.values()]
}

function positive(where: string, given: number | undefined, otherwise: number): number {
  if (given === undefined) return otherwise
  if (!Number.isSafeInteger(given) || given < 1)
    refuse(where, `${String(given)} is not a whole number above 0`, 'Give one.')
  return given
}
