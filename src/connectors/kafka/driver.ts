import { SyncError } from '../../errors/index.ts'

/** What we ask of @platformatic/kafka, and nothing more of it. */
export interface KafkaLibrary {
  readonly Consumer: new (options: Readonly<Record<string, unknown>>) => KafkaConsumer
  readonly Producer: new (options: Readonly<Record<string, unknown>>) => KafkaProducer
}

export interface KafkaConsumer {
  readonly assignments: readonly { readonly topic: string; readonly partitions: readonly number[] }[] | null
  consume(options: Readonly<Record<string, unknown>>): Promise<KafkaStream>
  commit(options: { readonly offsets: readonly KafkaOffset[] }): Promise<void>
  close(force: boolean): Promise<void>
}

export interface KafkaOffset {
  readonly topic: string
  readonly partition: number
  /** Of the first message that is not taken yet. */
  readonly offset: bigint
  readonly leaderEpoch: number
}

export interface KafkaStream extends AsyncIterable<KafkaRecord> {
  on(event: 'error', listener: (error: unknown) => void): unknown
  close(): Promise<void>
}

export interface KafkaRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: bigint
  readonly key?: Uint8Array | null
  readonly value?: Uint8Array | null
  readonly headers: ReadonlyMap<Uint8Array, Uint8Array>
  readonly timestamp: bigint
}

export interface KafkaProducer {
  metadata(options: Readonly<Record<string, unknown>>): Promise<unknown>
  send(options: Readonly<Record<string, unknown>>): Promise<unknown>
  close(): Promise<void>
}

/** The driver, loaded when a topic is listened to or written to. */
export async function loadKafka(): Promise<KafkaLibrary> {
  try {
    return (await import('@platformatic/kafka')) as unknown as KafkaLibrary
  } catch (cause) {
    throw new SyncError(
      'driver.missing',
      'Kafka needs the package @platformatic/kafka: npm install @platformatic/kafka@2',
      { cause },
    )
  }
}
