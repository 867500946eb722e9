/** Bits per key: with five probes about one absent key in forty is looked up in vain. */
const BITS_PER_KEY = 8
const PROBES = 5

/**
 * A Bloom filter over the dedup keys of a closed segment. A delivery id that was never seen, which is nearly all of them, costs a few
 * memory reads per segment instead of a random read of its index from the disk. It can only say "certainly not" or "look".
 */
export class DedupFilter {
  readonly bytes: Uint8Array
  readonly #mask: number

  /** `bytes` of another filter, or empty ones from `forKeys`. */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.#mask = bytes.length * 8 - 1
  }

  static forKeys(count: number): DedupFilter {
    const bits = 2 ** Math.ceil(Math.log2(Math.max(64, count * BITS_PER_KEY)))
    return new DedupFilter(new Uint8Array(Math.min(bits, 2 ** 31) / 8))
  }

  add(key: string): void {
    let at = hash(key, 0x811c9dc5)
    const step = hash(key, 0x9747b28c) | 1
    for (let probe = 0; probe < PROBES; probe++, at = (at + step) | 0) {
      const bit = at & this.#mask
      this.bytes[bit >>> 3] = (this.bytes[bit >>> 3] as number) | (1 << (bit & 7))
    }
  }

  mayHave(key: string): boolean {
    let at = hash(key, 0x811c9dc5)
    const step = hash(key, 0x9747b28c) | 1
    for (let probe = 0; probe < PROBES; probe++, at = (at + step) | 0) {
      const bit = at & this.#mask
      if (((this.bytes[bit >>> 3] as number) & (1 << (bit & 7))) === 0) return false
    }
    return true
  }
}

/** FNV-1a over UTF-16 units, with the high bits stirred into the low ones that a power-of-two table looks at. */
function hash(text: string, seed: number): number {
  let h = seed
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  h = Math.imul(h ^ (h >>> 15), 0x85ebca6b)
  return h ^ (h >>> 13)
}
