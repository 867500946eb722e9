import { ERROR_CODES, type ErrorCode, type Handling } from './codes.ts'

const brand = Symbol.for('latchwork.SyncError')

/** Where an error belongs: whatever is known of app, entity, object, native id, path, file. */
export type ErrorPlace = Readonly<Record<string, string | number>>

/** What was wrong with one of several documents of a message. */
export interface ErrorPart {
  readonly index: number
  readonly code: ErrorCode
  readonly message: string
}

/**
 * The one error of Latchwork. The engine switches on `handling` alone; people and programs on `code`. The message names the place, the
 * reason and the next step.
 */
export class SyncError extends Error {
  override readonly name = 'SyncError'
  readonly code: ErrorCode
  readonly handling: Handling
  readonly place: ErrorPlace
  readonly retryAfterMs: number | undefined
  readonly parts: readonly ErrorPart[]
  readonly [brand] = true

  constructor(
    code: ErrorCode,
    message: string,
    options: {
      readonly place?: ErrorPlace
      readonly cause?: unknown
      readonly retryAfterMs?: number
      readonly parts?: readonly ErrorPart[]
    } = {},
  ) {
    // Where it was made says nothing of a refusal that is part of the work, and looking up the stack is most of what one costs: a flood of them must stay cheap.
    const framesMax = Error.stackTraceLimit
    if (ERROR_CODES[code].handling === 'retry') Error.stackTraceLimit = 0
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    Error.stackTraceLimit = framesMax
    this.code = code
    this.handling = ERROR_CODES[code].handling
    this.place = options.place ?? {}
    this.retryAfterMs = options.retryAfterMs
    this.parts = options.parts ?? []
  }

  /** Recognises the error across copies of the package. */
  static is(error: unknown): error is SyncError {
    return typeof error === 'object' && error !== null && brand in error
  }

  /** Any thrown thing as a SyncError: itself, or `bug` with the cause. */
  static from(error: unknown): SyncError {
    if (SyncError.is(error)) return error
    const reason = error instanceof Error ? error.message : String(error)
    return new SyncError(
      'internal.bug',
      `unexpected error: ${reason}. Please report it with the log lines around it.`,
      { cause: error },
    )
  }
}
