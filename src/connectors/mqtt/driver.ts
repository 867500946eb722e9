import { SyncError } from '../../errors/index.ts'

/** What we ask of mqtt, and nothing more of it. */
export interface MqttLibrary {
  connect(url: string, options: Readonly<Record<string, unknown>>): MqttClient
}

export interface MqttClient {
  on(event: 'connect', listener: () => void): unknown
  on(event: 'close', listener: () => void): unknown
  on(event: 'error', listener: (error: unknown) => void): unknown
  on(event: 'message', listener: (topic: string, body: Uint8Array, packet: MqttPacket) => void): unknown
  subscribe(
    topic: string,
    options: Readonly<Record<string, unknown>>,
    done: (error: unknown, granted?: readonly { readonly qos: number }[]) => void,
  ): unknown
  publish(
    topic: string,
    body: string | Uint8Array,
    options: Readonly<Record<string, unknown>>,
    done: (error: unknown) => void,
  ): unknown
  end(force: boolean, done: () => void): unknown
}

export interface MqttPacket {
  readonly qos: 0 | 1 | 2
  readonly dup?: boolean
  readonly properties?: {
    readonly contentType?: string
    readonly responseTopic?: string
    readonly correlationData?: Uint8Array
    readonly userProperties?: Readonly<Record<string, string | readonly string[]>>
  }
}

/** Called for every message of QoS 1 and 2; only `done` has the client acknowledge it, and go on to the next. */
export type HandleAcks = (topic: string, body: Uint8Array, packet: MqttPacket, done: (code: number) => void) => void

/** The driver, loaded when a topic is listened to. */
export async function loadMqtt(): Promise<MqttLibrary> {
  try {
    const loaded = (await import('mqtt')) as unknown as MqttLibrary & { readonly default?: MqttLibrary }
    return loaded.default ?? loaded
  } catch (cause) {
    throw new SyncError('driver.missing', 'MQTT needs the package mqtt: npm install mqtt@5', { cause })
  }
}
