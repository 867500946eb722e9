import type { AppConnector, AppHandle } from '../../config/app.ts'
import type { ListenDefinition } from '../../config/flow.ts'
import { checkKeys, refuse } from '../../config/refuse.ts'
import { type BrokerDoorOptions, checkUrl, DOOR_KEYS, readDoor } from '../broker/config.ts'
import { bindMessages } from '../broker/config-messages.ts'
import { type Amqp1MessagesBinder, describeMessages } from './config-messages.ts'
import type { ConfigText } from './options.ts'

/** A broker that speaks AMQP 1.0, as it is described in a config. */
export interface Amqp1Options {
  /** `amqp://user:password@host:port`, or `amqps://`. A path becomes the host name that the broker is asked for, which some read as a virtual host. */
  readonly url: ConfigText
}

/** As an application it stands in `apps`; for doors of flows it need not. */
export interface Amqp1 extends AppHandle, Amqp1MessagesBinder {
  /** A door for messages to a flow. The address is in the broker's own words: `orders`, of RabbitMQ 3 `/amq/queue/orders`. */
  queue(address: string, options?: BrokerDoorOptions): ListenDefinition
}

/** A broker that speaks AMQP 1.0, as those for JMS do: ActiveMQ, Artemis, IBM MQ, Qpid; and RabbitMQ with its plug-in. */
export function amqp1(options: Amqp1Options): Amqp1 {
  checkKeys('amqp1()', options, ['url'])
  const { url } = options
  checkUrl('amqp1().url', url)
  const connector: AppConnector = {
    kind: 'amqp1',
    describe: (app, bindings, limits) => describeMessages(app, url, bindings, limits),
  }
  const messages = (object: string, ...rest: unknown[]): unknown => bindMessages(connector, object, rest)
  return {
    connector,
    messages: messages as Amqp1['messages'],
    queue: (address, given = {}) => {
      const where = `queue(${JSON.stringify(address)})`
      checkKeys(where, given, DOOR_KEYS)
      if (typeof address !== 'string' || address === '')
        refuse(where, 'this is not an address', "Give one such as 'orders'.")
      return { kind: 'amqp1', options: { url, address, ...readDoor(where, given) } }
    },
  }
}
