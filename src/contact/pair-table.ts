import type { Hash } from './hash.ts'

/** Applications that one table can tell apart: a bit each in `seen`, and one in `doubled`. */
export const APPS_MAX = 16
const LOAD_MAX = 0.6
const SLOTS_FIRST = 1 << 12

/**
 * Which records stand in which applications, and whether they are equal there: a hash table in typed arrays, about 30 bytes a record, so that a million records cost no heap.
 *
 * Each application adds, for each field that it holds, the hash of (path, value) times a factor; the factors of the applications that map the field add up to zero. So the sum of
 * a record is zero when all of them hold the same, and else it is not (but for one case in 2^64).
 */
export class PairTable {
  readonly #apps: number
  #mask = SLOTS_FIRST - 1
  #used = 0
  #keyHi = new Uint32Array(SLOTS_FIRST)
  #keyLo = new Uint32Array(SLOTS_FIRST)
  #sumHi = new Uint32Array(SLOTS_FIRST)
  #sumLo = new Uint32Array(SLOTS_FIRST)
  /** Bit i: seen in application i. Zero marks a free slot. */
  #seen = new Uint16Array(SLOTS_FIRST)
  #doubled = new Uint16Array(SLOTS_FIRST)
  /** The page of each application on which the record stood, from 1. */
  #pages: Uint32Array[]

  constructor(apps: number) {
    this.#apps = apps
    this.#pages = Array.from({ length: apps }, () => new Uint32Array(SLOTS_FIRST))
  }

  get size(): number {
    return this.#used
  }

  /** A record of application `app` under its identity, with the weighted sum of what it holds. HOT PATH. */
  add(app: number, key: Hash, sum: Hash, page: number): void {
    if (this.#used >= (this.#mask + 1) * LOAD_MAX) this.#grow()
    const slot = this.#slotOf(key.hi, key.lo)
    const bit = 1 << app
    const seen = this.#seen[slot] as number
    if (seen === 0) {
      this.#used++
      this.#keyHi[slot] = key.hi
      this.#keyLo[slot] = key.lo
    }
    if (seen & bit) this.#doubled[slot] = (this.#doubled[slot] as number) | bit
    this.#seen[slot] = seen | bit
    this.#sumHi[slot] = ((this.#sumHi[slot] as number) + sum.hi) >>> 0
    this.#sumLo[slot] = ((this.#sumLo[slot] as number) + sum.lo) >>> 0
    ;(this.#pages[app] as Uint32Array)[slot] = page
  }

  /** How often each combination of applications occurs, and which pages hold records that are not simply equal. */
  summary(isComplete: (seen: number) => boolean): PairSummary {
    const counts = { equal: 0, different: 0, partial: new Map<number, number>(), doubled: 0 }
    const pages = this.#pages.map(() => new Set<number>())
    for (let slot = 0; slot <= this.#mask; slot++) {
      const seen = this.#seen[slot] as number
      if (seen === 0) continue
      const complete = isComplete(seen)
      if (this.#doubled[slot] !== 0) counts.doubled++
      else if (!complete) counts.partial.set(seen, (counts.partial.get(seen) ?? 0) + 1)
      else if (this.#sumHi[slot] === 0 && this.#sumLo[slot] === 0) {
        counts.equal++
        continue
      } else counts.different++
      for (let app = 0; app < this.#apps; app++) {
        if (seen & (1 << app)) (pages[app] as Set<number>).add((this.#pages[app] as Uint32Array)[slot] as number)
      }
    }
    return { ...counts, pages }
  }

  stateOf(key: Hash, isComplete: (seen: number) => boolean): PairState {
    const slot = this.#slotOf(key.hi, key.lo)
    const seen = this.#seen[slot] as number
    if (seen === 0) return 'unknown'
    if (this.#doubled[slot] !== 0) return 'doubled'
    if (!isComplete(seen)) return 'partial'
    return this.#sumHi[slot] === 0 && this.#sumLo[slot] === 0 ? 'equal' : 'different'
  }

  /** Everything as bytes, for a checkpoint. */
  dump(): Uint8Array {
    const parts = this.#arrays().map((array) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength))
    const header = Buffer.alloc(12)
    header.writeUInt32LE(this.#mask, 0)
    header.writeUInt32LE(this.#used, 4)
    header.writeUInt32LE(this.#apps, 8)
    return Buffer.concat([header, ...parts])
  }

  static load(bytes: Uint8Array): PairTable {
    const header = Buffer.from(bytes.buffer, bytes.byteOffset, 12)
    const table = new PairTable(header.readUInt32LE(8))
    table.#resize(header.readUInt32LE(0) + 1)
    table.#used = header.readUInt32LE(4)
    let at = 12
    for (const array of table.#arrays()) {
      new Uint8Array(array.buffer).set(bytes.subarray(at, at + array.byteLength))
      at += array.byteLength
    }
    return table
  }

  #arrays(): readonly (Uint32Array | Uint16Array)[] {
    return [this.#keyHi, this.#keyLo, this.#sumHi, this.#sumLo, this.#seen, this.#doubled, ...this.#pages]
  }

  #slotOf(hi: number, lo: number): number {
    let slot = lo & this.#mask
    while (this.#seen[slot] !== 0 && (this.#keyLo[slot] !== lo || this.#keyHi[slot] !== hi))
      slot = (slot + 1) & this.#mask
    return slot
  }

  #resize(slots: number): void {
    this.#mask = slots - 1
    this.#keyHi = new Uint32Array(slots)
    this.#keyLo = new Uint32Array(slots)
    this.#sumHi = new Uint32Array(slots)
    this.#sumLo = new Uint32Array(slots)
    this.#seen = new Uint16Array(slots)
    this.#doubled = new Uint16Array(slots)
    this.#pages = this.#pages.map(() => new Uint32Array(slots))
  }

  #grow(): void {
    const [keyHi, keyLo, sumHi, sumLo, seen, doubled, ...pages] = this.#arrays() as [
      Uint32Array,
      Uint32Array,
      Uint32Array,
      Uint32Array,
      Uint16Array,
      Uint16Array,
      ...Uint32Array[],
    ]
    this.#resize((this.#mask + 1) * 2)
    for (let from = 0; from < seen.length; from++) {
      if (seen[from] === 0) continue
      const slot = this.#slotOf(keyHi[from] as number, keyLo[from] as number)
      this.#keyHi[slot] = keyHi[from] as number
      this.#keyLo[slot] = keyLo[from] as number
      this.#sumHi[slot] = sumHi[from] as number
      this.#sumLo[slot] = sumLo[from] as number
      this.#seen[slot] = seen[from] as number
      this.#doubled[slot] = doubled[from] as number
      for (const [app, array] of pages.entries()) (this.#pages[app] as Uint32Array)[slot] = array[from] as number
    }
  }
}

export type PairState = 'equal' | 'different' | 'partial' | 'doubled' | 'unknown'

export interface PairSummary {
  readonly equal: number
  /** In all applications, once each, and not the same. */
  readonly different: number
  /** Not in all applications, by the bits of those that have it. */
  readonly partial: ReadonlyMap<number, number>
  /** Twice or more in one application. */
  readonly doubled: number
  /** For each application the pages on which anything but equal records stand. */
  readonly pages: readonly ReadonlySet<number>[]
}
