import { SyncError } from '../../errors/index.ts'
import type { Capabilities } from '../../model/capabilities.ts'
import type { ObjectId } from '../../model/ids.ts'
import type { Connector } from '../../ports/app.ts'
import type { Clock, Log } from '../../ports/clock.ts'
import { httpCapabilities } from './capabilities.ts'
import { HttpClient } from './client.ts'
import type { HttpAppOptions, HttpAuth } from './options.ts'
import { resolvedText } from './resolved.ts'
import { createHttpSource } from './source.ts'
import { createHttpTarget } from './target.ts'

/** An HTTP application as the engine holds it. Secrets in `options` are text by now (`resolvedText`); both directions share one pool of connections. */
export function createHttpConnector(
  options: HttpAppOptions,
  deps: { readonly clock: Clock; readonly log: Log },
): Connector {
  const base = baseOf(options)
  const client = new HttpClient({
    origin: base.origin,
    connectionsMax: options.connectionsMax,
    replyBytesMax: options.bodyBytesMax,
    clock: deps.clock,
  })
  // Both directions use the client, and a hub that drains closes its sources first: the last one out closes it.
  let holders = 2
  const share = (): (() => Promise<void>) => {
    let held = true
    return async () => {
      if (!held) return
      held = false
      if (--holders === 0) await client.close()
    }
  }
  const shared = { client, basePath: base.pathname.replace(/\/+$/, ''), headers: commonHeaders(options), ...deps }
  const capabilities = new Map<ObjectId, Capabilities>()
  for (const resource of options.resources) capabilities.set(resource.object, httpCapabilities(options, resource))
  return {
    app: options.app,
    source: createHttpSource(options, { ...shared, release: share() }),
    target: createHttpTarget(options, { ...shared, release: share() }),
    capabilities: (object) => {
      const found = capabilities.get(object)
      if (found === undefined) throw new SyncError('config.invalid', `${options.app} declares no resource ${object}.`)
      return found
    },
  }
}

function baseOf(options: HttpAppOptions): URL {
  const text = resolvedText(options.baseUrl, `the base URL of ${options.app}`)
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '')
    throw new SyncError(
      'config.invalid',
      `the base URL of ${options.app} is \`${text}\`; it must be http(s)://host[:port][/path].`,
    )
  if (url.username !== '' || url.password !== '')
    throw new SyncError(
      'config.invalid',
      `the base URL of ${options.app} holds credentials, which end up in logs; use \`auth\`.`,
    )
  return url
}

function commonHeaders(options: HttpAppOptions): string[] {
  const headers = ['accept', 'application/json', 'user-agent', 'latchwork']
  for (const [name, value] of Object.entries(options.headers)) headers.push(name.toLowerCase(), value)
  if (options.auth !== null) headers.push(...authHeader(options.auth, options.app))
  return headers
}

function authHeader(auth: HttpAuth, app: string): [string, string] {
  const text = (secret: Parameters<typeof resolvedText>[0]): string => resolvedText(secret, `a credential of ${app}`)
  switch (auth.kind) {
    case 'bearer':
      return ['authorization', `Bearer ${text(auth.token)}`]
    case 'basic':
      return ['authorization', 'Basic ' + Buffer.from(`${text(auth.user)}:${text(auth.password)}`).toString('base64')]
    case 'api-key':
      return [auth.header.toLowerCase(), text(auth.value)]
  }
}
