import { existsSync } from 'node:fs'
import { SyncError } from '../errors/index.ts'
import { systemClock } from '../lib/system-clock.ts'
import type { Run } from '../model/flow.ts'
import { encodeData } from '../model/value.ts'
import type { MessageRow } from '../ports/messages.ts'
import { requireHub } from './access.ts'
import { EXIT } from './exit-codes.ts'
import { contentOf, type MessagesOptions, type Properties, type RunOptions, type RunsOptions } from './flow-commands.ts'
import type { HubClient } from './hub-client.ts'
import type { CommandContext } from './program.ts'
import { shorten, table } from './table.ts'
import type { Terminal } from './terminal.ts'
import { ago, clockText, duration } from './time-text.ts'

type ShownRun = Omit<Run, 'message'>

/** One request waits so long at the most; longer waits are several. */
const WAIT_S = 45
const WAIT_ALWAYS_S = 24 * 3_600

const hubOf = (context: CommandContext): HubClient => requireHub({ ...context.options, env: context.process.env })
const of = (flow: string): string => `/api/flows/${encodeURIComponent(flow)}`

function fileOf(file: string): Buffer {
  if (file !== '-' && !existsSync(file)) throw new SyncError('query.invalid', `there is no file ${file}`)
  return contentOf(file)
}

export async function run(context: CommandContext, flow: string, own: RunOptions): Promise<number> {
  const hub = hubOf(context)
  const body = own.body === undefined ? undefined : (JSON.parse(fileOf(own.body).toString('utf8')) as unknown)
  const given = {
    properties: own.property,
    ...(body === undefined ? {} : { body }),
    ...(own.id === undefined ? {} : { id: own.id }),
  }
  const started = (await hub.post(`${of(flow)}/executions`, given)) as
    | { readonly id: string; readonly url: string }
    | { readonly duplicate: true }
  if ('duplicate' in started || own.wait === undefined) {
    context.terminal.result(started, () => ('duplicate' in started ? 'that id was run before' : started.id))
    return EXIT.ok
  }
  const endMs = systemClock.monotonicMs() + (own.wait === true ? WAIT_ALWAYS_S : own.wait) * 1_000
  let now: ShownRun
  do {
    const leftS = Math.max(1, Math.min(WAIT_S, Math.ceil((endMs - systemClock.monotonicMs()) / 1_000)))
    now = await hub.get<ShownRun>(started.url, { wait: leftS }, leftS * 1_000 + 10_000)
  } while (!isSettled(now) && systemClock.monotonicMs() < endMs)
  context.terminal.result(now, () =>
    now.state === 'done' ? encodeData(now.result) : `${now.state}: ${now.reason ?? 'not over yet'} (run ${now.id})`,
  )
  return now.state === 'done' ? EXIT.ok : EXIT.failure
}

/** Over, or waiting for a person: no more will come by itself. */
const isSettled = ({ state }: ShownRun): boolean => state === 'done' || state === 'cancelled' || state === 'parked'

export async function runs(context: CommandContext, flow: string | undefined, own: RunsOptions): Promise<number> {
  const hub = hubOf(context)
  const one = own.id ?? own.release ?? own.cancel
  if (flow === undefined) {
    if (one !== undefined)
      throw new SyncError('query.invalid', 'name the flow of the run: latchwork runs <flow> --id <run>')
    const flows = await hub.get<readonly FlowRow[]>('/api/flows')
    context.terminal.result({ items: flows }, () => flowsTable(flows, context.terminal))
    return EXIT.ok
  }
  if (one !== undefined) {
    const path = `${of(flow)}/executions/${encodeURIComponent(one)}`
    const action = own.release !== undefined ? '/release' : own.cancel !== undefined ? '/cancel' : null
    const found = (action === null ? await hub.get(path) : await hub.post(path + action)) as ShownRun
    context.terminal.result(found, () => runText(found))
    return EXIT.ok
  }
  const page = await hub.get<{ readonly items: readonly ShownRun[]; readonly next: string | null }>(
    `${of(flow)}/executions`,
    {
      state: own.state,
      limit: own.limit,
    },
  )
  context.terminal.result(page, () =>
    page.items.length === 0 ? 'no such runs' : runsTable(page.items, context.terminal),
  )
  return EXIT.ok
}

interface FlowRow {
  readonly name: string
  readonly kind: string
  readonly doors: readonly string[]
  readonly load: { readonly running: number; readonly callers: number; readonly waiting: number }
  readonly runs: Readonly<Record<string, number>>
}

const flowsTable = (rows: readonly FlowRow[], terminal: Terminal): string =>
  table<FlowRow>(
    [
      { title: 'flow', text: (row) => row.name },
      { title: 'caller', text: (row) => (row.kind === 'reply' ? 'waits' : 'does not wait') },
      { title: 'running', text: (row) => String(row.load.running), isNumber: true },
      { title: 'waiting', text: (row) => String(row.load.callers + row.load.waiting), isNumber: true },
      { title: 'parked', text: (row) => String(row.runs.parked ?? 0), isNumber: true },
      { title: 'done', text: (row) => String(row.runs.done ?? 0), isNumber: true },
      { title: 'doors', text: (row) => row.doors.join(', ') },
    ],
    rows,
    (text) => terminal.style('dim', text),
  )

function runsTable(rows: readonly ShownRun[], terminal: Terminal): string {
  const nowMs = systemClock.nowMs()
  return table<ShownRun>(
    [
      { title: 'run', text: (row) => row.id, isNumber: true },
      { title: 'state', text: (row) => (row.state === 'parked' ? terminal.style('yellow', row.state) : row.state) },
      { title: 'received', text: (row) => ago(row.receivedAtMs, nowMs) },
      { title: 'attempts', text: (row) => String(row.attempts), isNumber: true },
      { title: 'key', text: (row) => row.orderKey ?? '' },
      { title: 'why, or what', text: (row) => shorten(row.reason ?? encodeData(row.result), 80) },
    ],
    rows,
    (text) => terminal.style('dim', text),
  )
}

function runText(run: ShownRun): string {
  const nowMs = systemClock.nowMs()
  const lines = run.timeline.map(
    ({ atMs, what, text }) => `  ${clockText(atMs, nowMs)}  ${what}${text === undefined ? '' : `: ${text}`}`,
  )
  return [
    `run ${run.id} of ${run.flow}: ${run.state}${run.reason === null ? '' : `, ${run.reason}`}`,
    ...lines,
    ...(run.result === null ? [] : [`  result ${encodeData(run.result)}`]),
  ].join('\n')
}

export async function messages(context: CommandContext, own: MessagesOptions): Promise<number> {
  const hub = hubOf(context)
  if (own.id !== undefined) {
    const row = await hub.get<MessageRow>(`/api/messages/${encodeURIComponent(own.id)}`)
    context.terminal.result(row, () => messageText(row))
    return EXIT.ok
  }
  const page = await hub.get<{ readonly items: readonly MessageRow[]; readonly next: number | null }>('/api/messages', {
    flow: own.flow,
    app: own.app,
    verdict: own.verdict,
    text: own.text,
    since: own.since === undefined ? undefined : systemClock.nowMs() - own.since * 60_000,
    limit: own.limit,
  })
  context.terminal.result(page, () =>
    page.items.length === 0 ? 'no such messages' : messagesTable(page.items, context.terminal),
  )
  return EXIT.ok
}

/** The verdict at the door, and what was found out since. */
function verdictText({ verdict, later, reason }: MessageRow): string {
  const since = [...new Set(later.map((one) => one.verdict))].slice(-3).join(', ')
  const at = verdict === 'filtered' ? `filtered by ${reason}` : verdict
  return since === '' ? at : `${at}, ${since}`
}

function messagesTable(rows: readonly MessageRow[], terminal: Terminal): string {
  const nowMs = systemClock.nowMs()
  return table<MessageRow>(
    [
      { title: 'message', text: (row) => String(row.id), isNumber: true },
      { title: 'when', text: (row) => clockText(row.atMs, nowMs) },
      { title: 'door', text: (row) => row.origin },
      {
        title: 'verdict',
        text: (row) => (row.code === null ? verdictText(row) : terminal.style('red', verdictText(row))),
      },
      { title: 'about', text: (row) => row.run ?? row.nativeIds.join(' ') },
      {
        title: 'payload',
        text: (row) =>
          shorten(row.code === null ? (row.payload ?? '') : (row.reason ?? row.code), terminal.columns < 120 ? 30 : 80),
      },
    ],
    rows,
    (text) => terminal.style('dim', text),
  )
}

function messageText(row: MessageRow): string {
  const properties = Object.entries(row.properties).map(([name, value]) => `  ${name} = ${value}`)
  const later = row.later.map(
    ({ atMs, verdict, text }) =>
      `  ${duration(Math.max(0, atMs - row.atMs))} later ${verdict}${text === '' ? '' : `: ${text}`}`,
  )
  return [
    `message ${row.id} at ${new Date(row.atMs).toISOString()} through ${row.origin}: ${verdictText(row)}${row.code === null ? '' : ` (${row.code}: ${row.reason})`}`,
    ...properties,
    ...later,
    ...(row.payload === null ? [] : [row.payload + (row.isCut ? ' ... (cut)' : '')]),
  ].join('\n')
}

/** Until it is interrupted. */
export async function listen(context: CommandContext, flow: string | undefined): Promise<number> {
  const hub = hubOf(context)
  const { terminal } = context
  terminal.note(`what comes in at ${hub.url}, until Ctrl-C`)
  const stopped = new AbortController()
  context.process.on('SIGINT', () => stopped.abort())
  context.process.on('SIGTERM', () => stopped.abort())
  for await (const data of hub.events('/api/messages/stream', stopped.signal)) {
    const row = data as MessageRow
    if (flow !== undefined && row.flow !== flow) continue
    terminal.result(row, () => {
      const verdict = row.code === null ? verdictText(row) : `${row.verdict} ${row.code}`
      return `${clockText(row.atMs, systemClock.nowMs())}  ${row.origin}  ${verdict}  ${shorten(row.payload ?? '', terminal.columns - 50)}`
    })
  }
  return EXIT.ok
}

export async function send(
  context: CommandContext,
  flow: string,
  file: string,
  properties: Properties,
): Promise<number> {
  const query = new URLSearchParams(properties).toString()
  const done = await hubOf(context).postBytes(
    `${of(flow)}/messages${query === '' ? '' : `?${query}`}`,
    new Uint8Array(fileOf(file)),
  )
  context.terminal.result(done, () => encodeData(done))
  return EXIT.ok
}

export async function resend(context: CommandContext, message: string): Promise<number> {
  const done = await hubOf(context).post(`/api/messages/${encodeURIComponent(message)}/resend`)
  context.terminal.result(done, () => encodeData(done))
  return EXIT.ok
}
