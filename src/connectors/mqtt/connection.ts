import { SyncError } from '../../errors/index.ts'
import type { Clock } from '../../ports/clock.ts'
import { loadMqtt, type MqttClient } from './driver.ts'

const CONNECT_TIMEOUT_MS = 10_000
const CLOSE_MS = 2_000
const KEEPALIVE_S = 60

export interface MqttLink {
  readonly client: MqttClient
  readonly ended: Promise<SyncError>
  close(): Promise<void>
}

/** One connection; it is not mended by the driver. */
export async function connectMqtt(
  where: string,
  url: string,
  clock: Clock,
  more: Readonly<Record<string, unknown>>,
): Promise<MqttLink> {
  const { connect: open } = await loadMqtt()
  const parsed = URL.parse(url)
  if (parsed === null || !/^(?:mqtts?|wss?):$/.test(parsed.protocol))
    throw new SyncError('config.invalid', `${where}: the url is not mqtt://user:password@host:port.`)
  const client = open(url, {
    protocolVersion: 5,
    reconnectPeriod: 0,
    connectTimeout: CONNECT_TIMEOUT_MS,
    keepalive: KEEPALIVE_S,
    resubscribe: false,
    ...more,
  })
  const { promise: ended, resolve: end } = Promise.withResolvers<SyncError>()
  const { promise: closed, resolve: isClosed } = Promise.withResolvers<void>()
  const { promise: ready, resolve: isReady } = Promise.withResolvers<null>()
  client.on('error', (error) => end(mqttError(where, error)))
  client.on('close', () => {
    isClosed()
    end(mqttError(where, new Error('the connection was closed')))
  })
  client.on('connect', () => isReady(null))
  const close = async (): Promise<void> => {
    end(new SyncError('broker.unreachable', `${where}: the connection was closed by the hub.`))
    const { promise: tooLong, resolve } = Promise.withResolvers<void>()
    const timer = clock.timer(CLOSE_MS, resolve)
    client.end(false, isClosed)
    await Promise.race([closed, tooLong])
    timer.cancel()
    client.end(true, () => {})
  }
  const failed = await Promise.race([ready, ended])
  if (failed === null) return { client, ended, close }
  await close()
  throw failed
}

export interface MqttOutgoing {
  readonly topic: string
  readonly body: string | Uint8Array
  readonly contentType: string | undefined
  readonly headers: Readonly<Record<string, string>>
  readonly correlation?: Uint8Array
  readonly qos?: 1 | 2
  readonly retain?: boolean
}

/** Resolves when the broker has it; rejects with `broker.unconfirmed`. */
export function publishMqtt(where: string, { client, ended }: MqttLink, message: MqttOutgoing): Promise<void> {
  const { topic, body, contentType, headers, correlation, qos = 1, retain = false } = message
  return new Promise((resolve, reject) => {
    const lost = (why: SyncError): void =>
      reject(new SyncError('broker.unconfirmed', `${where}: a message to ${topic} was not confirmed: ${why.message}`))
    void ended.then(lost)
    const properties = {
      ...(contentType === undefined ? {} : { contentType }),
      // An empty list of them is never sent by the driver, nor is the message then.
      ...(Object.keys(headers).length === 0 ? {} : { userProperties: headers }),
      ...(correlation === undefined ? {} : { correlationData: correlation }),
    }
    client.publish(topic, body, { qos, retain, properties }, (error) =>
      error === null || error === undefined ? resolve() : lost(mqttError(where, error)),
    )
  })
}

/** Reasons of MQTT 5 that a correction at the broker, or in the config, answers: not authorised, bad credentials, topic or client id not allowed, quota. */
const REFUSALS: ReadonlySet<number> = new Set([0x80, 0x85, 0x86, 0x87, 0x8f, 0x97, 0x9b, 0x9e, 0xa1, 0xa2])

/** What the driver says, as what is wrong with the broker. */
export function mqttError(where: string, error: unknown, isRefusal = false): SyncError {
  if (SyncError.is(error)) return error
  const { message = String(error), code } = (error ?? {}) as { message?: string; code?: unknown }
  return isRefusal || (typeof code === 'number' && REFUSALS.has(code))
    ? new SyncError('broker.refused', `${where}: ${message}. Check the user, its rights and the topic.`, {
        cause: error,
      })
    : new SyncError('broker.unreachable', `${where}: ${message}.`, { cause: error })
}
