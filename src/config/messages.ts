import { checkKeys, refuse } from './refuse.ts'

/** What is kept of what arrived, for `latchwork messages`. Nothing else depends on it. */
export interface MessagesConfig {
  /** Days that a message is kept; 7 unless given. */
  readonly keepDays?: number
  /** Messages kept at the most, the newest; 1,000,000 unless given. */
  readonly keepMax?: number
  /** false: what arrived is listed without what stood in it. */
  readonly payloads?: boolean
  /** Dotted paths that are taken out of every message, beside those of its flow (`redact` there); `*` is every member or element. */
  readonly redact?: readonly string[]
}

export type MessagePolicy = Required<MessagesConfig>

const DEFAULTS: MessagePolicy = { keepDays: 7, keepMax: 1_000_000, payloads: true, redact: [] }

export function readMessages(given: unknown): MessagePolicy {
  if (given === undefined) return DEFAULTS
  checkKeys('messages', given, Object.keys(DEFAULTS))
  const policy: MessagePolicy = { ...DEFAULTS, ...(given as MessagesConfig) }
  const { keepDays, keepMax, payloads, redact } = policy
  if (!(Number.isFinite(keepDays) && keepDays > 0))
    refuse('messages.keepDays', `${String(keepDays)} is not a number above 0`, 'Give days, for example 7 or 0.5.')
  if (!(Number.isSafeInteger(keepMax) && keepMax > 0))
    refuse('messages.keepMax', `${String(keepMax)} is not a whole number above 0`, 'Give one, or leave it out.')
  if (typeof payloads !== 'boolean')
    refuse('messages.payloads', `${String(payloads)} is not true or false`, 'Give one.')
  if (!Array.isArray(redact) || !redact.every((path) => typeof path === 'string' && path !== ''))
    refuse('messages.redact', 'a list of dotted paths is needed', "Give for example ['card.number', '*.email'].")
  return policy
}
