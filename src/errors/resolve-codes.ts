import type { CodeEntry } from './code-entry.ts'

/** Codes of finding out which records are one, and of what people say of it. */
export const RESOLVE_CODES = {
  'resolve.ambiguous': {
    handling: 'park',
    status: 409,
    manual:
      'A second record of one application matches a canonical record that is already linked there. Never merged by itself: delete one in the application, or change its match key.',
  },
  'resolve.reference-missing': {
    handling: 'park',
    status: 422,
    manual:
      'A record refers to another that has not arrived within the deadline. The message names it. It is taken up by itself when the missing one arrives.',
  },
  'resolve.separated': {
    handling: 'park',
    status: 409,
    manual:
      'A person said that a record is not the one that stands there, so it is not created there by itself, however it changes. `latchwork release` lets it be created; `latchwork link` says that the two are one after all.',
  },
  'resolve.not-possible': {
    handling: 'park',
    status: 409,
    manual:
      'Two records cannot be linked or separated as they stand. The message says what is in the way: both are in one application, one is being deleted, a field is set aside, a write is under way.',
  },
} as const satisfies Record<string, CodeEntry>
