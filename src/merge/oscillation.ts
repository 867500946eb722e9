import type { Lane, Swing } from '../model/record.ts'
import type { Path, Value } from '../model/value.ts'

/**
 * The oscillation brake (docs/protocol.md 3.5): an application that puts its own value in the place of ours, again and again and faster than people work, while
 * another does the same, would be answered for ever. The same two values for the third time are enough.
 */

/** An answer within this time of our own write is a machine's: a person has to see a value before changing it back. */
const MACHINE_GAP_MS = 2_000
/** Answers further apart than this are different stories. */
const WINDOW_MS = 10 * 60_000
/** The same two values so often within the window do not converge. */
const RECURS = 3
/** Values remembered of a field: two that alternate three times each. */
const SWINGS_MAX = 6
/** Enough of a value's text to see that it is the same again. */
const VALUE_LENGTH_MAX = 40

export interface Swinging {
  readonly lane: Lane
  /** The application has put this very value in the place of ours too often. */
  readonly doesNotConverge: boolean
}

/**
 * Notes that an application put `value` in the place of `given`, which we wrote there. Both count: people come back to a value, too, but not from the same one each time. Pure; a change
 * that comes later than a machine would make it is not noted.
 */
export function swing(lane: Lane, path: Path, given: Value | undefined, value: Value, atMs: number): Swinging {
  const ours = lane.own.find((write) => write.paths.includes(path))
  if (ours === undefined || atMs - ours.atMs > MACHINE_GAP_MS || atMs < ours.atMs)
    return { lane, doesNotConverge: false }
  const text = `${textOf(given)} > ${textOf(value)}`
  const recent = (lane.swings?.[path] ?? []).filter((one) => atMs - one.atMs <= WINDOW_MS)
  const swings: readonly Swing[] = [{ value: text, atMs }, ...recent].slice(0, SWINGS_MAX)
  const count = swings.filter((one) => one.value === text).length
  return { lane: { ...lane, swings: { ...lane.swings, [path]: swings } }, doesNotConverge: count >= RECURS }
}

const textOf = (value: Value | undefined): string =>
  (typeof value === 'bigint' ? String(value) : (JSON.stringify(value) ?? '')).slice(0, VALUE_LENGTH_MAX)

/** Forgets a field's swings: a person has decided it. */
export function withoutSwings(lane: Lane, path: Path): Lane {
  if (lane.swings?.[path] === undefined) return lane
  const { [path]: _, ...rest } = lane.swings
  return { ...lane, swings: Object.keys(rest).length === 0 ? null : rest }
}
