import type { Command } from 'commander'
import type { BrakeState } from '../engine/brake-state.ts'
import type { NearMiss } from '../engine/findings.ts'
import { systemClock } from '../lib/system-clock.ts'
import type { Value } from '../model/value.ts'
import type { ClosedLatch, Latches } from '../server/latches.ts'
import { requireHub } from './access.ts'
import { EXIT } from './exit-codes.ts'
import type { Action, CommandContext } from './program.ts'
import { openFor } from './reading.ts'
import { shorten, table } from './table.ts'
import type { Terminal } from './terminal.ts'
import { ago, duration } from './time-text.ts'

/** The latch inspector, and the brakes. */
export function addInspecting(program: Command, choose: (action: Action) => void): void {
  program
    .command('latches')
    .description('what is expected of applications: writes outstanding and overdue, and how values come back')
    .action(() => choose(latches))
  const brake = program.command('brake').description('brakes on mass changes: what they hold')
  brake
    .command('list', { isDefault: true })
    .description('brakes that have tripped')
    .action(() => choose(brakeList))
  brake
    .command('release <brake>')
    .description('let go what a brake holds, where the mass change is meant')
    .action((id: string) => choose((context) => brakeRelease(context, id)))
}

async function latches(context: CommandContext): Promise<number> {
  await using access = await openFor(context)
  const found = await access.latches()
  context.terminal.result(found, () => latchesText(found, context.terminal))
  return EXIT.ok
}

function latchesText(found: Latches, terminal: Terminal): string {
  const dim = (text: string): string => terminal.style('dim', text)
  const bold = (text: string): string => terminal.style('bold', text)
  const nowMs = systemClock.nowMs()
  const lines = [bold('Outstanding')]
  if (found.outstanding.length === 0) lines.push('  no latch is closed')
  else {
    lines.push(
      table<ClosedLatch>(
        [
          { title: '  record', text: (one) => `  ${one.entity} ${one.app}:${one.nativeId ?? knownAs(one)}` },
          { title: 'state', text: (one) => one.state },
          {
            title: 'closed for',
            text: (one) => {
              const age = duration(one.ageMs)
              return one.isOverdue ? terminal.style('red', `${age}, overdue`) : age
            },
          },
          { title: 'by', text: (one) => one.op?.slice(one.op.lastIndexOf('.') + 1) ?? '-' },
        ],
        found.outstanding,
        dim,
      ),
    )
    if (found.isCut) lines.push(dim('  there are more'))
  }
  lines.push('', bold('Near misses: values of ours that come back in another form'))
  if (found.nearMisses.length === 0) lines.push('  none')
  else {
    lines.push(
      table<NearMiss>(
        [
          { title: '  field', text: (one) => `  ${one.entity}.${one.field}` },
          { title: 'what happens', text: (one) => terminal.style('yellow', one.text) },
          { title: 'written', text: (one) => valueText(one.written) },
          { title: 'found', text: (one) => valueText(one.found) },
          { title: 'times', text: (one) => String(one.count) },
          { title: 'last', text: (one) => ago(one.atMs, nowMs) },
        ],
        found.nearMisses,
        dim,
      ),
    )
  }
  if (found.clocks.length > 0) {
    lines.push('', bold('Clocks ahead of ours'))
    for (const { app, aheadMs, count, atMs } of found.clocks)
      lines.push(
        `  ${terminal.style('red', app)} by up to ${duration(aheadMs)}, ${count} times, last ${ago(atMs, nowMs)}`,
      )
  }
  return lines.join('\n')
}

const knownAs = ({ known }: ClosedLatch): string =>
  known.length === 0 ? '(new)' : `(new, ${known.map(({ app, nativeId }) => `${app}:${nativeId}`).join(', ')})`

const valueText = (value: Value): string =>
  shorten(typeof value === 'bigint' ? String(value) : (JSON.stringify(value) ?? 'null'), 30)

async function brakeList(context: CommandContext): Promise<number> {
  await using access = await openFor(context)
  const brakes = await access.brakes()
  const nowMs = systemClock.nowMs()
  context.terminal.result({ items: brakes }, () =>
    brakes.length === 0
      ? 'no brake has tripped'
      : brakes.map((one) => brakeText(one, context.terminal, nowMs)).join('\n'),
  )
  return EXIT.ok
}

export const brakeText = (brake: BrakeState, terminal: Terminal, nowMs: number): string =>
  brake.kind === 'first-contact'
    ? `${terminal.style('red', brake.id)}  holds since ${ago(brake.sinceMs, nowMs)}: the first contact would create ${brake.count} records of ${brake.from} in ${brake.to}, more than ${brake.limit}; nothing of it is written. \`latchwork rehearse\` lists them; if they are meant: latchwork backfill, or latchwork brake release '${brake.id}'`
    : brakeUsualText(brake, terminal, nowMs)

const brakeUsualText = (brake: BrakeState, terminal: Terminal, nowMs: number): string =>
  `${terminal.style('red', brake.id)}  holds since ${ago(brake.sinceMs, nowMs)}: ${brake.count} ${brake.kind} from ${brake.from} to ${brake.to} within ${duration(brake.withinMs)}, ${brake.limit} may go. If they are meant: latchwork brake release '${brake.id}'`

async function brakeRelease(context: CommandContext, id: string): Promise<number> {
  const hub = requireHub({ ...context.options, env: context.process.env })
  const done = await hub.post(`/api/brakes/${encodeURIComponent(id)}/release`)
  context.terminal.result(done, () => `${id} is released; what it held goes on`)
  return EXIT.ok
}
