import { SyncError } from '../../errors/index.ts'
import { connect, type PgClient } from './driver.ts'
import { readError } from './errors.ts'

/** The row types of a database as TypeScript: the types of the values that this connector gives and takes. */
export async function introspectPostgres(
  url: string,
  schema: string,
  name: string,
): Promise<{ readonly tables: readonly string[]; readonly source: string }> {
  if (!/^[A-Za-z_$][\w$]*$/.test(name))
    throw new SyncError('query.invalid', `${name.slice(0, 100)} cannot be the name of a type`)
  const columns = await columnsOf(url, schema)
  const tables = new Map<string, string[]>()
  for (const [table = '', column = '', nullable, type = ''] of columns) {
    const lines = tables.get(table) ?? []
    lines.push(`    readonly ${propertyOf(column)}: ${type}${nullable === 't' ? ' | null' : ''}`)
    tables.set(table, lines)
  }
  if (tables.size === 0)
    throw new SyncError(
      'database.schema',
      `the schema ${schema} has no tables that this user may see. Name another with --schema.`,
    )
  const body = [...tables].map(([table, lines]) => `  readonly ${propertyOf(table)}: {\n${lines.join('\n')}\n  }`)
  const source = `/** Rows by table. Written by \`latchwork introspect\`. */\nexport interface ${name} {\n${body.join('\n')}\n}`
  return { tables: [...tables.keys()], source }
}

const propertyOf = (name: string): string => (/^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name))

/** Table, column, whether it may be null, and the TypeScript type of its values. */
async function columnsOf(url: string, schema: string): Promise<string[][]> {
  let client: PgClient | undefined
  try {
    client = await connect({ url, app: 'introspect' })
    const { rows } = await client.query({ text: COLUMNS, values: [schema], rowMode: 'array' })
    return rows.map(([table, column, nullable, type, element, labels]) => [
      table ?? '',
      column ?? '',
      nullable ?? '',
      element === null ? typeOf(type, labels) : `readonly (${typeOf(element ?? '', labels)} | null)[]`,
    ])
  } catch (error) {
    throw readError('introspect', 'the database could not be read', error)
  } finally {
    await client?.end().catch(() => {})
  }
}

/** Domains count as what they are made of; an array names its element. */
const COLUMNS = `
  WITH RECURSIVE base AS (
    SELECT oid, oid AS at, typbasetype FROM pg_type
    UNION ALL SELECT b.oid, t.oid, t.typbasetype FROM base b JOIN pg_type t ON t.oid = b.typbasetype WHERE b.typbasetype <> 0)
  SELECT c.relname, a.attname, NOT a.attnotnull, t.typname, e.typname,
    (SELECT json_agg(l.enumlabel ORDER BY l.enumsortorder) FROM pg_enum l WHERE l.enumtypid = coalesce(e.oid, t.oid))::text
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN base b ON b.oid = a.atttypid AND b.typbasetype = 0 JOIN pg_type t ON t.oid = b.at
  LEFT JOIN pg_type e ON t.typcategory = 'A' AND e.oid = t.typelem
  WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  ORDER BY c.relname, a.attnum`

const TYPES: Readonly<Record<string, string>> = {
  bool: 'boolean',
  int2: 'number',
  int4: 'number',
  int8: 'number | bigint',
  oid: 'number',
  float4: 'number',
  float8: 'number',
}

function typeOf(name: string | null | undefined, labels: string | null | undefined): string {
  if (typeof labels === 'string')
    return (JSON.parse(labels) as string[]).map((label) => JSON.stringify(label)).join(' | ')
  return TYPES[name ?? ''] ?? 'string'
}
