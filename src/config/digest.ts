import { createHash } from 'node:crypto'

/** A stable number of 31 bits for a list of texts: equal configs give equal numbers in every process. */
export function digest(parts: readonly string[]): number {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(`${part.length}:${part}\n`)
  return hash.digest().readUInt32BE(0) & 0x7f_ff_ff_ff
}
