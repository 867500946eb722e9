export { postgresCapabilities } from './capabilities.ts'
export { type ChildTable, type PostgresApp, type PostgresOptions, postgres, type TableOptions } from './config.ts'
export { createPostgresConnector } from './connector.ts'
export type { ConfigText, PostgresAppOptions, PostgresColumn, PostgresPart, PostgresTable } from './options.ts'
