import type { Verdict } from '../model/record.ts'
import type { Value } from '../model/value.ts'
import type { Explanation, LaneExplanation } from '../server/explain.ts'
import { oneLine, shorten, table } from './table.ts'
import type { Style, Terminal } from './terminal.ts'
import { ago, clockText, duration } from './time-text.ts'

/** A record as a person reads it: what it is, where it is, what happened, and why it is not where it should be. */
export function explanationText(found: Explanation, terminal: Terminal, nowMs: number): string {
  const bold = (text: string): string => terminal.style('bold', text)
  const lines = [
    `${bold(`${found.entity} ${found.app}:${found.nativeId}`)}${found.deleted ? terminal.style('red', '  deleted') : ''}`,
  ]
  lines.push(
    found.key === null ? 'belongs to no record of the hub' : terminal.style('dim', `canonical key ${found.key}`),
  )
  if (found.head.length > 0) lines.push('', bold('Now'), headTable(found, terminal, nowMs))
  if (found.lanes.length > 0)
    lines.push('', bold('Where'), ...found.lanes.flatMap((lane) => laneLines(lane, terminal, nowMs)))
  if (found.whyNot.length > 0) {
    lines.push('', bold('Why it did not arrive'))
    for (const { app, because, until, code, sinceMs, last } of found.whyNot) {
      const since = sinceMs === null ? '' : ` (since ${ago(sinceMs, nowMs)})`
      lines.push(
        `  ${terminal.style('bold', app)}${code === null ? '' : ` ${terminal.style('red', code)}`}: ${oneLine(because)}${since}`,
        `    until: ${until}`,
      )
      if (last !== null)
        lines.push(
          terminal.style('dim', `    last there ${ago(last.atMs, nowMs)}: ${last.verdict}, ${oneLine(last.text)}`),
        )
    }
  }
  if (found.held.length > 0) {
    lines.push('', bold('Set aside or waiting'))
    for (const entry of found.held) {
      const how =
        entry.waitsOn === 'operator'
          ? `\`latchwork replay ${entry.seq}\` takes it up again`
          : `waits for: ${entry.waitsOn}`
      lines.push(
        `  ${terminal.style('red', `#${entry.seq} ${entry.code}`)} ${ago(entry.sinceMs, nowMs)}: ${entry.message}`,
        `    ${how}`,
      )
    }
  }
  if (found.verdicts.length > 0) lines.push('', bold('What happened'), timeline(found, terminal, nowMs))
  if (found.conflicts.length > 0)
    lines.push('', bold('Values that lost'), ...found.conflicts.map((one) => conflictLine(one, terminal, nowMs)))
  for (const [path, { code, message }] of Object.entries(found.parkedPaths)) {
    lines.push('', `${terminal.style('red', `${path} is set aside (${code})`)}: ${message}`)
    for (const { app, value } of found.values.filter((one) => one.path === path))
      lines.push(`  ${app} holds ${valueText(value, 60)}`)
    lines.push(
      `  \`latchwork resolve ${found.entity} ${found.app}:${found.nativeId} ${path} --take <app>\` says which stands`,
    )
  }
  return lines.join('\n')
}

const valueText = (value: Value, lengthMax: number): string =>
  shorten(typeof value === 'bigint' ? String(value) : (JSON.stringify(value) ?? 'null'), lengthMax)

function headTable(found: Explanation, terminal: Terminal, nowMs: number): string {
  const rows = found.head.filter((cell) => !(cell.path.endsWith(']') && cell.value === true))
  return table<Explanation['head'][number]>(
    [
      { title: '  field', text: (cell) => `  ${cell.path}` },
      {
        title: 'value',
        text: (cell) =>
          cell.path.endsWith(']') ? 'taken out' : valueText(cell.value, Math.max(20, terminal.columns - 50)),
      },
      { title: 'from', text: (cell) => cell.app },
      { title: 'since', text: (cell) => ago(cell.atMs, nowMs) },
    ],
    rows,
    (text) => terminal.style('dim', text),
  )
}

function laneLines(lane: LaneExplanation, terminal: Terminal, nowMs: number): string[] {
  const name = `  ${terminal.style('bold', `${lane.app}:${lane.nativeId ?? '(no id yet)'}`)}`
  const lines = [`${name}  ${laneState(lane, terminal)}, latch ${latchText(lane, terminal, nowMs)}`]
  for (const { path, head, app } of lane.differs) {
    lines.push(
      `    ${path}: here ${app === undefined ? 'not known' : valueText(app, 40)}, should be ${valueText(head, 40)}`,
    )
  }
  if (lane.park !== null)
    lines.push(
      `    ${terminal.style('red', `set aside ${ago(lane.park.atMs, nowMs)}: ${lane.park.code}`)}: ${oneLine(lane.park.message)}`,
    )
  if (lane.retry !== null)
    lines.push(
      `    tried ${lane.retry.tries} times, again ${ago(lane.retry.notBeforeMs, nowMs)}: ${lane.retry.code}: ${oneLine(lane.retry.message)}`,
    )
  if (lane.waitsFor !== null)
    lines.push(
      `    waits since ${duration(nowMs - lane.waitsFor.sinceMs)} until ${lane.waitsFor.entity} ${lane.waitsFor.key} is there`,
    )
  if (lane.reading !== null) lines.push(`    is being read: ${lane.reading}`)
  return lines
}

function laneState(lane: LaneExplanation, terminal: Terminal): string {
  if (lane.detached) return terminal.style('yellow', 'deleted there, no longer followed')
  if (lane.park !== null) return terminal.style('red', 'set aside')
  if (lane.isInStep) return terminal.style('green', 'in step')
  if (lane.exists === false) return terminal.style('yellow', 'not there')
  if (lane.exists === null) return terminal.style('yellow', 'not there yet')
  return terminal.style('yellow', `${lane.differs.length} fields behind`)
}

function latchText({ latch }: LaneExplanation, terminal: Terminal, nowMs: number): string {
  if (!latch.closed) return 'open'
  if (latch.op === undefined) return terminal.style('yellow', 'closed')
  return `${terminal.style('yellow', `closed since ${duration(nowMs - (latch.sinceMs ?? nowMs))}`)} by ${latch.kind} ${latch.op} (${latch.state})`
}

const VERDICT_STYLES: Readonly<Partial<Record<Verdict['verdict'], Style>>> = {
  accepted: 'green',
  created: 'green',
  linked: 'green',
  applied: 'cyan',
  intent: 'cyan',
  echo: 'dim',
  rendition: 'dim',
  stale: 'dim',
  unchanged: 'dim',
  'conflict-won': 'yellow',
  'conflict-lost': 'yellow',
  parked: 'red',
  refused: 'red',
  unknown: 'red',
}

function timeline({ verdicts, key }: Explanation, terminal: Terminal, nowMs: number): string {
  // An op id begins with the store and the record, which are the same in every line; --json has it whole.
  const opStart = new RegExp(`[a-z0-9]+\\.[\\d-]+\\.${key}\\.`, 'g')
  const width = Math.max(...verdicts.map((one) => one.verdict.length))
  const idOf = (one: Explanation['verdicts'][number]): string =>
    one.nativeId === null ? one.app : `${one.app}:${shorten(one.nativeId, 14)}`
  const ids = Math.max(...verdicts.map((one) => idOf(one).length))
  return verdicts
    .map((one) => {
      const { atMs, verdict, text, seq, latchedForMs, afterMs } = one
      const when = `${clockText(atMs, nowMs)} ${terminal.style('dim', `+${duration(afterMs)}`.padStart(9))}`
      const latched = latchedForMs === null ? '' : `, latch closed ${duration(latchedForMs)} before`
      return `  ${when}  ${idOf(one).padEnd(ids)}  ${terminal.style(VERDICT_STYLES[verdict] ?? 'reset', verdict.padEnd(width))}  ${oneLine(text.replace(opStart, ''))}${terminal.style('dim', `${latched} #${seq}`)}`
    })
    .join('\n')
}

function conflictLine(one: Explanation['conflicts'][number], terminal: Terminal, nowMs: number): string {
  const lost = `${one.loserApp} ${terminal.style('red', valueText(one.loserValue, 40))}`
  const stands = `${one.winnerApp} ${terminal.style('green', valueText(one.winnerValue, 40))}`
  return `  ${clockText(one.atMs, nowMs)}  ${one.path}: ${lost} lost to ${stands} (${one.reason}, ${one.policy})`
}
