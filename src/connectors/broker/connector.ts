import { SyncError } from '../../errors/index.ts'
import { systemRandom } from '../../lib/system-clock.ts'
import type { AppId } from '../../model/ids.ts'
import type { Connector, WriteOp } from '../../ports/app.ts'
import type { Clock, Log } from '../../ports/clock.ts'
import type { StrayMessage } from '../../ports/messages.ts'
import { brokerCapabilities } from './capabilities.ts'
import type { BrokerFeed, BrokerTopic, MessagesObject } from './options.ts'
import type { BrokerDriver } from './port.ts'
import { createBrokerSource } from './source.ts'
import { createBrokerTarget, type PublishingSession } from './target.ts'

export interface ConnectorDeps {
  readonly clock: Clock
  readonly log: Log
  /** Is told of every message that is no record, for people to see it. */
  readonly stray?: ((message: StrayMessage) => void) | undefined
}

/** What one kind of broker adds to a connector. */
export interface BrokerWords<C extends BrokerFeed> {
  /** The prefix of the attributes of CloudEvents among the headers, as the broker's binding of them has it. */
  readonly eventPrefix: string
  consumer(feed: C): BrokerDriver
  publisher(): Promise<PublishingSession>
}

/** An application that is reached by the messages of a broker, as the engine holds it. */
export function createBrokerConnector<C extends BrokerFeed, P extends BrokerTopic>(
  app: AppId,
  objects: readonly MessagesObject<C, P>[],
  bodyBytesMax: number,
  words: BrokerWords<C>,
  { clock, log, stray }: ConnectorDeps,
): Connector {
  const deps = { clock, log, random: systemRandom, bodyBytesMax, stray }
  const feeds = objects.flatMap((object) =>
    object.consume === null
      ? []
      : [{ object, feed: object.consume, driver: words.consumer(object.consume), eventPrefix: words.eventPrefix }],
  )
  const topics = objects.flatMap((object) => (object.publish === null ? [] : [{ object, topic: object.publish }]))
  const capabilities = new Map(
    objects.map(({ object, consume }) => [object as string, brokerCapabilities(consume !== null)]),
  )
  return {
    app,
    source: createBrokerSource(app, feeds, deps),
    target: createBrokerTarget(app, topics, words.eventPrefix, () => words.publisher(), deps),
    capabilities: (object) => {
      const found = capabilities.get(object)
      if (found !== undefined) return found
      throw new SyncError('config.invalid', `${app} declares no messages ${object}.`)
    },
  }
}

/** The url of a resolved config. */
export function urlOf(app: AppId, url: unknown): string {
  if (typeof url === 'string') return url
  throw new SyncError('internal.bug', `${app}: the environment variables of the config have not been read`)
}

const KINDS = { create: 'created', update: 'updated', delete: 'deleted' } as const

/** A routing key, subject or topic with `{kind}` and `{id}` filled in. */
export function placeFor(template: string, kind: WriteOp['kind'], id: string): string {
  const values: Readonly<Record<string, string>> = { kind: KINDS[kind], id }
  return template.replace(/\{(kind|id)\}/g, (_, name: string) => values[name] as string)
}

/** An id as one step of a subject or topic: what separates steps, or stands for several, is written as in urls. */
export const stepOf = (id: string): string =>
  encodeURIComponent(id).replace(/[.*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
