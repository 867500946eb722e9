import type { Random } from '../ports/clock.ts'

/** Ten letters and digits, 51 bits: short enough for every op id, and two installations of one company do not meet. */
export function newInstanceId(random: Random): string {
  const digits = Array.from({ length: 9 }, () => Math.floor(random.next() * 36).toString(36))
  // Starts with a letter, so that no SQL tool takes it for a number.
  return 'h' + digits.join('')
}
