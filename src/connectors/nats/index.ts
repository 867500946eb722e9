export { csv, form, json, multipart, soap, text, xml } from '../../formats/index.ts'
export { type BrokerDoorOptions, header } from '../broker/config.ts'
export { type Nats, type NatsOptions, nats, type StreamOptions, type SubjectOptions } from './config.ts'
export type { NatsConsumeOptions, NatsMessagesOptions, NatsPublishOptions } from './config-messages.ts'
export type { ConsumerOptions } from './config-stream.ts'
export { createNatsConnector } from './connector.ts'
export { createNatsListener } from './listener.ts'
export type {
  NatsAppOptions,
  NatsFeed,
  NatsListenOptions,
  NatsObject,
  NatsStream,
  NatsSubject,
  NatsTopic,
} from './options.ts'
