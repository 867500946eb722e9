import { randomUUID } from 'node:crypto'
import { connect as connectSocket } from 'node:net'
import mqtt, { type IClientPublishOptions, type IPublishPacket, type MqttClient } from 'mqtt'

/** The broker of the tests: the machine's own, or the one that MQTT_URL names. */
export const MQTT_URL = process.env.MQTT_URL ?? 'mqtt://127.0.0.1:1883'

const answers = (url: string): Promise<boolean> =>
  new Promise((resolve) => {
    const { hostname, port } = new URL(url)
    const socket = connectSocket({ host: hostname, port: Number(port) })
    const end = (found: boolean): void => {
      socket.destroy()
      resolve(found)
    }
    socket.once('connect', () => end(true)).once('error', () => end(false))
  })

/** Where a pipeline runs, a broker that is missing is a failure, not a reason to skip. */
export const hasMqtt = process.env.CI === 'true' || (await answers(MQTT_URL))

/** The other side: what publishes to the hub and hears its replies. The sessions that its tests leave go with it. */
export class Peer implements AsyncDisposable {
  readonly #client: MqttClient
  readonly #replies: IPublishPacket[] = []
  readonly #sessions: string[] = []
  readonly #listening: MqttClient[] = []
  readonly inbox = `latchwork-test/${randomUUID()}`

  private constructor(client: MqttClient) {
    this.#client = client
    client.on('message', (_topic, _body, packet) => void this.#replies.push(packet))
  }

  static async open(): Promise<Peer> {
    const peer = new Peer(await mqtt.connectAsync(MQTT_URL, { protocolVersion: 5 }))
    await peer.#client.subscribeAsync(peer.inbox, { qos: 1 })
    return peer
  }

  /** A topic, and a client id, of one test. */
  names(filter = ''): { readonly topic: string; readonly clientId: string } {
    const name = `latchwork-test-${randomUUID()}`
    this.#sessions.push(`${name}:${name}${filter}`)
    return { topic: name, clientId: name }
  }

  /** A session for somebody else, which goes with this one's. */
  async openSession(clientId: string, filter: string): Promise<void> {
    this.#sessions.push(clientId)
    const client = await mqtt.connectAsync(MQTT_URL, {
      protocolVersion: 5,
      clientId,
      clean: false,
      properties: { sessionExpiryInterval: 600 },
    })
    await client.subscribeAsync(filter, { qos: 1 })
    await client.endAsync()
  }

  /** What comes from now on, oldest first. */
  async hear(filter: string): Promise<IPublishPacket[]> {
    const client = await mqtt.connectAsync(MQTT_URL, { protocolVersion: 5 })
    this.#listening.push(client)
    const packets: IPublishPacket[] = []
    client.on('message', (_topic, _body, packet) => void packets.push(packet))
    await client.subscribeAsync(filter, { qos: 1 })
    return packets
  }

  /** Resolves when the broker has it. */
  async send(topic: string, body: unknown, options: IClientPublishOptions = {}): Promise<void> {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    await this.#client.publishAsync(topic, text, { qos: 1, ...options })
  }

  async ask(topic: string, body: unknown): Promise<IPublishPacket> {
    const correlationData = Buffer.from(randomUUID())
    await this.send(topic, body, { properties: { responseTopic: this.inbox, correlationData } })
    return eventually(
      () => this.#replies.find((reply) => reply.properties?.correlationData?.equals(correlationData)),
      (reply) => reply !== undefined,
    ) as Promise<IPublishPacket>
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const clientId of this.#sessions) {
      const session = await mqtt.connectAsync(MQTT_URL, { protocolVersion: 5, clientId, clean: true })
      await session.endAsync()
    }
    for (const client of [this.#client, ...this.#listening]) await client.endAsync()
  }
}

/** Asks until the answer is as wanted; the test's own time limit ends a wait that never does. */
export async function eventually<T>(ask: () => Promise<T> | T, isWanted: (answer: T) => boolean): Promise<T> {
  for (;;) {
    const answer = await ask()
    if (isWanted(answer)) return answer
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
