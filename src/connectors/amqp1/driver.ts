import { SyncError } from '../../errors/index.ts'

/** What we ask of rhea, and nothing more of it. */
export interface RheaLibrary {
  create_container(options: Readonly<Record<string, unknown>>): RheaContainer
  readonly types: {
    wrap_byte(value: number): unknown
    wrap_binary(value: Uint8Array): unknown
    wrap_timestamp(value: number): unknown
  }
  readonly message: { data_section(data: Uint8Array): unknown }
}

export interface RheaContainer extends RheaEmitter {
  connect(options: Readonly<Record<string, unknown>>): RheaConnection
}

export interface RheaEmitter {
  on(event: string, listener: (context: RheaContext) => void): unknown
  removeListener(event: string, listener: (context: RheaContext) => void): unknown
}

export interface RheaConnection extends RheaEmitter {
  readonly socket?: { destroy(reason: Error): void }
  create_session(): RheaSession
  close(): void
}

export interface RheaSession extends RheaEmitter {
  readonly error?: unknown
  begin(): void
  close(): void
  open_receiver(options: Readonly<Record<string, unknown>>): RheaReceiver
  open_sender(options: Readonly<Record<string, unknown>>): RheaSender
}

export interface RheaLink extends RheaEmitter {
  readonly error?: unknown
  /** As the broker has it; without an address where it refuses the link, which it closes then. */
  readonly source?: { readonly address?: string; readonly outcomes?: unknown }
  readonly target?: { readonly address?: string }
  close(): void
}

export interface RheaReceiver extends RheaLink {
  add_credit(credit: number): void
}

export interface RheaSender extends RheaLink {
  sendable(): boolean
  send(message: Readonly<Record<string, unknown>>): RheaSent
}

export interface RheaSent {
  readonly remote_state?: { readonly error?: unknown; readonly undeliverable_here?: boolean }
}

export interface RheaContext {
  readonly error?: unknown
  /** Raw bytes where its format is not that of the protocol. */
  readonly message?: RheaMessage | Uint8Array
  readonly delivery?: RheaDelivery & RheaSent
}

export interface RheaDelivery {
  accept(): void
  release(): void
  reject(error: Readonly<Record<string, string>>): void
  modified(outcome: Readonly<Record<string, boolean>>): void
}

/** The sections of a message, flat. Ids are text, numbers, or bytes (a UUID, or what its sender pleased). */
export interface RheaMessage {
  readonly body?: unknown
  readonly message_id?: unknown
  readonly correlation_id?: unknown
  readonly reply_to?: string
  readonly to?: string
  readonly subject?: string
  readonly content_type?: string
  readonly creation_time?: unknown
  readonly delivery_count?: number
  readonly first_acquirer?: boolean
  readonly application_properties?: Readonly<Record<string, unknown>>
}

/** The driver, loaded when an address is listened to or written to. */
export async function loadRhea(): Promise<RheaLibrary> {
  try {
    const loaded = (await import('rhea')) as unknown as { readonly default?: RheaLibrary } & RheaLibrary
    return loaded.default ?? loaded
  } catch (cause) {
    throw new SyncError('driver.missing', 'AMQP 1.0 needs the package rhea: npm install rhea@3', { cause })
  }
}
