import type { Random } from '../../ports/clock.ts'

/**
 * A seeded generator (sfc32) that splits by name. A fork depends on the seed and its name alone, never on how many numbers were drawn
 * before, so that switching one aspect of a run off leaves all others as they were: without this, no failing run could be shrunk.
 */
export class Rng implements Random {
  readonly #seed: number
  #a: number
  #b: number
  #c: number
  #counter = 1

  constructor(seed: number) {
    this.#seed = seed >>> 0
    this.#a = scramble(this.#seed ^ 0x9e3779b9)
    this.#b = scramble(this.#a ^ 0x243f6a88)
    this.#c = scramble(this.#b ^ 0xb7e15162)
    for (let i = 0; i < 8; i++) this.#draw()
  }

  fork(name: string): Rng {
    let hash = this.#seed
    for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193)
    return new Rng(scramble(hash ^ name.length))
  }

  /** In [0, 1). */
  next(): number {
    return (this.#draw() >>> 0) / 0x1_0000_0000
  }

  /** An integer in [low, high]. */
  int(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1))
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.next() * list.length)] as T
  }

  /** A copy in random order. */
  shuffled<T>(list: readonly T[]): T[] {
    const copy = [...list]
    for (let i = copy.length - 1; i > 0; i--) {
      const j = this.int(0, i)
      const swapped = copy[i] as T
      copy[i] = copy[j] as T
      copy[j] = swapped
    }
    return copy
  }

  #draw(): number {
    const result = (this.#a + this.#b + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + result
    this.#c |= 0
    return result
  }
}

/** The finaliser of MurmurHash3: every bit of the input moves every bit of the output. */
function scramble(value: number): number {
  let hash = value | 0
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
