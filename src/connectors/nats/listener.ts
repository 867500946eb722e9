import type { FlowKind } from '../../model/flow.ts'
import type { FlowName } from '../../model/ids.ts'
import { BrokerListener, type ListenerDeps } from '../broker/listener.ts'
import { natsConsumer } from './consumer.ts'
import type { NatsListenOptions } from './options.ts'

/** A door of a flow on a stream or a subject. The options are resolved: the url is text. */
export function createNatsListener(
  flow: { readonly name: FlowName; readonly kind: FlowKind },
  options: NatsListenOptions & { readonly url: string },
  deps: ListenerDeps,
): BrokerListener {
  const origin = options.kind === 'stream' ? `nats ${options.stream}/${options.consumer}` : `nats ${options.subject}`
  return new BrokerListener(flow, origin, options, natsConsumer(options, deps.clock), deps)
}
