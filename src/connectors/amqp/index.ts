export { csv, form, json, multipart, soap, text, xml } from '../../formats/index.ts'
export { type BrokerDoorOptions, header } from '../broker/config.ts'
export { type Rabbitmq, type RabbitmqOptions, rabbitmq } from './config.ts'
export type { ConsumeOptions, MessagesOptions, PublishOptions } from './config-messages.ts'
export type { AmqpBindOptions, QueueOptions } from './config-queue.ts'
export { createAmqpConnector } from './connector.ts'
export { createAmqpListener } from './listener.ts'
export type {
  AmqpAppOptions,
  AmqpBinding,
  AmqpExchange,
  AmqpListenOptions,
  AmqpObject,
  AmqpQueue,
} from './options.ts'
