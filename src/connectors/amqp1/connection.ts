import { SyncError } from '../../errors/index.ts'
import type { Clock } from '../../ports/clock.ts'
import { loadRhea, type RheaConnection, type RheaEmitter, type RheaLibrary, type RheaSession } from './driver.ts'
import { amqp1Error } from './errors.ts'

/** Long for a broker on the same network, short for a hub that starts beside one that is not there. */
const OPEN_MS = 10_000
const CLOSE_MS = 2_000
/** A peer that is gone without a word is noticed after two of these. */
const IDLE_MS = 15_000
/** Deliveries that the driver remembers of one session, those unsettled, and those settled out of turn behind the oldest of them: the window that it gives the broker. */
const REMEMBERED_MIN = 2_048

/** One connection, and why it ended. It is not mended by the driver. */
export interface Amqp1Link {
  readonly library: RheaLibrary
  readonly connection: RheaConnection
  readonly ended: Promise<SyncError>
  /** Ends it with this reason, which is the first one that counts. */
  end(reason: SyncError): void
  close(): Promise<void>
}

export async function connectAmqp1(where: string, url: string, clock: Clock, inFlightMax: number): Promise<Amqp1Link> {
  const library = await loadRhea()
  const container = library.create_container({})
  const { promise: ended, resolve: end } = Promise.withResolvers<SyncError>()
  const { promise: opened, resolve: isOpen } = Promise.withResolvers<null>()
  const { promise: closed, resolve: isClosed } = Promise.withResolvers<void>()
  const connection = container.connect({
    ...connectionOptions(where, url),
    reconnect: false,
    tcp_no_delay: true,
    idle_time_out: IDLE_MS,
    session_buffer_size: { incoming: Math.max(REMEMBERED_MIN, 2 * inFlightMax) },
  })
  connection.on('connection_open', () => isOpen(null))
  hear(connection, ['connection_error', 'connection_close', 'disconnected', 'protocol_error', 'error'], (error) => {
    isClosed()
    end(amqp1Error(where, error))
  })
  // With a reason, because the driver lets go of its timers only when the socket says one.
  const abort = (): void => connection.socket?.destroy(new Error('closed by the hub'))
  const close = async (): Promise<void> => {
    end(new SyncError('broker.unreachable', `${where}: the connection was closed by the hub.`))
    connection.close()
    const { promise: tooLong, resolve } = Promise.withResolvers<void>()
    const timer = clock.timer(CLOSE_MS, resolve)
    await Promise.race([closed, tooLong])
    timer.cancel()
    abort()
  }
  const timer = clock.timer(OPEN_MS, () =>
    end(new SyncError('broker.unreachable', `${where}: the broker has not answered within ${OPEN_MS} ms.`)),
  )
  const failed = await Promise.race([opened, ended]).finally(() => timer.cancel())
  if (failed === null) return { library, connection, ended, end, close }
  abort()
  throw failed
}

function connectionOptions(where: string, url: string): Readonly<Record<string, unknown>> {
  const parsed = URL.parse(url)
  if (parsed === null || !/^amqps?:$/.test(parsed.protocol) || parsed.hostname === '')
    throw new SyncError('config.invalid', `${where}: the url is not amqp://user:password@host:port.`)
  const isSecure = parsed.protocol === 'amqps:'
  const host = parsed.hostname.replace(/^\[|\]$/g, '')
  const path = decodeURIComponent(parsed.pathname.slice(1))
  const [username, password] = [decodeURIComponent(parsed.username), decodeURIComponent(parsed.password)]
  return {
    host,
    port: parsed.port === '' ? (isSecure ? 5671 : 5672) : Number(parsed.port),
    ...(isSecure ? { transport: 'tls', servername: host } : {}),
    ...(path === '' ? {} : { hostname: path }),
    ...(username === '' ? {} : { username, password }),
  }
}

/** What does not end well has several names; the first that comes tells why. */
export function hear(on: RheaEmitter, events: readonly string[], take: (error: unknown) => void): void {
  for (const event of events)
    on.on(event, (context) =>
      take(context instanceof Error ? context : ((context as typeof context | undefined)?.error ?? null)),
    )
}

/** A session of its own: brokers end the whole session for an address that they do not like. `failed` may be called several times. */
export function openSession(connection: RheaConnection, failed: (error: unknown) => void): RheaSession {
  const session = connection.create_session()
  for (const event of ['session_error', 'session_close']) session.on(event, () => failed(session.error))
  session.begin()
  return session
}
