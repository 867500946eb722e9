export { ERROR_CODES, type ErrorCode, type Handling, httpStatusOf } from './codes.ts'
export { type ErrorPart, type ErrorPlace, SyncError } from './sync-error.ts'
