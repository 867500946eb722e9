import { SyncError } from '../../errors/index.ts'
import { headersOf, type NatsLink, natsError } from './connection.ts'
import { loadJetStream } from './driver.ts'

/** A server confirms within milliseconds; one that has not by then has lost the message or the connection. */
const CONFIRM_MS = 10_000

export interface NatsOutgoing {
  readonly subject: string
  readonly body: Uint8Array | string
  readonly headers: Readonly<Record<string, string>>
  /** By which the stream knows that it has the message already. */
  readonly id?: string | undefined
}

export type PublishDurably = (message: NatsOutgoing) => Promise<void>

/** Publishes to subjects that a stream keeps. Rejects with `broker.refused` where none does, and with `broker.unconfirmed`. */
export async function natsPublisher(where: string, link: NatsLink): Promise<PublishDurably> {
  const { jetstream } = await loadJetStream()
  const stream = jetstream(link.connection)
  return async ({ subject, body, headers, id }) => {
    try {
      await stream.publish(subject, body, {
        headers: headersOf(link.library, headers),
        timeout: CONFIRM_MS,
        ...(id === undefined ? {} : { msgID: id }),
      })
    } catch (error) {
      if (isNobody(error))
        throw new SyncError('broker.refused', `${where}: no stream keeps ${subject}. Make one at the server.`)
      const { code, message } = natsError(where, error)
      throw new SyncError(code === 'broker.refused' ? code : 'broker.unconfirmed', message)
    }
  }
}

/** Nobody answers where a stream would. */
function isNobody(error: unknown): boolean {
  const { name, code, cause } = (error ?? {}) as { name?: string; code?: unknown; cause?: unknown }
  return name === 'NoRespondersError' || code === 503 || (cause !== undefined && isNobody(cause))
}
