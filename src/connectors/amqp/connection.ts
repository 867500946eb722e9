import { SyncError } from '../../errors/index.ts'
import type { Clock, Log } from '../../ports/clock.ts'
import { type AmqpConnection, loadAmqp } from './driver.ts'
import { amqpError } from './errors.ts'

/** Long for a broker on the same network, short for a hub that starts beside one that is not there. */
const CONNECT_TIMEOUT_MS = 10_000
const CLOSE_MS = 2_000
/** A peer that is gone without a word is noticed after two of these. */
const HEARTBEAT_S = 15

export interface AmqpDeps {
  readonly clock: Clock
  readonly log: Log
}

/** One connection, and why it ended. */
export interface AmqpLink {
  readonly connection: AmqpConnection
  readonly ended: Promise<SyncError>
  /** Ends it with this reason, which is the first one that counts. */
  end(reason: SyncError): void
  /** The broker takes nothing that is published for now: its disk or memory is short. */
  readonly isBlocked: () => boolean
  close(): Promise<void>
}

export async function connectAmqp(where: string, url: string, { clock, log }: AmqpDeps): Promise<AmqpLink> {
  const library = await loadAmqp()
  const parsed = URL.parse(url)
  if (parsed === null || !/^amqps?:$/.test(parsed.protocol))
    throw new SyncError('config.invalid', `${where}: the url is not amqp://user:password@host:port/vhost.`)
  if (!parsed.searchParams.has('heartbeat')) parsed.searchParams.set('heartbeat', String(HEARTBEAT_S))
  const connection = await library
    .connect(parsed.href, {
      noDelay: true,
      timeout: CONNECT_TIMEOUT_MS,
      clientProperties: { connection_name: `latchwork ${where}` },
    })
    .catch((error: unknown) => {
      throw amqpError(where, error)
    })
  const { promise: ended, resolve: end } = Promise.withResolvers<SyncError>()
  let isBlocked = false
  connection.on('error', (error) => end(amqpError(where, error)))
  const { promise: closed, resolve: isClosed } = Promise.withResolvers<void>()
  connection.on('close', (error) => {
    isClosed()
    end(amqpError(where, error ?? new Error('the connection was closed')))
  })
  connection.on('blocked', (reason) => {
    isBlocked = true
    log.log('warn', `${where}: the broker takes nothing that is published for now: ${reason}`)
  })
  connection.on('unblocked', () => {
    isBlocked = false
    log.log('info', `${where}: the broker takes what is published again`)
  })
  return {
    connection,
    ended,
    end,
    isBlocked: () => isBlocked,
    async close() {
      end(new SyncError('broker.unreachable', `${where}: the connection was closed by the hub.`))
      // A connection that is dead already may never answer its own closing.
      const { promise: tooLong, resolve } = Promise.withResolvers<void>()
      const timer = clock.timer(CLOSE_MS, resolve)
      await Promise.race([connection.close().catch(() => undefined), closed, tooLong])
      timer.cancel()
    },
  }
}
