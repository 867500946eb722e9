import type { FormatSpec, SoapCallSpec, SoapVersion } from '../../formats/index.ts'
import type { AppId, ObjectId } from '../../model/ids.ts'

/** Text given in the config, or the name of an environment variable that holds it (`env(NAME)`; `NAME_FILE` names a file that does). */
export type ConfigText = string | { readonly env: string; readonly fallback?: string }

export type HttpAuth =
  | { readonly kind: 'bearer'; readonly token: ConfigText }
  | { readonly kind: 'basic'; readonly user: ConfigText; readonly password: ConfigText }
  | { readonly kind: 'api-key'; readonly header: string; readonly value: ConfigText }

/** How a webhook proves who sent it, always checked on the raw bytes in constant time. */
export type HttpVerify =
  | {
      readonly kind: 'hmac'
      /** Header with the signature; an optional prefix such as `sha256=` before it. */
      readonly header: string
      readonly prefix: string
      readonly algorithm: 'sha256' | 'sha1' | 'sha512'
      readonly encoding: 'hex' | 'base64'
      /** Two secrets while a rotation is under way; either is right. */
      readonly secrets: readonly ConfigText[]
      /** A header with the time of signing (unix seconds or ms), signed as `<timestamp>.<body>`, and how old it may be. null: the body alone is signed. */
      readonly timestamp: { readonly header: string; readonly toleranceMs: number; readonly separator: string } | null
    }
  | { readonly kind: 'basic'; readonly user: ConfigText; readonly password: ConfigText }
  | { readonly kind: 'bearer'; readonly token: ConfigText }
  | { readonly kind: 'api-key'; readonly header: string; readonly value: ConfigText }
  /** A secret in the query, for senders that can set nothing but a URL. It ends up in the logs of every proxy between. */
  | { readonly kind: 'query-key'; readonly name: string; readonly value: ConfigText }
  | HttpSignature
  | HttpClientCertificate
  /** Requests from these addresses or networks (CIDR) only; behind a proxy of the second list its `X-Forwarded-For` is believed. */
  | { readonly kind: 'addresses'; readonly allow: readonly string[]; readonly proxies: readonly string[] }
  /** Every one of them must be satisfied. */
  | { readonly kind: 'all'; readonly of: readonly HttpVerify[] }
  | { readonly kind: 'none' }

/** A signature in the way of one vendor: what is signed, in which order, and how the header carries it. */
export interface HttpSignature {
  readonly kind: 'signature'
  readonly header: string
  readonly algorithm: 'sha256' | 'sha1' | 'sha512'
  readonly encoding: 'hex' | 'base64'
  readonly secrets: readonly ConfigText[]
  /** text: the key is the secret's characters; whsec: base64, after `whsec_` where it stands there (Standard Webhooks). */
  readonly secretForm: 'text' | 'whsec'
  /**
   * one: a single signature after a prefix. spaced: `v1,<signature> v1,<signature>`. pairs: `t=<time>,v1=<signature>,v1=<signature>`. Of a list one that is
   * right is enough, because senders sign with the old and the new secret while they rotate; versions that are not named are passed over.
   */
  readonly list:
    | { readonly form: 'one'; readonly prefix: string }
    | { readonly form: 'spaced' | 'pairs'; readonly version: string }
  readonly signed: readonly (
    | 'body'
    | 'method'
    | 'url'
    | 'time'
    | { readonly header: string }
    | { readonly text: string }
  )[]
  /** The time of signing: in a header, or (pairs) beside the signature. */
  readonly time: { readonly header: string } | { readonly pair: string } | null
  readonly toleranceMs: number
  /** The hub's address as the sender knows it, without path, where the URL is signed; null: the Host of the request, over https. */
  readonly publicUrl: ConfigText | null
}

/** The certificate that the sender showed in the TLS handshake, checked by the listener, or by a proxy that says so in headers which it takes away from strangers. */
export interface HttpClientCertificate {
  readonly kind: 'client-certificate'
  /** SHA-256 of the certificate in hex, with or without colons; or the whole subject name (`CN=sender,O=Acme`). One that fits is enough. */
  readonly fingerprints: readonly string[]
  readonly subjects: readonly string[]
  /** Headers of a proxy: one that has the fingerprint or the subject, and the word that it writes into another when it has verified the certificate. */
  readonly proxy: {
    readonly addresses: readonly string[]
    readonly verifiedHeader: string
    readonly verifiedValue: string
    readonly fingerprintHeader: string | null
    readonly subjectHeader: string | null
  } | null
}

/** A place inside the body (dotted), a header, or a parameter of the query. */
export type HttpPlace =
  | { readonly in: 'body'; readonly path: string }
  | { readonly in: 'header'; readonly name: string }
  | { readonly in: 'query'; readonly name: string }
  | { readonly in: 'path'; readonly name: string }

export interface HttpWebhook {
  /** Path on the hub, exact. */
  readonly path: string
  readonly verify: HttpVerify
  /** How the body is written; JSON unless given. */
  readonly format?: FormatSpec
  /** Where the record stands in the body; '' for the body itself. A body that is an array, or a record place that holds one, is split. With `list`, the place inside each element. */
  readonly record: string
  /** Where the list of elements stands ('' for the body itself), each of which has the record at `record` beside its own delivery id. */
  readonly list?: string
  /** The body names the record and nothing else is trusted: it is read from the application (a lightweight message). */
  readonly idOnly: boolean
  /** Where the id of the record stands, for a notification that holds nothing else; in the record unless given. */
  readonly id?: HttpPlace
  /** The sender waits for the delivery, and is told the ids in the other applications. */
  readonly reply?: { readonly apps: readonly string[] | null; readonly timeoutMs: number }
  /** The sender's id of a delivery, for duplicates; null when it has none. */
  readonly deliveryId: HttpPlace | null
  /** How a deletion is told: the place and the text (or true) it then has; null when this webhook never tells one. */
  readonly deleted: { readonly place: HttpPlace; readonly equals: readonly (string | boolean)[] } | null
  /** Status of the acknowledgement. */
  readonly ackStatus: 200 | 202 | 204
  /** What must stand in the message (the sender's account, for example), or it is refused as not authenticated. */
  readonly expect?: readonly { readonly place: HttpPlace; readonly equals: ConfigText }[]
  /** Messages that are acknowledged and not looked at further (pings, events of other kinds). */
  readonly ignore?: readonly HttpRule[]
  /** A question by which the sender makes sure that it reaches us: answered at once with what stands at `answer`, as plain text. */
  readonly challenge?: { readonly when: HttpRule | null; readonly answer: HttpPlace }
}

/** Holds when the place has one of the texts (or true, or false); with `equals` null when there is anything at all. */
export interface HttpRule {
  readonly place: HttpPlace
  readonly equals: readonly (string | boolean)[] | null
}

export interface HttpPoll {
  /** The list's path, for example `/clients`, and the query parameter that takes the cursor. */
  readonly path: string
  readonly cursorParam: string
  /** The cursor of the very first read, where the application wants one from the beginning; without it the parameter is left out. */
  readonly firstCursor?: string
  readonly limitParam: string | null
  /** Where the items and the next cursor stand in the reply; next null: the cursor is the greatest value of `cursorField` among the items. */
  readonly items: string
  readonly next: string | null
  readonly cursorField: string | null
  /** An item with this field true is a deletion. */
  readonly deletedField: string | null
  readonly everyMs: number
  readonly max: number
}

/** One object of an HTTP application: what the connector must know of it, as plain data. */
export interface HttpResource {
  readonly object: ObjectId
  /** Collection path below the base URL; a record is `<path>/<id>`. */
  readonly path: string
  readonly id: string
  readonly idType: 'text' | 'number'
  /** Where the version stands. field: in the record, ordered (T2) unless `ordered` is false. etag: in the ETag header (T1), or ordered when declared. null: there is none (T0). */
  readonly version:
    | { readonly in: 'field'; readonly field: string; readonly ordered: boolean }
    | { readonly in: 'etag'; readonly ordered: boolean }
    | null
  /** The field that keeps our correlation id, and the query parameter of the collection that finds by it; null where there is none. */
  readonly externalId: { readonly field: string; readonly findParam: string | null } | null
  /** Field with the time of the last change (ISO text, or unix seconds or ms), for the policy `latest`. */
  readonly updatedAt: string | null
  readonly updateMethod: 'patch' | 'put'
  /** If-Match on update and delete. */
  readonly conditional: boolean
  readonly idempotency: 'all' | 'create' | 'none'
  readonly notify: HttpWebhook | null
  readonly poll: HttpPoll | null
  /** How all records are listed, page by page, for comparisons; null: as they are polled. */
  readonly list: HttpPoll | null
  /** Whether replies to writes carry the record. */
  readonly replyImage: boolean
  /** Whether a read sees our own earlier write at once (R2). */
  readonly read: 'R2' | 'R1' | 'R0'
  /** How bodies of requests and replies are written; JSON unless given. */
  readonly format?: FormatSpec
  /** How replies are written, where that differs. */
  readonly replyFormat?: FormatSpec
  /** Calls of a SOAP service instead of REST. */
  readonly soap?: HttpSoapService
}

/** One SOAP service as a target: which call creates, updates, deletes and reads a record. What it has no call for cannot be done. */
export interface HttpSoapService {
  readonly version: SoapVersion
  readonly calls: Readonly<Partial<Record<'create' | 'update' | 'delete' | 'read', HttpSoapCall>>>
  /** WS-Security user name and password in every request. */
  readonly usernameToken: { readonly user: ConfigText; readonly password: ConfigText } | null
}

export interface HttpSoapCall extends SoapCallSpec {
  /** Element of the request that takes the record; '' when its fields stand in the request itself. */
  readonly record: string
  /** Element of the request that takes the native id; null: none is sent (creates). */
  readonly id: string | null
  /** Element of the request that takes the version that the write is based on, where the service compares it; null: it does not. */
  readonly baseVersion: string | null
  /** Where the record stands in the reply; null: replies carry none. */
  readonly replyRecord: string | null
  /** Where the new id stands in the reply, beside the record; null: in the record. */
  readonly replyId: string | null
  /** What fault codes of this service mean; what is not named is judged by whose fault it is. */
  readonly faults: Readonly<Record<string, 'gone' | 'conflict' | 'rejected' | 'retry' | 'unknown'>>
}

export interface HttpAppOptions {
  readonly app: AppId
  readonly baseUrl: ConfigText
  readonly auth: HttpAuth | null
  readonly headers: Readonly<Record<string, string>>
  /** Name of the header that takes the op id. */
  readonly idempotencyHeader: string
  readonly requestTimeoutMs: number
  readonly connectionsMax: number
  readonly bodyBytesMax: number
  readonly fenceMs: number
  readonly resources: readonly HttpResource[]
}

/** A path of the hub on which messages for a flow come in. */
export interface HttpListenOptions {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Exact, but for `:name` segments, which become properties. */
  readonly path: string
  /** null: taken from this machine only, and refused to everybody else. */
  readonly verify: HttpVerify | null
  readonly deliveryId: HttpPlace | null
  /** Properties beside those of query and path. */
  readonly properties: Readonly<Record<string, HttpPlace>>
  /** Status of an acknowledgement. */
  readonly ackStatus: 200 | 202 | 204
  /** What messages come in and replies go out as; of several the content type and the Accept header choose, the first otherwise. */
  readonly formats: readonly [FormatSpec, ...FormatSpec[]]
}
