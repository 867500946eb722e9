import { expect, test } from 'vitest'
import { fuzzOnce, SUBJECTS } from './formats.ts'

/** A second's worth in all; `npm run test:long` goes on for a minute each. */
test.each(Object.keys(SUBJECTS))(
  '%s: any bytes are read to data that survives writing, or refused with a code',
  (kind) => {
    for (let seed = 1; seed <= 1_500; seed++) expect(fuzzOnce(kind, seed)).toBe(null)
  },
)
