import type { JournalPosition } from './ids.ts'
import type { Origin } from './record.ts'
import type { Image, Path } from './value.ts'

/**
 * Where a value comes from, across hubs that tell each other by messages: the user's change, and the hubs that it went through. A hub that finds itself there knows that it has had the value before, whoever tells of it.
 */
export interface Lineage {
  /** The user's change: the hub where it was made, and its journal position there, `<instance>:<position>`. */
  readonly root: string
  /** Hubs that it went through, by their instance ids, in order: that of the root is the first. */
  readonly via: readonly string[]
  /** When the user made it (ms since 1970). */
  readonly atMs: number
  /** Answers of applications between the user's change and this. */
  readonly hops: number
}

/** In an image that another hub told: that it did, and by native field which change its value comes from. No native field begins so. */
export const TOLD = '@from'
export const toldFrom = (native: Path): Path => `${TOLD}:${native}`

/** The image with the changes that its values come from, so that a value which went away and came back is seen to have moved. */
export function imageWithRoots(image: Image, lineage: Readonly<Record<Path, Lineage>>): Image {
  const roots = Object.entries(lineage).map(([native, { root }]) => [toldFrom(native), root])
  return { ...image, [TOLD]: true, ...Object.fromEntries(roots) }
}

/** A ring has few hubs. What went through more of them turns in one that nobody knows, or is made up. */
const VIA_MAX = 32
const ID_CHARS_MAX = 200

export const rootOf = (instance: string, { root, from }: Pick<Origin, 'root' | 'from'>): string =>
  from ?? rootHere(instance, root)

const rootHere = (instance: string, root: JournalPosition): string => `${instance}:${root}`

/** What another hub is told of a value of ours. */
export function lineageTo(instance: string, origin: Origin): Lineage {
  const before = origin.via ?? []
  return {
    root: rootOf(instance, origin),
    via: before.includes(instance) ? before : [...before, instance],
    atMs: origin.timeMs,
    hops: origin.hops,
  }
}

/** What stands in a message, by field; null where it is nothing of the kind. Never throws: a message without it is one of an application like any other. */
export function readLineage(given: unknown): Readonly<Record<string, Lineage>> | null {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return null
  const found: [string, Lineage][] = []
  for (const [field, one] of Object.entries(given)) if (isLineage(one)) found.push([field, one])
  return found.length === 0 ? null : Object.fromEntries(found)
}

function isLineage(given: unknown): given is Lineage {
  if (typeof given !== 'object' || given === null) return false
  const { root, via, atMs, hops } = given as Record<string, unknown>
  const isId = (text: unknown): boolean => typeof text === 'string' && text !== '' && text.length <= ID_CHARS_MAX
  const isCount = (count: unknown): boolean => Number.isSafeInteger(count) && (count as number) >= 0
  return isId(root) && isCount(atMs) && isCount(hops) && Array.isArray(via) && via.length <= VIA_MAX && via.every(isId)
}
