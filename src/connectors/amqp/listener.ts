import type { FlowKind } from '../../model/flow.ts'
import type { FlowName } from '../../model/ids.ts'
import { BrokerListener, type ListenerDeps } from '../broker/listener.ts'
import { amqpConsumer } from './consumer.ts'
import type { AmqpListenOptions } from './options.ts'

/** A door of a flow on a queue. The options are resolved: the url is text. */
export function createAmqpListener(
  flow: { readonly name: FlowName; readonly kind: FlowKind },
  options: AmqpListenOptions & { readonly url: string },
  deps: ListenerDeps,
): BrokerListener {
  return new BrokerListener(flow, `amqp ${options.queue}`, options, amqpConsumer(options, deps), deps)
}
