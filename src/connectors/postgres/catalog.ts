import { SyncError } from '../../errors/index.ts'
import type { ObjectId } from '../../model/ids.ts'
import { quoteName, quoteText } from './driver.ts'
import type { PostgresAppOptions, PostgresColumn, PostgresPart, PostgresTable } from './options.ts'
import type { Session } from './sessions.ts'
import { isBytesType, type ReadText, readerOf, type TypeFacts } from './values.ts'

/** Tables as they are in the database, compared with what the config says of them. */

export interface Column {
  readonly name: string
  readonly sql: string
  /** The type's name for a cast, without a length: a cast to varchar(3) would cut silently, an assignment says that it does not fit. */
  readonly cast: string
  /** own: the type's own equality tells whether a value changed. text: it has none, or one that takes different texts for equal. */
  readonly compare: 'own' | 'text'
  readonly isBytes: boolean
  readonly read: ReadText
  readonly isGenerated: boolean
  readonly isIdentityAlways: boolean
  /** Of a column in a unique index: what a row can hold there for a moment, while another takes its value (own: what it has, the constraint can wait); null: nothing is known to be free. */
  readonly aside: 'own' | 'null' | 'text' | 'number' | 'uuid' | null
}

export interface PartPlan {
  readonly use: PostgresPart
  readonly sql: string
  readonly parent: readonly Column[]
  readonly key: Column
  /** The mapped columns, the key among them. */
  readonly columns: readonly Column[]
  readonly byName: ReadonlyMap<string, Column>
}

export interface TablePlan {
  readonly use: PostgresTable
  readonly object: ObjectId
  /** Quoted and qualified. */
  readonly sql: string
  readonly id: readonly Column[]
  /** The mapped columns, and those of id, correlation and time. */
  readonly columns: readonly Column[]
  readonly byName: ReadonlyMap<string, Column>
  readonly correlation: Column | null
  readonly parts: readonly PartPlan[]
}

export interface Catalog {
  readonly tables: ReadonlyMap<ObjectId, TablePlan>
  /** What is known of every type of the database, by oid: a type in the log may be one that a column no longer has. */
  readonly types: ReadonlyMap<number, TypeFacts>
  readonly serverVersion: number
}

interface FoundColumn extends Column {
  readonly notNull: boolean
}

interface FoundTable {
  readonly columns: ReadonlyMap<string, FoundColumn>
  readonly kind: string
  /** Keys without nulls, the primary one first. */
  readonly keys: readonly (readonly string[])[]
  /** The columns by which the log names a row that was changed or deleted; null: all of them. */
  readonly identity: readonly string[] | null
  readonly foreignKeys: readonly { readonly to: string; readonly columns: readonly string[] }[]
}

/** Reads the catalog and checks the config against it. Throws SyncError `database.schema`, `database.no-key` or `database.generated`. */
export async function readCatalog(options: PostgresAppOptions, session: Session): Promise<Catalog> {
  const version = Number((await session.query('SHOW server_version_num')).rows[0]?.[0] ?? 0)
  const types = await readTypes(session)
  const names = new Set(
    options.tables.flatMap((use) => [fullName(use), ...use.parts.map((part) => partName(use, part))]),
  )
  const found = await readTables(session, [...names], types)
  const tables = new Map<ObjectId, TablePlan>()
  for (const use of options.tables) tables.set(use.object, planOf(options.app, use, found, version))
  return { tables, types, serverVersion: version }
}

const fullName = (use: PostgresTable): string => `${quoteName(use.schema)}.${quoteName(use.table)}`
const partName = (use: PostgresTable, part: PostgresPart): string => `${quoteName(use.schema)}.${quoteName(part.table)}`

async function readTypes(session: Session): Promise<Map<number, TypeFacts>> {
  const { rows } = await session.query(
    `WITH RECURSIVE base AS (
       SELECT oid, oid AS at, typbasetype FROM pg_type
       UNION ALL SELECT b.oid, t.oid, t.typbasetype FROM base b JOIN pg_type t ON t.oid = b.typbasetype WHERE b.typbasetype <> 0)
     SELECT b.oid, b.at, CASE WHEN t.typcategory = 'A' THEN t.typelem ELSE 0 END
     FROM base b JOIN pg_type t ON t.oid = b.at WHERE b.typbasetype = 0`,
  )
  return new Map(
    rows.map(([oid, base, element]) => [Number(oid), { baseOid: Number(base), elementOid: Number(element) }]),
  )
}

/** json, xml and the geometric types, which have no equality, or none that means "the same". */
const WITHOUT_EQUALITY = new Set([114, 142, 600, 601, 602, 603, 604, 628, 718])

async function readTables(
  session: Session,
  names: readonly string[],
  types: ReadonlyMap<number, TypeFacts>,
): Promise<ReadonlyMap<string, FoundTable>> {
  const list = names.map(quoteText).join(', ')
  const wanted = `SELECT n.nspname, c.oid, c.relname, c.relkind, c.relreplident FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE '"' || replace(n.nspname, '"', '""') || '"."' || replace(c.relname, '"', '""') || '"' IN (${list}) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')`
  const tables = await session.query(`SELECT oid, nspname, relname, relkind, relreplident FROM (${wanted}) w`)
  const columns = await session.query(
    `SELECT w.oid, a.attname, a.atttypid, '"' || replace(tn.nspname, '"', '""') || '"."' || replace(t.typname, '"', '""') || '"', a.attnotnull, a.attgenerated, a.attidentity, t.typcategory,
       (SELECT bool_or(i.indimmediate) FROM pg_index i WHERE i.indrelid = w.oid AND i.indisunique AND a.attnum = ANY (i.indkey))
     FROM (${wanted}) w JOIN pg_attribute a ON a.attrelid = w.oid AND a.attnum > 0 AND NOT a.attisdropped
     JOIN pg_type t ON t.oid = a.atttypid JOIN pg_namespace tn ON tn.oid = t.typnamespace ORDER BY a.attnum`,
  )
  const keys = await session.query(
    `SELECT w.oid, i.indisprimary, i.indisreplident,
       ARRAY(SELECT a.attname FROM unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY k(n, o) JOIN pg_attribute a ON a.attrelid = w.oid AND a.attnum = k.n ORDER BY k.o)::text[]
     FROM (${wanted}) w JOIN pg_index i ON i.indrelid = w.oid
     WHERE i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indisvalid AND i.indimmediate
       AND NOT EXISTS (SELECT 1 FROM unnest(i.indkey[0:i.indnkeyatts - 1]) k(n) JOIN pg_attribute a ON a.attrelid = w.oid AND a.attnum = k.n WHERE NOT a.attnotnull)
     ORDER BY i.indisprimary DESC, i.indexrelid`,
  )
  const foreign = await session.query(
    `SELECT w.oid, '"' || replace(n.nspname, '"', '""') || '"."' || replace(c.relname, '"', '""') || '"',
       ARRAY(SELECT a.attname FROM unnest(f.conkey) WITH ORDINALITY k(n, o) JOIN pg_attribute a ON a.attrelid = w.oid AND a.attnum = k.n ORDER BY k.o)::text[]
     FROM (${wanted}) w JOIN pg_constraint f ON f.conrelid = w.oid AND f.contype = 'f' JOIN pg_class c ON c.oid = f.confrelid JOIN pg_namespace n ON n.oid = c.relnamespace`,
  )
  const found = new Map<string, FoundTable>()
  for (const [oid, schema, table, kind, identity] of tables.rows) {
    const own = <T extends readonly (string | null)[]>(rows: readonly T[]): T[] => rows.filter((row) => row[0] === oid)
    const list = own(keys.rows).map((row) => ({
      isPrimary: row[1] === 't',
      isIdentity: row[2] === 't',
      names: namesIn(row[3]),
    }))
    found.set(`${quoteName(schema ?? '')}.${quoteName(table ?? '')}`, {
      kind: kind ?? 'r',
      columns: new Map(own(columns.rows).map((row) => [row[1] as string, columnOf(row, types)])),
      keys: list.map(({ names }) => names),
      identity:
        identity === 'f'
          ? null
          : identity === 'i'
            ? (list.find((key) => key.isIdentity)?.names ?? [])
            : identity === 'n'
              ? []
              : (list.find((key) => key.isPrimary)?.names ?? []),
      foreignKeys: own(foreign.rows).map((row) => ({ to: row[1] as string, columns: namesIn(row[2]) })),
    })
  }
  return found
}

function columnOf(row: readonly (string | null)[], types: ReadonlyMap<number, TypeFacts>): FoundColumn {
  const [, name = '', typeOid, cast = '', notNull, generated, identity, category, atOnce] = row as string[]
  const facts = types.get(Number(typeOid)) ?? { baseOid: Number(typeOid), elementOid: 0 }
  return {
    name,
    sql: quoteName(name),
    cast,
    compare: WITHOUT_EQUALITY.has(facts.baseOid) || (category === 'S' && facts.baseOid !== 1042) ? 'text' : 'own',
    isBytes: isBytesType(facts),
    read: readerOf(facts),
    isGenerated: generated !== '',
    isIdentityAlways: identity === 'a',
    aside: atOnce === 't' ? asideOf(notNull === 't', category, facts) : atOnce === 'f' ? 'own' : null,
    notNull: notNull === 't',
  }
}

const UUID = 2950

function asideOf(notNull: boolean, category: string | undefined, { baseOid }: TypeFacts): Column['aside'] {
  if (!notNull) return 'null'
  if (baseOid === UUID) return 'uuid'
  return category === 'S' ? 'text' : category === 'N' ? 'number' : null
}

/** A text[] of names. */
const namesIn = (text: string | null | undefined): string[] => {
  const list = readerOf({ baseOid: 1009, elementOid: 25 })(text ?? '{}')
  return Array.isArray(list) ? (list as string[]) : []
}

function planOf(app: string, use: PostgresTable, found: ReadonlyMap<string, FoundTable>, version: number): TablePlan {
  const where = `${app}: table ${use.schema}.${use.table}`
  const table = tableIn(where, fullName(use), found)
  const pick = (names: readonly string[]): Column[] => names.map((name) => columnIn(where, table, name))
  const id = pick(use.id)
  checkKey(where, fullName(use), table, use.id)
  checkWritten(where, table, use.columns, version)
  const extra = [use.correlation, use.updatedAt].filter((name) => name !== null)
  const columns = pick([...new Set([...use.id, ...use.columns.map(({ name }) => name), ...extra])])
  const correlation = use.correlation === null ? null : columnIn(where, table, use.correlation)
  if (use.correlation !== null && !uniqueColumns(table).has(use.correlation))
    throw new SyncError(
      'database.no-key',
      `${where}: the correlation column ${use.correlation} has no unique index without nulls allowed or not: two tries of one create could make two rows. Run: CREATE UNIQUE INDEX ON ${fullName(use)} (${quoteName(use.correlation)}) and make the column NOT NULL, or leave \`correlation\` out.`,
    )
  return {
    use,
    object: use.object,
    sql: fullName(use),
    id,
    columns,
    byName: new Map(columns.map((column) => [column.name, column])),
    correlation,
    parts: use.parts.map((part) => planPart(app, use, part, found, version)),
  }
}

const uniqueColumns = (table: FoundTable): Set<string> =>
  new Set(table.keys.flatMap((key) => (key.length === 1 ? key : [])))

function planPart(
  app: string,
  use: PostgresTable,
  part: PostgresPart,
  found: ReadonlyMap<string, FoundTable>,
  version: number,
): PartPlan {
  const name = partName(use, part)
  const where = `${app}: table ${use.schema}.${part.table}`
  const table = tableIn(where, name, found)
  const parent = part.parent ?? parentBy(where, table, use)
  checkWritten(where, table, part.columns, version)
  const unique = table.keys.some((key) => key.every((column) => parent.includes(column) || column === part.key))
  if (!unique)
    throw new SyncError(
      'database.no-key',
      `${where}: ${[...parent, part.key].join(', ')} together tell its rows apart, but no primary or unique key says so. Run: ALTER TABLE ${name} ADD UNIQUE (${[...parent, part.key].map(quoteName).join(', ')}).`,
    )
  const { identity } = table
  if (identity !== null && !parent.every((column) => identity.includes(column)))
    throw new SyncError(
      'database.no-key',
      `${where}: the log names a deleted row by ${identity.join(', ') || 'nothing'}, which does not say whose part it was. Run: ALTER TABLE ${name} REPLICA IDENTITY FULL.`,
    )
  const columns = [...new Set([part.key, ...part.columns.map((column) => column.name)])].map((column) =>
    columnIn(where, table, column),
  )
  return {
    use: { ...part, parent },
    sql: name,
    parent: parent.map((column) => columnIn(where, table, column)),
    key: columnIn(where, table, part.key),
    columns,
    byName: new Map(columns.map((column) => [column.name, column])),
  }
}

function parentBy(where: string, table: FoundTable, use: PostgresTable): readonly string[] {
  const to = table.foreignKeys.filter((key) => key.to === fullName(use) && key.columns.length === use.id.length)
  const [only] = to
  if (to.length === 1 && only !== undefined) return only.columns
  throw new SyncError(
    'database.schema',
    `${where}: ${to.length === 0 ? 'no foreign key leads' : 'several foreign keys lead'} to ${use.table}. Say which columns hold the id: children: { ${JSON.stringify(use.table)}: { parent: '...' } }.`,
  )
}

function tableIn(where: string, name: string, found: ReadonlyMap<string, FoundTable>): FoundTable {
  const table = found.get(name)
  if (table === undefined)
    throw new SyncError(
      'database.schema',
      `${where} does not exist, or this user may not see it. Correct its name or schema in the config.`,
    )
  if (table.kind !== 'r' && table.kind !== 'p')
    throw new SyncError(
      'database.schema',
      `${where} is a view or a foreign table; the log tells nothing of those. Bind the table behind it.`,
    )
  return table
}

function columnIn(where: string, table: FoundTable, name: string): Column {
  const column = table.columns.get(name)
  if (column !== undefined) return column
  throw new SyncError(
    'database.schema',
    `${where} has no column ${name}; it has ${[...table.columns.keys()].join(', ')}. Names are compared exactly; correct the config.`,
  )
}

function checkKey(where: string, sql: string, table: FoundTable, id: readonly string[]): void {
  if (!table.keys.some((key) => key.length > 0 && key.every((name) => id.includes(name))))
    throw new SyncError(
      'database.no-key',
      `${where}: ${id.join(', ')} is the id of its records, but neither its primary key nor a unique key without nulls. Run: ALTER TABLE ${sql} ADD PRIMARY KEY (${id.map(quoteName).join(', ')}).`,
    )
  const { identity } = table
  if (identity !== null && !id.every((name) => identity.includes(name)))
    throw new SyncError(
      'database.no-key',
      `${where}: the log names a deleted row by ${identity.join(', ') || 'nothing'}, not by ${id.join(', ')}. Run: ALTER TABLE ${sql} REPLICA IDENTITY FULL.`,
    )
}

function checkWritten(where: string, table: FoundTable, columns: readonly PostgresColumn[], version: number): void {
  for (const { name, written } of columns) {
    const column = columnIn(where, table, name)
    if (!column.isGenerated) continue
    if (written)
      throw new SyncError(
        'database.generated',
        `${where}: the column ${name} is generated by the database and cannot be written. Map it with readOnly().`,
      )
    if (version < 180_000)
      throw new SyncError(
        'database.generated',
        `${where}: the column ${name} is generated, and the log of PostgreSQL before version 18 leaves such columns out. Map the columns that it is made from with derived().`,
      )
  }
}
