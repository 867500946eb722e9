import { SyncError } from '../../errors/index.ts'
import { kafkaError, placeOptions } from './connection.ts'
import { type KafkaProducer, loadKafka } from './driver.ts'
import type { ResolvedPlace } from './options.ts'

export interface KafkaOutgoing {
  readonly topic: string
  readonly key: string | undefined
  readonly body: string | Uint8Array
  readonly headers: Readonly<Record<string, string>>
}

/** Publishes; what it resolves for all replicas that are in step have. */
export class KafkaPublisher {
  readonly #where: string
  readonly #producer: KafkaProducer

  private constructor(where: string, producer: KafkaProducer) {
    this.#where = where
    this.#producer = producer
  }

  /** Rejects with `broker.refused` for a topic that is not there, and leaves nothing open then. */
  static async open(where: string, place: ResolvedPlace, topics: readonly string[]): Promise<KafkaPublisher> {
    const { Producer } = await loadKafka()
    const producer = new Producer({ ...placeOptions(where, place), autocreateTopics: false, acks: -1 })
    try {
      await producer.metadata({ topics })
      return new KafkaPublisher(where, producer)
    } catch (error) {
      await producer.close().catch(() => undefined)
      throw kafkaError(where, error)
    }
  }

  /** Rejects with `broker.refused`, or `broker.unconfirmed` (it may be there). */
  async publish({ topic, key, body, headers }: KafkaOutgoing): Promise<void> {
    const bytes = (text: string | Uint8Array): Buffer => Buffer.from(text as string)
    const message = {
      topic,
      value: bytes(body),
      headers: new Map(Object.entries(headers).map(([name, text]) => [bytes(name), bytes(text)])),
      ...(key === undefined ? {} : { key: bytes(key) }),
    }
    try {
      await this.#producer.send({ messages: [message], acks: -1 })
    } catch (error) {
      const { code, message: why } = kafkaError(this.#where, error)
      throw new SyncError(code === 'broker.refused' ? code : 'broker.unconfirmed', why)
    }
  }

  async close(): Promise<void> {
    await this.#producer.close().catch(() => undefined)
  }
}
