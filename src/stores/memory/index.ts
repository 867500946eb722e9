export { MemoryJournal, type MemoryJournalOperation, type MemoryJournalOptions } from './journal.ts'
export { MemoryRunStore, type MemoryRunStoreOptions } from './runs.ts'
export { MemoryStore, type MemoryStoreOperation, type MemoryStoreOptions } from './store.ts'
