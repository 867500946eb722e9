import { readFileSync } from 'node:fs'
import type { AppDefinition } from '../config/app.ts'
import { type ConfigText, resolveText } from '../config/env.ts'
import type { HttpAppOptions, HttpAuth, HttpVerify } from '../connectors/http/index.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** An application whose texts are all there, and those of them that nobody may read in a log. */
export interface ResolvedApp {
  readonly options: HttpAppOptions
  readonly secrets: readonly string[]
}

/** Reads what the config asks for by `env(NAME)`, once, when the hub starts. Throws SyncError `config.env-missing`. */
export function resolveApp(definition: AppDefinition, variables: Environment): ResolvedApp {
  const secrets: string[] = []
  const plain = (text: ConfigText): string => resolveText(text, variables, (path) => readFileSync(path, 'utf8'))
  const secret = (text: ConfigText): string => {
    const value = plain(text)
    secrets.push(value)
    return value
  }
  const { options } = definition
  const resources = options.resources.map((resource) => {
    const { notify } = resource
    return notify === null ? resource : { ...resource, notify: { ...notify, verify: verifyOf(notify.verify, secret) } }
  })
  const auth = options.auth === null ? null : authOf(options.auth, plain, secret)
  return { options: { ...options, baseUrl: plain(options.baseUrl), auth, resources }, secrets }
}

type Resolve = (text: ConfigText) => string

function authOf(auth: HttpAuth, plain: Resolve, secret: Resolve): HttpAuth {
  switch (auth.kind) {
    case 'bearer':
      return { ...auth, token: secret(auth.token) }
    case 'basic':
      return { ...auth, user: plain(auth.user), password: secret(auth.password) }
    case 'api-key':
      return { ...auth, value: secret(auth.value) }
  }
}

function verifyOf(verify: HttpVerify, secret: Resolve): HttpVerify {
  switch (verify.kind) {
    case 'none':
      return verify
    case 'hmac':
      return { ...verify, secrets: verify.secrets.map(secret) }
    case 'basic':
      return { ...verify, user: secret(verify.user), password: secret(verify.password) }
    case 'bearer':
      return { ...verify, token: secret(verify.token) }
    case 'api-key':
      return { ...verify, value: secret(verify.value) }
  }
}
