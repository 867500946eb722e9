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
  | { readonly kind: 'none' }

/** A place inside a JSON body (dotted), or a header. */
export type HttpPlace =
  | { readonly in: 'body'; readonly path: string }
  | { readonly in: 'header'; readonly name: string }

export interface HttpWebhook {
  /** Path on the hub, exact. */
  readonly path: string
  readonly verify: HttpVerify
  /** Where the record stands in the body; '' for the body itself. A body that is an array, or a record place that holds one, is split. */
  readonly record: string
  /** The body names the record and nothing else is trusted: it is read from the application (a lightweight message). */
  readonly idOnly: boolean
  /** The sender's id of a delivery, for duplicates; null when it has none. */
  readonly deliveryId: HttpPlace | null
  /** How a deletion is told: the place and the text (or true) it then has; null when this webhook never tells one. */
  readonly deleted: { readonly place: HttpPlace; readonly equals: readonly (string | boolean)[] } | null
  /** Status of the acknowledgement. */
  readonly ackStatus: 200 | 202 | 204
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
  /** Whether replies to writes carry the record. */
  readonly replyImage: boolean
  /** Whether a read sees our own earlier write at once (R2). */
  readonly read: 'R2' | 'R1' | 'R0'
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
