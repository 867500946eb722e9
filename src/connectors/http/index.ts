export { httpCapabilities } from './capabilities.ts'
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
