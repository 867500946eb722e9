import type { Value } from '../model/value.ts'

/**
 * What an application made of a value that we wrote. Only a diagnosis for people: the fold has decided already that it is a form of our own write and not a change.
 */
export interface Diagnosis {
  /** A stable word. */
  readonly kind:
    | 'rounds'
    | 'cuts'
    | 'upper-cases'
    | 'lower-cases'
    | 'trims'
    | 'collapses-space'
    | 'unicode'
    | 'empty-is-null'
    | 'null-is-empty'
    | 'reorders'
    | 'spells'
    | 'alters'
  /** For `rounds` the digits after the point, for `cuts` the characters that are kept. */
  readonly size?: number
}

/** Tells how `found` differs from `written`; the first explanation that fits whole. */
export function diagnose(written: Value | undefined, found: Value | undefined): Diagnosis {
  if (written === '' && found === null) return { kind: 'empty-is-null' }
  if (written === null && found === '') return { kind: 'null-is-empty' }
  const exact = numberText(written)
  const kept = numberText(found)
  if (exact !== undefined && kept !== undefined) return ofNumbers(exact, kept)
  if (typeof written === 'string' && typeof found === 'string') return ofTexts(written, found)
  if (Array.isArray(written) && Array.isArray(found) && sorted(written) === sorted(found)) return { kind: 'reorders' }
  return { kind: 'alters' }
}

function ofNumbers(exact: string, kept: string): Diagnosis {
  const difference = Math.abs(Number(exact) - Number(kept))
  if (difference === 0) return { kind: 'spells' }
  const size = digitsOf(kept)
  // A value such as 12.50 may be kept as 12.5: what was rounded away is less than one unit of the last digit that is there.
  return size < digitsOf(exact) && difference < 10 ** -size ? { kind: 'rounds', size } : { kind: 'alters' }
}

function ofTexts(written: string, found: string): Diagnosis {
  if (written.trim() === found) return { kind: 'trims' }
  if (written.toUpperCase() === found) return { kind: 'upper-cases' }
  if (written.toLowerCase() === found) return { kind: 'lower-cases' }
  if (written.replace(/\s+/g, ' ') === found || written.replace(/\s+/g, ' ').trim() === found)
    return { kind: 'collapses-space' }
  if (found !== '' && (written.startsWith(found) || written.trimStart().startsWith(found)))
    return { kind: 'cuts', size: found.length }
  if (written.normalize('NFKC') === found.normalize('NFKC')) return { kind: 'unicode' }
  return { kind: 'alters' }
}

/** One sentence: "rounds to 2 decimals". */
export function diagnosisText({ kind, size }: Diagnosis): string {
  switch (kind) {
    case 'rounds':
      return `rounds to ${size} decimal${size === 1 ? '' : 's'}`
    case 'cuts':
      return `cuts at ${size} characters`
    case 'trims':
      return 'trims the space around it'
    case 'collapses-space':
      return 'makes one space of several'
    case 'unicode':
      return 'keeps another Unicode form of it'
    case 'empty-is-null':
      return 'keeps null for an empty text'
    case 'null-is-empty':
      return 'keeps an empty text for null'
    case 'reorders':
      return 'keeps the list in an order of its own'
    case 'spells':
      return 'spells the same number in another way'
    case 'alters':
      return 'keeps another value'
    default:
      return `${kind} it`
  }
}

const digitsOf = (digits: string): number => (digits.includes('.') ? digits.length - digits.indexOf('.') - 1 : 0)

function numberText(value: Value | undefined): string | undefined {
  if (typeof value === 'number' || typeof value === 'bigint') return String(value)
  return typeof value === 'string' && /^[+-]?\d+(\.\d+)?$/.test(value) ? value : undefined
}

const sorted = (list: readonly Value[]): string =>
  list
    .map((item) => (typeof item === 'bigint' ? `${item}n` : JSON.stringify(item)))
    .sort()
    .join()
