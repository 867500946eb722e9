import { SyncError } from '../../errors/index.ts'
import type { Clock } from '../../ports/clock.ts'
import type { BrokerDriver, BrokerMessage, BrokerSession, OutgoingMessage } from '../broker/port.ts'
import { type HandleAcks, loadMqtt, type MqttClient, type MqttPacket } from './driver.ts'
import type { MqttListenOptions } from './options.ts'

const CONNECT_TIMEOUT_MS = 10_000
const CLOSE_MS = 2_000
const KEEPALIVE_S = 60
/** "Implementation specific error": the broker takes it as the end of this message. */
const REJECTED = 0x83

type Resolved = MqttListenOptions & { readonly url: string }

interface Link {
  readonly client: MqttClient
  readonly ended: Promise<SyncError>
  close(): Promise<void>
}

/** Consumes one subscription of a broker that speaks MQTT 5. */
export const mqttConsumer = (options: Resolved, clock: Clock): BrokerDriver => ({
  async open(take) {
    const where = `topic ${options.topic}`
    let isOpen = true
    let isTaking = true
    const given = (topic: string, body: Uint8Array, packet: MqttPacket, settle: (code: number) => void): void => {
      let isSettled = false
      const once = (code: number): void => {
        if (isSettled || !isOpen) return
        isSettled = true
        settle(code)
      }
      // Not acknowledged, it stays with the broker.
      if (isOpen && isTaking) take(messageOf(topic, body, packet, once))
    }
    const acks: HandleAcks = given
    const link = await connect(where, options, clock, {
      clientId: options.clientId,
      clean: options.qos === 0,
      properties: {
        receiveMaximum: options.inFlightMax,
        ...(options.qos === 0 ? {} : { sessionExpiryInterval: options.sessionExpiryS }),
      },
      // Before QoS 2 is confirmed as received, not after: the broker forgets the message then.
      customHandleAcks: acks,
    })
    void link.ended.then(() => {
      isOpen = false
    })
    link.client.on('message', (topic, body, packet) => {
      if (packet.qos === 0) given(topic, body, packet, () => {})
    })
    try {
      await subscribe(where, link, options)
    } catch (error) {
      await link.close()
      throw error
    }
    return sessionOf(where, link, options, clock, () => {
      isTaking = false
    })
  },
})

function sessionOf(where: string, link: Link, options: Resolved, clock: Clock, stop: () => void): BrokerSession {
  // Replies go over a connection of their own: on this one nothing is read, not even a confirmation, until a request is acknowledged.
  let replies: Promise<Link> | null = null
  const replying = (): Promise<Link> => {
    const opening = connect(where, options, clock, { clientId: `${options.clientId}:reply`, clean: true })
    opening.then(
      (opened) => opened.ended.then(() => forget(opening)),
      () => forget(opening),
    )
    return opening
  }
  const forget = (which: Promise<Link>): void => {
    if (replies === which) replies = null
  }
  return {
    ended: link.ended,
    async reply(message) {
      replies ??= replying()
      await publish(where, await replies, message)
    },
    async park() {
      throw new SyncError('internal.bug', 'nothing is parked at an MQTT broker: doors of flows keep it in the hub')
    },
    // The subscription stays: the broker keeps what comes for it.
    async pause() {
      stop()
    },
    async close() {
      await link.close()
      const opened = await replies?.catch(() => null)
      await opened?.close()
    },
  }
}

async function connect(
  where: string,
  { url }: Resolved,
  clock: Clock,
  more: Readonly<Record<string, unknown>>,
): Promise<Link> {
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

function subscribe(where: string, { client, ended }: Link, { topic, group, qos }: Resolved): Promise<void> {
  return new Promise((resolve, reject) => {
    void ended.then(reject)
    // A retained message is sent when the subscription is made, not at every connection.
    client.subscribe(group === null ? topic : `$share/${group}/${topic}`, { qos, rh: 1 }, (error, granted) => {
      const [first] = granted ?? []
      if (error !== null && error !== undefined) reject(mqttError(where, error, true))
      else if (first !== undefined && first.qos < qos)
        reject(
          new SyncError(
            'broker.refused',
            `${where}: the broker grants QoS ${first.qos}, and QoS ${qos} is asked for. Set it in the config, or let the broker grant more.`,
          ),
        )
      else resolve()
    })
  })
}

function messageOf(topic: string, body: Uint8Array, packet: MqttPacket, settle: (code: number) => void): BrokerMessage {
  const { contentType, responseTopic, correlationData, userProperties } = packet.properties ?? {}
  return {
    body,
    contentType,
    headers: textsOf(userProperties),
    facts: { topic },
    // The protocol has none: its packet ids are used again and again.
    id: undefined,
    // Bytes, whatever their sender means by them.
    correlationId: correlationData === undefined ? undefined : Buffer.from(correlationData).toString('base64'),
    replyTo: responseTopic,
    deliveries: packet.dup === true ? null : 1,
    timeMs: undefined,
    isKept: packet.qos > 0,
    ack: () => settle(0),
    reject: () => settle(REJECTED),
  }
}

function textsOf(properties: Readonly<Record<string, string | readonly string[]>> = {}): Record<string, string> {
  const texts: Record<string, string> = Object.create(null)
  for (const [name, value] of Object.entries(properties)) {
    const text = typeof value === 'string' ? value : value[0]
    if (text !== undefined) texts[name.toLowerCase()] ??= text
  }
  return texts
}

function publish(where: string, { client, ended }: Link, message: OutgoingMessage): Promise<void> {
  const { address, body, contentType, headers, correlationId } = message
  return new Promise((resolve, reject) => {
    const lost = (why: SyncError): void =>
      reject(new SyncError('broker.unconfirmed', `${where}: a reply to ${address} was not confirmed: ${why.message}`))
    void ended.then(lost)
    const properties = {
      contentType,
      // An empty list of them is never sent by the driver, nor is the message then.
      ...(Object.keys(headers).length === 0 ? {} : { userProperties: headers }),
      ...(correlationId === undefined ? {} : { correlationData: Buffer.from(correlationId, 'base64') }),
    }
    client.publish(address, body, { qos: 1, properties }, (error) =>
      error === null || error === undefined ? resolve() : lost(mqttError(where, error)),
    )
  })
}

/** Reasons of MQTT 5 that a correction at the broker, or in the config, answers: not authorised, bad credentials, topic or client id not allowed, quota. */
const REFUSALS: ReadonlySet<number> = new Set([0x80, 0x85, 0x86, 0x87, 0x8f, 0x97, 0x9b, 0x9e, 0xa1, 0xa2])

/** What the driver says, as what is wrong with the broker. */
function mqttError(where: string, error: unknown, isRefusal = false): SyncError {
  if (SyncError.is(error)) return error
  const { message = String(error), code } = (error ?? {}) as { message?: string; code?: unknown }
  return isRefusal || (typeof code === 'number' && REFUSALS.has(code))
    ? new SyncError('broker.refused', `${where}: ${message}. Check the user, its rights and the topic.`, {
        cause: error,
      })
    : new SyncError('broker.unreachable', `${where}: ${message}.`, { cause: error })
}
