import type { Command } from 'commander'
import { systemClock } from '../lib/system-clock.ts'
import type { CandidatePair } from '../server/candidates.ts'
import type { Paired } from '../server/pairing.ts'
import { requireHub } from './access.ts'
import { EXIT } from './exit-codes.ts'
import { type Action, type CommandContext, recordOf } from './program.ts'
import { openFor } from './reading.ts'
import { shorten, table } from './table.ts'
import type { Terminal } from './terminal.ts'
import { ago } from './time-text.ts'

/** Pairs of records that may be one: both side by side, with what differs. */
export async function candidates(context: CommandContext, own: { readonly entity?: string }): Promise<number> {
  const { terminal } = context
  await using access = await openFor(context)
  const items = await access.candidates(own.entity)
  terminal.result({ items }, () =>
    items.length === 0 ? 'no candidates' : items.map((pair) => pairText(pair, terminal)).join('\n\n'),
  )
  return EXIT.ok
}

function pairText({ entity, hints, sinceMs, records, differs }: CandidatePair, terminal: Terminal): string {
  const [first, second] = records
  const names = `${first.ids[0]} ${second.ids[0]}`
  const why = hints.map((fields) => fields.join(' and ')).join('; ')
  const title = `${entity}: equal ${why}, ${ago(sinceMs, systemClock.nowMs())}`
  const differing = new Set(differs.map(({ path }) => path))
  const paths = [...new Set([...Object.keys(first.values), ...Object.keys(second.values)])]
  const value = (given: unknown): string => shorten(JSON.stringify(given) ?? '', terminal.columns < 120 ? 30 : 50)
  const rows = table<string>(
    [
      { title: 'field', text: (path) => path },
      { title: first.ids.join(' '), text: (path) => value(first.values[path]) },
      { title: second.ids.join(' '), text: (path) => value(second.values[path]) },
      { title: '', text: (path) => (differing.has(path) ? terminal.style('red', 'differs') : '') },
    ],
    paths,
    (text) => terminal.style('dim', text),
  )
  return `${title}\n${rows}\nlatchwork link ${entity} ${names}\nlatchwork separate ${entity} ${names}`
}

/** The commands with which a person says that two records are one, or are not. */
export function addPairing(program: Command, choose: (action: Action) => void): void {
  program
    .command('candidates')
    .description('records that share a hint and may be one: both side by side, and what differs')
    .option('--entity <entity>', 'only of this entity')
    .action((own: { entity?: string }) => choose((context) => candidates(context, own)))
  program
    .command('link <entity> <app:id> <app:id>')
    .description(
      'say that two records are one: they are merged, and copies that the hub had made of them are taken back',
    )
    .action((entity: string, first: string, second: string) =>
      choose((context) => decide(context, 'link', entity, first, second)),
    )
  program
    .command('separate <entity> <app:id> <app:id>')
    .description(
      'say that two records are not one: the second is taken out of what they share, and not created elsewhere',
    )
    .action((entity: string, first: string, second: string) =>
      choose((context) => decide(context, 'separate', entity, first, second)),
    )
}

async function decide(
  context: CommandContext,
  action: 'link' | 'separate',
  entity: string,
  first: string,
  second: string,
): Promise<number> {
  for (const record of [first, second]) recordOf(record)
  const hub = requireHub({ ...context.options, env: context.process.env })
  const done = (await hub.post(`/api/${action}`, { entity, first, second })) as Record<string, Paired>
  const { text } = Object.values(done)[0] as Paired
  context.terminal.result(done, () => `${text}.\n\`latchwork explain ${entity} ${first}\` shows what comes of it`)
  return EXIT.ok
}
