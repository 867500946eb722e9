import { SyncError } from '../errors/index.ts'

/** Text given in the config, or the environment variable that holds it. A secret never stands in the config itself. */
export type ConfigText = string | EnvText

export interface EnvText {
  readonly env: string
  readonly fallback?: string
}

/** The value of an environment variable, read when the hub starts. With `NAME_FILE` set instead, the text of that file. */
export function env(name: string, fallback?: string): EnvText {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
    throw new SyncError(
      'config.invalid',
      `env(${JSON.stringify(name)}): that cannot be the name of an environment variable. Use letters, digits and underscores.`,
      { place: { variable: name } },
    )
  }
  return fallback === undefined ? { env: name } : { env: name, fallback }
}

/**
 * The text itself, once the hub starts: `NAME` before `NAME_FILE` before the fallback. One line break at the end of a file is not part
 * of the secret. Throws SyncError `config.env-missing`.
 */
export function resolveText(
  text: ConfigText,
  variables: Readonly<Record<string, string | undefined>>,
  readFile: (path: string) => string,
): string {
  if (typeof text === 'string') return text
  const direct = variables[text.env]
  if (direct !== undefined) return direct
  const file = variables[`${text.env}_FILE`]
  if (file !== undefined) return readSecret(text.env, file, readFile)
  if (text.fallback !== undefined) return text.fallback
  throw new SyncError(
    'config.env-missing',
    `the environment variable ${text.env} is not set. Set it, or set ${text.env}_FILE to a file that holds the value.`,
    { place: { variable: text.env } },
  )
}

function readSecret(name: string, file: string, readFile: (path: string) => string): string {
  try {
    return readFile(file).replace(/\r?\n$/, '')
  } catch (error) {
    throw new SyncError(
      'config.env-missing',
      `${name}_FILE names ${file}, which cannot be read: ${error instanceof Error ? error.message : String(error)}. Correct the path or its permissions.`,
      { place: { variable: `${name}_FILE`, file }, cause: error },
    )
  }
}
