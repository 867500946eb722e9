import { SyncError } from '../../errors/index.ts'

/** What we ask of amqplib, and nothing more of it. */
export interface AmqpLibrary {
  connect(url: string, options: Readonly<Record<string, unknown>>): Promise<AmqpConnection>
}

export interface AmqpConnection {
  createChannel(): Promise<AmqpChannel>
  createConfirmChannel(): Promise<AmqpConfirmChannel>
  close(): Promise<void>
  on(event: 'error' | 'close', listener: (error?: unknown) => void): unknown
  on(event: 'blocked', listener: (reason: string) => void): unknown
  on(event: 'unblocked', listener: () => void): unknown
}

export interface AmqpChannel {
  prefetch(count: number): Promise<unknown>
  assertQueue(queue: string, options: Readonly<Record<string, unknown>>): Promise<unknown>
  checkQueue(queue: string): Promise<unknown>
  assertExchange(exchange: string, type: string, options: Readonly<Record<string, unknown>>): Promise<unknown>
  checkExchange(exchange: string): Promise<unknown>
  bindQueue(queue: string, exchange: string, key: string): Promise<unknown>
  consume(queue: string, take: (delivery: AmqpDelivery | null) => void): Promise<{ readonly consumerTag: string }>
  cancel(consumerTag: string): Promise<unknown>
  ack(delivery: AmqpDelivery): void
  reject(delivery: AmqpDelivery, requeue: boolean): void
  close(): Promise<void>
  on(event: 'error' | 'close', listener: (error?: unknown) => void): unknown
}

export interface AmqpConfirmChannel extends Omit<AmqpChannel, 'on'> {
  publish(
    exchange: string,
    key: string,
    body: Buffer,
    properties: Readonly<Record<string, unknown>>,
    confirmed: (error: unknown) => void,
  ): boolean
  on(event: 'error' | 'close', listener: (error?: unknown) => void): unknown
  on(event: 'return', listener: (delivery: AmqpDelivery) => void): unknown
}

export interface AmqpDelivery {
  readonly content: Buffer
  readonly fields: { readonly exchange: string; readonly routingKey: string; readonly redelivered?: boolean }
  readonly properties: {
    readonly contentType?: string
    readonly headers?: Readonly<Record<string, unknown>>
    readonly messageId?: string
    readonly correlationId?: string
    readonly replyTo?: string
    readonly timestamp?: number
  }
}

/** The driver, loaded when a queue is listened to or written to. */
export async function loadAmqp(): Promise<AmqpLibrary> {
  try {
    return (await import('amqplib')) as unknown as AmqpLibrary
  } catch (cause) {
    throw new SyncError(
      'driver.missing',
      'queues of AMQP 0-9-1 (RabbitMQ) need the package amqplib: npm install amqplib@2',
      {
        cause,
      },
    )
  }
}
