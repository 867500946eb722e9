import { readFileSync } from 'node:fs'
import type { AppDefinition } from '../config/app.ts'
import { type ConfigText, resolveText } from '../config/env.ts'
import type { ListenDefinition } from '../config/flow.ts'
import type { ListenerDefinition } from '../config/listener.ts'

import type { HttpAppOptions, HttpAuth, HttpSoapService, HttpVerify, HttpWebhook } from '../connectors/http/index.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** An application whose texts are all there, and those of them that nobody may read in a log. */
export interface ResolvedApp {
  readonly definition: AppDefinition
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
  return { definition: resolved(definition, plain, secret), secrets }
}

/** What TLS needs, as PEM. */
export interface TlsTexts {
  readonly cert: string
  readonly key: string
  /** null: senders are not asked for a certificate. */
  readonly clients: { readonly ca: string | null } | null
}

export function resolveTls({ tls }: ListenerDefinition, variables: Environment): TlsTexts | null {
  if (tls === null) return null
  const text = (given: ConfigText): string => resolveText(given, variables, (path) => readFileSync(path, 'utf8'))
  const { cert, key, clients } = tls
  const ca = clients?.ca === undefined ? null : text(clients.ca)
  return { cert: text(cert), key: text(key), clients: clients === undefined ? null : { ca } }
}

function resolved(definition: AppDefinition, plain: Resolve, secret: Resolve): AppDefinition {
  switch (definition.kind) {
    case 'http':
      return { kind: 'http', options: httpOf(definition.options, plain, secret) }
    // The url holds the password.
    case 'postgres':
      return { kind: 'postgres', options: { ...definition.options, url: secret(definition.options.url) } }
    case 'mariadb':
      return { kind: 'mariadb', options: { ...definition.options, url: secret(definition.options.url) } }
    case 'sqlite':
      return { kind: 'sqlite', options: { ...definition.options, file: plain(definition.options.file) } }
    case 'amqp':
      return { kind: 'amqp', options: { ...definition.options, url: secret(definition.options.url) } }
    case 'amqp1':
      return { kind: 'amqp1', options: { ...definition.options, url: secret(definition.options.url) } }
    case 'nats':
      return { kind: 'nats', options: { ...definition.options, url: secret(definition.options.url) } }
    case 'kafka':
      return { kind: 'kafka', options: { ...definition.options, url: secret(definition.options.url) } }
    case 'mqtt':
      return { kind: 'mqtt', options: { ...definition.options, url: secret(definition.options.url) } }
  }
}

function httpOf(options: HttpAppOptions, plain: Resolve, secret: Resolve): HttpAppOptions {
  const resources = options.resources.map((resource) => {
    const { notify } = resource
    return {
      ...resource,
      ...(notify === null ? {} : { notify: webhookOf(notify, plain, secret) }),
      ...(resource.soap === undefined ? {} : { soap: soapOf(resource.soap, plain, secret) }),
    }
  })
  const auth = options.auth === null ? null : authOf(options.auth, plain, secret)
  return { ...options, baseUrl: plain(options.baseUrl), auth, resources }
}

export interface ResolvedListen {
  readonly listen: ListenDefinition
  readonly secrets: readonly string[]
}

/** The same for a door of a flow. */
export function resolveListen(listen: ListenDefinition, variables: Environment): ResolvedListen {
  const secrets: string[] = []
  const plain = (text: ConfigText): string => resolveText(text, variables, (path) => readFileSync(path, 'utf8'))
  const secret = (text: ConfigText): string => {
    const value = plain(text)
    secrets.push(value)
    return value
  }
  return { listen: listenOf(listen, plain, secret), secrets }
}

function listenOf(listen: ListenDefinition, plain: Resolve, secret: Resolve): ListenDefinition {
  switch (listen.kind) {
    case 'http': {
      const { options } = listen
      const verify = options.verify === null ? null : verifyOf(options.verify, plain, secret)
      return { kind: 'http', options: { ...options, verify } }
    }
    // The url holds the password.
    case 'amqp':
      return { kind: 'amqp', options: { ...listen.options, url: secret(listen.options.url) } }
    case 'amqp1':
      return { kind: 'amqp1', options: { ...listen.options, url: secret(listen.options.url) } }
    case 'kafka':
      return { kind: 'kafka', options: { ...listen.options, url: secret(listen.options.url) } }
    case 'mqtt':
      return { kind: 'mqtt', options: { ...listen.options, url: secret(listen.options.url) } }
    case 'nats':
      return { kind: 'nats', options: { ...listen.options, url: secret(listen.options.url) } }
  }
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

/** What a webhook expects in a message (the sender's account) is no secret, but is given from the environment like one. */
function webhookOf(webhook: HttpWebhook, plain: Resolve, secret: Resolve): HttpWebhook {
  const { expect } = webhook
  return {
    ...webhook,
    verify: verifyOf(webhook.verify, plain, secret),
    ...(expect === undefined ? {} : { expect: expect.map((one) => ({ ...one, equals: plain(one.equals) })) }),
  }
}

function soapOf(service: HttpSoapService, plain: Resolve, secret: Resolve): HttpSoapService {
  const { usernameToken } = service
  if (usernameToken === null) return service
  return {
    ...service,
    usernameToken: { user: plain(usernameToken.user), password: secret(usernameToken.password) },
  }
}

function verifyOf(verify: HttpVerify, plain: Resolve, secret: Resolve): HttpVerify {
  switch (verify.kind) {
    case 'none':
    case 'client-certificate':
    case 'addresses':
      return verify
    case 'all':
      return { ...verify, of: verify.of.map((one) => verifyOf(one, plain, secret)) }
    case 'signature': {
      const { publicUrl } = verify
      return {
        ...verify,
        secrets: verify.secrets.map(secret),
        publicUrl: publicUrl === null ? null : plain(publicUrl),
      }
    }
    case 'hmac':
      return { ...verify, secrets: verify.secrets.map(secret) }
    case 'basic':
      return { ...verify, user: secret(verify.user), password: secret(verify.password) }
    case 'bearer':
      return { ...verify, token: secret(verify.token) }
    case 'api-key':
    case 'query-key':
      return { ...verify, value: secret(verify.value) }
  }
}
