import { SyncError } from '../../errors/index.ts'
import { loadNats, type NatsConnection, type NatsHeaders, type NatsLibrary } from './driver.ts'

/** Long for a server on the same network, short for a hub that starts beside one that is not there. */
const CONNECT_TIMEOUT_MS = 10_000
/** A server that is gone without a word is noticed after three of these. */
const PING_EVERY_MS = 10_000

export interface NatsLink {
  readonly library: NatsLibrary
  readonly connection: NatsConnection
  readonly ended: Promise<SyncError>
  /** Ends it with this reason, which is the first one that counts. */
  end(reason: SyncError): void
  close(): Promise<void>
}

/** One connection; it is not mended by the driver, so that what was delivered again and what was not is never in question. */
export async function connectNats(where: string, url: string): Promise<NatsLink> {
  const library = await loadNats()
  const parsed = URL.parse(url)
  if (parsed === null || !/^(?:nats|tls):$/.test(parsed.protocol))
    throw new SyncError('config.invalid', `${where}: the url is not nats://user:password@host:port.`)
  const [user, password] = [decodeURIComponent(parsed.username), decodeURIComponent(parsed.password)]
  const connection = await library
    .connect({
      servers: parsed.host,
      name: `latchwork ${where}`,
      reconnect: false,
      timeout: CONNECT_TIMEOUT_MS,
      pingInterval: PING_EVERY_MS,
      ...(parsed.protocol === 'tls:' ? { tls: {} } : {}),
      // A user without a password is a token, as the server's own urls have it.
      ...(user === '' ? {} : password === '' ? { token: user } : { user, pass: password }),
    })
    .catch((error: unknown) => {
      throw natsError(where, error)
    })
  const { promise: ended, resolve: end } = Promise.withResolvers<SyncError>()
  void connection.closed().then((error) => end(natsError(where, error ?? new Error('the connection was closed'))))
  return {
    library,
    connection,
    ended,
    end,
    async close() {
      end(new SyncError('broker.unreachable', `${where}: the connection was closed by the hub.`))
      await connection.close().catch(() => undefined)
    },
  }
}

/** Errors that a correction at the server, or in the config, answers. */
const REFUSALS: Readonly<Record<string, string>> = {
  AuthorizationError: 'Check the user and the password in the url.',
  UserAuthenticationExpiredError: 'Give the user new credentials.',
  PermissionViolationError: 'Check what the user may subscribe and publish to.',
  StreamNotFoundError: 'Make the stream at the server, or let the hub do it (`declare`).',
  ConsumerNotFoundError: 'It was deleted; it is made again.',
  JetStreamApiError: 'Compare the config with the stream and its consumer.',
}

/** What the driver says, as what is wrong with the server. */
export function natsError(where: string, error: unknown): SyncError {
  if (SyncError.is(error)) return error
  const { name = '', message = String(error) } = (error ?? {}) as { name?: string; message?: string }
  const next = REFUSALS[name]
  return next === undefined
    ? new SyncError('broker.unreachable', `${where}: ${message}.`, { cause: error })
    : new SyncError('broker.refused', `${where}: ${message}. ${next}`, { cause: error })
}

/** Names in lower case; of one that is given several times, the first. */
export function textsOf(headers: NatsHeaders | undefined): Record<string, string> {
  const texts: Record<string, string> = Object.create(null)
  for (const [name, values] of headers ?? []) {
    const [first] = values
    if (first !== undefined) texts[name.toLowerCase()] ??= first
  }
  return texts
}

export function headersOf(library: NatsLibrary, texts: Readonly<Record<string, string>>): NatsHeaders {
  const headers = library.headers()
  for (const [name, value] of Object.entries(texts)) headers.set(name, value)
  return headers
}
