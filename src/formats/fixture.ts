import { SyncError } from '../errors/index.ts'
import { type Decoded, FORMAT_LIMITS, type FormatLimits, type MessageHeaders } from './format.ts'
import { compileFormat } from './index.ts'
import type { FormatSpec } from './spec.ts'

/** Reads a message as a listener of that format would. */
export const decoded = (
  spec: FormatSpec,
  message: string | Uint8Array,
  headers: MessageHeaders = {},
  limits: FormatLimits = FORMAT_LIMITS,
): Decoded => compileFormat(spec).decode(Buffer.from(message as string), headers, limits)

/** The plain data of a message, with ordinary objects, so that tests can compare it. */
export const dataOf = (spec: FormatSpec, message: string | Uint8Array, headers: MessageHeaders = {}): unknown =>
  structuredClone(decoded(spec, message, headers).data)

/** `code message` of what a call throws; 'nothing' when it does not throw. */
export function refusalOf(call: () => unknown): string {
  try {
    call()
    return 'nothing'
  } catch (error) {
    return SyncError.is(error) ? `${error.code} ${error.message}` : `not a SyncError: ${String(error)}`
  }
}
