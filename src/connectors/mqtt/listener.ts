import type { FlowKind } from '../../model/flow.ts'
import type { FlowName } from '../../model/ids.ts'
import { BrokerListener, type ListenerDeps } from '../broker/listener.ts'
import { mqttConsumer } from './consumer.ts'
import type { MqttListenOptions } from './options.ts'

/** A door of a flow on topics. The options are resolved: the url is text. */
export function createMqttListener(
  flow: { readonly name: FlowName; readonly kind: FlowKind },
  options: MqttListenOptions & { readonly url: string },
  deps: ListenerDeps,
): BrokerListener {
  return new BrokerListener(flow, `mqtt ${options.topic}`, options, mqttConsumer(options, deps.clock), deps)
}
