export type { AppDefinition, AppHandle, HubLimits } from './config/app.ts'
export type { BrakesConfig } from './config/brakes.ts'
export {
  type Codec,
  cents,
  decimalText,
  enumMap,
  integerText,
  isoInstant,
  numberId,
  unixMillis,
  unixSeconds,
} from './config/codecs.ts'
export { defineHub, type HubConfig, type HubDefinition, hubOf, isHubDefinition } from './config/define-hub.ts'
export {
  type DeletesOption,
  type Ignore,
  ignore,
  type Propagate,
  propagate,
  type Quarantine,
  quarantine,
  type Soft,
  softDelete,
} from './config/deletes.ts'
export { type Binding, type Entity, entity, type SyncDefinition, type SyncOptions, sync } from './config/entity.ts'
export { type ConfigText, type EnvText, env, resolveText } from './config/env.ts'
export {
  type AppObjects,
  type FetchOptions,
  type FlowContext,
  type FlowDefinition,
  type FlowMessage,
  type FlowOptions,
  flow,
  type ListenDefinition,
  type ObjectHandle,
  property,
} from './config/flow.ts'
export {
  type BytesText,
  bytes,
  type DateText,
  type Decimal,
  date,
  decimal,
  type Instant,
  type Int64,
  instant,
  int64,
  type Reference,
  reference,
} from './config/kinds.ts'
export type { ListenerConfig, TlsConfig } from './config/listener.ts'
export {
  type Derived,
  derived,
  type Key,
  key,
  type Lossy,
  lossy,
  type ReadOnly,
  readOnly,
  type WriteOnly,
  writeOnly,
} from './config/mapping.ts'
export type { MessagesConfig } from './config/messages.ts'
export {
  type AddRemove,
  addRemove,
  type Counter,
  counter,
  type Latest,
  latest,
  type Manual,
  type Merge,
  manual,
  merge,
  type Prefer,
  prefer,
  type Side,
  type Sides,
} from './config/policies.ts'
export { type RowType, rowOf } from './config/row.ts'
export { type PostgresStoreConfig, postgresStore, type StoreDefinition } from './config/store.ts'
export { idIn, status, type WritebackForm } from './config/writeback.ts'
export { ERROR_CODES, type ErrorCode, type ErrorPlace, type Handling, httpStatusOf, SyncError } from './errors/index.ts'
