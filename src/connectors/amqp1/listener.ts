import type { FlowKind } from '../../model/flow.ts'
import type { FlowName } from '../../model/ids.ts'
import { BrokerListener, type ListenerDeps } from '../broker/listener.ts'
import { amqp1Consumer } from './consumer.ts'
import type { Amqp1ListenOptions } from './options.ts'

/** A door of a flow on an address. The options are resolved: the url is text. */
export function createAmqp1Listener(
  flow: { readonly name: FlowName; readonly kind: FlowKind },
  options: Amqp1ListenOptions & { readonly url: string },
  deps: ListenerDeps,
): BrokerListener {
  return new BrokerListener(flow, `amqp1 ${options.address}`, options, amqp1Consumer(options, deps.clock), deps)
}
