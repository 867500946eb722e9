export type { PgModule } from './driver.ts'
export { PostgresJournal, type PostgresJournalOptions } from './journal.ts'
export { PostgresRunStore } from './runs.ts'
export {
  type MigrationReport,
  markPostgresRestored,
  migratePostgres,
  openPostgresReader,
  PostgresStore,
  type PostgresStoreOptions,
} from './store.ts'
