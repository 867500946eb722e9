import { readFileSync } from 'node:fs'
import { type ApiInfo, openApiOf } from '../server/api-docs.ts'
import { asyncApiOf } from '../server/async-api.ts'
import { loadConfig } from './config-file.ts'
import { EXIT } from './exit-codes.ts'
import type { CommandContext } from './program.ts'

/** What can be sent to the hub of a config, without running it. */
export async function openapi(context: CommandContext, own: { readonly async?: boolean }): Promise<number> {
  const definition = await loadConfig(context.options.config)
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  const info: ApiInfo = { title: 'Latchwork hub', version, url: context.options.url ?? null }
  const document = own.async === true ? asyncApiOf(definition, info) : openApiOf(definition, info)
  context.process.stdout.write(`${JSON.stringify(document, null, context.terminal.isJson ? undefined : 2)}\n`)
  return EXIT.ok
}
