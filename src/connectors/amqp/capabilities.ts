import type { Capabilities } from '../../model/capabilities.ts'
import { brokerCapabilities } from '../broker/capabilities.ts'
import type { AmqpObject } from './options.ts'

export const amqpCapabilities = ({ consume }: AmqpObject): Capabilities => brokerCapabilities(consume !== null)
