import { isPlainObject, refuse, refuseUnknown } from '../../config/refuse.ts'

/** Checks that the parts of this connector's config share. */

/** The value given, or the first of the list; anything else is refused. */
export function oneOf<const T extends string>(where: string, given: T | undefined, known: readonly [T, ...T[]]): T {
  if (given === undefined) return known[0]
  if (!known.includes(given)) refuseUnknown(where, 'a choice here', String(given), known)
  return given
}

export function positive(where: string, given: number | undefined, otherwise: number): number {
  if (given === undefined) return otherwise
  if (!Number.isSafeInteger(given) || given < 1)
    refuse(where, `${String(given)} is not a whole number above 0`, 'Give one.')
  return given
}

export function checkText(where: string, given: unknown): void {
  if (typeof given === 'string' && given !== '') return
  if (isPlainObject(given) && typeof given.env === 'string') return
  refuse(where, 'a text is needed', "Give it, or env('NAME') for what stands in the environment.")
}

export function checkHeader(where: string, name: unknown): void {
  if (typeof name === 'string' && /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) return
  refuse(where, `${JSON.stringify(name)} cannot be the name of a header`, "Give one such as 'X-Signature'.")
}
