export { csv, form, json, multipart, soap, text, xml } from '../../formats/index.ts'
export { httpCapabilities } from './capabilities.ts'
export {
  type EtagVersion,
  etag,
  type FieldVersion,
  type HttpApp,
  type HttpOptions,
  http,
  type PollOptions,
  poll,
  type ResourceOptions,
  unordered,
} from './config.ts'
export { del, get, type ListenOptions, patch, post, put } from './config-listen.ts'
export {
  github,
  hubspot,
  type SalesforceOptions,
  type SenderOptions,
  salesforce,
  shopify,
  slack,
  standardWebhooks,
  stripe,
  type TimedSenderOptions,
} from './config-senders.ts'
export { type SoapCallOptions, type SoapServiceOptions, soapCall, soapService } from './config-soap.ts'
export {
  allOf,
  apiKey,
  basic,
  bearer,
  fromAddresses,
  type HmacOptions,
  hmac,
  type MutualTlsOptions,
  mutualTls,
  queryKey,
  unverified,
} from './config-verify.ts'
export {
  afterDelivery,
  header,
  type PlaceOptions,
  param,
  query,
  type RuleOptions,
  type WebhookOptions,
  webhook,
} from './config-webhook.ts'
export { createHttpConnector } from './connector.ts'
export { createHttpListener } from './listen.ts'
export type {
  ConfigText,
  HttpAppOptions,
  HttpAuth,
  HttpListenOptions,
  HttpPlace,
  HttpPoll,
  HttpResource,
  HttpRule,
  HttpSignature,
  HttpSoapCall,
  HttpSoapService,
  HttpVerify,
  HttpWebhook,
} from './options.ts'
