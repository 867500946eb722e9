export type { OpenDriver, SqliteDriver, SqliteStatement, SqlValue } from './driver.ts'
export { SqliteJournal, type SqliteJournalOptions } from './journal.ts'
export { openSqliteReader, type StoreReader } from './reader.ts'
export { markRestored, SqliteStore, type SqliteStoreOptions } from './store.ts'
