import { type Command, InvalidArgumentError } from 'commander'
import { SyncError } from '../errors/index.ts'
import type { CanonicalKey } from '../model/ids.ts'
import { decodeData, type Value } from '../model/value.ts'
import type { Explanation } from '../server/explain.ts'
import { requireHub } from './access.ts'
import { EXIT } from './exit-codes.ts'
import type { HubClient } from './hub-client.ts'
import { type Action, type CommandContext, recordOf } from './program.ts'

/** The commands with which a person decides about single records. */
export function addDeciding(program: Command, choose: (action: Action) => void): void {
  program
    .command('resolve <entity> <app:id> <field>')
    .description('say which value stands of a field that is set aside')
    .option('--take <app>', 'the value that this application holds')
    .option('--value <value>', 'this value: JSON, or plain text', readValue)
    .action(
      (entity: string, record: string, field: string, own: { take?: string; value?: { readonly value: Value } }) =>
        choose((context) => resolve(context, entity, record, field, own)),
    )
  program
    .command('undelete <entity> <app:id>')
    .description('take the deletion of a record back; its old id in any application names it')
    .action((entity: string, record: string) => choose((context) => undelete(context, entity, record)))
}

async function undelete(context: CommandContext, entity: string, record: string): Promise<number> {
  const hub = requireHub({ ...context.options, env: context.process.env })
  const { key } = await explanationOf(hub, entity, record)
  const done = await hub.post(`/api/records/${encodeURIComponent(key)}/undelete`)
  context.terminal.result(
    done,
    () => `taken back; \`latchwork explain ${entity} ${record}\` shows where it is created again`,
  )
  return EXIT.ok
}

async function resolve(
  context: CommandContext,
  entity: string,
  record: string,
  field: string,
  own: { readonly take?: string; readonly value?: { readonly value: Value } },
): Promise<number> {
  if ((own.take === undefined) === (own.value === undefined))
    throw new SyncError('query.invalid', 'give either --take <app> or --value <value>')
  const hub = requireHub({ ...context.options, env: context.process.env })
  const { key } = await explanationOf(hub, entity, record)
  const choice = own.value ?? { take: own.take }
  const done = await hub.post(`/api/records/${encodeURIComponent(key)}/resolve`, { path: field, ...choice })
  context.terminal.result(
    done,
    () => `decided; \`latchwork explain ${entity} ${record}\` shows how the applications follow`,
  )
  return EXIT.ok
}

/** The record under an application's id. Throws `query.unknown-record` where there is none. */
export async function explanationOf(
  hub: HubClient,
  entity: string,
  record: string,
): Promise<Explanation & { readonly key: CanonicalKey }> {
  const { app, nativeId } = recordOf(record)
  const found = await hub.get<Explanation>(`/api/explain/${[entity, app, nativeId].map(encodeURIComponent).join('/')}`)
  if (found.key !== null) return { ...found, key: found.key }
  throw new SyncError('query.unknown-record', `${entity} ${record} belongs to no record of the hub`)
}

/** JSON where it is JSON, otherwise the text itself: `--value 12`, `--value true`, `--value Berlin`. `--value '"12"'` is the text 12. */
function readValue(text: string): { readonly value: Value } {
  if (text.length > 50_000) throw new InvalidArgumentError('The value is too long.')
  try {
    return { value: decodeData(text) as Value }
  } catch {
    return { value: text }
  }
}
