/** Seeded chance, and values that no other write of this run has used: a value found, or missing, later tells which write it was. */

export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** From 0 up to and without 1 (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d_2b_79_f5) >>> 0
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    t ^= t + Math.imul(t ^ (t >>> 7), 61 | t)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }

  below(limit: number): number {
    return Math.floor(this.next() * limit)
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  pick<T>(list: readonly T[]): T | undefined {
    return list[this.below(list.length)]
  }
}

export class UniqueValues {
  readonly #tag: string
  #count = 0

  /** `tag` keeps the values of one run apart from those of another on the same data. */
  constructor(tag: string) {
    this.#tag = tag
  }

  number(): number {
    return ++this.#count
  }

  text(prefix: string): string {
    return `${prefix} ${this.#tag}-${this.number()}`
  }

  code(prefix: string): string {
    return `${prefix}-${this.#tag}-${this.number()}`
  }

  phone(): string {
    return `+49 30 ${5_000_000 + this.number()} ext ${this.#tag}`
  }

  cents(): number {
    return 1_000 + this.number()
  }
}

export function decimal(cents: number): string {
  return (cents / 100).toFixed(2)
}
