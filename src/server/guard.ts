import { hash, timingSafeEqual } from 'node:crypto'
import { SyncError } from '../errors/index.ts'

export interface GuardOptions {
  readonly token: string | undefined
  /** The host and port that the hub is bound to. */
  readonly listening: () => { readonly host: string; readonly port: number }
}

/**
 * Throws unless the request may use the admin API. With a token the token decides. Without one only this machine may ask, by a local name and not from
 * another site's page: a page can point a name of its own at 127.0.0.1 (DNS rebinding), but then the Host header has that name.
 */
export function checkAccess(headers: Headers, options: GuardOptions): void {
  if (options.token !== undefined) {
    checkToken(headers, options.token)
    return
  }
  const { host, port } = options.listening()
  if (!isLoopback(host)) {
    throw new SyncError(
      'admin.foreign',
      `the hub listens on ${host}, so its admin API needs a token: set LATCHWORK_ADMIN_TOKEN and start it again`,
    )
  }
  const asked = headers.get('host') ?? ''
  if (!isLocal(`http://${asked}`, port)) {
    throw new SyncError(
      'admin.foreign',
      `the admin API does not answer to the name ${JSON.stringify(asked.slice(0, 100))}. Use http://127.0.0.1:${port}, or set LATCHWORK_ADMIN_TOKEN`,
    )
  }
  const origin = headers.get('origin')
  if (origin !== null && !isLocal(origin, port)) {
    throw new SyncError('admin.foreign', `the admin API does not answer to pages of ${origin.slice(0, 100)}`)
  }
}

function checkToken(headers: Headers, token: string): void {
  const given = headers.get('authorization')?.replace(/^bearer +/i, '') ?? ''
  // Hashing both makes them equally long, so that the time says nothing of the token.
  if (timingSafeEqual(hash('sha256', given, 'buffer'), hash('sha256', token, 'buffer'))) return
  throw new SyncError('admin.unauthenticated', 'the admin API needs `Authorization: Bearer <LATCHWORK_ADMIN_TOKEN>`')
}

/** A Host header that names no port means that of HTTP, or of HTTPS. */
const PORTS_DEFAULT: readonly number[] = [80, 443]

const LOOPBACK: ReadonlySet<string> = new Set(['127.0.0.1', '::1', '[::1]', 'localhost'])

const isLoopback = (host: string): boolean => LOOPBACK.has(host)

function isLocal(url: string, port: number): boolean {
  const parsed = URL.parse(url)
  return (
    parsed !== null &&
    isLoopback(parsed.hostname) &&
    (parsed.port === '' ? PORTS_DEFAULT.includes(port) : Number(parsed.port) === port)
  )
}
