import type { FlowKind } from '../../model/flow.ts'
import type { FlowName } from '../../model/ids.ts'
import { BrokerListener, type ListenerDeps } from '../broker/listener.ts'
import { kafkaConsumer } from './consumer.ts'
import type { KafkaListenOptions } from './options.ts'

/** A door of a flow on a topic. The options are resolved: the url is text. */
export function createKafkaListener(
  flow: { readonly name: FlowName; readonly kind: FlowKind },
  options: KafkaListenOptions & { readonly url: string },
  deps: ListenerDeps,
): BrokerListener {
  return new BrokerListener(flow, `kafka ${options.topic}`, options, kafkaConsumer(options, deps.clock), deps)
}
