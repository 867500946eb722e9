import type { Command } from 'commander'
import { type Action, countOf } from './program.ts'

/** Commands that try a config before, or beside, its hub. */
export function addTrying(program: Command, choose: (action: Action) => void): void {
  program
    .command('check')
    .description('try the mappings with generated values, and say what is promised for these applications')
    .option('--values <count>', 'values for each field and way', countOf, 300)
    .option('--seed <seed>', 'another seed tries other values', countOf, 1)
    .action((own) => choose(async (context) => (await import('./check.ts')).check(context, own)))
}
