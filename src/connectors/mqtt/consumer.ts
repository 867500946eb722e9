import { SyncError } from '../../errors/index.ts'
import type { Clock } from '../../ports/clock.ts'
import type { BrokerDriver, BrokerMessage, BrokerSession } from '../broker/port.ts'
import { connectMqtt, type MqttLink, mqttError, publishMqtt } from './connection.ts'
import type { HandleAcks, MqttPacket } from './driver.ts'
import type { MqttListenOptions } from './options.ts'

/** "Implementation specific error": the broker takes it as the end of this message. */
const REJECTED = 0x83

type Resolved = MqttListenOptions & { readonly url: string; readonly parked?: string | null }

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
    const link = await connectMqtt(where, options.url, clock, {
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

function sessionOf(where: string, link: MqttLink, options: Resolved, clock: Clock, stop: () => void): BrokerSession {
  // Replies go over a connection of their own: on this one nothing is read, not even a confirmation, until a request is acknowledged.
  let replies: Promise<MqttLink> | null = null
  const replying = (): Promise<MqttLink> => {
    const opening = connectMqtt(where, options.url, clock, { clientId: `${options.clientId}:reply`, clean: true })
    opening.then(
      (opened) => opened.ended.then(() => forget(opening)),
      () => forget(opening),
    )
    return opening
  }
  const forget = (which: Promise<MqttLink>): void => {
    if (replies === which) replies = null
  }
  return {
    ended: link.ended,
    async reply({ address, body, contentType, headers, correlationId }) {
      replies ??= replying()
      const reply = { topic: address, body, contentType, headers }
      const correlation = correlationId === undefined ? undefined : Buffer.from(correlationId, 'base64')
      await publishMqtt(where, await replies, correlation === undefined ? reply : { ...reply, correlation })
    },
    async park({ body, contentType, headers }, { code, message: reason }) {
      if (typeof options.parked !== 'string')
        throw new SyncError('internal.bug', `${where}: nothing is parked at a broker that has no place for it`)
      replies ??= replying()
      const marked = { ...headers, 'latchwork-code': code, 'latchwork-reason': reason }
      await publishMqtt(where, await replies, { topic: options.parked, body, contentType, headers: marked })
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

function subscribe(where: string, { client, ended }: MqttLink, { topic, group, qos }: Resolved): Promise<void> {
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
