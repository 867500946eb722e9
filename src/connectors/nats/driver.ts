import { SyncError } from '../../errors/index.ts'

/** What we ask of the NATS packages, and nothing more of them. */
export interface NatsLibrary {
  connect(options: Readonly<Record<string, unknown>>): Promise<NatsConnection>
  headers(): NatsHeaders
}

export interface NatsHeaders extends Iterable<[string, readonly string[]]> {
  set(name: string, value: string): void
}

export interface NatsConnection {
  readonly info?: { readonly version: string; readonly jetstream?: boolean }
  subscribe(subject: string, options: Readonly<Record<string, unknown>>): NatsSubscription
  publish(subject: string, body: Uint8Array | string, options?: { readonly headers?: NatsHeaders }): void
  flush(): Promise<void>
  close(): Promise<void>
  closed(): Promise<unknown>
}

export interface NatsSubscription {
  unsubscribe(): void
}

export interface NatsMessage {
  readonly subject: string
  readonly data: Uint8Array
  readonly reply?: string
  readonly headers?: NatsHeaders
}

export interface JetStreamLibrary {
  jetstream(connection: NatsConnection): JetStream
  jetstreamManager(connection: NatsConnection): Promise<JetStreamManager>
}

export interface JetStream {
  /** Resolves when a stream keeps it. */
  publish(
    subject: string,
    body: Uint8Array | string,
    options: Readonly<Record<string, unknown>>,
  ): Promise<{ readonly stream: string; readonly seq: number }>
  readonly consumers: { get(stream: string, consumer: string): Promise<JetStreamConsumer> }
}

export interface JetStreamManager {
  readonly streams: {
    info(stream: string): Promise<unknown>
    add(config: Readonly<Record<string, unknown>>): Promise<unknown>
  }
  readonly consumers: {
    info(stream: string, consumer: string): Promise<{ readonly config: Readonly<Record<string, unknown>> }>
    add(stream: string, config: Readonly<Record<string, unknown>>): Promise<unknown>
    update(stream: string, consumer: string, config: Readonly<Record<string, unknown>>): Promise<unknown>
  }
}

export interface JetStreamConsumer {
  consume(options: Readonly<Record<string, unknown>>): Promise<JetStreamMessages>
}

export interface JetStreamMessages extends AsyncIterable<JetStreamMessage> {
  status(): AsyncIterable<{ readonly type: string }>
  stop(): void
  close(): Promise<unknown>
}

export interface JetStreamMessage extends NatsMessage {
  readonly seq: number
  readonly info: { readonly deliveryCount: number; readonly timestampNanos: number }
  ack(): void
  term(reason?: string): void
  working(): void
}

/** The driver, loaded when a subject or a stream is listened to. */
export async function loadNats(): Promise<NatsLibrary> {
  try {
    return (await import('@nats-io/transport-node')) as unknown as NatsLibrary
  } catch (cause) {
    throw new SyncError(
      'driver.missing',
      'NATS needs the package @nats-io/transport-node: npm install @nats-io/transport-node@3',
      {
        cause,
      },
    )
  }
}

export async function loadJetStream(): Promise<JetStreamLibrary> {
  try {
    return (await import('@nats-io/jetstream')) as unknown as JetStreamLibrary
  } catch (cause) {
    throw new SyncError(
      'driver.missing',
      'streams of NATS need the package @nats-io/jetstream: npm install @nats-io/jetstream@3',
      {
        cause,
      },
    )
  }
}
