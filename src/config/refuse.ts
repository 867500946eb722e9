import { type ErrorPlace, SyncError } from '../errors/index.ts'

/** Refuses a config: where, why, and what to do. */
export function refuse(where: string, reason: string, next: string, place: ErrorPlace = {}): never {
  throw new SyncError('config.invalid', `${where}: ${reason}. ${next}`, { place: { at: where, ...place } })
}

/** Refuses the first key that is not known and names the nearest one that is. A key that is set to undefined counts as given. */
export function checkKeys(where: string, value: unknown, known: readonly string[]): void {
  if (!isPlainObject(value)) refuse(where, `an object is needed, this is ${typeName(value)}`, 'Give { ... }.')
  for (const key of Object.keys(value)) {
    if (known.includes(key)) continue
    const near = nearest(key, known)
    const hint = near === undefined ? `Known are ${known.join(', ')}.` : `Did you mean '${near}'?`
    throw new SyncError('config.unknown-key', `${where}: '${key}' is not known here. ${hint}`, {
      place: { at: where, key },
    })
  }
}

/** Names become parts of keys, paths and log lines; 200 characters is what every store indexes. */
export const NAME_LENGTH_MAX = 200

/** `__proto__`, `constructor`, `toString`, ...: names that every object seems to have. */
const FORBIDDEN_NAMES: ReadonlySet<string> = new Set(['prototype', ...Object.getOwnPropertyNames(Object.prototype)])

export function checkName(where: string, name: unknown): asserts name is string {
  if (typeof name !== 'string' || name === '') refuse(where, 'a name is needed', 'Give a text that is not empty.')
  if (name.length > NAME_LENGTH_MAX) {
    refuse(where, `a name has at most ${NAME_LENGTH_MAX} characters, this has ${name.length}`, 'Shorten it.')
  }
  if (/\p{Cc}/u.test(name)) {
    refuse(where, `the name ${JSON.stringify(name)} holds a control character`, 'Take it out.')
  }
  if (name.split('.').some((segment) => FORBIDDEN_NAMES.has(segment))) {
    refuse(where, `'${name}' cannot be a name, JavaScript gives it a meaning of its own`, 'Use another name.')
  }
}

/** A canonical name: dots and brackets would make paths ambiguous. */
export function checkCanonicalName(where: string, name: unknown): asserts name is string {
  checkName(where, name)
  if (/[.[\]]/.test(name)) refuse(where, `'${name}' holds a dot or a bracket`, 'Use letters, digits and underscores.')
}

/** A native name: dots reach into nested objects, so no segment may be empty. */
export function checkNativeName(where: string, name: unknown): asserts name is string {
  checkName(where, name)
  if (/[[\]]/.test(name)) {
    refuse(where, `'${name}' holds a bracket`, 'Reach into an object with dots; bind an array as a part.')
  }
  if (name.split('.').includes('')) {
    refuse(where, `'${name}' has an empty segment`, 'Write the names between the dots.')
  }
}

export const isPlainObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export const typeName = (value: unknown): string =>
  value === null ? 'null' : Array.isArray(value) ? 'a list' : value === undefined ? 'missing' : typeof value

/** `customers.nme` -> `name`: the known name that most likely was meant, or undefined when none is near. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  let best: string | undefined
  let bestDistance = Math.max(2, Math.floor(name.length / 3)) + 1
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase(), bestDistance)
    if (distance >= bestDistance) continue
    best = candidate
    bestDistance = distance
  }
  return best
}

/** Levenshtein distance, given up at `limit`. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? limit
}

/** Refuses an unknown name and suggests the nearest known one. */
export function refuseUnknown(where: string, what: string, name: string, known: readonly string[]): never {
  const near = nearest(name, known)
  const next = near === undefined ? `Known are: ${known.join(', ') || 'none'}.` : `Did you mean '${near}'?`
  refuse(where, `'${name}' is not ${what}`, next)
}
