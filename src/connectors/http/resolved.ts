import { SyncError } from '../../errors/index.ts'
import type { ConfigText } from './options.ts'

/** Secrets are text by now: whoever compiles the config resolves `env(...)`, so that nothing here reads the environment. */
export function resolvedText(text: ConfigText, what: string): string {
  if (typeof text === 'string') return text
  throw new SyncError('config.invalid', `${what} still names the environment variable ${text.env}: resolve it first.`)
}
