import type { AppDefinition } from '../config/app.ts'
import { createAmqpConnector } from '../connectors/amqp/index.ts'
import { createAmqp1Connector } from '../connectors/amqp1/index.ts'
import { createHttpConnector } from '../connectors/http/index.ts'
import { createKafkaConnector } from '../connectors/kafka/index.ts'
import { createMariadbConnector } from '../connectors/mariadb/index.ts'
import { createMqttConnector } from '../connectors/mqtt/index.ts'
import { createNatsConnector } from '../connectors/nats/index.ts'
import { createPostgresConnector } from '../connectors/postgres/index.ts'
import { createSqliteConnector } from '../connectors/sqlite/index.ts'
import type { AppId } from '../model/ids.ts'
import type { Connector } from '../ports/app.ts'
import type { Clock, Log } from '../ports/clock.ts'
import type { StrayMessage } from '../ports/messages.ts'
import type { ResolvedApp } from './secrets.ts'

interface ConnectorDeps {
  readonly clock: Clock
  readonly log: Log
  /** Is told of every message of a broker that is no record. */
  readonly stray?: (message: StrayMessage) => void
}

/** The connectors of a hub, made from their options. Secrets are text by now. */
export const connectorsOf = (apps: readonly ResolvedApp[], deps: ConnectorDeps): ReadonlyMap<AppId, Connector> =>
  new Map(
    apps.map(({ definition }) => {
      const connector = connectorOf(definition, deps)
      return [connector.app, connector]
    }),
  )

function connectorOf(definition: AppDefinition, deps: ConnectorDeps): Connector {
  switch (definition.kind) {
    case 'http':
      return createHttpConnector(definition.options, deps)
    case 'postgres':
      return createPostgresConnector(definition.options, deps)
    case 'mariadb':
      return createMariadbConnector(definition.options, deps)
    case 'sqlite':
      return createSqliteConnector(definition.options, deps)
    case 'amqp':
      return createAmqpConnector(definition.options, deps)
    case 'amqp1':
      return createAmqp1Connector(definition.options, deps)
    case 'nats':
      return createNatsConnector(definition.options, deps)
    case 'mqtt':
      return createMqttConnector(definition.options, deps)
    case 'kafka':
      return createKafkaConnector(definition.options, deps)
  }
}
