import {
  type ChangeTableDdl,
  followed,
  type Names,
  type TriggerSpec,
  triggerName,
  watched,
} from '../change-table/ddl.ts'
import type { TablePlan } from '../tables/plan.ts'
import type { SqlSession } from '../tables/sql.ts'
import { literal, quote } from './dialect.ts'

/** The change table in SQLite's words. Triggers run inside the application's own SQLite, which may be years old: they use nothing that came after 3.8. */
export const sqliteDdl: ChangeTableDdl = {
  tables,
  randomText: 'lower(hex(randomblob(8)))',
  triggers,
  existing,
  drop: ({ name }) => `drop trigger if exists ${quote(name)}`,
  raiseVersions: (names, rows) =>
    `insert into ${quote(names.versions)} (object, native_id, seq) values ${Array.from({ length: rows }, () => '(?, ?, ?)').join(', ')} on conflict (object, native_id) do update set seq = max(seq, excluded.seq)`,
}

function tables({ changes, versions, ops, meta }: Names): readonly string[] {
  return [
    `create table if not exists ${quote(changes)} (seq integer primary key autoincrement, object text not null, native_id text not null, kind text not null, at_ms integer not null)`,
    `create index if not exists ${quote(changes + '_record')} on ${quote(changes)} (object, native_id, seq)`,
    `create table if not exists ${quote(versions)} (object text not null, native_id text not null, seq integer not null, primary key (object, native_id)) without rowid`,
    `create table if not exists ${quote(ops)} (op text primary key, object text not null, native_id text not null, kind text not null, correlation text not null, seq integer not null, at_ms integer not null)`,
    `create index if not exists ${quote(ops + '_record')} on ${quote(ops)} (object, native_id)`,
    `create index if not exists ${quote(ops + '_correlation')} on ${quote(ops)} (object, correlation)`,
    `create table if not exists ${quote(meta)} (name text primary key, value text not null)`,
  ]
}

/** Now in ms, in words that old builds know. */
const NOW_MS = `cast((julianday('now') - 2440587.5) * 86400000 as integer)`

function triggers(names: Names, plan: TablePlan): readonly TriggerSpec[] {
  const { object } = plan.use
  const prefix = names.changes.replace(/_changes$/, '')
  return followed(plan).flatMap(({ table, id, part }): TriggerSpec[] => {
    const note = (row: string, kind: 'u' | 'd', from = '', where = ''): string =>
      `insert into ${quote(names.changes)} (object, native_id, kind, at_ms) select ${literal(object)}, cast(${row}.${quote(id)} as text), '${kind}', ${NOW_MS}${from} where ${row}.${quote(id)} is not null${where};`
    const make = (when: string, head: string, body: string): TriggerSpec => {
      const name = triggerName(prefix, object, table, when)
      return { name, table, sql: `create trigger ${quote(name)} ${head} on ${quote(table)} for each row ${body} end` }
    }
    const gone = part === null ? 'd' : 'u'
    const columns = watched(plan, part)
    const differs = columns.map((name) => `old.${quote(name)} is not new.${quote(name)}`).join(' or ')
    const moved = ` and old.${quote(id)} is not new.${quote(id)}`
    const pushedOut = replacedRows(table, id, part?.keys ?? plan.keys, note)
    return [
      make('insert', 'after insert', `begin ${note('new', 'u')}`),
      make(
        'update',
        `after update of ${columns.map(quote).join(', ')}`,
        `when ${differs} begin ${note('old', gone, '', moved)} ${note('new', 'u')}`,
      ),
      make('delete', 'after delete', `begin ${note('old', gone)}`),
      ...(pushedOut === '' ? [] : [make('replace', 'before insert', `begin ${pushedOut}`)]),
      ...(pushedOut === '' ? [] : [make('reupdate', 'before update', `begin ${pushedOut}`)]),
    ]
  })
}

/**
 * REPLACE takes out every row that its unique keys collide with, and runs no delete trigger for them. Before a row comes in, the rows that it would push out are noted as touched; those that
 * are still there when they are read are told as they are.
 */
function replacedRows(
  table: string,
  id: string,
  keys: readonly (readonly string[])[],
  note: (row: string, kind: 'u' | 'd', from?: string, where?: string) => string,
): string {
  return keys
    .filter((key) => key.length > 0 && !key.includes(id))
    .map((key) => {
      const same = key.map((name) => ` and t.${quote(name)} = new.${quote(name)}`).join('')
      return note('t', 'u', ` from ${quote(table)} t`, `${same} and t.${quote(id)} is not new.${quote(id)}`)
    })
    .join(' ')
}

async function existing(session: SqlSession, prefix: string): Promise<ReadonlyMap<string, string>> {
  const { rows } = await session.run(
    `select name, tbl_name from sqlite_schema where type = 'trigger' and substr(name, 1, ?) = ?`,
    [BigInt(prefix.length + 1), prefix + '$'],
  )
  return new Map(rows.map(([name, table]) => [String(name), String(table)]))
}
