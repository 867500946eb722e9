export { httpCapabilities } from './capabilities.ts'
export {
  apiKey,
  basic,
  bearer,
  type EtagVersion,
  etag,
  type FieldVersion,
  type HmacOptions,
  type HttpApp,
  type HttpOptions,
  header,
  hmac,
  http,
  type PlaceOptions,
  type PollOptions,
  poll,
  type ResourceOptions,
  unordered,
  unverified,
  type WebhookOptions,
  webhook,
} from './config.ts'
export { createHttpConnector } from './connector.ts'
export type {
  ConfigText,
  HttpAppOptions,
  HttpAuth,
  HttpPlace,
  HttpPoll,
  HttpResource,
  HttpVerify,
  HttpWebhook,
} from './options.ts'
