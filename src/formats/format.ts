import type { ErrorCode } from '../errors/index.ts'
import type { NativeData } from '../model/value.ts'
import type { FormatSpec } from './spec.ts'

/**
 * How messages are read and written, whatever brings them (a webhook, a flow's listener, a broker). Pure: bytes and headers in, plain data out; what cannot be
 * read is a SyncError with an `intake.` code, what cannot be written one with `format.unwritable`. Never called before the sender was verified on the raw bytes.
 */
export interface Format {
  readonly spec: FormatSpec
  /** What `encode` writes, and what is offered in content negotiation. */
  readonly contentType: string
  /** Reads one message. Headers have lower-case names; a broker that has none passes what it knows (`content-type`), or nothing. */
  decode(bytes: Uint8Array, headers: MessageHeaders, limits: FormatLimits): Decoded
  /** Writes one value; as the answer to a message, its headers decide what the sender can read (SOAP 1.1 or 1.2). */
  encode(value: NativeData, headers?: MessageHeaders): Encoded
  /** What a sender of this format is told when its message is refused: problem+json, problem+xml, or a SOAP fault. */
  fault(problem: Problem, headers?: MessageHeaders): Encoded & { readonly status: number }
}

export type MessageHeaders = Readonly<Record<string, string | undefined>>

export interface FormatLimits {
  /** Bytes of one message, after its content coding was undone. */
  readonly bytesMax: number
  /** Documents that one message may hold; more are refused as a whole. */
  readonly documentsMax: number
}

export interface Decoded {
  /** The whole message: for a list of documents the list, for SOAP the content of the body. */
  readonly data: NativeData
  /** The documents in it: the elements of a list, otherwise the message itself. One change each, acknowledged together. */
  readonly documents: readonly NativeData[]
  readonly isList: boolean
  /** The text that it stood in, where `encodeData` of the data would mean the same: whoever keeps the data need not write it anew. */
  readonly text?: string
}

export interface Encoded {
  readonly contentType: string
  readonly body: string
}

/** A refusal as plain data (RFC 9457), before it is written in anybody's format. */
export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly code: ErrorCode
  readonly instance: string
  /** The documents of the message that were not as they should be, where there were several. */
  readonly parts?: readonly ProblemPart[]
}

export interface ProblemPart {
  readonly index: number
  readonly code: ErrorCode
  readonly detail: string
}

/** A listener's own limits are stricter (`limits.bodyBytesMax`, 1 MiB unless set); nothing reads more than this at once, because reading holds the event loop. */
export const FORMAT_LIMITS: FormatLimits = { bytesMax: 10_485_760, documentsMax: 10_000 }

export const singleDocument = (data: NativeData): Decoded => ({ data, documents: [data], isList: false })

export const documentList = (list: readonly NativeData[]): Decoded => ({ data: list, documents: list, isList: true })
