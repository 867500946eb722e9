import type { HubDefinition } from '../config/define-hub.ts'
import type { ListenDefinition } from '../config/flow.ts'
import { type ApiInfo, type Json, schemaOf } from './api-docs.ts'

/** What one door adds to the document. */
interface Door {
  /** Names the channel and the operation. */
  readonly name: string
  readonly address: string
  readonly parameters: readonly string[]
  /** Of the operation, and of the channel. */
  readonly operation: Json
  readonly channel: Json
  /** Where a caller says that its reply is wanted, where that is in the message. */
  readonly replyTo: string | null
  /** The server that the channel is on, by its name in the document; null: the hub itself. */
  readonly server: { readonly name: string; readonly host: string; readonly protocol: string } | null
}

/** Every message that a flow takes, with its reply where it has one, as AsyncAPI 3. Doors of brokers are channels of their own address, on the broker's server. */
export function asyncApiOf(definition: HubDefinition, info: ApiInfo): Json {
  const channels: Record<string, Json> = {}
  const operations: Record<string, Json> = {}
  const messages: Record<string, Json> = {}
  const servers: Record<string, Json> = {}
  const host = info.url === null ? null : URL.parse(info.url)
  if (host !== null) servers.hub = { host: host.host, protocol: host.protocol.replace(':', '') }
  for (const { model, listens, schemas } of definition.flows) {
    messages[model.name] = { name: model.name, payload: schemaOf(schemas.input, 'input') }
    const replies = schemas.output !== undefined
    if (replies)
      messages[`${model.name}.reply`] = { name: `${model.name}.reply`, payload: schemaOf(schemas.output, 'output') }
    for (const door of listens.map(doorOf)) {
      const key = door.name.replace(/[^\w.-]+/g, '_')
      const server = door.server === null ? null : nameServer(servers, door.server)
      channels[key] = {
        address: door.address,
        messages: {
          message: { $ref: `#/components/messages/${model.name}` },
          ...(replies && door.replyTo === null ? { reply: { $ref: `#/components/messages/${model.name}.reply` } } : {}),
        },
        ...(door.parameters.length === 0
          ? {}
          : { parameters: Object.fromEntries(door.parameters.map((param) => [param, {}])) }),
        ...(server === null ? {} : { servers: [{ $ref: `#/servers/${server}` }] }),
        ...door.channel,
      }
      operations[key] = {
        action: 'receive',
        channel: { $ref: `#/channels/${key}` },
        messages: [{ $ref: `#/channels/${key}/messages/message` }],
        ...door.operation,
        ...(replies ? { reply: replyOf(key, model.name, door, channels) } : {}),
      }
    }
  }
  return {
    asyncapi: '3.0.0',
    info: { title: info.title, version: info.version },
    ...(Object.keys(servers).length === 0 ? {} : { servers }),
    defaultContentType: 'application/json',
    channels,
    operations,
    components: { messages },
  }
}

/** The name under which a server stands in the document: its own, with a number where another server has it. */
function nameServer(servers: Record<string, Json>, { name, host, protocol }: NonNullable<Door['server']>): string {
  for (let n = 1; ; n++) {
    const own = n === 1 ? name : `${name}-${n}`
    const known = servers[own]
    if (known !== undefined && (known.host !== host || known.protocol !== protocol)) continue
    servers[own] = { host, protocol }
    return own
  }
}

/** The reply goes over the same connection, or to the address that the message names: a channel whose address is not known before. */
function replyOf(key: string, flow: string, door: Door, channels: Record<string, Json>): Json {
  if (door.replyTo === null)
    return { channel: { $ref: `#/channels/${key}` }, messages: [{ $ref: `#/channels/${key}/messages/reply` }] }
  const name = `${key}.reply`
  channels[name] = { address: null, messages: { reply: { $ref: `#/components/messages/${flow}.reply` } } }
  return {
    address: { location: door.replyTo },
    channel: { $ref: `#/channels/${name}` },
    messages: [{ $ref: `#/channels/${name}/messages/reply` }],
  }
}

function doorOf({ kind, options }: ListenDefinition): Door {
  switch (kind) {
    case 'http':
      return {
        name: `http.${options.method}.${options.path}`,
        address: options.path.replace(/:(\w+)/g, '{$1}'),
        parameters: [...options.path.matchAll(/:(\w+)/g)].map(([, param]) => param as string),
        operation: { bindings: { http: { method: options.method } } },
        channel: {},
        replyTo: null,
        server: null,
      }
    case 'amqp':
      return {
        name: `amqp.${options.queue}`,
        address: options.queue,
        parameters: [],
        operation: { bindings: { amqp: { ack: true } } },
        channel: { bindings: { amqp: { is: 'queue', queue: { name: options.queue, durable: true } } } },
        replyTo: '$message.header#/replyTo',
        server: serverOf('rabbitmq', 'amqp', options.url),
      }
    case 'amqp1':
      return {
        name: `amqp1.${options.address}`,
        address: options.address,
        parameters: [],
        operation: {},
        channel: {},
        replyTo: '$message.header#/reply-to',
        server: serverOf('amqp1', 'amqp1', options.url),
      }
    case 'kafka':
      return {
        name: `kafka.${options.topic}.${options.group}`,
        address: options.topic,
        parameters: [],
        operation: { bindings: { kafka: { groupId: { type: 'string', enum: [options.group] } } } },
        channel: { bindings: { kafka: { topic: options.topic } } },
        replyTo: '$message.header#/reply-to',
        server: serverOf('kafka', 'kafka', options.url),
      }
    case 'mqtt':
      return {
        name: `mqtt.${options.topic}`,
        address: options.topic,
        parameters: [],
        operation: { bindings: { mqtt: { qos: options.qos } } },
        channel: {},
        replyTo: '$message.header#/responseTopic',
        server: serverOf('mqtt', 'mqtt5', options.url),
      }
    case 'nats': {
      const isStream = options.kind === 'stream'
      return {
        name: isStream ? `nats.${options.stream}.${options.consumer}` : `nats.${options.subject}`,
        address: isStream ? (options.filter ?? options.declare?.[0] ?? '>') : options.subject,
        parameters: [],
        operation: isStream ? {} : { bindings: { nats: options.group === null ? {} : { queue: options.group } } },
        channel: isStream ? { description: `A durable consumer of the stream ${options.stream}.` } : {},
        // Of a request, the subject that the protocol itself names.
        replyTo: isStream ? '$message.header#/reply-to' : '$message.header#/reply',
        server: serverOf('nats', 'nats', options.url),
      }
    }
  }
}

/** A broker's address without its user and password. What stands in the environment is not known here; its variable is. */
function serverOf(
  name: string,
  protocol: string,
  url: string | { readonly env: string; readonly fallback?: string },
): Door['server'] {
  const text = typeof url === 'string' ? url : url.fallback
  const host = text === undefined ? '' : (URL.parse(text)?.host ?? '')
  return { name, host: host === '' && typeof url !== 'string' ? url.env : host, protocol }
}
