import type { TablePlan } from '../tables/plan.ts'
import type { SqlSession } from '../tables/sql.ts'
import { type ChangeTableDdl, followed, type Names, type TriggerSpec, triggerName, watched } from './ddl.ts'
import { quote } from './postgres-dialect.ts'

/** The change table in PostgreSQL's words. */
export const postgresDdl: ChangeTableDdl = {
  tables,
  randomText: 'gen_random_uuid()::text',
  triggers,
  existing,
  drop: ({ name, table }) => `drop trigger if exists ${quote(name)} on ${quote(table)}`,
  raiseVersions: (names, rows) =>
    `insert into ${quote(names.versions)} as v (object, native_id, seq) values ${Array.from({ length: rows }, () => '(?, ?, ?)').join(', ')} on conflict (object, native_id) do update set seq = greatest(v.seq, excluded.seq)`,
}

function tables({ changes, versions, ops, meta }: Names): readonly string[] {
  const record = 'object text not null, native_id text not null'
  return [
    `create table if not exists ${quote(changes)} (seq bigint generated always as identity primary key, ${record}, kind text not null, at_ms bigint not null)`,
    `create index if not exists ${quote(changes + '_record')} on ${quote(changes)} (object, native_id, seq)`,
    `create table if not exists ${quote(versions)} (${record}, seq bigint not null, primary key (object, native_id))`,
    `create table if not exists ${quote(ops)} (op text primary key, ${record}, kind text not null, correlation text not null, seq bigint not null, at_ms bigint not null)`,
    `create index if not exists ${quote(ops + '_record')} on ${quote(ops)} (object, native_id)`,
    `create index if not exists ${quote(ops + '_correlation')} on ${quote(ops)} (object, correlation)`,
    `create table if not exists ${quote(meta)} (name text primary key, value text not null)`,
  ]
}

const text = (value: string): string => `'${value.replaceAll("'", "''")}'`
const NOW_MS = `(extract(epoch from clock_timestamp()) * 1000)::bigint`

function triggers(names: Names, plan: TablePlan): readonly TriggerSpec[] {
  const { object } = plan.use
  const prefix = names.changes.replace(/_changes$/, '')
  return followed(plan).flatMap(({ table, id, part }): TriggerSpec[] => {
    const gone = part === null ? 'd' : 'u'
    const into = `insert into ${quote(names.changes)} (object, native_id, kind, at_ms)`
    const note = (row: string, kind: 'u' | 'd'): string =>
      `if ${row}.${quote(id)} is not null then ${into} values (${text(object)}, ${row}.${quote(id)}::text, '${kind}', ${NOW_MS}); end if;`
    // Changes of a record are numbered in the order in which they are committed, because whoever makes one holds the record's row. For a row of a part that is the parent's.
    const hold = (row: string): string =>
      part === null
        ? ''
        : `perform 1 from ${quote(plan.use.table)} where ${quote(plan.use.id)} = ${row}.${quote(id)} for no key update;`
    const make = (when: string, head: string, body: string): TriggerSpec => {
      const name = triggerName(prefix, object, table, when)
      return {
        name,
        table,
        // With the rights of whoever made it: the application's users need none to our tables.
        before: `create or replace function ${quote(name)}() returns trigger language plpgsql security definer set search_path from current as $latchwork$ begin ${body} return null; end $latchwork$`,
        sql: `create trigger ${quote(name)} ${head} execute function ${quote(name)}()`,
      }
    }
    const row = `on ${quote(table)} for each row`
    // As text: some types have no equality.
    const differs = watched(plan, part)
      .map((name) => `old.${quote(name)}::text is distinct from new.${quote(name)}::text`)
      .join(' or ')
    const moved = `old.${quote(id)} is distinct from new.${quote(id)}`
    return [
      make('insert', `after insert ${row}`, `${hold('new')} ${note('new', 'u')}`),
      make(
        'update',
        `after update ${row}`,
        `if ${differs} then if ${moved} then ${hold('old')} ${note('old', gone)} end if; ${hold('new')} ${note('new', 'u')} end if;`,
      ),
      make('delete', `after delete ${row}`, `${hold('old')} ${note('old', gone)}`),
      make(
        'truncate',
        `before truncate on ${quote(table)} for each statement`,
        `${into} select distinct ${text(object)}, ${quote(id)}::text, '${gone}', ${NOW_MS} from ${quote(table)} where ${quote(id)} is not null;`,
      ),
    ]
  })
}

async function existing(session: SqlSession, prefix: string): Promise<ReadonlyMap<string, string>> {
  const { rows } = await session.run(
    `select t.tgname, c.relname from pg_trigger t join pg_class c on c.oid = t.tgrelid where not t.tgisinternal and t.tgenabled in ('O', 'A') and c.relnamespace = current_schema()::regnamespace and left(t.tgname, ?) = ?`,
    [prefix.length + 1, prefix + '$'],
  )
  return new Map(rows.map(([name, table]) => [String(name), String(table)]))
}
