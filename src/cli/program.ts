import { readFileSync } from 'node:fs'
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { SyncError } from '../errors/index.ts'
import type { LogLevel } from '../ports/clock.ts'
import { addDatabases } from './databases.ts'
import { addDeciding } from './deciding.ts'
import { CONFIG_DEFAULT, DATA_DEFAULT } from './defaults.ts'
import { EXIT, EXIT_HELP, exitCodeOf } from './exit-codes.ts'
import { addFlows } from './flow-commands.ts'
import { addInspecting } from './inspecting.ts'
import { addPairing } from './pairing.ts'
import { type ProcessLike, Terminal } from './terminal.ts'
import { addTrying } from './trying.ts'

/** The options that every command takes, before or after its name. */
export interface GlobalOptions {
  readonly json?: boolean
  readonly debug?: boolean
  readonly data: string
  readonly url?: string
  readonly config: string
}

export interface CommandContext {
  readonly options: GlobalOptions
  readonly terminal: Terminal
  readonly process: ProcessLike
}

const HELP = `${EXIT_HELP}

Environment: LATCHWORK_ADMIN_TOKEN protects the admin API of \`start\` and is sent by the other commands;
NO_COLOR turns colour off. What the config asks for by env(NAME) is read from NAME or from the file NAME_FILE.`

export type Action = (context: CommandContext) => Promise<number>

/** Runs one command line and gives the exit status. */
export async function run(args: readonly string[], process: ProcessLike): Promise<number> {
  let chosen: Action | null = null
  const program = createProgram((action) => {
    chosen = action
  }, process)
  try {
    program.parse(args, { from: 'user' })
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
    throw error
  }
  const options = program.opts<GlobalOptions>()
  const terminal = new Terminal(process, options.json === true)
  try {
    return chosen === null ? EXIT.usage : await (chosen as Action)({ options, terminal, process })
  } catch (error) {
    return exitCodeOf(terminal.error(error, options.debug === true))
  }
}

function createProgram(choose: (action: Action) => void, process: ProcessLike): Command {
  const program = new Command('latchwork')
  program
    .description('Keeps equivalent records in several applications equal, in real time, in every direction.')
    .option('--json', 'data as JSON on stdout; notes and logs stay on stderr')
    .option('--data <folder>', 'the data folder of the hub', DATA_DEFAULT)
    .option('--url <url>', 'the hub to ask, instead of the one that runs on the data folder')
    .option('--config <file>', 'the config', CONFIG_DEFAULT)
    .option('--debug', 'show where an error comes from')
    .version(version(), '-V, --version')
    .addHelpText('after', HELP)
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('(latchwork --help lists the commands and options)')
    .configureOutput({
      writeOut: (text) => void process.stdout.write(text),
      writeErr: (text) => void process.stderr.write(text),
    })
    .exitOverride()
  addStart(program, choose)
  addReading(program, choose)
  addOperating(program, choose)
  addFlows(program, choose)
  addDeciding(program, choose)
  addPairing(program, choose)
  addInspecting(program, choose)
  addTrying(program, choose)
  addDatabases(program, choose)
  // Subcommands inherit neither of the two.
  for (const command of [program, ...program.commands, ...program.commands.flatMap((one) => one.commands)]) {
    command.exitOverride().copyInheritedSettings(program)
  }
  return program
}

function addStart(program: Command, choose: (action: Action) => void): void {
  program
    .command('start')
    .description('run a hub: listeners, engine, admin API')
    .option('--port <port>', 'where webhooks and the admin API listen; 0 takes a free one (default: 4800)', portOf)
    .option(
      '--host <host>',
      'the address to listen on (default: 127.0.0.1; any other needs LATCHWORK_ADMIN_TOKEN for the admin API)',
    )
    .addOption(
      new Option('--log-level <level>', 'the least that is logged')
        .choices(['debug', 'info', 'warn', 'error'])
        .default('info'),
    )
    .action((own: { port?: number; host?: string; logLevel: LogLevel }) =>
      choose(async ({ options, terminal, process }) => {
        const { start } = await import('./start.ts')
        return start({ ...own, config: options.config, data: options.data }, terminal, process)
      }),
    )
}

function addReading(program: Command, choose: (action: Action) => void): void {
  program
    .command('status')
    .description('what runs, what waits, what is set aside')
    .action(() => choose(async (context) => (await import('./reading.ts')).status(context)))
  program
    .command('xref')
    .description('the cross-reference: which native record is which canonical record')
    .command('list')
    .description('list its rows')
    .option('--app <app>', 'only those of an application')
    .option('--entity <entity>', 'only those of an entity')
    .option('--native-id <id>', 'only those of a native id')
    .option('--limit <rows>', 'rows at most; 0 for all', countOf, 100)
    .action((own) => choose(async (context) => (await import('./reading.ts')).xrefList(context, own)))
  program
    .command('conflicts')
    .description('values that lost against another, newest first')
    .option('--entity <entity>', 'only those of an entity')
    .option('--limit <rows>', 'rows at most; 0 for all', countOf, 100)
    .action((own) => choose(async (context) => (await import('./reading.ts')).conflicts(context, own)))
  program
    .command('explain <entity> <app:id>')
    .description('everything that was decided about a record, and why')
    .action((entity: string, record: string) =>
      choose(async (context) => (await import('./reading.ts')).explainRecord(context, entity, record)),
    )
}

function addOperating(program: Command, choose: (action: Action) => void): void {
  program
    .command('release <entity> <app:id>')
    .description('try a record again that is set aside')
    .option('--in <app>', 'only in this application (default: wherever it is set aside)')
    .action((entity: string, record: string, own: { in?: string }) =>
      choose(async (context) => (await import('./operating.ts')).release(context, entity, record, own.in)),
    )
  addComparing(program, choose)
  program
    .command('migrate')
    .description('bring the store to the schema of this version; the hub must be stopped')
    .option('--check', 'only say what would be done')
    .action((own: { check?: boolean }) =>
      choose(async (context) => (await import('./migrate.ts')).migrate(context, own.check === true)),
    )
  program
    .command('replay <seq>')
    .description('take up a notification again that is set aside')
    .action((seq: string) => choose(async (context) => (await import('./operating.ts')).replay(context, seq)))
}

function addComparing(program: Command, choose: (action: Action) => void): void {
  const comparing = (name: string, what: string): Command =>
    program
      .command(name)
      .description(what)
      .option('--entity <entity...>', 'only these entities')
      .option('--rate <records>', 'records read a second, over all applications', countOf)
      .option('--limit <things>', 'things listed at the most', countOf, 1_000)
      .option('--resume', 'go on where an interrupted run stopped')
  comparing(
    'rehearse',
    'compare all applications before the first write: what matches, and what day one would write',
  ).action((own) => choose(async (context) => (await import('./comparing.ts')).rehearse(context, own)))
  program
    .command('backfill')
    .description('first contact: bring in what the applications hold already; rehearses and asks first')
    .option('--entity <entity...>', 'only these entities')
    .option('--rate <records>', 'records read a second, over all applications', countOf)
    .option('--creates-max <records>', 'refuse when day one would create more than these', countOf)
    .option('--yes', 'do not ask, however many records it creates')
    .option('--again', 'read everything once more')
    .option('--undo', 'take back what the last one created and nobody has changed since; needs --yes')
    .option('--status', 'show how far it is')
    .option('--pause', 'pause the one under way')
    .option('--resume', 'go on after a pause')
    .option('--detach', 'begin and return at once; the hub goes on')
    .action((own) => choose(async (context) => (await import('./backfill.ts')).backfill(context, own)))
  comparing('verify', 'prove that all applications are equal, or list where they are not')
    .option('--repair', 'have the running hub read what differs again, and decide as always')
    .action((own) => choose(async (context) => (await import('./comparing.ts')).verify(context, own)))
}

const version = (): string =>
  (JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }).version

export function portOf(text: string): number {
  const port = Number(text)
  if (!/^\d{1,5}$/.test(text) || port > 65_535) throw new InvalidArgumentError('Give a number from 0 to 65535.')
  return port
}

export function countOf(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('Give a whole number.')
  return Number(text)
}

/** `<app>:<id>`; the id may hold colons itself. */
export function recordOf(text: string): { readonly app: string; readonly nativeId: string } {
  const colon = text.indexOf(':')
  if (colon < 1 || colon === text.length - 1) {
    throw new SyncError(
      'query.invalid',
      `${JSON.stringify(text)} is not <app>:<id>; write for example warehouse:C-7F3A2B`,
    )
  }
  return { app: text.slice(0, colon), nativeId: text.slice(colon + 1) }
}
