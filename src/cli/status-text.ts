import type { HubStatus, ParkedEntry, ParkedLane, StoreStatus } from '../server/status.ts'
import { brakeText } from './inspecting.ts'
import { shorten, table } from './table.ts'
import type { Terminal } from './terminal.ts'
import { ago, duration } from './time-text.ts'

export function statusText(
  status: HubStatus | (StoreStatus & { readonly running: false }),
  terminal: Terminal,
  nowMs: number,
): string {
  const { counts } = status
  const lines = status.running ? runningLines(status, terminal) : []
  lines.push(`${counts.records} records, ${counts.links} links, ${counts.conflicts} conflicts`)
  const open = Object.entries(counts.openLanes).filter(([state]) => state !== 'parked')
  if (open.length > 0) lines.push(`not in step yet: ${open.map(([state, count]) => `${count} ${state}`).join(', ')}`)
  const waiting = Object.entries(status.waiting)
  if (waiting.length > 0)
    lines.push(`notifications that wait: ${waiting.map(([on, count]) => `${count} for ${on}`).join(', ')}`)
  for (const brake of status.brakes) lines.push('', brakeText(brake, terminal, nowMs))
  lines.push('', ...parkedLines(status, terminal, nowMs))
  return lines.join('\n')
}

function runningLines(status: HubStatus, terminal: Terminal): string[] {
  const { engine } = status
  const state = status.ready
    ? status.idle
      ? terminal.style('green', 'in step')
      : terminal.style('cyan', 'working')
    : terminal.style('yellow', 'starting')
  const latency =
    engine.latencyMs.p50 === null
      ? ''
      : `, delivered in ${duration(engine.latencyMs.p50)} (p99 ${duration(engine.latencyMs.p99 ?? 0)})`
  const lines = [
    `hub ${status.pid} is ${state}, up ${duration(status.nowMs - status.startedAtMs)}`,
    `${engine.notifications} notifications, ${engine.writes.applied} writes${latency}, ${engine.backlog} waiting, ${engine.inFlight} under way`,
    '',
    table<HubStatus['apps'][number]>(
      [
        { title: 'app', text: (app) => app.app },
        { title: 'class', text: (app) => app.classes.join(', ') },
        { title: 'objects', text: (app) => app.objects.map((one) => one.object).join(', ') },
        {
          title: 'writes exposed',
          text: (app) =>
            app.exposure === null
              ? '-'
              : `${app.exposure.writes}, p50 ${duration(app.exposure.p50Ms ?? 0)}, p99 ${duration(app.exposure.p99Ms ?? 0)}`,
        },
      ],
      status.apps,
      (text) => terminal.style('dim', text),
    ),
    '',
  ]
  for (const app of status.apps) lines.push(...limitLines(app, terminal))
  return lines
}

/** What is not promised for an application, each once. */
function limitLines({ app, objects }: HubStatus['apps'][number], terminal: Terminal): string[] {
  const limits = new Map(objects.flatMap((one) => one.notPromised).map((limit) => [limit.promise, limit]))
  if (limits.size === 0) return []
  return [
    ...[...limits.values()].map(
      ({ promise, why }) => `${terminal.style('yellow', `${app}: not promised, ${promise}`)}: ${why}`,
    ),
    '',
  ]
}

function parkedLines(status: StoreStatus, terminal: Terminal, nowMs: number): string[] {
  const { parkedLanes, parkedEntries } = status
  if (parkedLanes.length + parkedEntries.length === 0) return ['nothing is set aside']
  const dim = (text: string): string => terminal.style('dim', text)
  const messageMax = Math.max(40, terminal.columns - 60)
  const lines: string[] = []
  if (parkedLanes.length > 0) {
    lines.push(
      `${parkedLanes.length} records are set aside; \`latchwork release <entity> <app>:<id>\` tries one again:`,
      table<ParkedLane>(
        [
          { title: 'since', text: (lane) => ago(lane.sinceMs, nowMs) },
          { title: 'in', text: (lane) => lane.app },
          { title: 'record', text: (lane) => `${lane.entity} ${recordName(lane)}` },
          { title: 'code', text: (lane) => terminal.style('red', lane.code) },
          { title: 'message', text: (lane) => shorten(lane.message, messageMax) },
        ],
        parkedLanes,
        dim,
      ),
    )
  }
  if (parkedEntries.length > 0) {
    lines.push(
      `${parkedEntries.length} notifications are set aside; \`latchwork replay <seq>\` takes one up again:`,
      table<ParkedEntry>(
        [
          { title: 'seq', text: (entry) => String(entry.seq), isNumber: true },
          { title: 'since', text: (entry) => ago(entry.sinceMs, nowMs) },
          { title: 'record', text: (entry) => `${entry.entity} ${entry.app}:${entry.nativeId}` },
          { title: 'code', text: (entry) => terminal.style('red', entry.code) },
          { title: 'message', text: (entry) => shorten(entry.message, messageMax) },
        ],
        parkedEntries,
        dim,
      ),
    )
  }
  if (status.isCut) lines.push(dim('there are more than are listed here'))
  return lines
}

/** A name under which the record can be released: its id here, or where it has one. */
function recordName(lane: ParkedLane): string {
  if (lane.nativeId !== null) return `${lane.app}:${lane.nativeId}`
  const [known] = lane.known
  return known === undefined ? lane.key : `${known.app}:${known.nativeId}`
}
