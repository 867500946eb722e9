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
import { quote } from './dialect.ts'

/** The change table in MariaDB's words. Names and ids are compared byte by byte, whatever the tables of the application do. */
export const mariadbDdl: ChangeTableDdl = {
  tables,
  randomText: 'uuid()',
  triggers,
  existing,
  drop: ({ name }) => `drop trigger if exists ${quote(name)}`,
  raiseVersions: (names, rows) =>
    `insert into ${quote(names.versions)} (object, native_id, seq) values ${Array.from({ length: rows }, () => '(?, ?, ?)').join(', ')} on duplicate key update seq = greatest(seq, values(seq))`,
}

const OBJECT = 'object varchar(200) not null'
const NATIVE_ID = 'native_id varchar(255) not null'
const END = 'engine = InnoDB character set utf8mb4 collate utf8mb4_bin'

/** The writes of ours that the database remembers; the only table of ours where changes come out of the log. */
export const opsTable = ({ ops }: Names): string =>
  `create table if not exists ${quote(ops)} (op varchar(255) not null primary key, ${OBJECT}, ${NATIVE_ID}, kind varchar(10) not null, correlation varchar(255) not null, seq bigint unsigned not null, at_ms bigint not null, index record (object, native_id), index correlation (object, correlation)) ${END}`

function tables({ changes, versions, ops, meta }: Names): readonly string[] {
  return [
    opsTable({ changes, versions, ops, meta }),
    `create table if not exists ${quote(changes)} (seq bigint unsigned not null auto_increment primary key, ${OBJECT}, ${NATIVE_ID}, kind char(1) not null, at_ms bigint not null, index record (object, native_id, seq)) ${END}`,
    `create table if not exists ${quote(versions)} (${OBJECT}, ${NATIVE_ID}, seq bigint unsigned not null, primary key (object, native_id)) ${END}`,
    `create table if not exists ${quote(meta)} (name varchar(60) not null primary key, value varchar(255) not null) ${END}`,
  ]
}

const text = (value: string): string => `'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`

function triggers(names: Names, plan: TablePlan): readonly TriggerSpec[] {
  const { object } = plan.use
  const prefix = names.changes.replace(/_changes$/, '')
  return followed(plan).flatMap(({ table, id, part }): TriggerSpec[] => {
    const note = (row: string, kind: 'u' | 'd'): string =>
      `insert into ${quote(names.changes)} (object, native_id, kind, at_ms) select ${text(object)}, cast(${row}.${quote(id)} as char character set utf8mb4), '${kind}', cast(unix_timestamp(sysdate(3)) * 1000 as signed) from dual where ${row}.${quote(id)} is not null;`
    // Changes of a record are numbered in the order in which they are committed, because whoever makes one holds the record's row. For a row of a part that is the parent's.
    const hold = (row: string): string =>
      part === null
        ? ''
        : `set held = (select count(*) from ${quote(plan.use.table)} where ${quote(plan.use.id)} = ${row}.${quote(id)} for update);`
    const declare = part === null ? '' : 'declare held int;'
    const make = (when: string, head: string, body: string): TriggerSpec => {
      const name = triggerName(prefix, object, table, when)
      return {
        name,
        table,
        sql: `create trigger ${quote(name)} ${head} on ${quote(table)} for each row begin ${declare} ${body} end`,
      }
    }
    const gone = part === null ? 'd' : 'u'
    // As bytes: a collation would take a change of case for none.
    const differs = watched(plan, part)
      .map((name) => `not (binary old.${quote(name)} <=> binary new.${quote(name)})`)
      .join(' or ')
    const moved = `not (binary old.${quote(id)} <=> binary new.${quote(id)})`
    return [
      make('insert', 'after insert', `${hold('new')} ${note('new', 'u')}`),
      make(
        'update',
        'after update',
        `if ${differs} then if ${moved} then ${hold('old')} ${note('old', gone)} end if; ${hold('new')} ${note('new', 'u')} end if;`,
      ),
      make('delete', 'after delete', `${hold('old')} ${note('old', gone)}`),
    ]
  })
}

async function existing(session: SqlSession, prefix: string): Promise<ReadonlyMap<string, string>> {
  const { rows } = await session.run(
    `select trigger_name, event_object_table from information_schema.triggers where trigger_schema = database() and left(trigger_name, ?) = ?`,
    [prefix.length + 1, prefix + '$'],
  )
  return new Map(rows.map(([name, table]) => [String(name), String(table)]))
}
