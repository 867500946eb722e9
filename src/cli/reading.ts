import { existsSync } from 'node:fs'
import type { HubDefinition } from '../config/define-hub.ts'
import { systemClock } from '../lib/system-clock.ts'
import { asAppId, asEntityName, asNativeId } from '../model/ids.ts'
import type { LinkRow } from '../ports/store.ts'
import { type Access, type ConflictRow, openAccess } from './access.ts'
import { EXIT } from './exit-codes.ts'
import { explanationText } from './explain-text.ts'
import { type CommandContext, recordOf } from './program.ts'
import { statusText } from './status-text.ts'
import { shorten, table } from './table.ts'
import type { Terminal } from './terminal.ts'
import { ago } from './time-text.ts'

export async function status(context: CommandContext): Promise<number> {
  await using access = await openFor(context)
  const found = await access.status()
  context.terminal.result(found, () => statusText(found, context.terminal, systemClock.nowMs()))
  return EXIT.ok
}

export async function xrefList(
  context: CommandContext,
  own: { readonly app?: string; readonly entity?: string; readonly nativeId?: string; readonly limit: number },
): Promise<number> {
  const { terminal } = context
  await using access = await openFor(context)
  const query = {
    ...(own.app === undefined ? {} : { app: asAppId(own.app) }),
    ...(own.entity === undefined ? {} : { entity: asEntityName(own.entity) }),
    ...(own.nativeId === undefined ? {} : { nativeId: asNativeId(own.nativeId) }),
  }
  const { rows, isCut } = await collect(access.links(query, wantedOf(own.limit)), own.limit, terminal)
  terminal.result({ items: rows, isCut }, () => (rows.length === 0 ? 'no such rows' : xrefTable(rows, terminal)))
  sayCut(isCut, terminal)
  return EXIT.ok
}

const xrefTable = (rows: readonly LinkRow[], terminal: Terminal): string =>
  table<LinkRow>(
    [
      { title: 'app', text: (row) => row.app },
      { title: 'object', text: (row) => row.object },
      { title: 'native id', text: (row) => row.nativeId },
      { title: 'entity', text: (row) => row.entity },
      { title: 'canonical key', text: (row) => row.key ?? '-' },
      {
        title: 'latch',
        text: (row) =>
          row.state === 'tombstone' ? 'deleted' : row.latchClosed ? terminal.style('yellow', 'closed') : 'open',
      },
    ],
    rows,
    (text) => terminal.style('dim', text),
  )

export async function conflicts(
  context: CommandContext,
  own: { readonly entity?: string; readonly limit: number },
): Promise<number> {
  const { terminal } = context
  await using access = await openFor(context)
  const { rows, isCut } = await collect(access.conflicts(own.entity, wantedOf(own.limit)), own.limit, terminal)
  terminal.result({ items: rows, isCut }, () => (rows.length === 0 ? 'no conflicts' : conflictsTable(rows, terminal)))
  sayCut(isCut, terminal)
  return EXIT.ok
}

function conflictsTable(rows: readonly ConflictRow[], terminal: Terminal): string {
  const nowMs = systemClock.nowMs()
  const valueMax = terminal.columns < 120 ? 20 : 40
  const value = (given: unknown): string => shorten(JSON.stringify(given) ?? 'null', valueMax)
  return table<ConflictRow>(
    [
      { title: 'when', text: (row) => ago(row.atMs, nowMs) },
      { title: 'field', text: (row) => `${row.entity}.${row.path}` },
      { title: 'lost', text: (row) => `${row.loserApp} ${terminal.style('red', value(row.loserValue))}` },
      { title: 'stands', text: (row) => `${row.winnerApp} ${terminal.style('green', value(row.winnerValue))}` },
      { title: 'why', text: (row) => `${row.reason}, ${row.policy}` },
      { title: 'record', text: (row) => row.key },
    ],
    rows,
    (text) => terminal.style('dim', text),
  )
}

export async function explainRecord(context: CommandContext, entity: string, record: string): Promise<number> {
  const { app, nativeId } = recordOf(record)
  await using access = await openFor(context)
  const found = await access.explain({
    entity: asEntityName(entity),
    app: asAppId(app),
    nativeId: asNativeId(nativeId),
  })
  context.terminal.result(found, () => explanationText(found, context.terminal, systemClock.nowMs()))
  return EXIT.ok
}

export function openFor({ options, process, terminal }: CommandContext): Promise<Access> {
  const definition = async (): Promise<HubDefinition | null> => {
    if (!existsSync(options.config)) return null
    // Only here, because a config brings the whole schema library along.
    const { loadConfig } = await import('./config-file.ts')
    return loadConfig(options.config)
  }
  return openAccess({
    data: options.data,
    ...(options.url === undefined ? {} : { url: options.url }),
    env: process.env,
    definition,
  }).then((access) => {
    if (access.from === 'files' && !terminal.isJson)
      terminal.note(terminal.style('dim', `no hub runs on ${options.data}; this is what its store says`))
    return access
  })
}

/** One row more than asked for, to know whether there are more. 0 is all. */
const wantedOf = (limit: number): number => (limit === 0 ? Number.MAX_SAFE_INTEGER : limit + 1)

async function collect<Row>(
  pages: AsyncIterable<readonly Row[]>,
  limit: number,
  terminal: Terminal,
): Promise<{ rows: Row[]; isCut: boolean }> {
  const rows: Row[] = []
  let said = 0
  for await (const page of pages) {
    rows.push(...page)
    // A long list says that it is being read; a short one is there before anybody could look.
    if (rows.length - said < PROGRESS_ROWS) continue
    said = rows.length
    terminal.note(`${rows.length} rows so far`)
  }
  const isCut = limit > 0 && rows.length > limit
  return { rows: isCut ? rows.slice(0, limit) : rows, isCut }
}

const PROGRESS_ROWS = 50_000

function sayCut(isCut: boolean, terminal: Terminal): void {
  if (isCut && !terminal.isJson) terminal.note(terminal.style('dim', 'there are more; --limit 0 lists all'))
}
