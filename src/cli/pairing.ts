import type { Command } from 'commander'
import type { Paired } from '../server/pairing.ts'
import { requireHub } from './access.ts'
import { EXIT } from './exit-codes.ts'
import { type Action, type CommandContext, recordOf } from './program.ts'

/** The commands with which a person says that two records are one, or are not. */
export function addPairing(program: Command, choose: (action: Action) => void): void {
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
