import type { Command } from 'commander'
import { type Action, countOf, portOf } from './program.ts'

/** Commands that try a config before, or beside, its hub. */
export function addTrying(program: Command, choose: (action: Action) => void): void {
  program
    .command('check')
    .description('try the mappings with generated values, and say what is promised for these applications')
    .option('--values <count>', 'values for each field and way', countOf, 300)
    .option('--seed <seed>', 'another seed tries other values', countOf, 1)
    .action((own) => choose(async (context) => (await import('./check.ts')).check(context, own)))
  program
    .command('certify <app>')
    .description('try in a sandbox of an application whether it does what this config declares; writes there')
    .option('--yes', 'the config points at a sandbox')
    .option('--port <port>', 'where the sandbox sends its notifications', portOf, 4800)
    .option('--host <host>', 'the address to take them at', '127.0.0.1')
    .option('--no-listen', 'take no notifications')
    .option('--wait <seconds>', 'how long one is waited for', countOf, 15)
    .action((app: string, own) => choose(async (context) => (await import('./certify.ts')).certify(context, app, own)))
  program
    .command('simulate')
    .description('run this config against copies of its applications that misbehave, and judge what is promised')
    .option('--seeds <count>', 'runs, each from a seed of its own', countOf, 300)
    .option('--from <seed>', 'the first seed', countOf, 1)
    .option('--seed <seed>', 'only this one', countOf)
    .option('--trace', 'with --seed: everything that happened')
    .option('--off <names>', 'leave out faults and habits, as a failure prints them')
    .option('--apps-off <numbers>', 'leave out applications, likewise')
    .option('--actions-off <numbers>', 'leave out what users did, likewise')
    .action((own) => choose(async (context) => (await import('./simulate.ts')).simulate(context, own)))
}
