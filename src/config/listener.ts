import type { ConfigText } from './env.ts'
import { checkKeys, isPlainObject, refuse } from './refuse.ts'

/** TLS that the hub ends itself. Texts are PEM: `env('TLS_KEY')` with TLS_KEY_FILE set reads the file. */
export interface TlsConfig {
  /** The hub's certificate, and after it those that lead to one that senders trust. */
  readonly cert: ConfigText
  readonly key: ConfigText
  /** Senders are asked for a certificate of theirs. Of one that was issued by `ca` the subject counts for `mutualTls()`, of any other its fingerprint alone. Without this nobody is asked. */
  readonly clients?: { readonly ca?: ConfigText }
}

export interface ListenerConfig {
  /** HTTPS instead of HTTP. Default: HTTP, for the hub behind a proxy or on its own machine. */
  readonly tls?: TlsConfig
}

export interface ListenerDefinition {
  readonly tls: TlsConfig | null
}

export function readListener(given: unknown): ListenerDefinition {
  if (given === undefined) return { tls: null }
  checkKeys('listener', given, ['tls'])
  const { tls } = given as ListenerConfig
  if (tls === undefined) return { tls: null }
  checkKeys('listener.tls', tls, ['cert', 'key', 'clients'])
  checkText('listener.tls.cert', tls.cert)
  checkText('listener.tls.key', tls.key)
  if (tls.clients !== undefined) {
    checkKeys('listener.tls.clients', tls.clients, ['ca'])
    if (tls.clients.ca !== undefined) checkText('listener.tls.clients.ca', tls.clients.ca)
  }
  return { tls }
}

function checkText(place: string, text: unknown): void {
  if (typeof text === 'string' ? text.includes('-----BEGIN') : isPlainObject(text) && typeof text.env === 'string')
    return
  refuse(place, 'PEM is needed', "Give env('NAME') and set NAME_FILE to the file.")
}
