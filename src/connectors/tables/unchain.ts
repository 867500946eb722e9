/**
 * Unique values that move on within one call. Along a chain (b takes what a gives up) single writes pass in one order and fail in another; rows that wait for each other all
 * round pass only together, where each gives up its value for a moment.
 */

/** Writes of one call, of which some were refused because of what another row holds, or does not hold yet. */
export interface Chain<T> {
  /** Those that are refused so as things stand. */
  left(): readonly T[]
  /** Tries one once more. */
  write(one: T): Promise<void>
  /** Whether it waits for a value, and has one to give up. */
  canMoveAside(one: T): boolean
  /** Tries these in one transaction. The place of the one that could not, and then nothing of it stands; null when all of them passed. */
  together(ring: readonly T[]): Promise<number | null>
}

/** How often those that are left are gone through; a longer chain goes on with the engine's next try. */
const ROUNDS_MAX = 8
/** How many that wait for a value of somebody else are left out one by one, until those that wait for each other are found. */
const RINGS_MAX = 16

/** `moved`: whether anything of the call was applied, so that trying again can be of use. */
export async function unchain<T>(chain: Chain<T>, moved: boolean): Promise<void> {
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const left = chain.left()
    if (left.length === 0) return
    // A chain that is the wrong way round for one direction is the right one for the other.
    if (moved) for (const one of round % 2 === 0 ? left : left.toReversed()) await chain.write(one)
    moved = chain.left().length < left.length || (await swap(chain))
    if (!moved) return
  }
}

async function swap<T>(chain: Chain<T>): Promise<boolean> {
  let ring = chain.left().filter((one) => chain.canMoveAside(one))
  for (let tries = 0; tries < RINGS_MAX && ring.length > 1; tries++) {
    const stuck = await chain.together(ring)
    if (stuck === null) return true
    ring = ring.toSpliced(stuck, 1)
  }
  return false
}

/** Codes of refusals that another write of the same call may lift. */
export const isInTheWay = (code: string | undefined): boolean =>
  code === 'target.unique' || code === 'target.duplicate' || code === 'target.reference'
