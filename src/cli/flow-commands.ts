import { readFileSync } from 'node:fs'
import { type Command, InvalidArgumentError } from 'commander'
import type { Action } from './program.ts'

/** What a person does with flows and with what arrived; each command is loaded when it is used. */
export function addFlows(program: Command, choose: (action: Action) => void): void {
  program
    .command('run <flow>')
    .description('start a flow by its name, here or on an agent (<flow>@<agent>)')
    .option('-p, --property <name=value>', 'a property of the message; may be repeated', propertyOf, {})
    .option('--body <file>', 'its body, as JSON; - for standard input')
    .option('--id <id>', 'the id of this execution; the same id is not run twice')
    .option('--wait [seconds]', 'wait until it is over (at most so long), and show its result', secondsOf)
    .action((flow: string, own: RunOptions) =>
      choose(async (context) => (await import('./flows.ts')).run(context, flow, own)),
    )
  program
    .command('runs [flow]')
    .description('runs of flows, newest first')
    .option('--state <state>', 'only those that are queued, running, retry, doubt, parked, done or cancelled')
    .option('--limit <rows>', 'rows at most', countOf, 50)
    .option('--id <run>', 'one of them, with what has happened to it')
    .option('--release <run>', 'try one again that is set aside')
    .option('--cancel <run>', 'give one up')
    .action((flow: string | undefined, own: RunsOptions) =>
      choose(async (context) => (await import('./flows.ts')).runs(context, flow, own)),
    )
  program
    .command('messages')
    .description('what arrived and what became of it, newest first')
    .option('--flow <flow>', 'only those to a flow')
    .option('--app <app>', 'only those of an application')
    .option(
      '--verdict <verdict>',
      'only accepted, replied, duplicate, filtered, set-aside, refused, failed, echo, parked, ...',
    )
    .option('--text <text>', 'only those that hold a text: in the payload, an id, a property or a reason')
    .option('--since <minutes>', 'only those of the last minutes', countOf)
    .option('--limit <rows>', 'rows at most', countOf, 50)
    .option('--id <message>', 'one of them, with its payload')
    .action((own: MessagesOptions) => choose(async (context) => (await import('./flows.ts')).messages(context, own)))
  program
    .command('listen')
    .description('print what comes in, as it comes')
    .option('--flow <flow>', 'only messages to a flow')
    .action((own: { flow?: string }) =>
      choose(async (context) => (await import('./flows.ts')).listen(context, own.flow)),
    )
  program
    .command('send <flow> <file>')
    .description('send a file to a flow as its sender would, without a signature; - for standard input')
    .option('-p, --property <name=value>', 'a property of the message; may be repeated', propertyOf, {})
    .action((flow: string, file: string, own: { property: Properties }) =>
      choose(async (context) => (await import('./flows.ts')).send(context, flow, file, own.property)),
    )
  program
    .command('openapi')
    .description('what can be sent to the hub of the config, as OpenAPI 3.1')
    .option('--async', 'as AsyncAPI 3 instead')
    .action((own: { async?: boolean }) =>
      choose(async (context) => (await import('./openapi.ts')).openapi(context, own)),
    )
  program
    .command('resend <message>')
    .description('send a message of `messages` once more')
    .action((message: string) => choose(async (context) => (await import('./flows.ts')).resend(context, message)))
}

export type Properties = Readonly<Record<string, string>>

export interface RunOptions {
  readonly property: Properties
  readonly body?: string
  readonly id?: string
  readonly wait?: number | true
}

export interface RunsOptions {
  readonly state?: string
  readonly limit: number
  readonly id?: string
  readonly release?: string
  readonly cancel?: string
}

export interface MessagesOptions {
  readonly flow?: string
  readonly app?: string
  readonly verdict?: string
  readonly text?: string
  readonly since?: number
  readonly limit: number
  readonly id?: string
}

function propertyOf(text: string, before: Properties): Properties {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('Write name=value.')
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) }
}

function secondsOf(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError('Give seconds.')
  return Number(text)
}

function countOf(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('Give a whole number.')
  return Number(text)
}

/** A file's bytes, or those of standard input. */
export const contentOf = (file: string): Buffer => readFileSync(file === '-' ? 0 : file)
