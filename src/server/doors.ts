import type { HubDefinition } from '../config/define-hub.ts'
import type { ListenDefinition } from '../config/flow.ts'
import { createAmqpListener } from '../connectors/amqp/index.ts'
import { createAmqp1Listener } from '../connectors/amqp1/index.ts'
import { createHttpListener } from '../connectors/http/index.ts'
import { createKafkaListener } from '../connectors/kafka/index.ts'
import { createMqttListener } from '../connectors/mqtt/index.ts'
import { createNatsListener } from '../connectors/nats/index.ts'
import { SyncError } from '../errors/index.ts'
import type { FlowModel, Message } from '../model/flow.ts'
import type { FlowName } from '../model/ids.ts'
import type { Clock, Log, Random } from '../ports/clock.ts'
import type { MessageListener } from '../ports/listen.ts'
import { problemReply } from './problem.ts'
import { type Environment, resolveListen } from './secrets.ts'

interface DoorDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly bodyBytesMax: number
}

/** The doors of every flow, made from their options. Secrets are text by then. */
export function listenersOf(
  { flows }: HubDefinition,
  env: Environment,
  deps: DoorDeps,
): ReadonlyMap<FlowName, readonly MessageListener[]> {
  return new Map(
    flows.map(({ model, listens }) => {
      const resolved = listens.map((listen) => resolveListen(listen, env).listen)
      const paths = resolved.flatMap((listen) => (listen.kind === 'http' ? [listen.options] : []))
      const http = createHttpListener(model.name, paths, (error, path, write) =>
        problemReply(error, path, undefined, write),
      )
      return [model.name, [http, ...resolved.flatMap((listen) => brokerDoor(model, listen, deps))]]
    }),
  )
}

function brokerDoor(flow: FlowModel, listen: ListenDefinition, deps: DoorDeps): readonly MessageListener[] {
  switch (listen.kind) {
    case 'http':
      return []
    case 'amqp':
      return [createAmqpListener(flow, { ...listen.options, url: textOf(listen.options.url) }, deps)]
    case 'amqp1':
      return [createAmqp1Listener(flow, { ...listen.options, url: textOf(listen.options.url) }, deps)]
    case 'kafka':
      return [createKafkaListener(flow, { ...listen.options, url: textOf(listen.options.url) }, deps)]
    case 'mqtt':
      return [createMqttListener(flow, { ...listen.options, url: textOf(listen.options.url) }, deps)]
    case 'nats':
      return [createNatsListener(flow, { ...listen.options, url: textOf(listen.options.url) }, deps)]
  }
}

function textOf(text: unknown): string {
  if (typeof text === 'string') return text
  throw new SyncError('internal.bug', 'a door was made before the environment variables of the config were read')
}

/** What a door could not decode, as the doors of the flow are now. */
export function decodeAgain(listeners: readonly MessageListener[], flow: FlowName, message: Message): Message {
  for (const listener of listeners) {
    const decoded = listener.decode?.(message) ?? null
    if (decoded !== null) return decoded
  }
  throw new SyncError(
    'flow.input-invalid',
    `a message that came by ${message.origin} was set aside undecoded, and ${flow} has that door no more. Give it back, or cancel the run.`,
    { place: { flow } },
  )
}
