export { ERROR_CODES, type ErrorCode, type Handling, httpStatusOf } from './codes.ts'
export { type ErrorPlace, SyncError } from './sync-error.ts'
