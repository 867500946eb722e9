import { expect, test } from 'vitest'
import { read } from './support/sources.ts'

/** What the package gives to people at run time, by entry point. A name that comes or goes is a change that they notice: it belongs into the changelog too. */
const PUBLIC: Readonly<Record<string, string>> = {
  '.': `ERROR_CODES SyncError addRemove bytes cents counter date decimal decimalText defineHub derived entity enumMap env flow
    httpStatusOf hubOf idIn ignore instant int64 integerText isHubDefinition isoInstant key latest lossy manual merge numberId postgresStore
    prefer propagate property quarantine readOnly reference resolveText rowOf softDelete status sync unixMillis unixSeconds writeOnly`,
  './connectors/http':
    'afterDelivery allOf apiKey basic bearer createHttpConnector createHttpListener csv del etag form fromAddresses get github header hmac http httpCapabilities hubspot json multipart mutualTls param patch poll post put query queryKey salesforce shopify slack soap soapCall soapService standardWebhooks stripe text unordered unverified webhook xml',
  './connectors/postgres': 'createPostgresConnector postgres postgresCapabilities',
  './connectors/mariadb': 'createMariadbConnector mariadb mariadbCapabilities polling',
  './connectors/sqlite': 'SQLITE_CAPABILITIES createSqliteConnector sqlite',
  './connectors/amqp': 'createAmqpConnector createAmqpListener csv form header json multipart rabbitmq soap text xml',
  './connectors/amqp1': 'amqp1 createAmqp1Connector createAmqp1Listener csv form header json multipart soap text xml',
  './connectors/kafka': 'createKafkaConnector createKafkaListener csv form header json kafka multipart soap text xml',
  './connectors/mqtt': 'createMqttConnector createMqttListener csv form header json mqtt multipart soap text xml',
  './connectors/nats': 'createNatsConnector createNatsListener csv form header json multipart nats soap text xml',
  './stores/sqlite':
    'SqliteJournal SqliteMessageLog SqliteRunStore SqliteStore markRestored migrateSqlite openSqliteReader',
  './stores/postgres':
    'PostgresJournal PostgresRunStore PostgresStore markPostgresRestored migratePostgres openPostgresReader',
  './stores/memory': 'MemoryJournal MemoryRunStore MemoryStore',
  './testing': 'journalSuite runStoreSuite sourceSuite storeSuite targetSuite',
}

const { exports } = JSON.parse(read('package.json')) as { exports: Record<string, Record<string, string>> }

test('the entry points are these', () => {
  expect(Object.keys(exports)).toEqual(Object.keys(PUBLIC))
})

test.each(Object.entries(PUBLIC))('%s gives these names', async (entry, names) => {
  const given = await import(new URL(`../${exports[entry]?.['latchwork-source']}`, import.meta.url).href)
  expect(Object.keys(given).sort()).toEqual(names.split(/\s+/).sort())
})

test('an entry point is the same file from source and built', () => {
  for (const paths of Object.values(exports)) {
    const built = paths.default as string
    expect(paths['latchwork-source']).toBe(built.replace('./dist/', './src/').replace(/\.js$/, '.ts'))
    expect(paths.types).toBe(built.replace(/\.js$/, '.d.ts'))
  }
})
