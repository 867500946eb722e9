import type { CodeEntry } from './code-entry.ts'

/** Codes of the comparison of whole applications and of the first contact; a part of `ERROR_CODES`. */
export const CONTACT_CODES = {
  'source.not-listable': {
    handling: 'park',
    status: 409,
    manual:
      'An application cannot list its records, so they cannot be compared with others. Give its resource `list` or `poll`, or leave the entity out.',
  },
  'backfill.unconfirmed': {
    handling: 'park',
    status: 409,
    manual:
      'A backfill would create more records than may be created without a word. Look at `latchwork rehearse`, then confirm with `--yes` or `--creates-max`.',
  },
  'backfill.nothing': {
    handling: 'park',
    status: 409,
    manual: 'A backfill was to be taken back, and none was ever asked for on this data folder.',
  },
  'compare.interrupted': {
    handling: 'park',
    status: 409,
    manual: 'A comparison was interrupted. The same command with `--resume` goes on from where it was.',
  },
  'compare.stale': {
    handling: 'park',
    status: 409,
    manual: 'The mapping has changed since a comparison began that was to be resumed. Begin it again.',
  },
} as const satisfies Record<string, CodeEntry>
