export { SQLITE_CAPABILITIES } from './capabilities.ts'
export { type SqliteApp, type SqliteOptions, sqlite } from './config.ts'
export { createSqliteConnector } from './connector.ts'
export type { SqliteAppOptions } from './options.ts'
