/**
 * Time as a dependency. One file (`src/lib/system-clock.ts`) reads the system's clock; everything else takes this, so that the
 * simulator can run hours in milliseconds. `timer` callbacks run on their own turn, never inside the call that set them.
 */
export interface Clock {
  /** Wall clock, ms since 1970. May jump; only for stamps and policies, never for durations. */
  nowMs(): number
  /** Monotonic, ms from an arbitrary start; for durations, deadlines and leases. */
  monotonicMs(): number
  /** Calls back once after `delayMs`; cancelling is idempotent. */
  timer(delayMs: number, callback: () => void): { cancel(): void }
}

/** Randomness as a dependency: a number in [0, 1). Only for jitter and ids of the instance, never inside a decision. */
export interface Random {
  next(): number
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** Structured log: a sentence and plain data. Must not throw; secrets are never passed to it. */
export interface Log {
  log(level: LogLevel, message: string, data?: Readonly<Record<string, unknown>>): void
}
