import type { Hash } from './hash.ts'

const LOAD_MAX = 0.6
const SLOTS_FIRST = 1 << 12

/** Hash to hash: which identity a native id of an application stands for, so that references are compared by what they mean. 16 bytes an id. */
export class IdTable {
  #mask = SLOTS_FIRST - 1
  #used = 0
  /** key hi, key lo, value hi, value lo of each slot. */
  #cells = new Uint32Array(SLOTS_FIRST * 4)

  set(key: Hash, value: Hash): void {
    if (this.#used >= (this.#mask + 1) * LOAD_MAX) this.#grow()
    this.#put(key.hi, key.lo || 1, value.hi, value.lo)
  }

  /** False when the key is not known. */
  get(key: Hash, into: Hash): boolean {
    const at = this.#slotOf(key.hi, key.lo || 1) * 4
    if (this.#cells[at + 1] === 0) return false
    into.hi = this.#cells[at + 2] as number
    into.lo = this.#cells[at + 3] as number
    return true
  }

  /** A zero low half marks a free slot, so a key's own is never zero. */
  #put(keyHi: number, keyLo: number, hi: number, lo: number): void {
    const at = this.#slotOf(keyHi, keyLo) * 4
    if (this.#cells[at + 1] === 0) this.#used++
    this.#cells[at] = keyHi
    this.#cells[at + 1] = keyLo
    this.#cells[at + 2] = hi
    this.#cells[at + 3] = lo
  }

  #slotOf(hi: number, lo: number): number {
    let slot = lo & this.#mask
    for (;;) {
      const known = this.#cells[slot * 4 + 1]
      if (known === 0 || (known === lo && this.#cells[slot * 4] === hi)) return slot
      slot = (slot + 1) & this.#mask
    }
  }

  #grow(): void {
    const old = this.#cells
    this.#mask = this.#mask * 2 + 1
    this.#cells = new Uint32Array((this.#mask + 1) * 4)
    this.#used = 0
    for (let at = 0; at < old.length; at += 4) {
      if (old[at + 1] !== 0)
        this.#put(old[at] as number, old[at + 1] as number, old[at + 2] as number, old[at + 3] as number)
    }
  }
}
