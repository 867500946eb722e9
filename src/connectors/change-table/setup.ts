import { hash } from 'node:crypto'
import { SyncError } from '../../errors/index.ts'
import type { AppId } from '../../model/ids.ts'
import type { TableUse } from '../tables/options.ts'
import { planTables, type TablePlans } from '../tables/plan.ts'
import { type Dialect, SqlFailure, type SqlSession } from '../tables/sql.ts'
import { type ChangeTableDdl, type Names, namesOf, type TriggerSpec } from './ddl.ts'

/** A change table that stands and works: which one it is, and the tables that it follows. */
export interface ReadyChangeTable {
  readonly plans: TablePlans
  readonly names: Names
  /** Which change table this is, and how often it was begun anew: a position of another one means nothing here. */
  readonly table: string
  readonly generation: number
}

export interface SetupInput {
  readonly app: AppId
  readonly dialect: Dialect
  readonly ddl: ChangeTableDdl
  readonly prefix: string
  readonly uses: readonly TableUse[]
}

/** The layout of our own tables. A newer one than this is refused; an older one is brought forward by `MIGRATIONS`. */
const LAYOUT = 1

/**
 * Makes the change table and its triggers where they are missing or not as they should be, inside the caller's write transaction. Where triggers had to be made, changes may have gone unseen: the
 * generation is raised, which makes the feed begin anew and every version newer than those told before.
 */
export async function setUp(session: SqlSession, input: SetupInput): Promise<ReadyChangeTable> {
  const plans = await planTables(input.app, input.dialect, session, input.uses)
  const names = namesOf(input.prefix)
  const triggers = [...plans.values()].flatMap((plan) => input.ddl.triggers(names, plan))
  const digest = digestOf(triggers)
  try {
    for (const statement of input.ddl.tables(names)) await session.run(statement)
    const meta = await readMeta(session, input.dialect, names)
    checkLayout(input, meta)
    const existing = await input.ddl.existing(session, input.prefix)
    const stand = triggers.every((trigger) => existing.get(trigger.name) === trigger.table)
    const known = meta.get('triggers') === digest && stand && existing.size === triggers.length
    const database = meta.get('database') ?? (await randomText(session, input.ddl))
    const generation = Number(meta.get('generation') ?? 0) + (known ? 0 : 1)
    if (!known) {
      await replaceTriggers(session, input.ddl, existing, triggers)
      const facts = {
        database,
        layout: String(LAYOUT),
        triggers: digest,
        generation: String(generation),
        high: meta.get('high') ?? '0',
      }
      for (const [name, value] of Object.entries(facts)) await writeMeta(session, input.dialect, names, name, value)
    }
    return { plans, names, table: `${database}.${generation}`, generation }
  } catch (error) {
    throw setupError(input, error)
  }
}

/** Whether the triggers still stand as they were made; somebody may drop one, or make the table anew. */
export async function stillStands(session: SqlSession, input: SetupInput, ready: ReadyChangeTable): Promise<boolean> {
  const existing = await input.ddl.existing(session, input.prefix)
  const wanted = [...ready.plans.values()].flatMap((plan) => input.ddl.triggers(ready.names, plan))
  return existing.size === wanted.length && wanted.every((trigger) => existing.get(trigger.name) === trigger.table)
}

async function replaceTriggers(
  session: SqlSession,
  ddl: ChangeTableDdl,
  existing: ReadonlyMap<string, string>,
  triggers: readonly TriggerSpec[],
): Promise<void> {
  for (const [name, table] of existing) await session.run(ddl.drop({ name, table }))
  for (const trigger of triggers) {
    if (trigger.before !== undefined) await session.run(trigger.before)
    await session.run(trigger.sql)
  }
}

export async function readMeta(session: SqlSession, dialect: Dialect, names: Names): Promise<Map<string, string>> {
  const { rows } = await session.run(`select name, value from ${dialect.quote(names.meta)}`)
  return new Map(rows.map(([name, value]) => [String(name), String(value)]))
}

export async function writeMeta(
  session: SqlSession,
  dialect: Dialect,
  names: Names,
  name: string,
  value: string,
): Promise<void> {
  const meta = dialect.quote(names.meta)
  const { rows } = await session.run(`select 1 from ${meta} where name = ?`, [name])
  if (rows.length > 0) await session.run(`update ${meta} set value = ? where name = ?`, [value, name])
  else await session.run(`insert into ${meta} (name, value) values (?, ?)`, [name, value])
}

function checkLayout({ app, prefix }: SetupInput, meta: ReadonlyMap<string, string>): void {
  const layout = meta.get('layout')
  if (layout === undefined || Number(layout) === LAYOUT) return
  throw new SyncError(
    'database.change-table',
    `${app}: the change table ${prefix}_changes was made by another version of Latchwork (layout ${layout}, this one knows ${LAYOUT}). Use that version, or give the application another prefix.`,
    { place: { app } },
  )
}

function setupError(input: SetupInput, error: unknown): unknown {
  if (!(error instanceof SqlFailure) || (error.kind !== 'denied' && error.kind !== 'rejected')) return error
  const tables = input.uses.flatMap((use) => [use.table, ...use.parts.map((part) => part.table)]).join(', ')
  return new SyncError(
    'database.privileges',
    `${input.app}: the change table cannot be made: ${error.message}. The user needs the right to create tables, and triggers on ${tables}.`,
    { place: { app: input.app }, cause: error },
  )
}

async function randomText(session: SqlSession, ddl: ChangeTableDdl): Promise<string> {
  const { rows } = await session.run(`select ${ddl.randomText}`)
  return String(rows[0]?.[0]).replaceAll('-', '').slice(0, 16)
}

const digestOf = (triggers: readonly TriggerSpec[]): string =>
  hash('sha256', triggers.map(({ before, sql }) => `${before ?? ''}\n${sql}`).join('\n'), 'hex').slice(0, 32)
