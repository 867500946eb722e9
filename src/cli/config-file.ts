import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type HubDefinition, hubOf } from '../config/define-hub.ts'
import { SyncError } from '../errors/index.ts'
import { CONFIG_DEFAULT } from './defaults.ts'

/** Loads a config file. Throws SyncError `config.*`, with the file in its place. */
export async function loadConfig(given: string): Promise<HubDefinition> {
  const file = resolve(given)
  if (!existsSync(file)) {
    throw new SyncError(
      'config.not-found',
      `there is no config at ${file}. Name one with --config <file>, or create ${CONFIG_DEFAULT} there`,
      { place: { file } },
    )
  }
  let loaded: { readonly default?: unknown }
  try {
    loaded = (await import(pathToFileURL(file).href)) as { readonly default?: unknown }
  } catch (error) {
    throw configError(error, file)
  }
  return hubOf(loaded.default, file)
}

function configError(error: unknown, file: string): SyncError {
  if (SyncError.is(error))
    return new SyncError(error.code, `${error.message} (in ${file})`, { place: { ...error.place, file }, cause: error })
  const reason = error instanceof Error ? error.message : String(error)
  const at = error instanceof Error ? placeIn(error.stack ?? '', file) : ''
  return new SyncError('config.invalid', `${file}${at} cannot be loaded: ${reason}`, { place: { file }, cause: error })
}

/** The line of the config that threw, where the stack tells it. */
function placeIn(stack: string, file: string): string {
  const url = pathToFileURL(file).href
  const line = stack.split('\n').find((one) => one.includes(url) || one.includes(file))
  return /:(\d+)(?::\d+)?\)?$/.exec(line ?? '')?.[0].replace(/\)$/, '') ?? ''
}
