export { MemoryJournal, type MemoryJournalOperation, type MemoryJournalOptions } from './journal.ts'
export { MemoryStore, type MemoryStoreOperation, type MemoryStoreOptions } from './store.ts'
